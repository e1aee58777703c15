import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  findReference,
  needsReference,
  referenceVersion,
  startReferenceEtcd,
} from "./reference.ts";

const reference = await findReference();
const skip = reference === undefined ? needsReference : false;

void test("the reference is the release it claims to be, starts, answers and ends", {
  skip,
}, async () => {
  assert.ok(reference !== undefined);
  const version = execFileSync(reference.etcd, ["--version"], { encoding: "utf8" });
  assert.match(version, new RegExp(`etcd Version: ${referenceVersion.replaceAll(".", "\\.")}\\n`));
  const parent = mkdtempSync(join(tmpdir(), "etcd-ts-reference-"));
  try {
    const server = await startReferenceEtcd({ reference, dir: join(parent, "data") });
    const endpoint = `--endpoints=${server.endpoint}`;
    const put = execFileSync(reference.etcdctl, [endpoint, "put", "a", "1"], { encoding: "utf8" });
    assert.equal(put, "OK\n");
    const exit = await server.stop();
    assert.equal(exit.signal === "SIGTERM" || exit.code === 0, true);
    const status = execFileSync(
      reference.etcdutl,
      ["snapshot", "status", join(server.dir, "member", "snap", "db")],
      { encoding: "utf8" },
    );
    assert.match(status, /\S/);
  } finally {
    rmSync(parent, { recursive: true });
  }
});
