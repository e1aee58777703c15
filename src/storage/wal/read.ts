// Reads a whole log: every segment in order, then the newest snapshot record at or below the commit index and the entries behind it.
// Reading changes nothing on disk; what a torn last save needs is done when the log is resumed (disk-wal.ts).
// Source: etcd server/storage/wal/wal.go ReadAll and ValidSnapshotEntries; reference storage-formats.md 7.4.

import { assert } from "../../base/index.ts";
import { createHardState, decodeEntry, type Entry, ProtoError } from "../../proto/index.ts";
import type { WalContents, WalSnapshot } from "../../server/ports.ts";
import { DamagedFile, type Files } from "../files.ts";
import { type LogFacts, type SegmentEnd, SegmentScan } from "./scan.ts";
import { listSegments, type SegmentName } from "./segment.ts";
import { SegmentBytes } from "./segment-bytes.ts";

/** Entry bytes are copied out of the segments to slabs of this size: small enough that few live entries pin little. */
const SLAB_BYTES = 256 * 1024;

/** A log as found on disk, ready to be resumed. */
export interface WalReading {
  readonly contents: WalContents;
  readonly segments: readonly SegmentName[];
  /** Files of an interrupted purge, to be deleted. */
  readonly leftovers: readonly SegmentName[];
  /** End of the last segment. */
  readonly tail: SegmentEnd & { readonly sizeBytes: number };
  /** Bytes of each segment, in the order of `segments`. */
  readonly sizes: readonly number[];
  readonly crc: number;
  /** Index of the last entry, or of the snapshot if there is none. */
  readonly lastIndex: number;
  /** Segment that holds the snapshot record of `contents.snapshot`. */
  readonly snapshotSequence: number;
}

/**
 * Reads the log in `directory`; undefined if there is none. Throws DamagedFile (file and offset) or FileError. Cost: every byte in use,
 * about a millisecond per MiB.
 */
export async function readWal(files: Files, directory: string): Promise<WalReading | undefined> {
  const { segments, leftovers } = await listSegments(files, directory);
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  const facts: LogFacts = {
    metadata: undefined,
    state: undefined,
    snapshots: [],
    entries: [],
    crc: undefined,
  };
  const sizes: number[] = [];
  let tail: SegmentEnd = { end: 0, saves: 0, garbageEnd: 0 };
  /** The newest segment stays loaded: most entries wanted are there. */
  let newest: SegmentBytes | undefined;
  try {
    for (const segment of segments) {
      await newest?.close();
      newest = await SegmentBytes.open(files, segment);
      tail = await new SegmentScan(newest, facts, segment === last).run();
      sizes.push(newest.sizeBytes);
    }
    const state = facts.state ?? createHardState();
    const start = chooseSnapshot(facts, state.commit, segments[0] as SegmentName, last);
    const entries = await collectEntries(files, facts, start.snapshot, newest);
    const lastIndex = start.snapshot.index + entries.length;
    if (state.commit > lastIndex) {
      const detail = `entries are missing: the commit index is ${state.commit}, the last entry ${lastIndex}`;
      throw new DamagedFile(last.path, tail.end, detail);
    }
    assert(
      facts.metadata !== undefined && facts.crc !== undefined,
      "the scan saw a segment's head",
    );
    return {
      contents: { metadata: facts.metadata, hardState: state, snapshot: start.snapshot, entries },
      segments,
      leftovers,
      tail: { ...tail, sizeBytes: sizes.at(-1) as number },
      sizes,
      crc: facts.crc,
      lastIndex,
      snapshotSequence: start.sequence,
    };
  } finally {
    await newest?.close();
  }
}

function chooseSnapshot(
  facts: LogFacts,
  commit: number,
  first: SegmentName,
  last: SegmentName,
): LogFacts["snapshots"][number] {
  let best: LogFacts["snapshots"][number] | undefined;
  for (const candidate of facts.snapshots) {
    const { index } = candidate.snapshot;
    if (index > commit && index !== 0) continue;
    if (best === undefined || index >= best.snapshot.index) best = candidate;
  }
  if (best !== undefined) return best;
  const detail = `the log from ${first.name} on holds no snapshot record at or below commit index ${commit}`;
  throw new DamagedFile(last.path, -1, detail);
}

/** Entries behind `snapshot`; a later record replaces an earlier one of its index and everything after it. */
async function collectEntries(
  files: Files,
  facts: LogFacts,
  snapshot: WalSnapshot,
  newest: SegmentBytes | undefined,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const slab = new Slab();
  for (const [i, places] of facts.entries.entries()) {
    const following = facts.entries[i + 1]?.segment;
    if (following !== undefined && following.firstIndex - 1 <= snapshot.index) continue;
    const isNewest = newest !== undefined && places.segment === newest.segment;
    const bytes = isNewest ? newest : await SegmentBytes.open(files, places.segment);
    try {
      if (!isNewest) await bytes.all();
      for (let k = 0; k < places.starts.length; k++) {
        const start = places.starts[k] as number;
        const entry = decodeEntry(bytes.buf, start, places.ends[k] as number);
        if (entry instanceof ProtoError) {
          throw new DamagedFile(places.segment.path, start, `damaged entry: ${entry.message}`);
        }
        if (entry.index <= snapshot.index) continue;
        const at = entry.index - snapshot.index - 1;
        if (at > entries.length) {
          const expected = snapshot.index + entries.length + 1;
          const detail = `entries are missing: index ${entry.index} follows, ${expected} was expected`;
          throw new DamagedFile(places.segment.path, start, detail);
        }
        entries.length = at;
        entry.data = slab.copy(entry.data);
        entries.push(entry);
      }
    } finally {
      if (!isNewest) await bytes.close();
    }
  }
  return entries;
}

/** Copies byte strings into shared blocks. */
class Slab {
  #block: Buffer = Buffer.alloc(0);
  #used = 0;

  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > SLAB_BYTES / 4) return Buffer.from(bytes);
    if (this.#used + bytes.length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#block.set(bytes, start);
    this.#used += bytes.length;
    return this.#block.subarray(start, this.#used);
  }
}

/** What `verifyWal` found. */
export interface WalVerification {
  readonly segments: number;
  readonly snapshot: WalSnapshot;
  readonly lastIndex: number;
  /** Bytes of a torn last write that resuming would cut off. */
  readonly tornBytes: number;
}

/** Checks a log without changing it: what it holds, the first damage (file, offset), or undefined if there is no log. */
export async function verifyWal(
  files: Files,
  directory: string,
): Promise<WalVerification | DamagedFile | undefined> {
  try {
    const reading = await readWal(files, directory);
    if (reading === undefined) return undefined;
    return {
      segments: reading.segments.length,
      snapshot: reading.contents.snapshot,
      lastIndex: reading.lastIndex,
      tornBytes: reading.tail.garbageEnd - reading.tail.end,
    };
  } catch (error) {
    if (error instanceof DamagedFile) return error;
    throw error;
  }
}
