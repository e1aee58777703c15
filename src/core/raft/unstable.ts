// The part of the log that stable storage does not hold yet: new entries, and a snapshot received from the leader.
//
//      storage            being written      not handed out yet
//   ──────────────┬──────────────────────┬─────────────────────►
//              offset             offsetInProgress
//
// What is handed out stays here until the caller reports it stable, because storage may not show it before. `offset` may lie below the
// end of storage: then the next write replaces the tail there.
// Invariants: #entries[i] has index offset + i; offset <= offsetInProgress <= offset + #entries.length.

import { assert } from "../../base/index.ts";
import type { Entry, Snapshot } from "../../proto/index.ts";
import { endWithin } from "./entry.ts";

export class Unstable {
  #entries: Entry[] = [];
  #offset: number;
  #offsetInProgress: number;
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;

  /** `offset` is the index after the last one in storage. */
  constructor(offset: number) {
    this.#offset = offset;
    this.#offsetInProgress = offset;
  }

  /** Index of the first entry that is not known to be stable; everything below is in storage or in the snapshot. */
  get offset(): number {
    return this.#offset;
  }

  /** Entries not known to be stable, handed out or not. */
  get count(): number {
    return this.#entries.length;
  }

  /** Entries that `nextEntries` would give. */
  get nextCount(): number {
    return this.#offset + this.#entries.length - this.#offsetInProgress;
  }

  /** The snapshot not known to be stable, handed out or not. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** The snapshot, unless it has been handed out. */
  get nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  get snapshotIndex(): number {
    return this.#snapshot?.metadata?.index ?? 0;
  }

  /** Last index here; undefined when there is neither entry nor snapshot. */
  lastIndex(): number | undefined {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1;
    return this.#snapshot === undefined ? undefined : this.snapshotIndex;
  }

  /** Term at `index` if this part of the log knows it. */
  term(index: number): number | undefined {
    if (index >= this.#offset) return this.#entries[index - this.#offset]?.term;
    const metadata = this.#snapshot?.metadata;
    return metadata !== undefined && metadata.index === index ? metadata.term : undefined;
  }

  /** Entries not handed out yet; the array is the receiver's. */
  nextEntries(): Entry[] {
    return this.#entries.slice(this.#offsetInProgress - this.#offset);
  }

  /** Marks everything here as handed out. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#offset + this.#entries.length;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Drops the entries up to `index`, now in storage, if the entry there still has `term`. It may not: a newer leader can have replaced it
   * while it was being written. The caller answers for it that no write in progress will change these entries again.
   */
  stableTo(index: number, term: number): void {
    if (index < this.#offset || this.#entries[index - this.#offset]?.term !== term) return;
    const stable = index + 1 - this.#offset;
    this.#entries = stable === this.#entries.length ? [] : this.#entries.slice(stable);
    this.#offset = index + 1;
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#offset);
  }

  /** Drops the snapshot at `index`, now in storage. */
  stableSnapshotTo(index: number): void {
    if (this.#snapshot === undefined || this.snapshotIndex !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Replaces everything by `snapshot`. */
  restore(snapshot: Snapshot): void {
    this.#entries = [];
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
    this.#offset = this.snapshotIndex + 1;
    this.#offsetInProgress = this.#offset;
  }

  /** Makes `entries` (not empty, gapless) the tail of the log from their first index on. Shares the entries, not the array. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = (entries[0] as Entry).index;
    if (from <= this.#offset) {
      // All of it is replaced, and perhaps a part of storage too.
      this.#entries = entries.slice();
      this.#offset = from;
      this.#offsetInProgress = from;
      return;
    }
    assert(from <= this.#offset + this.#entries.length, "the log has no gap");
    this.#entries.length = from - this.#offset;
    this.#offsetInProgress = Math.min(this.#offsetInProgress, from);
    for (let i = 0; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
  }

  /** Entries lo (included, at least `offset`) .. hi (excluded) within `bytesMax` of encoded size, at least one. A new array. */
  slice(lo: number, hi: number, bytesMax: number): Entry[] {
    const from = lo - this.#offset;
    const to = hi - this.#offset;
    assert(
      from >= 0 && from <= to && to <= this.#entries.length,
      "unstable entries are read in range",
    );
    return this.#entries.slice(from, endWithin(this.#entries, from, to, bytesMax));
  }
}
