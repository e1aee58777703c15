// The Raft log of one node: stable storage with the unstable tail on top, and how far it is committed, being applied, applied.
//
//   firstIndex-1 <= applied <= applying <= committed <= lastIndex
//
// Source: Raft thesis, section 3.5; etcd raft, log.go.

import { assert, must } from "../../base/index.ts";
import { type Entry, EntryType, type Snapshot } from "../../proto/index.ts";
import { endWithin, entriesBytes } from "./entry.ts";
import type { LogStorage } from "./storage.ts";
import { Unstable } from "./unstable.ts";

export class RaftLog {
  readonly storage: LogStorage;
  readonly unstable: Unstable;
  /** Highest index known to be on a quorum. */
  committed: number;
  /** Highest index handed out to be applied. */
  applying: number;
  /** Highest index reported as applied. */
  applied: number;
  /** Encoded bytes that may be handed out for application and not yet reported as applied; checked before an entry, so one may overshoot. */
  readonly #applyingBytesMax: number;
  #applyingBytes = 0;
  /** No further entries are handed out until some are reported as applied. */
  #applyingPaused = false;

  constructor(storage: LogStorage, applyingBytesMax: number) {
    this.storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1);
    const compacted = storage.firstIndex() - 1;
    this.committed = compacted;
    this.applying = compacted;
    this.applied = compacted;
    this.#applyingBytesMax = applyingBytesMax;
  }

  firstIndex(): number {
    const { snapshot, snapshotIndex } = this.unstable;
    return snapshot === undefined ? this.storage.firstIndex() : snapshotIndex + 1;
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.storage.lastIndex();
  }

  lastTerm(): number {
    return must(this.term(this.lastIndex()), "the last entry of the log has a term");
  }

  /** Term of the entry at `index`; undefined when it is compacted (the newest compacted one is known) or does not exist. */
  term(index: number): number | undefined {
    const term = this.unstable.term(index);
    if (term !== undefined) return term;
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined;
    return this.storage.term(index);
  }

  matchesTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** True when a log that ends at (index, term) is at least as complete as this one. Thesis, section 3.6.1. */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm();
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex());
  }

  /** Entries from `lo` on within `bytesMax` of encoded size, at least one if there is one; undefined when `lo` is compacted. */
  entriesFrom(lo: number, bytesMax: number): Entry[] | undefined {
    const end = this.lastIndex() + 1;
    return lo >= end ? [] : this.slice(lo, end, bytesMax);
  }

  /** Entries lo (included) .. hi (excluded) within `bytesMax`, at least one; undefined when `lo` is compacted. A new array. */
  slice(lo: number, hi: number, bytesMax: number): Entry[] | undefined {
    assert(lo <= hi && hi <= this.lastIndex() + 1, "the log is read within its bounds");
    if (lo < this.firstIndex()) return undefined;
    if (lo === hi) return [];
    const { offset } = this.unstable;
    if (lo >= offset) return this.unstable.slice(lo, hi, bytesMax);

    const cut = Math.min(hi, offset);
    const entries = this.storage.entries(lo, cut, bytesMax);
    if (entries === undefined || hi <= offset || entries.length < cut - lo) return entries;
    const tail = this.unstable.slice(offset, hi, bytesMax);
    for (const entry of tail) entries.push(entry);
    const end = endWithin(entries, 0, entries.length, bytesMax);
    entries.length = end;
    return entries;
  }

  /** Appends entries that start above `committed` and at lastIndex + 1 at most, replacing what was there. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.committed, "a committed entry is never replaced");
    this.unstable.truncateAndAppend(entries);
  }

  /**
   * Appends what a leader sent after its entry (prevIndex, prevTerm) and commits up to `commit` as far as these entries reach. Returns
   * the index up to which the logs now agree, undefined when they do not agree at `prevIndex`.
   */
  maybeAppend(
    prevIndex: number,
    prevTerm: number,
    entries: readonly Entry[],
    commit: number,
  ): number | undefined {
    if (!this.matchesTerm(prevIndex, prevTerm)) return undefined;
    const agreed = prevIndex + entries.length;
    const fresh = entries.findIndex((entry) => !this.matchesTerm(entry.index, entry.term));
    if (fresh >= 0) this.append(fresh === 0 ? entries : entries.slice(fresh));
    this.commitTo(Math.min(commit, agreed));
    return agreed;
  }

  /**
   * The highest index at or below `index` where this log could agree with another one that has `term` at or after that place: the first
   * one, going down, whose term is at most `term` or unknown. Skips a whole diverged tail in one round trip. O(entries skipped).
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (ours === undefined) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Raises the commit index to `index`; a lower one changes nothing. */
  commitTo(index: number): void {
    if (index <= this.committed) return;
    assert(
      index <= this.lastIndex(),
      "the log holds every entry known to be committed; it was lost or damaged",
    );
    this.committed = index;
  }

  /** Commits up to `index` if that is news and the entry there is of `term`: older terms commit only under a newer one (thesis, 3.6.2). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || !this.matchesTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** Replaces the whole log by `snapshot`. */
  restore(snapshot: Snapshot): void {
    this.committed = must(snapshot.metadata, "a snapshot has metadata").index;
    this.unstable.restore(snapshot);
  }

  /** The snapshot to send to a follower that is too far behind; undefined when none can be had now. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  // --------------------------------------------------------------------------------------------------------- application

  /**
   * True when `nextCommitted` gives something. With `allowUnstable`, entries may be applied before the local disk has them. A pending
   * snapshot comes first.
   */
  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#appliableTo(allowUnstable);
  }

  /** The next committed entries to apply, within the byte limit. A new array. */
  nextCommitted(allowUnstable: boolean): Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return [];
    const room = this.#applyingBytesMax - this.#applyingBytes;
    const end = this.#appliableTo(allowUnstable) + 1;
    return must(this.slice(this.applying + 1, end, room), "unapplied entries are not compacted");
  }

  /** Records that `entries`, from `nextCommitted`, were handed out. Pauses when the limit is reached or has cut them short. */
  acceptApplying(entries: readonly Entry[], allowUnstable: boolean): void {
    const last = entries[entries.length - 1];
    if (last === undefined) return;
    assert(last.index <= this.committed, "only committed entries are applied");
    this.applying = last.index;
    this.#applyingBytes += this.#limitedBytes(entries);
    this.#applyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax ||
      last.index < this.#appliableTo(allowUnstable);
  }

  /** Records that everything up to `index` is applied; `entries` are those that this freed from the byte limit. */
  appliedTo(index: number, entries: readonly Entry[]): void {
    assert(
      this.applied <= index && index <= this.committed,
      "entries are applied in order, once they are committed",
    );
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - this.#limitedBytes(entries));
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  /** True when an entry that changes the membership is committed and not applied. Reads in pages of the apply limit. */
  hasUnappliedConfChange(): boolean {
    let lo = this.applied + 1;
    while (lo <= this.committed) {
      const page = must(
        this.slice(lo, this.committed + 1, this.#applyingBytesMax),
        "unapplied entries are not compacted",
      );
      if (page.some((entry) => entry.type !== EntryType.EntryNormal)) return true;
      lo += page.length;
    }
    return false;
  }

  #appliableTo(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  #limitedBytes(entries: readonly Entry[]): number {
    return this.#applyingBytesMax === Number.POSITIVE_INFINITY ? 0 : entriesBytes(entries);
  }
}
