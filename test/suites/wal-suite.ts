// What every write-ahead log must do, whatever disk is below it: run by test/storage/wal.test.ts over the real and the simulated disk.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEntry, createHardState, type Entry, type HardState } from "../../src/proto/index.ts";
import type { WalContents } from "../../src/server/ports.ts";
import type { Files } from "../../src/storage/files.ts";
import {
  createWal,
  type DiskWal,
  readWal,
  resumeWal,
  verifyWal,
  type WalOptions,
} from "../../src/storage/wal/index.ts";

export interface WalPlace {
  readonly files: Files;
  readonly directory: string;
  /** Deletes the directory. */
  dispose(): Promise<void>;
}

export const METADATA: Buffer = Buffer.from("0801", "hex");

export function entry(index: number, term = 1, text = `value ${index}`): Entry {
  return createEntry({ index, term, data: Buffer.from(text) });
}

export function state(term: number, commit: number, vote = 7n): HardState {
  return createHardState({ term, vote, commit });
}

export function save(
  wal: DiskWal,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  mustSync = true,
): Promise<void> {
  return new Promise((resolve) => wal.save(hardState, entries, mustSync, resolve));
}

export function options(
  place: Pick<WalPlace, "files" | "directory">,
  more: Partial<WalOptions> = {},
): WalOptions {
  return {
    files: place.files,
    directory: place.directory,
    segmentBytes: 16 * 1024,
    onFatal: (error) => {
      throw error;
    },
    ...more,
  };
}

/** Reads and resumes the log of `place`, which must have one. */
export async function reopened(
  place: Pick<WalPlace, "files" | "directory">,
  more: Partial<WalOptions> = {},
): Promise<{ wal: DiskWal; contents: WalContents }> {
  const reading = await readWal(place.files, place.directory);
  assert.ok(reading !== undefined, "there is a log");
  const wal = await resumeWal(options(place, more), reading);
  return { wal, contents: reading.contents };
}

function texts(entries: readonly Entry[]): string[] {
  return entries.map((e) => `${e.term}/${e.index} ${Buffer.from(e.data).toString("latin1")}`);
}

/** Registers the tests; `make` gives an empty directory. */
export function walSuite(name: string, make: () => Promise<WalPlace>): void {
  async function withPlace(work: (place: WalPlace) => Promise<void>): Promise<void> {
    const place = await make();
    try {
      await work(place);
    } finally {
      await place.dispose();
    }
  }

  test(`${name}: an empty directory holds no log`, () =>
    withPlace(async (place) => {
      assert.equal(await readWal(place.files, place.directory), undefined);
    }));

  test(`${name}: a new log gives metadata, the zero snapshot and nothing else`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      await wal.close();
      const { contents, wal: again } = await reopened(place);
      assert.deepEqual(Buffer.from(contents.metadata), METADATA);
      assert.deepEqual(contents.hardState, createHardState());
      assert.equal(contents.snapshot.index, 0);
      assert.deepEqual(contents.entries, []);
      await again.close();
    }));

  test(`${name}: saved entries and state come back, over several openings`, () =>
    withPlace(async (place) => {
      let wal = await createWal(options(place), METADATA);
      const wanted: Entry[] = [];
      for (let round = 0; round < 4; round++) {
        for (let k = 0; k < 10; k++) {
          const batch = [entry(wanted.length + 1), entry(wanted.length + 2)];
          wanted.push(...batch);
          await save(wal, state(round + 1, wanted.length), batch);
        }
        await wal.close();
        const again = await reopened(place);
        assert.deepEqual(texts(again.contents.entries), texts(wanted));
        assert.deepEqual(again.contents.hardState, state(round + 1, wanted.length));
        wal = again.wal;
      }
      await wal.close();
    }));

  test(`${name}: a later record replaces the entries from its index on`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      await save(wal, state(1, 1), [entry(1), entry(2), entry(3), entry(4)]);
      await save(wal, state(2, 2), [entry(3, 2, "other")]);
      await wal.close();
      const { contents, wal: again } = await reopened(place);
      assert.deepEqual(texts(contents.entries), ["1/1 value 1", "1/2 value 2", "2/3 other"]);
      await again.close();
    }));

  test(`${name}: a commit index alone rides with the next save, or is written at close`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      await save(wal, state(1, 0), [entry(1), entry(2)]);
      await save(wal, state(1, 1), [], false);
      await save(wal, undefined, [entry(3)]);
      assert.equal((await readWal(place.files, place.directory))?.contents.hardState.commit, 1);
      await save(wal, state(1, 3), [], false);
      await wal.close();
      assert.equal((await readWal(place.files, place.directory))?.contents.hardState.commit, 3);
    }));

  test(`${name}: segments are cut at their size and released below snapshot and index`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      const text = "x".repeat(1000);
      for (let i = 1; i <= 100; i++) await save(wal, state(1, i), [entry(i, 1, text)]);
      const before = (await place.files.list(place.directory)) ?? [];
      assert.ok(before.filter((n) => n.endsWith(".wal")).length >= 6, before.join(" "));
      wal.releaseTo(90);
      await new Promise<void>((r) =>
        wal.saveSnapshot({ index: 80, term: 1, confState: undefined }, r),
      );
      await save(wal, state(1, 101), [entry(101, 1, text)]);
      await wal.close();
      const after = ((await place.files.list(place.directory)) ?? []).filter((n) =>
        n.endsWith(".wal"),
      );
      assert.ok(after.length < before.length && after.length >= 2, after.join(" "));
      const { contents, wal: again } = await reopened(place);
      assert.equal(contents.snapshot.index, 80);
      assert.deepEqual(
        contents.entries.map((e) => e.index),
        Array.from({ length: 21 }, (_, i) => 81 + i),
      );
      await again.close();
    }));

  test(`${name}: a snapshot above the commit index is not a place to begin`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      await save(wal, state(1, 1), [entry(1)]);
      await new Promise<void>((r) =>
        wal.saveSnapshot({ index: 50, term: 2, confState: undefined }, r),
      );
      assert.equal((await readWal(place.files, place.directory))?.contents.snapshot.index, 0);
      await save(wal, state(2, 50), [entry(51, 2)]);
      const contents = (await readWal(place.files, place.directory))?.contents;
      assert.equal(contents?.snapshot.index, 50);
      assert.deepEqual(
        contents?.entries.map((e) => e.index),
        [51],
      );
      await wal.close();
    }));

  test(`${name}: one save may be larger than a segment`, () =>
    withPlace(async (place) => {
      const wal = await createWal(options(place), METADATA);
      const big = "y".repeat(100_000);
      await save(wal, state(1, 1), [entry(1, 1, big), entry(2)]);
      await save(wal, state(1, 2), [entry(3)]);
      await wal.close();
      const found = await verifyWal(place.files, place.directory);
      assert.ok(found !== undefined && "lastIndex" in found);
      assert.equal(found.lastIndex, 3);
    }));
}
