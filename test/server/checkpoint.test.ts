// Index checkpoints: a store that starts from one equals the store that starts from all rows, whatever was lost, compacted or mixed up
// in between; and what must make a checkpoint unusable does.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MvccStore, readRevision, ValueFill } from "../../src/core/mvcc/index.ts";
import {
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createResponseHeader,
} from "../../src/proto/index.ts";
import { Bucket } from "../../src/server/ports.ts";
import { ValueFiller } from "../../src/server/value-fill.ts";
import { type Copy, StoreLife } from "./support/store-life.ts";

function put(life: StoreLife, key: string, value: string, lease = 0n): void {
  life.apply((store, sink) => {
    const request = createPutRequest({ key, value: Buffer.from(value), lease });
    store.put(request, sink);
  });
}

function remove(life: StoreLife, key: string, rangeEnd = ""): void {
  life.apply((store, sink) => {
    store.deleteRange(createDeleteRangeRequest({ key, rangeEnd }), sink);
  });
}

function everything(store: MvccStore, revision: number): unknown {
  const range = store.range(createRangeRequest({ key: "\0", rangeEnd: "\0", revision }));
  if (typeof range === "string") return range;
  const { kvs, count } = range.message(createResponseHeader());
  const rows = kvs.map((kv) => ({ ...kv, value: Buffer.from(kv.value).toString("latin1") }));
  return { rows, count };
}

/** Every answer about every revision that is still there. */
function answers(store: MvccStore): unknown {
  const revisions: unknown[] = [store.revision, store.compactRevision, store.liveKeyCount];
  for (let r = Math.max(1, store.compactRevision); r <= store.revision; r++) {
    revisions.push(everything(store, r));
  }
  return revisions;
}

/** Restores both ways, and compares; the store under test stays in `life`. */
async function restartAndCompare(life: StoreLife): Promise<void> {
  await life.start();
  const { store, checkpoint } = life.restored;
  const leases = new Map(life.leases.leaseOf);
  const { store: scanned } = await life.restore(false);
  assert.deepEqual(leases, new Map(life.leases.leaseOf));
  assert.deepEqual(answers(store), answers(scanned), "before compactions go on");
  const nothing = { put: () => 0, buffer: new Uint8Array(0), remove: () => {} };
  while (scanned.isCompacting) scanned.stepCompaction(nothing, 3);
  while (store.isCompacting) life.stepCompaction(store, 4);
  while (!store.reclaim(100));
  assert.deepEqual(answers(store), answers(scanned), "after them");
  if (checkpoint === undefined) return;
  const fill = new ValueFill(store, checkpoint.revision);
  for (const { key, value } of await life.keyRows()) {
    const at = readRevision(key);
    assert.ok(at !== undefined);
    if (at.main <= checkpoint.revision) {
      assert.ok(fill.row(at.main, at.sub, at.tombstone, value), `row ${at.main}_${at.sub}`);
    }
  }
  assert.ok(fill.end());
  assert.deepEqual(answers(store), answers(scanned), "with values in memory");
}

type Step =
  | { readonly kind: "put"; readonly key: number; readonly size: number; readonly lease: boolean }
  | { readonly kind: "delete" | "deleteRange"; readonly key: number }
  | { readonly kind: "compact"; readonly back: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "step" | "crash" | "stop" | "copy" }
  | { readonly kind: "oldFile" | "oldBackend"; readonly which: number };

const key = fc.integer({ min: 0, max: 12 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant("put" as const),
        key,
        size: fc.nat(40),
        lease: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom("delete" as const, "deleteRange" as const),
        key,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("compact" as const), back: fc.nat(12) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("advance" as const),
        ms: fc.integer({ min: 1, max: 60 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom("step" as const, "crash" as const, "stop" as const, "copy" as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom("oldFile" as const, "oldBackend" as const),
        which: fc.nat(9),
      }),
    },
  ),
  { minLength: 20, maxLength: 120 },
);

async function run(life: StoreLife, step: Step, copies: Copy[]): Promise<void> {
  const name = (n: number): string => `key-${String(n).padStart(2, "0")}`;
  switch (step.kind) {
    case "put":
      put(life, name(step.key), "v".repeat(step.size), step.lease ? 5n : 0n);
      return;
    case "delete":
      remove(life, name(step.key));
      return;
    case "deleteRange":
      remove(life, name(step.key), name(step.key + 4));
      return;
    case "compact":
      life.compact(life.store.revision - step.back);
      return;
    case "step":
      life.stepCompaction();
      return;
    case "advance":
      await life.advance(step.ms);
      return;
    case "copy":
      copies.push(await life.copy());
      return;
    case "crash":
      life.crash();
      break;
    case "stop":
      await life.stop();
      break;
    case "oldFile":
    case "oldBackend": {
      const copy = copies[step.which % Math.max(1, copies.length)];
      if (copy === undefined) return;
      await life.stop();
      if (step.kind === "oldFile") await life.putFile(copy);
      else life.putBackend(copy);
    }
  }
  await restartAndCompare(life);
}

test("a store from a checkpoint equals the store from all rows, after crashes, compactions and mixed-up files", async () => {
  let used = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), steps, async (seed, list) => {
      const life = new StoreLife(seed);
      life.leases.granted.add(5n);
      await life.start();
      const copies: Copy[] = [];
      for (const step of list) {
        await run(life, step, copies);
        if (life.restored.checkpoint !== undefined) used += 1;
      }
      await life.stop();
      await restartAndCompare(life);
    }),
    { numRuns: 60 },
  );
  assert.ok(used > 100, `checkpoints were used (${used})`);
});

/** A life with a finished checkpoint of 30 puts. */
async function withCheckpoint(options = {}): Promise<StoreLife> {
  const life = new StoreLife(1, options);
  await life.start();
  for (let i = 0; i < 30; i++) put(life, `k${i % 10}`, `value ${i}`);
  await life.advance(200);
  return life;
}

/** Restarts; true if the checkpoint was used. */
async function restarted(life: StoreLife): Promise<boolean> {
  await restartAndCompare(life);
  return life.restored.checkpoint !== undefined;
}

test("a restart reads the checkpoint and only the rows after it", async () => {
  const life = await withCheckpoint();
  put(life, "late", "value");
  await life.advance(15);
  life.crash();
  assert.ok(await restarted(life));
  assert.equal(life.restored.checkpoint?.revision, 31);
  assert.equal(life.store.revision, 32);
  assert.deepEqual(life.warnings, []);
});

test("a checkpoint in the making is worth nothing until the row that names it is synced", async () => {
  for (let ms = 1; ms < 80; ms += 3) {
    const life = new StoreLife(ms);
    await life.start();
    for (let i = 0; i < 30; i++) put(life, `k${i % 10}`, `value ${i}`);
    await life.advance(ms);
    life.crash();
    await restarted(life);
  }
});

test("a compaction beyond the checkpoint makes it unusable", async () => {
  const life = await withCheckpoint();
  put(life, "late", "value");
  remove(life, "k1");
  life.compact(life.store.revision);
  await life.advance(15);
  life.crash();
  assert.equal(await restarted(life), false);
  assert.match(life.warnings.join(), /older than the compaction at 33/);
});

test("another member's checkpoint, and one of another backend, are not used", async () => {
  const life = await withCheckpoint();
  await life.stop();
  const old = await life.copy();
  life.memberId = 8n;
  assert.equal(await restarted(life), false);
  assert.match(life.warnings.join(), /another member's/);
  const other = new StoreLife(2);
  other.clock.advance(5);
  await other.start();
  put(other, "a", "of another life");
  await other.advance(200);
  await other.stop();
  await other.putFile(old);
  assert.equal(await restarted(other), false);
  assert.match(other.warnings.join(), /does not belong to the backend/);
});

test("a damaged file, cut off or flipped anywhere, is not used", async () => {
  const life = await withCheckpoint({ pollMs: 1e9, intervalMinMs: 1e9 });
  await life.stop();
  const whole = await life.rawFile();
  for (let at = 0; at < whole.length; at += 11) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] as number) ^ 0x10;
    await life.putRawFile(at % 2 === 0 ? flipped : whole.subarray(0, at));
    assert.equal(await restarted(life), false, `at ${at}`);
    life.crash();
  }
  await life.putRawFile(whole);
  assert.ok(await restarted(life));
});

test("a stop writes the checkpoint that is worth it, within its time", async () => {
  const life = await withCheckpoint({ pollMs: 1e9, intervalMinMs: 1e9 });
  await life.stop();
  assert.ok(await restarted(life));
  const slow = await withCheckpoint({ pollMs: 1e9, intervalMinMs: 1e9, stopMs: 0 });
  await slow.stop();
  assert.equal(await restarted(slow), false);
});

test("a backend that lost a row of the index stops the member", async () => {
  for (const lost of [0, 9, 29]) {
    const life = await withCheckpoint();
    await life.stop();
    const copy = await life.copy();
    const keyRows = copy.rows.filter(([name]) => name.charCodeAt(0) === Bucket.key);
    const name = keyRows[lost]?.[0];
    life.putBackend({ ...copy, rows: copy.rows.filter(([other]) => other !== name) });
    await life.start();
    assert.ok(life.restored.checkpoint !== undefined);
    const errors: unknown[] = [];
    const filler = new ValueFiller(
      {
        store: life.store,
        backend: life.backend,
        compactor: { whenIdle: (callback) => callback() },
        clock: life.clock,
        onFatal: (error) => errors.push(error),
      },
      life.restored.checkpoint.revision,
    );
    filler.start();
    await life.advance(100);
    assert.match(String(errors[0]), /disagree|has lost rows/);
    assert.equal(errors.length, 1);
  }
});
