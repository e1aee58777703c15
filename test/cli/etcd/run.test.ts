// The life of the program: lines, signals and exit statuses, each seen from outside on a process of its own around a played member.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./run-member.js", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "etcd-ts-run-"));
after(() => rmSync(dir, { recursive: true }));

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Life {
  readonly lines: readonly Line[];
  readonly code: number | null;
  readonly signal: string | null;
}

/** Lives one process; `at` is called with each line as it is written. */
function live(
  part: string,
  dataDir: string,
  at: (line: Line, child: ChildProcess) => void = () => {},
): Promise<Life> {
  const child = spawn(process.execPath, [program, part, dataDir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: Line[] = [];
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const text of parts) {
      if (!text.startsWith("{")) continue;
      const line = JSON.parse(text) as Line;
      lines.push(line);
      at(line, child);
    }
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve({ lines, code, signal }));
  });
}

function messages({ lines }: Life): string[] {
  return lines.map(({ msg }) => msg);
}

test("a signal stops the member with etcd's lines and then ends the process as the signal would", async () => {
  for (const [signal, name] of [
    ["SIGTERM", "terminated"],
    ["SIGINT", "interrupt"],
  ] as const) {
    const life = await live("serves", join(dir, "new"), (line, child) => {
      if (line.msg === "ready to serve client requests") child.kill(signal);
    });
    assert.deepEqual([life.code, life.signal], [null, signal]);
    assert.deepEqual(messages(life), [
      "Initialize and start etcd server",
      "configuring client listeners",
      "starting an etcd server",
      "ready to serve client requests",
      "received signal; shutting down",
      "closing etcd server",
      "closed etcd server",
    ]);
    assert.equal(life.lines[4]?.["signal"], name);
    assert.deepEqual(life.lines[6]?.["advertise-client-urls"], ["http://localhost:2379"]);
  }
});

test("a second signal ends a process at once whose member does not stop", async () => {
  const life = await live("hangs", join(dir, "new"), (line, child) => {
    if (line.msg === "ready to serve client requests") child.kill("SIGTERM");
    if (line.msg === "closing etcd server") child.kill("SIGINT");
  });
  assert.equal(life.signal, "SIGINT");
  assert.equal(messages(life).at(-1), "closing etcd server");
});

test("a port in use ends the start with Go's words and status 1", async () => {
  const life = await live("port-taken", join(dir, "new"));
  assert.equal(life.code, 1);
  const last = life.lines.at(-1);
  assert.deepEqual([last?.level, last?.msg], ["fatal", "discovery failed"]);
  assert.match(
    String(last?.["error"]),
    /^listen tcp 127\.0\.0\.1:\d+: bind: address already in use$/,
  );
});

test("a member that breaks ends the process with a fatal line and status 1", async () => {
  const life = await live("breaks", join(dir, "new"));
  assert.equal(life.code, 1);
  const last = life.lines.at(-1);
  assert.deepEqual([last?.level, last?.msg], ["fatal", "server stopped by a fatal error"]);
  assert.equal(last?.["error"], "write /d/member/wal/0.wal: no space left on device");
});

test("a data directory is told by what it holds, and refused if it is none", async () => {
  const stop = (line: Line, child: ChildProcess): void => {
    if (line.msg === "ready to serve client requests") child.kill("SIGTERM");
  };
  const used = join(dir, "used");
  mkdirSync(join(used, "member", "wal"), { recursive: true });
  writeFileSync(join(used, "member", "wal", "0.wal"), "");
  writeFileSync(join(used, "notes"), "");
  const again = await live("serves", used, stop);
  const [odd, first] = again.lines;
  assert.deepEqual(
    [odd?.msg, odd?.["filename"]],
    ["found invalid file under data directory", "notes"],
  );
  assert.deepEqual(
    [first?.msg, first?.["dir-type"]],
    ["server has already been initialized", "member"],
  );
  const starting = again.lines.find(({ msg }) => msg === "starting an etcd server");
  assert.equal(starting?.["member-initialized"], true);

  const file = join(dir, "file");
  writeFileSync(file, "");
  const refused = await live("serves", join(file, "below"), stop);
  assert.equal(refused.code, 1);
  assert.deepEqual(messages(refused), ["failed to list data directory"]);
  assert.equal(refused.lines[0]?.["error"], `open ${join(file, "below")}: not a directory`);

  mkdirSync(join(used, "proxy"));
  const both = await live("serves", used, stop);
  assert.equal(both.code, 1);
  assert.equal(messages(both).at(-1), "invalid datadir; both member and proxy directories exist");
});
