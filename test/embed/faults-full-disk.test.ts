// The program on a disk that is full, too small or read-only: it ends with a message that names the file and exit code 1, answers nothing
// after the failure, and has everything it acknowledged once there is room again.
// Method: a small tmpfs in a mount namespace of its own; needs Linux and the right to make one.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdClient } from "../../src/client/index.ts";
import { freePort, ownProgram } from "../support/server-process.ts";

const program = ownProgram();
const MOUNTS =
  spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]).status === 0;
const SKIP = program === undefined || !MOUNTS ? "needs unshare and mount" : false;

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "etcd-ts-full-"));
});
after(() => rm(root, { recursive: true, force: true }));

/** A shell in a namespace of its own, in which the program runs once or twice. */
interface Run {
  readonly child: ChildProcess;
  readonly endpoint: string;
  /** Everything written so far. */
  log(): string;
  /** Resolves when the log matches. */
  until(pattern: RegExp): Promise<void>;
}

/** Runs `script`; in it `serve` is the program with its data in `$D`. */
async function runIn(script: string): Promise<Run> {
  const port = await freePort();
  const peer = `http://127.0.0.1:${await freePort()}`;
  const url = `http://127.0.0.1:${port}`;
  const { argv } = program ?? { argv: [] };
  const client = `--listen-client-urls ${url} --advertise-client-urls ${url}`;
  const cluster = `--listen-peer-urls ${peer} --initial-advertise-peer-urls ${peer} --initial-cluster default=${peer}`;
  const command = `${argv.join(" ")} --data-dir "$D/data" ${client} ${cluster}`;
  const text = `D=${root}; serve() { ${command} & echo "pid $!"; wait $!; echo "exit code $?"; }; ${script}`;
  const child = spawn("unshare", ["-rm", "sh", "-c", text], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
  }
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(log)) {
      assert.equal(child.exitCode, null, `it ended: ${log.slice(-2000)}`);
      await sleep(10);
    }
  };
  return { child, endpoint: url, log: () => log, until };
}

/** Ends the program, and with it the shell around it. */
async function end(run: Run): Promise<void> {
  const { child } = run;
  if (child.exitCode !== null) return;
  const pid = [...run.log().matchAll(/^pid (\d+)$/gm)].at(-1)?.[1];
  if (pid !== undefined) process.kill(Number(pid), "SIGTERM");
  await once(child, "exit");
}

test("a disk that fills up ends the program, and nothing acknowledged is lost", {
  skip: SKIP,
}, async () => {
  const mount = 'mount -t tmpfs -o size=80m tmpfs "$D"';
  const running = await runIn(`${mount}; serve; mount -o remount,size=400m "$D"; serve`);
  const client = new EtcdClient([running.endpoint]);
  try {
    await running.until(/ready to serve client requests/);
    const acknowledged = new Map<string, number>();
    const value = Buffer.alloc(100_000, 7);
    let unknown: string | undefined;
    for (let i = 0; unknown === undefined; i++) {
      assert.ok(i < 3000, "the disk never filled up");
      value.writeUInt32LE(i);
      try {
        await client.kv.put(`k${i}`, value, { timeoutMs: 5000 });
        acknowledged.set(`k${i}`, i);
      } catch {
        unknown = `k${i}`;
      }
    }
    await running.until(/exit code \d+/);
    assert.match(running.log(), /exit code 1\n/);
    assert.match(running.log(), /ENOSPC|[Nn]o space left on device/);
    assert.match(running.log(), /"error":"[^"]*data\/member\/[^"]*"/);
    await running.until(/exit code 1[\s\S]*ready to serve client requests/);
    assert.ok(acknowledged.size > 10, `${acknowledged.size} puts fitted`);
    for (const [key, number] of acknowledged) {
      const pair = await client.kv.get(key);
      assert.equal(pair?.value.readUInt32LE(0), number, key);
    }
    const { pairs } = await client.kv.range("k", { prefix: true, keysOnly: true });
    for (const { key } of pairs) {
      assert.ok(acknowledged.has(key.toString()) || key.toString() === unknown, key.toString());
    }
    await client.kv.put("after", "room");
  } finally {
    client.close();
    await end(running);
  }
});

test("a disk too small for the first segment of the log is refused or ends the program", {
  skip: SKIP,
}, async () => {
  const running = await runIn('mount -t tmpfs -o size=8m tmpfs "$D"; serve');
  await once(running.child, "exit");
  assert.match(running.log(), /exit code 1\n/);
  assert.match(running.log(), /data\/member\/wal\/[^"]*(ENOSPC|no space left on device)/i);
});

test("a read-only directory is refused", { skip: SKIP }, async () => {
  const running = await runIn('mount -t tmpfs -o size=8m,ro tmpfs "$D"; serve');
  await once(running.child, "exit");
  assert.match(running.log(), /exit code 1\n/);
  assert.match(running.log(), new RegExp(`"error":"[^"]*${root}/data[^"]*read-only file system`));
});
