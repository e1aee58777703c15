// HashKV and compaction hashes against etcd's own vectors (client-api.md 8.6, storage-formats.md 5.3).

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  HashWork,
  type KvHash,
  type MvccStore,
  type RevisionSink,
} from "../../../src/core/mvcc/index.ts";
import { createDeleteRangeRequest, createPutRequest } from "../../../src/proto/index.ts";
import { bytes, smallStore } from "./memory.ts";

function put(store: MvccStore, sink: RevisionSink, key: string, value: string, lease = 0n): void {
  const result = store.put(createPutRequest({ key, value: bytes(value), lease }), sink);
  assert.notEqual(typeof result, "string");
}

function directHash(store: MvccStore, revision: number, step = 3): KvHash {
  const work = store.beginHash(revision);
  while (!work.step(step));
  return work.result;
}

function compact(store: MvccStore, sink: RevisionSink, revision: number): void {
  assert.equal(store.compact(revision), undefined);
  while (store.stepCompaction(sink, 5).kind !== "finished");
  while (!store.reclaim(7));
}

test("hashKv() gives the live values of a small history", () => {
  const { store, sink, leases } = smallStore();
  assert.equal(directHash(store, 0).hash, 1084519789);
  put(store, sink, "foo", "bar");
  assert.equal(directHash(store, 0).hash, 3305255506);
  put(store, sink, "foo", "bar1");
  assert.equal(directHash(store, 0).hash, 3324146857);
  store.deleteRange(createDeleteRangeRequest({ key: "foo" }), sink);
  assert.equal(directHash(store, 4).hash, 4182110496);
  assert.equal(directHash(store, 2).hash, 3305255506);
  leases.granted.add(-9n);
  put(store, sink, "x", "y", -9n);
  assert.equal(directHash(store, 5).hash, 1955113850);
  assert.equal(directHash(store, -1).hash, 1084519789, "a negative revision hashes nothing");
});

test("hashKv() after compactions of the small history", () => {
  for (const [revision, hash] of [
    [3, 434342510],
    [4, 1084519789],
  ] as const) {
    const { store, sink } = smallStore();
    put(store, sink, "foo", "bar");
    put(store, sink, "foo", "bar1");
    store.deleteRange(createDeleteRangeRequest({ key: "foo" }), sink);
    compact(store, sink, revision);
    assert.equal(directHash(store, 0).hash, hash);
  }
});

function vectorKey(i: number): string {
  if (i % 142 === 30) return "zenek";
  if (i % 71 === 30) return "xavery";
  return ["alice", "bob", "celine", "dominik", "eve", "frederica", "gorge"][i % 7] as string;
}

const VARIANT_A = [
  4082599214, 2279933401, 3284231217, 126286495, 900108730, 2475485232, 1226296507, 2503661030,
  4155130747, 106915399, 406914006, 1882211381, 806177088, 664311366, 1496914449, 2434525091,
  3988652253, 1122462288, 724436716,
];
const VARIANT_B = [
  1913897190, 224860069, 1565167519, 1566261620, 2037173024, 691659396, 2713730748, 3919322507,
  769967540, 2909194793, 1576921157, 4067701532, 2226384237, 2923408134, 2680329256, 1546717673,
  2713657846, 1046575299, 2017735779,
];

for (const [name, wanted] of [
  ["A", VARIANT_A],
  ["B", VARIANT_B],
] as const) {
  test(`hashKv() equals etcd's unit test, variant ${name}, and the compaction hash equals it`, () => {
    const { store, sink } = smallStore({ valueBytesMax: 2048 });
    const got: number[] = [];
    let c = 0;
    for (; c < 1210; c += 71) {
      for (let i = c; i <= c + 71; i++) put(store, sink, vectorKey(i), String(i));
      const revision = name === "A" ? c + 35 : store.revision;
      const compactedBefore = store.compactRevision;
      const direct = directHash(store, revision);
      got.push(direct.hash);
      compact(store, sink, revision);
      const kept = store.hashKv(revision);
      assert.deepEqual(kept, direct, "the compaction's hash is the one from before");
      assert.equal(kept.compactRevision, compactedBefore);
    }
    for (let i = c; i <= c + 1210; i++) put(store, sink, vectorKey(i), String(i));
    got.push(directHash(store, name === "A" ? c + 605 : store.revision).hash);
    assert.deepEqual(got, wanted);
  });
}

test("hashKv(0) after a first compaction at 0 is that compaction's hash", () => {
  const { store, sink } = smallStore();
  compact(store, sink, 0);
  assert.deepEqual(store.hashKv(0), { hash: 1084519789, compactRevision: -1, hashRevision: 0 });
});

test("hashKv() passes over a tombstone at the compact revision", () => {
  const { store, sink } = smallStore();
  put(store, sink, "a", "1");
  store.deleteRange(createDeleteRangeRequest({ key: "a" }), sink);
  compact(store, sink, 3);
  assert.equal(sink.rows.size, 1, "the tombstone at the compact revision is kept");
  for (let i = 1; i <= 6; i++) put(store, sink, "b", String(i));
  assert.equal(directHash(store, 9).hash, 3426661197);
});

test("hashKv() refuses what etcd refuses and waits for a running compaction", () => {
  const { store, sink } = smallStore();
  for (let i = 0; i < 9; i++) put(store, sink, "k", String(i));
  assert.equal(store.hashKv(11), "futureRev");
  assert.equal(store.compact(5), undefined);
  assert.equal(store.hashKv(4), "compacted");
  assert.equal(store.hashKv(7), "wait");
  while (store.stepCompaction(sink, 1).kind !== "finished");
  const work = store.hashKv(7);
  assert.ok(work instanceof HashWork);
  assert.equal(store.compact(8), undefined);
  assert.equal(store.stepCompaction(sink, 1).kind, "blocked");
  while (!work.step(1));
  assert.equal(work.result.compactRevision, 5);
  while (store.stepCompaction(sink, 1).kind !== "finished");
});
