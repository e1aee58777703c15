// The numbered rules of client-api.md 12 (KV, Txn) that concern the core, each by its number.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MvccStore, RangeResult, TxnResult } from "../../../src/core/mvcc/index.ts";
import {
  CompareResult,
  CompareTarget,
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createResponseHeader,
  createTxnRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { bytes, type MemoryRows, smallStore } from "./memory.ts";

const header = createResponseHeader();

function put(store: MvccStore, sink: MemoryRows, key: string, value = "v", lease = 0n): number {
  const result = store.put(createPutRequest({ key, value: bytes(value), lease }), sink);
  assert.ok(typeof result !== "string");
  return result.revision;
}

function range(store: MvccStore, fields: Partial<RangeRequest>): RangeResult {
  const result = store.range(createRangeRequest({ key: "\0", rangeEnd: "\0", ...fields }));
  assert.ok(typeof result !== "string");
  return result;
}

const keysOf = (result: RangeResult): string[] => result.kvs.messages().map((kv) => kv.key);

function filled(keys = "abcde"): ReturnType<typeof smallStore> {
  const parts = smallStore();
  for (const key of keys) put(parts.store, parts.sink, key);
  return parts;
}

function txn(store: MvccStore, sink: MemoryRows, fields: Partial<TxnRequest>): TxnResult {
  const result = store.txn(createTxnRequest(fields), sink);
  assert.ok(typeof result !== "string");
  return result;
}

const putOp = (key: string, lease = 0n): RequestOp =>
  createRequestOp({ requestPut: createPutRequest({ key, value: bytes("v"), lease }) });
const rangeOp = (key: string, revision = 0): RequestOp =>
  createRequestOp({ requestRange: createRangeRequest({ key, revision }) });

function compacted(store: MvccStore, sink: MemoryRows, revision: number): void {
  assert.equal(store.compact(revision), undefined);
  while (store.stepCompaction(sink, 100).kind !== "finished");
}

test("K1: the first put of a fresh store has revision 2", () => {
  const { store, sink } = smallStore();
  assert.equal(store.revision, 1);
  assert.equal(put(store, sink, "a"), 2);
});

test("K2, K8: prev_kv only if asked for and there is one", () => {
  const { store, sink } = smallStore();
  const ask = createPutRequest({ key: "a", value: bytes("1"), prevKv: true });
  const first = store.put(ask, sink);
  assert.ok(typeof first !== "string" && first.prevKv === undefined);
  const second = store.put({ ...ask, value: bytes("2") }, sink);
  assert.ok(typeof second !== "string");
  assert.deepEqual(second.message(header).prevKv?.value, new Uint8Array(bytes("1")));
  const keep = store.put(createPutRequest({ key: "a", ignoreValue: true }), sink);
  assert.ok(typeof keep !== "string" && keep.prevKv === undefined);
});

test("K4, K6, K9, K11: keeping value or lease, unknown leases", () => {
  const { store, sink, leases } = smallStore();
  leases.granted.add(7n);
  const keep = createPutRequest({ key: "a", ignoreValue: true });
  assert.equal(store.put(keep, sink), "keyNotFound");
  assert.equal(store.put({ ...keep, lease: 8n }, sink), "leaseNotFound", "the lease comes first");
  assert.equal(sink.puts, 0);
  put(store, sink, "a", "v", 7n);
  assert.equal(leases.leaseOf.get("a"), 7n);
  store.put(keep, sink);
  assert.equal(leases.leaseOf.get("a"), undefined, "ignore_value without lease detaches");
  assert.equal(String(range(store, {}).kvs.message(0).value), String(new Uint8Array(bytes("v"))));
});

test("K12-K15: deletes", () => {
  const { store, sink } = filled();
  for (const [key, rangeEnd] of [
    ["b", "b"],
    ["d", "b"],
    ["x", ""],
  ] as const) {
    const none = store.deleteRange(createDeleteRangeRequest({ key, rangeEnd }), sink);
    assert.deepEqual([none.deleted, none.revision], [0, 6]);
  }
  const some = store.deleteRange(
    createDeleteRangeRequest({ key: "b", rangeEnd: "\0", prevKv: true }),
    sink,
  );
  assert.deepEqual([some.deleted, some.revision, some.prevKvs?.count], [4, 7, 4]);
  assert.deepEqual(
    sink
      .sorted()
      .filter((row) => row.main === 7)
      .map((row) => row.sub),
    [0, 1, 2, 3],
  );
});

test("K16-K23: ranges, limits, counts", () => {
  const { store } = filled();
  for (const [key, rangeEnd] of [
    ["c", "c"],
    ["d", "b"],
  ] as const) {
    assert.equal(range(store, { key, rangeEnd }).count, 0);
  }
  assert.equal(range(store, {}).count, 5);
  const limited = range(store, { limit: 2 });
  assert.deepEqual([keysOf(limited), limited.more, limited.count], [["a", "b"], true, 5]);
  assert.equal(range(store, { limit: 5 }).more, false);
  const counted = range(store, { countOnly: true, keysOnly: true, limit: 1 });
  assert.deepEqual([counted.kvs.count, counted.more, counted.count], [0, false, 5]);
  const filtered = range(store, { minModRevision: 4, maxCreateRevision: 5 });
  assert.deepEqual([keysOf(filtered), filtered.count], [["c", "d"], 5]);
  const descending = range(store, { sortOrder: SortOrder.DESCEND, limit: 2 });
  assert.deepEqual([keysOf(descending), descending.more], [["e", "d"], true]);
});

test("K24-K26: orders", () => {
  const { store } = filled("edcba");
  assert.deepEqual(keysOf(range(store, { sortTarget: SortTarget.CREATE })), [
    "e",
    "d",
    "c",
    "b",
    "a",
  ]);
  const quirk = range(store, { sortTarget: SortTarget.CREATE, limit: 2 });
  assert.deepEqual([keysOf(quirk), quirk.more], [["c", "b"], true], "sorts the first three only");
  for (const sortOrder of [SortOrder.ASCEND, SortOrder.DESCEND]) {
    const tied = range(store, { sortOrder, sortTarget: SortTarget.VERSION });
    assert.deepEqual(keysOf(tied), ["a", "b", "c", "d", "e"], "ties stay in key order");
  }
});

test("K28-K34: revisions", () => {
  const { store, sink } = filled();
  assert.equal(range(store, { revision: 3 }).revision, 6);
  assert.deepEqual(keysOf(range(store, { revision: 3 })), ["a", "b"]);
  assert.equal(range(store, { revision: 1 }).count, 0);
  assert.equal(range(store, { revision: -5 }).count, 5);
  assert.equal(store.range(createRangeRequest({ key: "a", revision: 7 })), "futureRev");
  compacted(store, sink, 4);
  assert.equal(range(store, { revision: 4 }).count, 3);
  assert.equal(store.range(createRangeRequest({ key: "a", revision: 3 })), "compacted");
  assert.equal(store.compact(4), "compacted");
  assert.equal(store.compact(7), "futureRev");
  compacted(store, sink, 6);
  assert.equal(range(store, {}).count, 5);
  const fresh = smallStore().store;
  assert.equal(fresh.compact(-1), "compacted");
  assert.equal(fresh.compact(0), undefined);
  assert.equal(fresh.compact(0), "compacted");
});

test("K36, K37: keys_only", () => {
  const { store, sink, leases } = smallStore();
  leases.granted.add(5n);
  put(store, sink, "a", "v", 5n);
  const [index] = range(store, { keysOnly: true }).kvs.messages();
  assert.deepEqual([index?.lease, index?.value.length, index?.version], [0n, 0, 1]);
  const [sorted] = range(store, { keysOnly: true, sortTarget: SortTarget.VALUE }).kvs.messages();
  assert.deepEqual([sorted?.lease, sorted?.value.length], [5n, 0]);
});

test("T8: a from-key delete and a put in it run in order", () => {
  const { store, sink } = filled("ab");
  const del = createRequestOp({
    requestDeleteRange: createDeleteRangeRequest({ key: "a", rangeEnd: "\0" }),
  });
  const result = txn(store, sink, { success: [del, putOp("b")] });
  assert.equal(result.revision, 4);
  const [b] = range(store, {}).kvs.messages();
  assert.deepEqual([b?.key, b?.createRevision, b?.modRevision, b?.version], ["b", 4, 4, 1]);
});

test("T9, T10, T18: revisions of a Txn and of what is in it", () => {
  const { store, sink } = filled("a");
  assert.equal(txn(store, sink, { success: [rangeOp("a")] }).revision, 2);
  const result = txn(store, sink, {
    success: [rangeOp("a"), putOp("b"), rangeOp("b"), putOp("c")],
  });
  assert.equal(result.revision, 3);
  assert.deepEqual(
    result.responses.map((op) => op.revision),
    [2, 3, 3, 3],
  );
  assert.equal((result.responses[2] as RangeResult).count, 1);
});

test("T11-T15: compares over missing keys and ranges", () => {
  const { store, sink, leases } = filled("abc");
  leases.granted.add(9n);
  const holds = (fields: Parameters<typeof createCompare>[0]): boolean =>
    txn(store, sink, { compare: [createCompare(fields)] }).succeeded;
  for (const target of [
    CompareTarget.VERSION,
    CompareTarget.CREATE,
    CompareTarget.MOD,
    CompareTarget.LEASE,
  ]) {
    assert.ok(holds({ key: "none", target }));
    assert.ok(!holds({ key: "none", target, result: CompareResult.GREATER }));
  }
  for (const result of [0, 1, 2, 3]) {
    assert.ok(!holds({ key: "none", target: CompareTarget.VALUE, result }));
    assert.ok(!holds({ key: "x", rangeEnd: "z", target: CompareTarget.VALUE, result }));
  }
  const all = {
    key: "a",
    rangeEnd: "\0",
    target: CompareTarget.MOD,
    result: CompareResult.GREATER,
  };
  assert.ok(holds({ ...all, modRevision: 1 }));
  assert.ok(!holds({ ...all, modRevision: 2 }), "it must hold for every key");
  const lease = { key: "a", rangeEnd: "\0", target: CompareTarget.LEASE };
  assert.ok(!holds({ ...lease, result: CompareResult.GREATER }) && holds(lease));
});

test("T16, T17: nested responses and their headers", () => {
  const { store, sink } = filled("a");
  const inner = createTxnRequest({
    compare: [createCompare({ key: "a", target: CompareTarget.VERSION, version: 5 })],
    failure: [putOp("x")],
  });
  const result = txn(store, sink, { success: [createRequestOp({ requestTxn: inner })] });
  const message = result.message(header).responses[0]?.responseTxn;
  assert.deepEqual(message?.header, createResponseHeader());
  assert.deepEqual([result.succeeded, message?.succeeded], [true, false]);
  const { revision, ...ids } = message?.responses[0]?.responsePut?.header ?? header;
  assert.deepEqual([revision, ids.clusterId, ids.memberId, ids.raftTerm], [3, 0n, 0n, 0]);
});

test("T19, T21-T23: ranges at revisions a Txn cannot read refuse all of it", () => {
  const { store, sink } = filled("abc");
  const attempt = (...success: RequestOp[]): unknown =>
    store.txn(createTxnRequest({ success }), sink);
  const rows = sink.rows.size;
  assert.equal(attempt(putOp("x"), rangeOp("x", 5)), "futureRev");
  assert.ok(typeof attempt(rangeOp("a", -1)) !== "string", "-1 is readable before any compaction");
  assert.equal(attempt(rangeOp("a", -2)), "compacted");
  assert.equal(store.compact(3), undefined);
  assert.equal(attempt(putOp("x"), rangeOp("a", 2)), "compacted");
  assert.equal(attempt(rangeOp("a", -1)), "compacted");
  assert.equal(sink.rows.size, rows);
  const untaken = createTxnRequest({ failure: [rangeOp("a", 99)] });
  assert.ok(typeof store.txn(untaken, sink) !== "string");
  const nested = createRequestOp({ requestTxn: createTxnRequest({ success: [rangeOp("a", 99)] }) });
  assert.equal(attempt(nested), "futureRev");
});

test("K10: an unknown lease in the branch not taken is no matter", () => {
  const { store, sink } = filled("a");
  assert.ok(txn(store, sink, { failure: [putOp("x", 99n)] }).succeeded);
  assert.equal(store.txn(createTxnRequest({ success: [putOp("x", 99n)] }), sink), "leaseNotFound");
});

test("T28: a read-only Txn compares and reads at one revision", () => {
  const { store } = filled("a");
  const result = store.readTxn(
    createTxnRequest({
      compare: [createCompare({ key: "a", target: CompareTarget.MOD, modRevision: 2 })],
      success: [rangeOp("a")],
    }),
  );
  assert.ok(typeof result !== "string" && result.succeeded);
  assert.deepEqual([result.revision, result.responses[0]?.revision], [2, 2]);
});

test("keys of a revoked lease go in byte order, in one revision, once", () => {
  const { store, sink } = filled("cab");
  assert.equal(store.deleteKeys(["c", "gone", "a"], sink), 5);
  assert.deepEqual(keysOf(range(store, {})), ["b"]);
  assert.equal(store.deleteKeys([], sink), 5);
});
