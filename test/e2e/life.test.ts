// The program's life as a supervisor sees it: it ends by the signal, soon, and what it had is there again; what it cannot do yet it says.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { EtcdClient } from "../../src/client/index.ts";
import { ownProgram, startServer } from "../support/server-process.ts";
import { Desk, etcdctls } from "./programs.ts";

const root = mkdtempSync(join(tmpdir(), "etcd-ts-life-"));
after(() => rmSync(root, { recursive: true, force: true }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} ends it within a second, with a watch open, and what it had is there again`, async () => {
    const command = ownProgram();
    assert.ok(command !== undefined);
    const dir = join(root, signal);
    const server = await startServer({ command, dir });
    const client = new EtcdClient(server.endpoint);
    await client.kv.put("a", "1");
    const watcher = client.watch("a", { startRevision: 2 });
    const events = watcher[Symbol.asyncIterator]();
    assert.equal((await events.next()).value?.events.length, 1);
    const startMs = performance.now();
    process.kill(server.pid, signal);
    const exit = await server.exited;
    const tookMs = performance.now() - startMs;
    assert.deepEqual(exit, { code: null, signal }, server.logTail());
    assert.ok(tookMs < 1000, `${tookMs} ms`);
    client.close();

    const again = await startServer({ command, dir });
    const other = new EtcdClient(again.endpoint);
    assert.equal((await other.kv.get("a"))?.value.toString(), "1");
    other.close();
    await again.kill();
  });
}

for (const etcdctl of etcdctls) {
  describe(`what is not built, asked for with ${etcdctl.name}`, { skip: etcdctl.skip }, () => {
    test("is refused by name, and the server goes on", async () => {
      const command = ownProgram();
      assert.ok(command !== undefined);
      const desk = await Desk.open(command, etcdctl);
      const cases: [string, string][] = [
        ["defrag", "etcd-ts does not implement etcdserverpb.Maintenance/Defragment yet"],
        ["move-leader 1", "etcd-ts does not implement etcdserverpb.Maintenance/MoveLeader yet"],
        ["member remove 1", "etcd-ts does not implement etcdserverpb.Cluster/MemberRemove yet"],
        ["user list", "etcd-ts does not implement etcdserverpb.Auth/UserList yet"],
      ];
      for (const [line, text] of cases) {
        const { stdout, stderr, code } = await desk.run(line.split(" "));
        assert.notEqual(code, 0, line);
        assert.ok(`${stdout}${stderr}`.includes(text), `${line}\n${stdout}${stderr}`);
      }
      assert.equal((await desk.run(["put", "a", "1"])).stdout, "OK\n");
      await desk.close();
    });
  });
}
