// Real etcd and we read each other's log. Goal: a log of etcd's opens here with its entries; the same entries written by our code, save
// headers and several segments included, start etcd with all keys; and etcd's appending to our log does not keep us from reading it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createHardState } from "../../../src/proto/index.ts";
import { NodeFiles } from "../../../src/storage/node-files.ts";
import { createWal, readWal, resumeWal, verifyWal } from "../../../src/storage/wal/index.ts";
import {
  findReference,
  needsReference,
  type Reference,
  startReferenceEtcd,
} from "../../reference/reference.ts";
import { options, save } from "../../suites/wal-suite.ts";

const reference = await findReference();
const files = new NodeFiles();

async function serve(
  programs: Reference,
  dir: string,
  work: (run: (...args: string[]) => string) => void,
): Promise<void> {
  const server = await startReferenceEtcd({ reference: programs, dir });
  try {
    const endpoint = `--endpoints=${server.endpoint}`;
    work((...args) => execFileSync(programs.etcdctl, [endpoint, ...args], { encoding: "utf8" }));
  } finally {
    await server.stop();
  }
}

test("WAL: etcd's log opens here, and ours in etcd, back and forth", {
  skip: reference === undefined ? needsReference : false,
}, async () => {
  assert.ok(reference !== undefined);
  const parent = await mkdtemp(join(tmpdir(), "etcd-ts-wal-"));
  const data = join(parent, "data");
  const wal = join(data, "member", "wal");
  const count = (text: string): number => text.split("\n").filter((line) => line !== "").length;
  try {
    await serve(reference, data, (run) => {
      for (let i = 0; i < 40; i++) run("put", `key${i}`, "v".repeat(i * 50));
    });
    const theirs = await readWal(files, wal);
    assert.ok(theirs !== undefined && theirs.contents.entries.length >= 40);

    // The same records, written by us to small segments.
    await rename(wal, `${wal}-theirs`);
    await files.makeDirectory(wal);
    const place = { files, directory: wal };
    let ours = await createWal(options(place), theirs.contents.metadata);
    const { entries, hardState } = theirs.contents;
    const first = createHardState({ ...hardState, commit: 0 });
    for (let i = 0; i < entries.length; i += 3) await save(ours, first, entries.slice(i, i + 3));
    await save(ours, hardState, []);
    await ours.close();
    assert.ok(((await files.list(wal)) ?? []).length > 2);

    await serve(reference, data, (run) => {
      assert.equal(count(run("get", "key", "--prefix", "--keys-only")), 40);
      run("put", "another", "one");
    });
    const after = await readWal(files, wal);
    assert.ok(after !== undefined && after.lastIndex > theirs.lastIndex);

    // We go on where etcd stopped: an empty entry of the current term, as a new leader writes it.
    ours = await resumeWal(options(place), after);
    const index = after.lastIndex + 1;
    const { term } = after.contents.hardState;
    const entry = { index, term, type: 0, data: new Uint8Array(0) };
    await save(ours, createHardState({ ...after.contents.hardState, commit: index }), [entry]);
    await ours.close();
    await serve(reference, data, (run) => {
      assert.equal(count(run("get", "", "--prefix", "--keys-only")), 41);
    });
    const found = await verifyWal(files, wal);
    assert.ok(found !== undefined && "lastIndex" in found && found.lastIndex > index);
  } finally {
    await rm(parent, { recursive: true });
  }
});
