// The client against a real etcd where there is one, else against ours: every service, watches and leases over cut connections.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  EtcdClient,
  EtcdError,
  op,
  type WatchBatch,
  type Watcher,
  when,
} from "../../src/client/index.ts";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import {
  freePort,
  ownProgram,
  type ServerCommand,
  type ServerProcess,
  startServer,
} from "../support/server-process.ts";
import { CutProxy } from "./cut-proxy.ts";

const reference = await findReference();
const servers = [ownProgram(), reference === undefined ? undefined : referenceCommand(reference)];

function refused(code: string, message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof EtcdError);
    assert.equal(error.codeName, code);
    assert.equal(error.message, message);
    return true;
  };
}

/** Reads events until there are `count`, as `type key=value@revision`. */
async function take(watcher: Watcher, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const { events } of watcher) {
    for (const { type, kv } of events) {
      seen.push(`${type} ${kv.key.toString()}=${kv.value.toString()}@${kv.modRevision}`);
    }
    if (seen.length >= count) break;
  }
  return seen;
}

/** What a client does, against the server of `command`. */
function aClientOf(command: ServerCommand): void {
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-client-"));
  let server: ServerProcess;
  let client: EtcdClient;

  before(async () => {
    server = await startServer({ command, dir: join(dir, "data") });
    client = new EtcdClient(`http://${server.endpoint}`);
  });
  after(async () => {
    client.close();
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  test("puts and gets text and bytes", async () => {
    await client.kv.put("ключ", "значение");
    await client.kv.put(Uint8Array.of(0, 255, 128), Uint8Array.of(1, 0, 2));
    assert.equal((await client.kv.get("ключ"))?.value.toString(), "значение");
    const pair = await client.kv.get(Uint8Array.of(0, 255, 128));
    assert.deepEqual(pair?.key, Buffer.of(0, 255, 128));
    assert.deepEqual(pair?.value, Buffer.of(1, 0, 2));
    assert.equal(await client.kv.get("nothing"), undefined);
  });

  test("reads ranges with limit, order and revision, also as a stream", async () => {
    for (const key of ["r/a", "r/b", "r/c", "r0"]) await client.kv.put(key, key);
    const { header } = await client.kv.put("r/a", "new");
    const all = await client.kv.range("r/", { prefix: true });
    assert.equal(all.count, 3);
    assert.equal(all.header?.revision, header?.revision);
    const two = await client.kv.range("r/", {
      prefix: true,
      limit: 2,
      sort: { by: "key", order: "descend" },
    });
    assert.deepEqual(
      two.pairs.map((pair) => pair.key.toString()),
      ["r/c", "r/b"],
    );
    assert.equal(two.more, true);
    const earlier = await client.kv.get("r/a", { revision: (header?.revision ?? 0) - 1 });
    assert.equal(earlier?.value.toString(), "r/a");
    const streamed: string[] = [];
    for await (const part of client.kv.rangeStream("r/", { prefix: true })) {
      streamed.push(...part.pairs.map((pair) => pair.key.toString()));
    }
    assert.deepEqual(streamed, ["r/a", "r/b", "r/c"]);
    const { count } = await client.kv.range("r/c", { onward: true, countOnly: true });
    assert.equal(count >= 2, true);
    assert.equal((await client.kv.range("r/a", { end: "r/c" })).count, 2);
  });

  test("deletes and answers with what was there", async () => {
    await client.kv.put("d", "1");
    const { deleted, prevKvs } = await client.kv.delete("d", { prevKv: true });
    assert.equal(deleted, 1);
    assert.equal(prevKvs[0]?.value.toString(), "1");
    const put = await client.kv.put("d", "2", { prevKv: true });
    assert.equal(put.prevKv, undefined);
  });

  test("does one branch of a transaction", async () => {
    await client.kv.delete("t");
    const create = {
      compare: [when.version("t", "=", 0)],
      success: [op.put("t", "1"), op.txn({ success: [op.range("t")] })],
      failure: [op.range("t"), op.delete("t", { prevKv: true })],
    };
    const first = await client.kv.txn(create);
    assert.equal(first.succeeded, true);
    assert.deepEqual(
      first.results.map((result) => result.kind),
      ["put", "txn"],
    );
    const second = await client.kv.txn(create);
    assert.equal(second.succeeded, false);
    const [range, deletion] = second.results;
    assert.ok(range?.kind === "range" && deletion?.kind === "delete");
    assert.equal(range.pairs[0]?.value.toString(), "1");
    assert.equal(deletion.deleted, 1);
  });

  test("throws the server's code and text", async () => {
    await assert.rejects(
      client.kv.put("k", "v", { lease: 404n }),
      refused("NOT_FOUND", "etcdserver: requested lease not found"),
    );
    await assert.rejects(
      client.kv.compact(1 << 30),
      refused("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision"),
    );
    await assert.rejects(
      client.kv.put("", "v"),
      refused("INVALID_ARGUMENT", "etcdserver: key is not provided"),
    );
  });

  test("watches history and what comes, with the pairs before", async () => {
    const { header } = await client.kv.put("w/a", "1");
    const watcher = client.watch("w/", {
      prefix: true,
      startRevision: header?.revision ?? 0,
      prevKv: true,
    });
    await client.kv.put("w/a", "2");
    await client.kv.delete("w/a");
    const seen: WatchBatch["events"] = [];
    for await (const { events } of watcher) {
      seen.push(...events);
      if (seen.length === 3) break;
    }
    assert.deepEqual(
      seen.map((event) => [event.type, event.prevKv?.value.toString()]),
      [
        ["put", undefined],
        ["put", "1"],
        ["delete", "2"],
      ],
    );
  });

  test("a watch of compacted history says which revision is left", async () => {
    const { header } = await client.kv.put("c", "1");
    const revision = header?.revision ?? 0;
    await client.kv.put("c", "2");
    await client.kv.compact(revision + 1, { physical: true });
    const watcher = client.watch("c", { startRevision: revision });
    await assert.rejects(take(watcher, 1), (error) => {
      assert.ok(error instanceof EtcdError);
      assert.equal(error.codeName, "OUT_OF_RANGE");
      assert.equal(error.compactRevision, revision + 1);
      return true;
    });
  });

  test("a refused watch tells the reason", async () => {
    const watcher = client.watch("z", { end: "a" });
    await assert.rejects(take(watcher, 1), refused("CANCELLED", "mvcc: watcher range is empty"));
    await assert.rejects(watcher.created);
  });

  test("a watch asks for progress and ends when cancelled", async () => {
    const watcher = client.watch("quiet");
    const revision = await watcher.created;
    watcher.requestProgress();
    const batches: WatchBatch[] = [];
    for await (const batch of watcher) {
      batches.push(batch);
      watcher.cancel();
    }
    assert.deepEqual(batches, [{ revision, events: [] }]);
  });

  test("a watch loses nothing and repeats nothing over cut connections", async () => {
    const proxy = await CutProxy.start(server.clientPort);
    const far = new EtcdClient(proxy.endpoint);
    const watcher = far.watch("cut/", { prefix: true });
    await watcher.created;
    const expected: string[] = [];
    const taken = take(watcher, 30);
    for (let i = 0; i < 30; i++) {
      if (i % 10 === 0) proxy.cut(true);
      const { header } = await client.kv.put(`cut/${i}`, "x");
      expected.push(`put cut/${i}=x@${header?.revision ?? 0}`);
      if (i % 10 === 3) proxy.cut(false);
    }
    assert.deepEqual(await taken, expected);
    far.close();
    proxy.close();
  });

  test("a call finds the endpoint that answers", async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const both = new EtcdClient([dead, `http://${server.endpoint}`]);
    await both.kv.put("e", "1");
    assert.equal((await both.kv.get("e"))?.value.toString(), "1");
    const status = both.maintenance.status({ endpoint: dead, timeoutMs: 200 });
    await assert.rejects(status, (error) => {
      assert.ok(error instanceof EtcdError);
      return ["UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(error.codeName);
    });
    both.close();
  });

  test("a call ends with its signal, and every call with the client", async () => {
    const abort = new AbortController();
    abort.abort();
    await assert.rejects(client.kv.get("k", { signal: abort.signal }), (error) => {
      return error instanceof EtcdError && error.codeName === "CANCELLED";
    });
    const other = new EtcdClient(`http://${server.endpoint}`);
    const watcher = other.watch("k");
    await watcher.created;
    other.close();
    assert.deepEqual(await take(watcher, 1), []);
    await assert.rejects(other.kv.get("k"), refused("CANCELLED", "the client is closed"));
  });

  test("grants, asks, lists and revokes leases", async () => {
    const { id, ttlS } = await client.leases.grant(60);
    assert.equal(ttlS, 60);
    await client.kv.put("l", "1", { lease: id });
    const time = await client.leases.timeToLive(id, { keys: true });
    assert.equal(time.grantedS, 60);
    assert.deepEqual(time.keys, [Buffer.from("l")]);
    assert.ok((await client.leases.list()).includes(id));
    assert.equal(await client.leases.keepAliveOnce(id), 60);
    await client.leases.revoke(id);
    assert.equal(await client.kv.get("l"), undefined);
    assert.equal((await client.leases.timeToLive(id)).remainingS, -1);
    await assert.rejects(
      client.leases.keepAliveOnce(id),
      refused("NOT_FOUND", "etcdserver: requested lease not found"),
    );
  });

  test("keepAlive() renews over cut connections until the lease is revoked", async () => {
    const proxy = await CutProxy.start(server.clientPort);
    const far = new EtcdClient(proxy.endpoint);
    const { id } = await client.leases.grant(2);
    const keeper = far.leases.keepAlive(id);
    const startMs = performance.now();
    // Two and a half lifetimes of the lease, with the connection cut in each of them.
    while (performance.now() - startMs < 5000) {
      proxy.cut();
      assert.notEqual((await client.leases.timeToLive(id)).remainingS, -1);
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    assert.equal(keeper.ttlS, 2);
    await client.leases.revoke(id);
    assert.equal((await keeper.lost).codeName, "NOT_FOUND");
    far.close();
    proxy.close();
  });

  test("keepAlive() gives the lease up when nothing answers within the TTL", async () => {
    const proxy = await CutProxy.start(server.clientPort);
    const far = new EtcdClient(proxy.endpoint);
    const { id } = await client.leases.grant(2);
    const keeper = far.leases.keepAlive(id);
    while (keeper.ttlS === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const startMs = performance.now();
    proxy.cut(true);
    assert.equal((await keeper.lost).codeName, "DEADLINE_EXCEEDED");
    assert.ok(performance.now() - startMs <= 2500);
    far.close();
    proxy.close();
  });

  test("reports status, hashes, alarms and members", async () => {
    const status = await client.maintenance.status();
    assert.ok(status.version.startsWith("3.7."));
    assert.notEqual(status.leader, 0n);
    const { hash, hashRevision } = await client.maintenance.hashKv(0);
    assert.ok(hash >= 0 && hashRevision > 1);
    assert.ok((await client.maintenance.hash()).hash >= 0);
    assert.deepEqual(await client.maintenance.alarms(), []);
    const { members } = await client.cluster.memberList();
    assert.deepEqual(
      members.map((member) => member.name),
      ["default"],
    );
  });
}

for (const command of servers) {
  if (command !== undefined) describe(`a client of ${command.name}`, () => aClientOf(command));
}
if (reference === undefined) test("a client of the real etcd", { skip: needsReference });
