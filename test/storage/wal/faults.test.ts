// The log under a failing disk. Goal: after any crash, any failed call and any flipped byte, either everything acknowledged is there and
// nothing that was never written is, or the log is refused with file and offset.
// Method: a scripted run on the simulated disk, cut at every disk operation in turn; seeds choose what the disk keeps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Prng } from "../../../src/base/index.ts";
import type { Entry } from "../../../src/proto/index.ts";
import type { WalContents } from "../../../src/server/ports.ts";
import { DamagedFile, FileError } from "../../../src/storage/files.ts";
import type { DiskFault, DiskOperation, SimulatedDisk } from "../../../src/storage/memory/disk.ts";
import { createWal, type DiskWal, readWal, resumeWal } from "../../../src/storage/wal/index.ts";
import { entry, METADATA, options, reopened, state } from "../../suites/wal-suite.ts";
import { simulatedPlace } from "../support/disks.ts";

const SEGMENT = { segmentBytes: 4096 };

/** What a run asked for and what it was promised. */
interface History {
  created: boolean;
  /** Text by index of what was saved, acknowledged; then the save in flight, if any. */
  readonly acknowledged: string[];
  inFlight: { readonly from: number; readonly texts: readonly string[] } | undefined;
  commitAcknowledged: number;
  termAcknowledged: number;
  snapshotIndex: number;
  fatal: Error[];
}

function newHistory(): History {
  return {
    created: false,
    acknowledged: [],
    inFlight: undefined,
    commitAcknowledged: 0,
    termAcknowledged: 0,
    snapshotIndex: 0,
    fatal: [],
  };
}

/** Saves batches until `batches` are done or a fault ends it; resolves when nothing moves any more. */
async function run(
  device: SimulatedDisk,
  history: History,
  prng: Prng,
  batches: number,
): Promise<void> {
  const disk = device.mount();
  let wal: DiskWal;
  const more = { ...SEGMENT, onFatal: (error: Error) => void history.fatal.push(error) };
  const found = await readWal(disk, "/d");
  if (found === undefined)
    wal = await createWal(options({ files: disk, directory: "/d" }, more), METADATA);
  else wal = await resumeWal(options({ files: disk, directory: "/d" }, more), found);
  history.created = true;
  for (let b = 0; b < batches; b++) {
    const known = history.acknowledged.length;
    const from = prng.chance(0.2) ? Math.max(history.commitAcknowledged, known - 2) : known;
    const texts = Array.from({ length: 1 + prng.below(3) }, (_, i) => {
      const zeros = prng.chance(0.2) ? "\0".repeat(1500) : "";
      return `${b}.${i} ${zeros}${"v".repeat(prng.below(700))}`;
    });
    const entries = texts.map((text, i) => entry(from + i + 1, b + 1, text));
    history.inFlight = { from, texts };
    const commit = Math.min(from, history.commitAcknowledged + prng.below(4));
    await new Promise<void>((done) => wal.save(state(b + 1, commit), entries, true, done));
    history.acknowledged.length = from;
    history.acknowledged.push(...texts);
    history.inFlight = undefined;
    history.commitAcknowledged = commit;
    history.termAcknowledged = b + 1;
    if (prng.chance(0.2))
      await new Promise<void>((r) => wal.save(state(b + 1, commit), [], false, r));
    if (prng.chance(0.15)) {
      const snapshot = { index: commit, term: 1, confState: undefined };
      await new Promise<void>((r) => wal.saveSnapshot(snapshot, r));
      history.snapshotIndex = commit;
      wal.releaseTo(commit);
    }
  }
  await wal.close();
}

function bodies(entries: readonly Entry[]): string[] {
  return entries.map((e) => Buffer.from(e.data).toString("latin1"));
}

function check(history: History, contents: WalContents | undefined, label: string): void {
  if (contents === undefined) {
    assert.equal(history.created, false, `${label}: the log is gone`);
    return;
  }
  const start = contents.snapshot.index;
  const { inFlight, acknowledged } = history;
  const kept = acknowledged.slice(start);
  const wanted = [kept];
  if (inFlight !== undefined) {
    wanted.push([...acknowledged.slice(0, inFlight.from), ...inFlight.texts].slice(start));
  }
  const got = bodies(contents.entries);
  assert.ok(
    wanted.some((w) => w.length === got.length && w.every((text, i) => text === got[i])),
    `${label}: ${got.length} entries after ${start}, ${acknowledged.length} acknowledged`,
  );
  assert.ok(contents.hardState.term >= history.termAcknowledged, `${label}: the term went back`);
  assert.ok(contents.hardState.commit >= history.commitAcknowledged, `${label}: commit went back`);
}

async function untilQuiet(disk: SimulatedDisk): Promise<void> {
  for (let before = -1; before !== disk.operations; ) {
    before = disk.operations;
    for (let i = 0; i < 3; i++) await turn();
  }
}

/** Operations a whole run of `seed` takes. */
async function operationsOf(seed: number): Promise<number> {
  const { disk: files } = await simulatedPlace(seed);
  await run(files, newHistory(), new Prng(seed), 12);
  return files.operations;
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`WAL: a crash at every disk operation loses nothing acknowledged (seed ${seed})`, async () => {
    const total = await operationsOf(seed);
    for (let at = 3; at <= total; at++) {
      const { disk: files } = await simulatedPlace(seed * 1000 + at);
      const history = newHistory();
      files.fault = (operation) => {
        if (operation.number === at) queueMicrotask(() => files.crash());
        return undefined;
      };
      void run(files, history, new Prng(seed), 12);
      await untilQuiet(files);
      // A second crash in the middle of the recovery changes nothing.
      const again = files.operations + 1 + (at % 9);
      files.fault = (operation) => {
        if (operation.number === again) queueMicrotask(() => files.crash());
        return undefined;
      };
      void readWal(files.mount(), "/d").then(
        (found) =>
          found && resumeWal(options({ files: files.mount(), directory: "/d" }, SEGMENT), found),
      );
      await untilQuiet(files);
      files.crash();
      files.fault = () => undefined;
      const label = `seed ${seed}, crash at ${at}`;
      const found = await readWal(files.mount(), "/d");
      check(history, found?.contents, label);
      if (found === undefined) continue;
      const { wal, contents } = await reopened({ files: files.mount(), directory: "/d" }, SEGMENT);
      assert.equal(contents.entries.length, found.contents.entries.length);
      const next = contents.snapshot.index + contents.entries.length + 1;
      await new Promise<void>((r) =>
        wal.save(state(99, contents.hardState.commit), [entry(next, 99, "after")], true, r),
      );
      await wal.close();
      const last = (await readWal(files.mount(), "/d"))?.contents.entries.at(-1);
      assert.equal(last?.index, next);
    }
  });
}

async function failAt(seed: number, at: number, fault: DiskFault): Promise<void> {
  const { disk: files } = await simulatedPlace(seed * 7919 + at);
  const history = newHistory();
  let hit: DiskOperation | undefined;
  files.fault = (operation) => {
    if (operation.number !== at) return undefined;
    hit = operation;
    return fault;
  };
  let refused: unknown;
  run(files, history, new Prng(seed), 12).catch((error: unknown) => {
    refused = error;
  });
  await untilQuiet(files);
  const label = `seed ${seed}, ${fault} at ${at} (${hit?.kind} ${hit?.path})`;
  assert.ok(history.fatal.length <= 1, `${label}: reported once`);
  const noticed = history.fatal.length + (refused === undefined ? 0 : 1);
  if (hit !== undefined && (hit.kind === "write" || hit.kind === "sync")) {
    const error = history.fatal[0] ?? refused;
    // The zeros of a segment nobody waits for yet are reported when it is taken.
    if (!hit.path.endsWith(".tmp")) assert.equal(noticed, 1, `${label}: noticed`);
    if (error !== undefined) assert.ok(error instanceof FileError, label);
  }
  if (at % 2 === 0) files.crash();
  else files.restart();
  files.fault = () => undefined;
  const found = await readWal(files.mount(), "/d");
  check(history, found?.contents, label);
}

for (const fault of ["eio", "enospc", "short"] as const) {
  test(`WAL: ${fault} at every disk operation ends the log and loses nothing acknowledged`, async () => {
    for (const seed of [11, 12]) {
      const total = await operationsOf(seed);
      for (let at = 3; at <= total; at++) await failAt(seed, at, fault);
    }
  });
}

function same(a: WalContents, b: WalContents): boolean {
  const ea = a.entries.map(
    (e) => `${e.term} ${e.index} ${e.type} ${Buffer.from(e.data).toString("hex")}`,
  );
  const eb = b.entries.map(
    (e) => `${e.term} ${e.index} ${e.type} ${Buffer.from(e.data).toString("hex")}`,
  );
  return (
    ea.join() === eb.join() &&
    a.hardState.term === b.hardState.term &&
    a.hardState.vote === b.hardState.vote &&
    a.hardState.commit === b.hardState.commit &&
    a.snapshot.index === b.snapshot.index &&
    Buffer.compare(a.metadata, b.metadata) === 0
  );
}

async function sampleLog(): Promise<{
  files: SimulatedDisk;
  paths: string[];
  contents: WalContents;
}> {
  const { disk: files } = await simulatedPlace(5);
  const wal = await createWal(
    options({ files: files.mount(), directory: "/d" }, SEGMENT),
    METADATA,
  );
  for (let i = 1; i <= 9; i++) {
    const text = i === 9 ? "\0".repeat(1200) : "w".repeat(i * 90);
    await new Promise<void>((r) => wal.save(state(1, i - 1), [entry(i, 1, text)], true, r));
  }
  await wal.close();
  const names = ((await files.mount().list("/d")) ?? []).filter((n) => n.endsWith(".wal"));
  const contents = (await readWal(files.mount(), "/d"))?.contents as WalContents;
  assert.equal(contents.entries.length, 9);
  return { files, paths: names.map((n) => `/d/${n}`), contents };
}

/** Reads the damaged log: refused with file and offset, or the very same contents. */
async function refusedOrSame(
  disk: SimulatedDisk,
  contents: WalContents,
  label: string,
): Promise<boolean> {
  try {
    const found = await readWal(disk.mount(), "/d");
    assert.ok(
      found !== undefined && same(found.contents, contents),
      `${label}: a silent difference`,
    );
    return false;
  } catch (error) {
    assert.ok(error instanceof DamagedFile, `${label}: ${String(error)}`);
    assert.match(error.message, /\.wal/, label);
    return true;
  }
}

test("WAL: any flipped byte is refused with file and offset or makes no difference", async () => {
  const { files, paths, contents } = await sampleLog();
  assert.ok(paths.length >= 2);
  let refusals = 0;
  let cases = 0;
  for (const path of paths) {
    const size = files.peek(path)?.length ?? 0;
    for (let offset = 0; offset < size; offset++) {
      for (const mask of [0x01, 0x80, 0xff, files.peek(path)?.[offset] ?? 0]) {
        if (mask === 0) continue;
        files.damage(path, offset, mask);
        cases++;
        if (await refusedOrSame(files, contents, `${path} ${offset} ^ ${mask}`)) refusals++;
        files.damage(path, offset, mask);
      }
    }
  }
  assert.ok(refusals > cases / 4, `${refusals} of ${cases} refused`);
});

test("WAL: zeroed sectors before the last save are refused, never cut off", async () => {
  const { files, paths, contents } = await sampleLog();
  for (const path of paths) {
    const bytes = files.peek(path) as Buffer;
    const whole = Buffer.from(bytes);
    for (let at = 0; at + 512 <= bytes.length; at += 512) {
      if (path === paths.at(-1) && at + 512 > bytes.length - 3072) continue;
      bytes.fill(0, at, at + 512);
      await refusedOrSame(files, contents, `${path} sector at ${at}`);
      whole.copy(bytes);
    }
  }
});
