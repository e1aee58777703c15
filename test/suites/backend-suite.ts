// What every backend must do: run by test/storage/backend.test.ts over LevelDB and over memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Backend, type BackendRow, Bucket } from "../../src/server/ports.ts";

export interface BackendPlace {
  /** Opens the backend, or opens it again after it was closed. */
  open(): Promise<Backend>;
  dispose(): Promise<void>;
}

const NONE = { index: 0, term: 0, confState: undefined };

function mark(index: number): { index: number; term: number; confState: undefined } {
  return { index, term: 3, confState: undefined };
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

export function put(backend: Backend, index: number, rows: Record<string, string | null>): void {
  const batch = backend.batch();
  for (const [key, value] of Object.entries(rows)) {
    if (value === null) batch.delete(Bucket.key, bytes(key));
    else batch.put(Bucket.key, bytes(key), bytes(value));
  }
  backend.commit(batch, mark(index));
}

export function get(
  backend: Backend,
  key: string,
  bucket: Bucket = Bucket.key,
): string | undefined {
  const found = backend.get(bucket, bytes(key));
  return found === undefined ? undefined : Buffer.from(found).toString("latin1");
}

export async function all(
  backend: Backend,
  bucket: Bucket = Bucket.key,
  from?: string,
  to?: string,
): Promise<[string, string][]> {
  const rows: [string, string][] = [];
  const bound = (text: string | undefined): Buffer | undefined =>
    text === undefined ? undefined : bytes(text);
  const text = (row: BackendRow): [string, string] => [
    Buffer.from(row.key).toString("latin1"),
    Buffer.from(row.value).toString("latin1"),
  ];
  for await (const chunk of backend.scan(bucket, bound(from), bound(to))) {
    assert.ok(chunk.length > 0, "no empty chunks");
    rows.push(...chunk.map(text));
  }
  return rows;
}

/** Registers the tests; `make` gives an empty place. */
export function backendSuite(name: string, make: () => Promise<BackendPlace>): void {
  async function withPlace(work: (place: BackendPlace) => Promise<void>): Promise<void> {
    const place = await make();
    try {
      await work(place);
    } finally {
      await place.dispose();
    }
  }

  test(`${name}: a new backend is empty and stands at index 0`, () =>
    withPlace(async (place) => {
      const backend = await place.open();
      assert.deepEqual(backend.opened, NONE);
      assert.equal(backend.syncedIndex, 0);
      assert.equal(get(backend, "a"), undefined);
      assert.deepEqual(await all(backend), []);
      await backend.close();
    }));

  test(`${name}: rows are seen at once, and by a scan, and after opening again with their mark`, () =>
    withPlace(async (place) => {
      let backend = await place.open();
      put(backend, 5, { b: "2", a: "1", c: "" });
      assert.equal(get(backend, "a"), "1");
      assert.equal(get(backend, "c"), "");
      assert.ok(backend.queuedBytes > 0);
      put(backend, 6, { a: "one", b: null });
      assert.equal(get(backend, "a"), "one");
      assert.equal(get(backend, "b"), undefined);
      const rows: [string, string][] = [
        ["a", "one"],
        ["c", ""],
      ];
      assert.deepEqual(await all(backend), rows);
      await backend.sync();
      assert.equal(backend.syncedIndex, 6);
      assert.equal(backend.queuedBytes, 0);
      assert.equal(get(backend, "b"), undefined);
      const conf = { voters: [1n, 2n ** 64n - 1n], learners: [], votersOutgoing: [] };
      const confState = { ...conf, learnersNext: [], autoLeave: true };
      backend.commit(backend.batch(), { index: 9, term: 4, confState });
      await backend.close();
      backend = await place.open();
      assert.equal(backend.opened.index, 9);
      assert.equal(backend.opened.term, 4);
      assert.deepEqual(backend.opened.confState, confState);
      assert.equal(backend.syncedIndex, 9);
      assert.deepEqual(await all(backend), rows);
      await backend.close();
    }));

  test(`${name}: reserve() takes the value in place, also when the arena grows`, () =>
    withPlace(async (place) => {
      const backend = await place.open();
      const batch = backend.batch();
      const sizes = [0, 1, 100, 70_000, 3, 300_000];
      for (const [i, size] of sizes.entries()) {
        const at = batch.reserve(Bucket.lease, Buffer.from([i]), size);
        batch.buffer.fill(i + 65, at, at + size);
      }
      backend.commit(batch, mark(1));
      await backend.sync();
      for (const [i, size] of sizes.entries()) {
        const found = backend.get(Bucket.lease, Buffer.from([i]));
        assert.deepEqual(found && Buffer.from(found), Buffer.alloc(size, i + 65));
      }
      await backend.close();
    }));

  test(`${name}: buckets do not see each other and bounds are from inclusive to exclusive`, () =>
    withPlace(async (place) => {
      const backend = await place.open();
      const batch = backend.batch();
      for (const key of ["", "a", "b", "b\0", "\xff\xff"]) {
        batch.put(Bucket.meta, bytes(key), bytes(`m${key}`));
        batch.put(Bucket.lease, bytes(key), bytes(`l${key}`));
      }
      backend.commit(batch, mark(1));
      assert.deepEqual(
        (await all(backend, Bucket.meta)).map(([key]) => key),
        ["", "a", "b", "b\0", "\xff\xff"],
      );
      assert.deepEqual(await all(backend, Bucket.lease, "a", "b\0"), [
        ["a", "la"],
        ["b", "lb"],
      ]);
      assert.deepEqual(await all(backend, Bucket.auth), []);
      await backend.close();
    }));

  test(`${name}: a scan gives many rows in order, in chunks`, () =>
    withPlace(async (place) => {
      const backend = await place.open();
      const batch = backend.batch();
      for (let i = 0; i < 20_000; i++) {
        const key = String((i * 7919) % 20_000).padStart(6, "0");
        batch.put(Bucket.key, bytes(key), bytes(`value ${key} ${"v".repeat(100)}`));
      }
      backend.commit(batch, mark(1));
      const rows = await all(backend);
      assert.equal(rows.length, 20_000);
      for (const [i, [key, value]] of rows.entries()) {
        assert.equal(key, String(i).padStart(6, "0"));
        assert.ok(value.startsWith(`value ${key}`));
      }
      await backend.close();
    }));

  test(`${name}: a scan keeps its view while batches are committed, and may be left early`, () =>
    withPlace(async (place) => {
      const backend = await place.open();
      const rows: Record<string, string> = {};
      for (let i = 0; i < 9000; i++) rows[String(i).padStart(5, "0")] = "x".repeat(200);
      put(backend, 1, rows);
      let seen = 0;
      for await (const chunk of backend.scan(Bucket.key)) {
        if (seen === 0) put(backend, 2, { "08999": null, "99999": "new" });
        seen += chunk.length;
      }
      assert.equal(seen, 9000);
      for await (const chunk of backend.scan(Bucket.key)) {
        assert.ok(chunk.length > 0);
        break;
      }
      assert.equal((await all(backend, Bucket.key, "08999")).at(-1)?.[1], "new");
      await backend.close();
    }));

  test(`${name}: any sequence of batches gives what a map gives, across openings`, async () => {
    const key = fc.constantFrom("", "a", "b", "ab", "\0", "\xff", "longer key");
    const write = fc.tuple(key, fc.option(fc.string({ maxLength: 12 })));
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.array(write, { maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constant("reopen" as const) },
      { weight: 1, arbitrary: fc.constant("sync" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await withPlace(async (place) => {
          const model = new Map<string, string>();
          let backend = await place.open();
          let index = 0;
          for (const s of steps) {
            if (s === "reopen") {
              await backend.close();
              backend = await place.open();
              assert.equal(backend.opened.index, index);
            } else if (s === "sync") await backend.sync();
            else {
              const batch = backend.batch();
              for (const [k, v] of s) {
                if (v === null) batch.delete(Bucket.key, bytes(k));
                else batch.put(Bucket.key, bytes(k), bytes(v));
                if (v === null) model.delete(k);
                else model.set(k, bytes(v).toString("latin1"));
              }
              index += 1;
              backend.commit(batch, mark(index));
              for (const [k] of s) assert.equal(get(backend, k), model.get(k));
            }
          }
          const wanted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
          assert.deepEqual(await all(backend), wanted);
          await backend.close();
        });
      }),
      { numRuns: 25 },
    );
  });
}
