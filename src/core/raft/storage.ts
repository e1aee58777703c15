// Where the core reads what has been made stable: log entries, the newest snapshot, the state at start.
//
// The caller writes to it as each Ready (or MsgStorageAppend) tells; the core only reads. Reads are synchronous, so a real member
// keeps the tail of its log in memory (MemoryLogStorage) next to its write-ahead log.

import type { ConfState, Entry, HardState, Snapshot } from "../../proto/index.ts";

/** State that a node starts from. */
export interface InitialState {
  /** Undefined when nothing was ever persisted. */
  readonly hardState: HardState | undefined;
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
  /** The newest snapshot, to be sent to a follower that is too far behind; undefined when none can be had now (asked again later). */
  snapshot(): Snapshot | undefined;
}
