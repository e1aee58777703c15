// The log in memory: entries after the newest compaction, the newest snapshot, the hard state.
//
// Layout: #entries[#head + i] is the entry at firstIndex + i. Compacting moves the head and clears the slots behind it; once the free
// front is the larger part, the array is rebuilt, so compaction and append cost amortised O(1) per entry.
// Entries handed out are shared: they are never changed after `append`.

import { assert } from "../../base/index.ts";
import {
  type ConfState,
  createConfState,
  createHardState,
  createSnapshot,
  type Entry,
  type HardState,
  type Snapshot,
  type SnapshotMetadata,
} from "../../proto/index.ts";
import { endWithin } from "./entry.ts";
import type { InitialState, LogStorage } from "./storage.ts";

/** A free front shorter than this is not worth a rebuild. Entries. */
const REBUILD_SLOTS_MIN = 1024;

const CLEARED: Entry = Object.freeze({ type: 0, term: 0, index: 0, data: new Uint8Array(0) });

export class MemoryLogStorage implements LogStorage {
  #entries: Entry[] = [];
  #head = 0;
  /** Index and term of the entry before the first one. */
  #compactedIndex = 0;
  #compactedTerm = 0;
  #hardState: HardState | undefined;
  #snapshot: Snapshot = createSnapshot();

  initialState(): InitialState {
    return { hardState: this.#hardState, confState: this.#confState };
  }

  firstIndex(): number {
    return this.#compactedIndex + 1;
  }

  lastIndex(): number {
    return this.#compactedIndex + this.#entries.length - this.#head;
  }

  term(index: number): number | undefined {
    if (index === this.#compactedIndex) return this.#compactedTerm;
    if (index < this.#compactedIndex) return undefined;
    return this.#entries[this.#slot(index)]?.term;
  }

  entries(lo: number, hi: number, bytesMax: number): Entry[] | undefined {
    if (lo <= this.#compactedIndex) return undefined;
    assert(lo <= hi && hi <= this.lastIndex() + 1, "entries are read only within the log");
    const from = this.#slot(lo);
    const end = endWithin(this.#entries, from, this.#slot(hi), bytesMax);
    return this.#entries.slice(from, end);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Keeps `state` for a later start. */
  setHardState(state: HardState): void {
    this.#hardState = createHardState(state);
  }

  /**
   * Appends `entries`, which are gapless and start at lastIndex + 1 at most; from the first of them on, what was stored is replaced.
   * Entries that are compacted already are skipped. Shares the entries, not the array.
   */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    let at = 0;
    while (at < entries.length && (entries[at] as Entry).index <= this.#compactedIndex) at++;
    if (at === entries.length) return;
    const first = (entries[at] as Entry).index;
    assert(first <= this.lastIndex() + 1, "the log has no gap");
    if (first <= this.lastIndex()) this.#entries.length = this.#slot(first);
    for (; at < entries.length; at++) this.#entries.push(entries[at] as Entry);
  }

  /** Forgets the entries up to and including `index`, which must be in the log; false when they are compacted already. */
  compact(index: number): boolean {
    if (index <= this.#compactedIndex) return false;
    assert(index <= this.lastIndex(), "only entries that exist are compacted");
    const slot = this.#slot(index);
    this.#compactedTerm = (this.#entries[slot] as Entry).term;
    this.#compactedIndex = index;
    this.#entries.fill(CLEARED, this.#head, slot + 1);
    this.#head = slot + 1;
    if (this.#head >= REBUILD_SLOTS_MIN && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }

  /**
   * Makes a snapshot of the state at `index` (in the log, above the newest snapshot; false when it is not above) the newest one. Keeps
   * the log as it is. `confState` undefined keeps that of the newest snapshot. Takes `bytes`.
   */
  createSnapshot(index: number, confState: ConfState | undefined, bytes: Uint8Array): boolean {
    if (index <= this.#snapshotIndex) return false;
    const term = this.term(index);
    assert(term !== undefined, "a snapshot is taken at an entry of the log");
    const metadata: SnapshotMetadata = { confState: confState ?? this.#confState, index, term };
    this.#snapshot = createSnapshot({ data: bytes, metadata });
    return true;
  }

  /** Replaces everything by a snapshot received from elsewhere; false when it is not newer than the newest one. */
  applySnapshot(snapshot: Snapshot): boolean {
    const metadata = snapshot.metadata;
    const index = metadata?.index ?? 0;
    // A snapshot at index 0 carries only the members of a group that has not started.
    if (this.#snapshotIndex !== 0 && this.#snapshotIndex >= index) return false;
    this.#snapshot = snapshot;
    this.#compactedIndex = index;
    this.#compactedTerm = metadata?.term ?? 0;
    this.#entries = [];
    this.#head = 0;
    return true;
  }

  get #snapshotIndex(): number {
    return this.#snapshot.metadata?.index ?? 0;
  }

  get #confState(): ConfState {
    return this.#snapshot.metadata?.confState ?? createConfState();
  }

  #slot(index: number): number {
    return this.#head + index - this.#compactedIndex - 1;
  }
}
