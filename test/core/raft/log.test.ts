import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { endWithin, entriesBytes, entryBytes } from "../../../src/core/raft/entry.ts";
import { MemoryLogStorage } from "../../../src/core/raft/index.ts";
import { RaftLog } from "../../../src/core/raft/log.ts";
import { Unstable } from "../../../src/core/raft/unstable.ts";
import {
  createConfState,
  createEntry,
  createSnapshot,
  type Entry,
  EntryType,
  sizeEntry,
} from "../../../src/proto/index.ts";

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** Entries from `first` on with these terms. */
function run(first: number, ...terms: number[]): Entry[] {
  return terms.map((term, i) =>
    createEntry({ term, index: first + i, data: Buffer.from(`${first + i}`) }),
  );
}

function stored(first: number, ...terms: number[]): MemoryLogStorage {
  const storage = new MemoryLogStorage();
  const metadata = { index: first - 1, term: 1, confState: createConfState() };
  if (first > 1) storage.applySnapshot(createSnapshot({ metadata }));
  storage.append(run(first, ...terms));
  return storage;
}

function places(entries: readonly Entry[] | undefined): string[] | undefined {
  return entries?.map(({ index, term }) => `${term}/${index}`);
}

test("entryBytes() is the encoded size", () => {
  const entry = fc.record({
    type: fc.constantFrom(...Object.values(EntryType)),
    term: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    index: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    data: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(fc.property(entry, (e) => entryBytes(e) === sizeEntry(e)));
});

test("endWithin() takes at least one entry, and no more than fit", () => {
  const entries = run(1, 1, 1, 1, 1);
  const [size] = entries.map(entryBytes) as [number];
  assert.equal(endWithin(entries, 0, 0, 100), 0);
  assert.equal(endWithin(entries, 0, 4, 0), 1);
  assert.equal(endWithin(entries, 1, 4, 2 * size), 3);
  assert.equal(endWithin(entries, 1, 4, 2 * size - 1), 2);
  assert.equal(endWithin(entries, 0, 4, NO_LIMIT), 4);
  assert.equal(endWithin(entries, 0, 4, entriesBytes(entries)), 4);
});

test("memory storage replaces the tail, skips what is compacted and refuses a gap", () => {
  const storage = stored(4, 1, 1, 1);
  storage.append(run(5, 2));
  assert.deepEqual(places(storage.entries(4, 6, NO_LIMIT)), ["1/4", "2/5"]);
  assert.equal(storage.compact(4), true);
  assert.equal(storage.compact(4), false);
  storage.append(run(3, 1, 1, 2, 2));
  assert.deepEqual(places(storage.entries(5, 7, NO_LIMIT)), ["2/5", "2/6"]);
  assert.equal(storage.entries(4, 6, NO_LIMIT), undefined);
  assert.deepEqual(
    [3, 4, 5, 6, 7].map((i) => storage.term(i)),
    [undefined, 1, 2, 2, undefined],
  );
  assert.throws(() => storage.append(run(8, 2)), /no gap/);
});

test("memory storage behaves like a plain list under appends and compactions of any size", () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 900 }), fc.nat({ max: 1200 })), { maxLength: 30 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const storage = new MemoryLogStorage();
      let model: Entry[] = [];
      let compacted = 0;
      for (const [appendCount, compactCount] of sequence) {
        const last = compacted + model.length;
        const fresh = run(last + 1, ...new Array<number>(appendCount).fill(1));
        storage.append(fresh);
        model = model.concat(fresh);
        const index = Math.min(compacted + compactCount, compacted + model.length);
        if (storage.compact(index)) {
          model = model.slice(index - compacted);
          compacted = index;
        }
        assert.equal(storage.firstIndex(), compacted + 1);
        assert.equal(storage.lastIndex(), compacted + model.length);
        const all = storage.entries(compacted + 1, compacted + model.length + 1, NO_LIMIT);
        assert.deepEqual(places(all), places(model));
      }
    }),
    { numRuns: 50 },
  );
});

test("memory storage takes snapshots only forward", () => {
  const storage = stored(1, 1, 1, 2);
  const confState = createConfState({ voters: [1n] });
  assert.equal(storage.createSnapshot(2, confState, Buffer.from("x")), true);
  assert.equal(storage.createSnapshot(2, confState, Buffer.from("y")), false);
  assert.equal(storage.createSnapshot(3, undefined, Buffer.from("z")), true);
  assert.deepEqual(storage.snapshot()?.metadata, { confState, index: 3, term: 2 });
  const older = createSnapshot({ metadata: { confState, index: 3, term: 2 } });
  assert.equal(storage.applySnapshot(older), false);
  const newer = createSnapshot({ metadata: { confState, index: 9, term: 3 } });
  assert.equal(storage.applySnapshot(newer), true);
  assert.deepEqual([storage.firstIndex(), storage.lastIndex(), storage.term(9)], [10, 9, 3]);
  assert.deepEqual(storage.initialState().confState, confState);
});

test("unstable entries stay until the write of exactly them is reported", () => {
  const unstable = new Unstable(5);
  unstable.truncateAndAppend(run(5, 1, 1, 1));
  assert.deepEqual(places(unstable.nextEntries()), ["1/5", "1/6", "1/7"]);
  unstable.acceptInProgress();
  unstable.truncateAndAppend(run(6, 2, 2));
  assert.deepEqual(places(unstable.nextEntries()), ["2/6", "2/7"]);
  unstable.stableTo(7, 1);
  assert.deepEqual([unstable.offset, unstable.count], [5, 3], "6 and 7 were replaced meanwhile");
  unstable.stableTo(5, 1);
  assert.deepEqual([unstable.offset, unstable.count], [6, 2]);
  unstable.truncateAndAppend(run(4, 3));
  assert.deepEqual([unstable.offset, unstable.lastIndex()], [4, 4]);
  assert.deepEqual(places(unstable.nextEntries()), ["3/4"]);
});

test("what was handed out is not changed by later appends", () => {
  const unstable = new Unstable(1);
  const given = run(1, 1);
  unstable.truncateAndAppend(given);
  const next = unstable.nextEntries();
  unstable.truncateAndAppend(run(2, 1, 1));
  assert.deepEqual([given.length, next.length], [1, 1]);
});

test("an append agrees, extends, replaces or is rejected, and commits no further than it reaches", () => {
  const cases = [
    // previous entry, entries, commit of the leader; expected: agreed up to, log, committed
    { prev: [3, 3], terms: [], commit: 3, agreed: 3, log: "1 2 3", committed: 3 },
    { prev: [3, 3], terms: [4], commit: 9, agreed: 4, log: "1 2 3 4", committed: 4 },
    { prev: [2, 2], terms: [4], commit: 1, agreed: 3, log: "1 2 4", committed: 1 },
    { prev: [1, 1], terms: [2], commit: 9, agreed: 2, log: "1 2 3", committed: 2 },
    { prev: [1, 1], terms: [2, 4, 4], commit: 3, agreed: 4, log: "1 2 4 4", committed: 3 },
    { prev: [3, 4], terms: [4], commit: 9, agreed: undefined, log: "1 2 3", committed: 1 },
    { prev: [9, 4], terms: [4], commit: 9, agreed: undefined, log: "1 2 3", committed: 1 },
  ] as const;
  for (const { prev, terms, commit, agreed, log, committed } of cases) {
    const raftLog = new RaftLog(stored(1, 1, 2, 3), NO_LIMIT);
    raftLog.commitTo(1);
    const [index, term] = prev;
    assert.equal(raftLog.maybeAppend(index, term, run(index + 1, ...terms), commit), agreed);
    const all = raftLog.entriesFrom(1, NO_LIMIT) ?? [];
    assert.equal(all.map((e) => e.term).join(" "), log);
    assert.equal(raftLog.committed, committed);
  }
});

test("an append that contradicts a committed entry stops the process", () => {
  const log = new RaftLog(stored(1, 1, 1, 1), NO_LIMIT);
  log.commitTo(3);
  assert.throws(() => log.maybeAppend(2, 1, run(3, 2), 3), /never replaced/);
  assert.throws(() => log.commitTo(4), /lost or damaged/);
});

test("findConflictByTerm() skips what cannot be in a log of that term", () => {
  const log = new RaftLog(stored(3, 2, 2, 4, 4, 5), NO_LIMIT);
  assert.deepEqual(log.findConflictByTerm(7, 5), { index: 7, term: 5 });
  assert.deepEqual(log.findConflictByTerm(7, 4), { index: 6, term: 4 });
  assert.deepEqual(log.findConflictByTerm(7, 3), { index: 4, term: 2 });
  assert.deepEqual(log.findConflictByTerm(7, 1), { index: 2, term: 1 });
  assert.deepEqual(log.findConflictByTerm(7, 0), { index: 1, term: 0 }, "compacted: unknown");
  assert.deepEqual(log.findConflictByTerm(99, 9), { index: 99, term: 0 }, "beyond: unknown");
});

test("reading across storage and the unstable tail gives one run within the size", () => {
  const log = new RaftLog(stored(1, 1, 1, 1), NO_LIMIT);
  log.append(run(3, 2, 2, 2));
  assert.deepEqual(places(log.entriesFrom(1, NO_LIMIT)), ["1/1", "1/2", "2/3", "2/4", "2/5"]);
  const size = entryBytes(run(1, 1)[0] as Entry);
  for (let count = 1; count <= 5; count++) {
    assert.equal(log.entriesFrom(1, size * count)?.length, count);
    assert.equal(log.entriesFrom(1, size * (count + 1) - 1)?.length, count);
  }
  assert.deepEqual(log.entriesFrom(6, NO_LIMIT), []);
  assert.deepEqual([log.term(2), log.term(3), log.term(6), log.lastTerm()], [1, 2, undefined, 2]);
});

test("the more complete log is of the later term, or else the longer one", () => {
  const log = new RaftLog(stored(1, 1, 2, 2), NO_LIMIT);
  const isUpToDate = (index: number, term: number): boolean => log.isUpToDate(index, term);
  assert.deepEqual(
    [isUpToDate(3, 2), isUpToDate(4, 2), isUpToDate(2, 2), isUpToDate(1, 3), isUpToDate(9, 1)],
    [true, true, false, true, false],
  );
});

test("committed entries are handed out within a limit that reports of their application free", () => {
  const entries = run(1, 1, 1, 1, 1);
  const size = entryBytes(entries[0] as Entry);
  const log = new RaftLog(stored(1, 1, 1, 1, 1), 2 * size);
  log.commitTo(4);
  const first = log.nextCommitted(true);
  assert.deepEqual(places(first), ["1/1", "1/2"]);
  log.acceptApplying(first, true);
  assert.equal(log.hasNextCommitted(true), false);
  log.appliedTo(1, first.slice(0, 1));
  assert.deepEqual(places(log.nextCommitted(true)), ["1/3"]);
  log.acceptApplying(log.nextCommitted(true), true);
  log.appliedTo(3, entries.slice(1, 3));
  assert.deepEqual(places(log.nextCommitted(true)), ["1/4"]);
  assert.throws(() => log.appliedTo(2, []), /in order/);
});

test("entries that are only in memory are applied when that is allowed, a pending snapshot first", () => {
  const log = new RaftLog(stored(1, 1), NO_LIMIT);
  log.append(run(2, 1));
  log.commitTo(2);
  assert.deepEqual(places(log.nextCommitted(false)), ["1/1"]);
  assert.deepEqual(places(log.nextCommitted(true)), ["1/1", "1/2"]);
  log.restore(createSnapshot({ metadata: { confState: createConfState(), index: 7, term: 3 } }));
  assert.equal(log.hasNextCommitted(true), false);
  assert.deepEqual([log.firstIndex(), log.lastIndex(), log.lastTerm()], [8, 7, 3]);
});
