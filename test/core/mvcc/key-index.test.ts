// The key index under stress, against a plain sorted list; keys found before, while and after the map is filled; deduplication of
// restored keys, with keys chosen to collide.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Prng } from "../../../src/base/index.ts";
import { hashOf, KeyDedup } from "../../../src/core/mvcc/key-dedup.ts";
import { KeyIndex } from "../../../src/core/mvcc/key-index.ts";

function keysBetween(index: KeyIndex): string[] {
  return index.leaves.flatMap((leaf) =>
    Array.from({ length: leaf.count }, (_, i) => index.keyOf(leaf.ids[i] as number)),
  );
}

for (const order of ["ascending", "descending", "random"] as const) {
  test(`the index holds its keys in order, with counts, through ${order} inserts and removals`, () => {
    const prng = new Prng(7);
    const index = new KeyIndex(8);
    const live = new Map<string, boolean>();
    index.isLive = (id) => live.get(index.keyOf(id)) === true;
    let names = Array.from({ length: 3000 }, (_, i) => `/registry/${100_000 + i}`);
    if (order === "descending") names = names.toReversed();
    if (order === "random") names = names.toSorted(() => (prng.chance(0.5) ? 1 : -1));
    for (const key of names) {
      index.insert(key);
      live.set(key, true);
      const other = prng.pick(names);
      const state = live.get(other);
      if (state === undefined) continue;
      index.countLive(other, state ? -1 : 1);
      live.set(other, !state);
      if (state && prng.chance(0.5)) {
        const id = index.get(other) as number;
        index.remove(other);
        index.freeIds([id]);
        live.delete(other);
      }
    }
    const sorted = [...live.keys()].toSorted();
    assert.deepEqual(keysBetween(index), sorted);
    assert.equal(index.keyCount, sorted.length);
    for (const key of names) assert.equal(index.get(key) !== undefined, live.has(key));
    for (let i = 0; i < 300; i++) {
      const [from, to] = [prng.pick(names), prng.chance(0.2) ? undefined : prng.pick(names)];
      const wanted = sorted.filter(
        (key) => key >= from && (to === undefined || key < to) && live.get(key) === true,
      );
      assert.equal(index.countRange(from, to), wanted.length);
    }
  });
}

test("keys of a bulk load are found before, while and after the map is filled", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 80, size: "max" }),
      fc.integer({ min: 1, max: 10 }),
      (names, slice) => {
        const index = new KeyIndex(4);
        const sorted = names.toSorted((a, b) => (a < b ? -1 : 1));
        for (const key of sorted) index.register(key);
        index.bulkLoad(
          Uint32Array.from(sorted, (_, i) => i),
          sorted.length,
        );
        index.recountLive();
        const there = new Set(sorted);
        for (let done = false, i = 0; !done; i++) {
          for (const key of [...sorted, "new0", "", "\xff\xff"]) {
            assert.equal(index.get(key) !== undefined, there.has(key), key);
          }
          const victim = sorted[i * 3];
          if (victim !== undefined && there.delete(victim)) index.remove(victim);
          if (i < 4 && !there.has(`new${i}`)) {
            index.insert(`new${i}`);
            there.add(`new${i}`);
          }
          done = index.fillMap(slice);
        }
        assert.deepEqual(
          keysBetween(index),
          [...there].toSorted((a, b) => (a < b ? -1 : 1)),
        );
        for (const key of there) assert.ok(index.get(key) !== undefined);
      },
    ),
  );
});

test("restored keys are told apart, also when they are chosen to collide", () => {
  const names: string[] = [];
  for (let i = 0; names.length < 300; i++) {
    const key = `k${i}`;
    if (hashOf(Buffer.from(key), 0, key.length) >>> 22 === 5) names.push(key);
  }
  for (let i = 0; i < 9000; i++) names.push(`/registry/pods/${i}`);
  const ids: string[] = [];
  const dedup = new KeyDedup((id) => ids[id] as string);
  const known = new Map<string, number>();
  const prng = new Prng(3);
  for (let i = 0; i < 30_000; i++) {
    const key = prng.pick(names);
    const id = dedup.idOf(Buffer.from(key), 0, key.length, (text) => ids.push(text) - 1);
    assert.equal(id, known.get(key) ?? known.size);
    known.set(key, id);
    assert.equal(ids[id], key);
  }
});
