// Where the core reads what has been made stable: log entries, the newest snapshot, the state at start.
//
// The caller writes to it as each Ready (or MsgStorageAppend) tells; the core only reads. Reads are synchronous, so a real member
// keeps the tail of its log in memory (MemoryLogStorage) next to its write-ahead log. The caller compacts it only up to what it has
// reported to the node as applied, and keeps a snapshot at or above what it compacts.

import type { ConfState, Entry, HardState, Snapshot } from "../../proto/index.ts";

/** State that a node starts from. */
export interface InitialState {
  /** Undefined when nothing was ever persisted. */
  readonly hardState: HardState | undefined;
  /** The members as of the applied index that the node starts with (`RaftConfig.applied`), or else of the snapshot. */
  readonly confState: ConfState;
}

/** Stable state as the core sees it. `firstIndex - 1` is the index of the newest compacted entry, whose term stays known. */
export interface LogStorage {
  /** Called once, when the node is made. */
  initialState(): InitialState;
  /** Index of the first entry that `entries` can give; lastIndex + 1 when it has none. */
  firstIndex(): number;
  /** Index of the last entry, or of the snapshot when there is none after it. */
  lastIndex(): number;
  /** Term of the entry at `index`, in firstIndex - 1 .. lastIndex; undefined outside. */
  term(index: number): number | undefined;
  /**
   * The entries lo (included) .. hi (excluded), as many of them as fit `bytesMax` of encoded size, but at least one. Undefined when
   * `lo` is compacted. `hi` is at most lastIndex + 1. The array is the caller's, the entries are shared and immutable.
   */
  entries(lo: number, hi: number, bytesMax: number): Entry[] | undefined;
  /**
   * A snapshot, to be sent to a follower that is too far behind; undefined when none can be had now (asked again later). Best taken of
   * the present state: a follower refuses one that it is no member in, and the log must continue it.
   */
  snapshot(): Snapshot | undefined;
}
