// A member's storage in memory over many lives. Goal: after any crash the log holds what was acknowledged, the store is at an applied index
// the log covers and holds exactly the rows up to it, and a flipped bit in the store is noticed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Prng } from "../../../src/base/index.ts";
import { createEntry, createHardState } from "../../../src/proto/index.ts";
import { Bucket, type MemberStorage } from "../../../src/server/ports.ts";
import { DamagedFile, MemoryMachine, openMemoryStorage } from "../../../src/storage/index.ts";
import { all } from "../../suites/backend-suite.ts";

const METADATA = Buffer.from("0801", "hex");

function open(machine: MemoryMachine): Promise<MemberStorage> {
  return openMemoryStorage({
    metadata: METADATA,
    machine,
    segmentBytes: 2048,
    onFatal: (error) => {
      throw error;
    },
  });
}

function rowsUpTo(index: number): [string, string][] {
  return Array.from({ length: index }, (_, i) => {
    const n = String(i + 1).padStart(6, "0");
    return [`k${n}`, `v${n}`];
  });
}

function apply(storage: MemberStorage, index: number): void {
  const n = String(index).padStart(6, "0");
  const batch = storage.backend.batch();
  batch.put(Bucket.key, Buffer.from(`k${n}`), Buffer.from(`v${n}`));
  storage.backend.commit(batch, { index, term: 1, confState: undefined });
}

/** Appends and applies until the machine loses power; returns what was acknowledged. */
async function live(
  storage: MemberStorage,
  from: number,
  prng: Prng,
  stop: () => boolean,
): Promise<() => number> {
  let index = from;
  let acknowledged = from;
  const work = async (): Promise<void> => {
    while (!stop()) {
      const first = index + 1;
      const entries = Array.from({ length: 1 + prng.below(3) }, (_, i) =>
        createEntry({ index: first + i, term: 1, data: Buffer.alloc(prng.below(200), 1) }),
      );
      index += entries.length;
      const state = createHardState({ term: 1, vote: 1n, commit: first - 1 });
      await new Promise<void>((done) => storage.wal.save(state, entries, true, done));
      acknowledged = index;
      for (let i = first; i <= index; i++) apply(storage, i);
      if (prng.chance(0.2) && storage.backend.syncedIndex > 0) {
        const synced = Math.min(storage.backend.syncedIndex, first - 1);
        const snapshot = { index: synced, term: 1, confState: undefined };
        await new Promise<void>((done) => storage.wal.saveSnapshot(snapshot, done));
        storage.wal.releaseTo(synced);
      }
      await turn();
    }
  };
  void work();
  while (!stop()) await turn();
  return () => acknowledged;
}

test("openMemoryStorage() keeps what was acknowledged over any number of power cuts", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const prng = new Prng(seed);
    const machine = new MemoryMachine({ prng: prng.fork("machine") });
    let acknowledged = 0;
    for (let life = 0; life < 6; life++) {
      const storage = await open(machine);
      const label = `seed ${seed}, life ${life}`;
      const { found, backend } = storage;
      const start = found?.snapshot.index ?? 0;
      const last = start + (found?.entries.length ?? 0);
      assert.ok(last >= acknowledged, `${label}: the log ends at ${last} of ${acknowledged}`);
      const applied = backend.opened.index;
      assert.ok(applied >= start && applied <= last, `${label}: applied ${applied}`);
      assert.deepEqual(await all(backend), rowsUpTo(applied), label);
      for (let i = applied + 1; i <= last; i++) apply(storage, i);
      const until = machine.disk.operations + 1 + prng.below(60);
      let off = false;
      machine.disk.fault = (operation) => {
        if (operation.number === until) {
          queueMicrotask(() => {
            off = true;
            machine.crash();
          });
        }
        return undefined;
      };
      acknowledged = (await live(storage, last, prng.fork("life"), () => off))();
      machine.disk.fault = () => undefined;
    }
  }
});

test("openMemoryStorage() without a machine forgets everything", async () => {
  const options = {
    metadata: METADATA,
    onFatal: (error: Error): void => {
      throw error;
    },
  };
  const storage = await openMemoryStorage(options);
  const entry = createEntry({ index: 1, term: 1 });
  await new Promise<void>((done) => storage.wal.save(createHardState(), [entry], true, done));
  apply(storage, 1);
  await storage.close();
  assert.equal((await openMemoryStorage(options)).found, undefined);
});

test("MemoryBackend notices a damaged row", async () => {
  const prng = new Prng(2);
  const machine = new MemoryMachine({ prng });
  const storage = await open(machine);
  const entries = Array.from({ length: 10 }, (_, i) => createEntry({ index: i + 1, term: 1 }));
  await new Promise<void>((done) => storage.wal.save(createHardState(), entries, true, done));
  for (let i = 1; i <= 10; i++) apply(storage, i);
  await storage.close();
  assert.ok(machine.store.damage(prng));
  const fatal: Error[] = [];
  const { backend } = await openMemoryStorage({
    metadata: METADATA,
    machine,
    onFatal: (error) => void fatal.push(error),
  });
  await assert.rejects(all(backend), DamagedFile);
  assert.equal(fatal.length, 1);
});
