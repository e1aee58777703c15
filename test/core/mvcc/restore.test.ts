// Restore and index checkpoint: what is refused, what survives, what an unfinished compaction leads to, and numbers beyond 2^32.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MvccStore, StoreBuilder } from "../../../src/core/mvcc/index.ts";
import { sortByKey } from "../../../src/core/mvcc/sort-keys.ts";
import { ValueFill } from "../../../src/core/mvcc/value-fill.ts";
import {
  createDeleteRangeRequest,
  createKeyValue,
  createPutRequest,
  createRangeRequest,
  createResponseHeader,
  encodeKeyValue,
} from "../../../src/proto/index.ts";
import { bytes, MemoryLeases, type MemoryRows, smallStore } from "./memory.ts";

const NONE = { scheduled: -1, finished: -1 };

function builder(sink: MemoryRows, options = {}): StoreBuilder {
  return new StoreBuilder({
    leases: new MemoryLeases(),
    loadValue: sink.load,
    rowChunkBits: 3,
    leafKeysMax: 4,
    valueChunkBytes: 64,
    ...options,
  });
}

function row(key: string, main: number, fields = {}): Uint8Array {
  return encodeKeyValue(
    createKeyValue({ key, createRevision: main, modRevision: main, version: 1, ...fields }),
  );
}

function all(store: MvccStore, revision = 0): unknown {
  const result = store.range(createRangeRequest({ key: "\0", rangeEnd: "\0", revision }));
  return typeof result === "string" ? result : result.message(createResponseHeader());
}

function history(puts = 60): ReturnType<typeof smallStore> {
  const parts = smallStore();
  for (let i = 0; i < puts; i++) {
    const key = `k${(i * 7) % 20}`;
    parts.store.put(createPutRequest({ key, value: bytes(`value ${i}`) }), parts.sink);
    if (i % 11 === 0) parts.store.deleteRange(createDeleteRangeRequest({ key }), parts.sink);
  }
  return parts;
}

function blocksOf(store: MvccStore): Uint8Array[] {
  const writer = store.beginCheckpoint();
  assert.ok(writer !== "wait");
  const blocks: Uint8Array[] = [];
  for (let block = writer.next(); block !== undefined; block = writer.next()) blocks.push(block);
  return blocks;
}

test("rows that are damaged or out of order are refused", () => {
  const { sink } = smallStore();
  const b = builder(sink);
  assert.ok(b.row(5, 0, false, row("a", 5)));
  assert.equal(b.row(5, 0, false, row("a", 5)), false, "twice");
  assert.equal(b.row(4, 0, false, row("a", 4)), false, "backwards");
  assert.equal(b.row(6, 0, false, row("a", 7)), false, "of another revision");
  assert.equal(b.row(6, 0, false, row("a", 6).subarray(0, 2)), false, "cut off");
});

test("revisions of the restored store come from rows and compactions", () => {
  const { sink } = smallStore();
  const empty = builder(sink).finish(NONE);
  assert.deepEqual([empty.revision, empty.compactRevision], [1, -1]);
  const b = builder(sink);
  b.row(5, 0, false, row("a", 5));
  const store = b.finish({ scheduled: 9, finished: 7 });
  assert.deepEqual([store.revision, store.compactRevision, store.isCompacting], [9, 9, true]);
  while (store.stepCompaction(sink, 10).kind !== "finished");
  assert.equal(store.hashKv(9) instanceof Object && "hash" in (store.hashKv(9) as object), false);
});

test("the row without bytes that a bumped restore leaves is tolerated", () => {
  const { sink } = smallStore();
  const b = builder(sink);
  assert.ok(b.row(5, 0, false, row("a", 5)));
  assert.ok(b.row(1_000_000_005, 0, false, new Uint8Array(0)));
  const store = b.finish(NONE);
  assert.equal(store.revision, 1_000_000_005);
  const result = store.range(createRangeRequest({ key: "\0", rangeEnd: "\0" }));
  assert.ok(typeof result !== "string" && result.count === 1);
  const work = store.beginHash(0);
  while (!work.step(10));
});

test("a checkpoint is taken whole or not at all", () => {
  const { store, sink } = history();
  const blocks = blocksOf(store);
  const whole = builder(sink);
  for (const block of blocks) assert.ok(whole.checkpointBlock(block));
  assert.equal(whole.checkpointRevision, store.revision);
  assert.deepEqual(all(whole.finish(NONE)), all(store));
  assert.equal(builder(sink).checkpointBlock(blocks[1] as Uint8Array), false, "out of order");
  fc.assert(
    fc.property(
      fc.nat(blocks.length - 1),
      fc.nat(10_000),
      fc.integer({ min: 1, max: 255 }),
      (i, at, flip) => {
        // The caller's checksum catches this; here it only must not throw or hang.
        const damaged = Uint8Array.from(blocks[i] as Uint8Array);
        damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ flip;
        const b = builder(sink);
        blocks.every((block, j) => b.checkpointBlock(j === i ? damaged : block));
        const cut = builder(sink);
        const short = (blocks[i] as Uint8Array).subarray(0, at % damaged.length);
        blocks.every((block, j) => cut.checkpointBlock(j === i ? short : block));
        assert.equal(cut.checkpointRevision, 0);
      },
    ),
  );
});

test("rows of a checkpoint that were compacted after it was made go", () => {
  const { store, sink } = history();
  const blocks = blocksOf(store);
  const at = store.revision - 20;
  for (let i = 0; i < 10; i++) {
    store.put(createPutRequest({ key: `late${i}`, value: bytes("late") }), sink);
  }
  store.compact(at);
  while (store.stepCompaction(sink, 10).kind !== "finished");
  const b = builder(sink);
  for (const block of blocks) assert.ok(b.checkpointBlock(block));
  for (const r of sink.sorted()) {
    if (r.main > b.checkpointRevision) assert.ok(b.row(r.main, r.sub, r.tombstone, r.value));
  }
  const again = b.finish({ scheduled: at, finished: at });
  assert.deepEqual([again.compactRevision, again.isCompacting], [at, true]);
  const gone = { put: () => 0, buffer: new Uint8Array(0), remove: () => {} };
  while (again.stepCompaction(gone, 10).kind !== "finished");
  while (!again.reclaim(10));
  for (let r = at; r <= store.revision; r++) assert.deepEqual(all(again, r), all(store, r));
});

test("a checkpoint before a compaction's revision is not used: deleted keys would come back", () => {
  const { store, sink } = history();
  const blocks = blocksOf(store);
  store.deleteRange(createDeleteRangeRequest({ key: "k1" }), sink);
  store.put(createPutRequest({ key: "other" }), sink);
  const at = store.revision;
  store.compact(at);
  while (store.stepCompaction(sink, 10).kind !== "finished");
  for (const stored of [
    { scheduled: at, finished: at },
    { scheduled: at, finished: -1 },
  ]) {
    const b = builder(sink);
    for (const block of blocks) assert.ok(b.checkpointBlock(block));
    assert.throws(() => b.finish(stored), /beyond the revision of the checkpoint/);
  }
});

test("values are read back where they are asked for, or filled in the background", () => {
  const { store, sink } = history();
  const b = builder(sink);
  for (const block of blocksOf(store)) b.checkpointBlock(block);
  const again = b.finish(NONE);
  assert.equal(again.memory.valueBytes, 0);
  const fill = new ValueFill(again, again.revision);
  for (const r of sink.sorted()) assert.ok(fill.row(r.main, r.sub, r.tombstone, r.value));
  assert.ok(fill.end());
  assert.ok(sink.rows.size > 0);
  sink.rows.clear();
  assert.deepEqual(all(again), all(store), "nothing is asked of the backend any more");
});

test("a fill tells when index and backend disagree", () => {
  const { store, sink } = history();
  const rows = sink.sorted();
  for (const wrong of ["lost", "added", "other value", "lost at the end"] as const) {
    const fill = new ValueFill(store, store.revision);
    const scan = rows.slice();
    if (wrong === "lost") scan.splice(9, 1);
    if (wrong === "lost at the end") scan.pop();
    if (wrong === "added") scan.splice(9, 0, { ...(rows[9] as (typeof rows)[0]), sub: 77 });
    if (wrong === "other value") {
      const row9 = rows.find((r) => !r.tombstone) as (typeof rows)[0];
      scan[rows.indexOf(row9)] = { ...row9, value: row("k0", row9.main, { version: 99 }) };
    }
    const agrees = scan.every((r) => fill.row(r.main, r.sub, r.tombstone, r.value)) && fill.end();
    assert.equal(agrees, false, wrong);
  }
});

test("row numbers and revisions pass 2^32", () => {
  const { store, sink } = smallStore({ firstRow: 2 ** 32 - 20 });
  const b = builder(sink, { firstRow: 2 ** 32 - 5 });
  const start = 2 ** 40;
  for (let i = 0; i < 12; i++) {
    const main = start + i;
    const fields = { createRevision: start + (i % 3), version: 2 ** 33 + i, value: bytes(`${i}`) };
    assert.ok(b.row(main, 0, false, row(`k${i % 3}`, main, fields)));
  }
  const big = b.finish(NONE);
  for (let i = 0; i < 40; i++) {
    const request = createPutRequest({ key: `k${i % 5}`, value: bytes(String(i)) });
    assert.ok(typeof big.put(request, sink) !== "string");
    assert.ok(typeof store.put(request, sink) !== "string");
  }
  assert.equal(big.revision, start + 51);
  const result = big.range(createRangeRequest({ key: "k0" }));
  assert.ok(typeof result !== "string");
  const kv = result.kvs.message(0);
  assert.deepEqual(
    [kv.createRevision, kv.modRevision, kv.version],
    [start, start + 47, 2 ** 33 + 9 + 8],
  );
  assert.equal(big.compact(start + 45), undefined);
  const gone = { put: () => 0, buffer: new Uint8Array(0), remove: () => {} };
  while (big.stepCompaction(gone, 10).kind !== "finished");
  while (!big.reclaim(10));
  const after = big.range(createRangeRequest({ key: "k", rangeEnd: "l", revision: start + 45 }));
  assert.ok(typeof after !== "string" && after.count === 5);
  assert.equal(store.liveKeyCount, 5);
});

test("sortByKey() sorts as string comparison does", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "\0", "\xff", "/registry/pods/"),
    maxLength: 6,
  });
  fc.assert(
    fc.property(fc.uniqueArray(text, { maxLength: 400, size: "max" }), (keys) => {
      const ids = Uint32Array.from(keys, (_, i) => i);
      sortByKey(ids, ids.length, (id) => keys[id] as string);
      assert.deepEqual(
        [...ids].map((id) => keys[id]),
        keys.toSorted((a, b) => (a < b ? -1 : 1)),
      );
    }),
    { numRuns: 100 },
  );
});
