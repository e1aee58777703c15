// Compaction at R in steps. `compactRevision` moves at once; then one job after the other
//   mark:  every row of P .. R (P: the compaction before) that replaces another one kills it; tombstones below R die themselves
//   hash:  all rows up to R in revision order are hashed as they were before, dead ones are given to the sink and buried
// and, when no reader can hold a buried row any more, `reclaim` gives back memory and the cleaner empties worn chunks of values.
// Kept are, per key, the newest change at or below R (a tombstone only at R itself) and everything newer.
// Source: etcd server/storage/mvcc/kvstore_compaction.go, key_index.go (compact), hash.go.

import { RowHash } from "./row-hash.ts";
import {
  NO_ROW,
  ROW_WORDS,
  type RowChunk,
  TOMBSTONE,
  W_VALUE_CHUNK,
  W_VALUE_OFFSET,
} from "./rows.ts";
import type { MvccState } from "./state.ts";
import type { RevisionSink } from "./types.ts";

/** Compaction hashes kept, the largest revisions. */
const HASHES_KEPT = 10;

/** Hash over the rows up to `hashRevision`, computed as of compact revision `compactRevision`. */
export interface KvHash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** `blocked`: a list, hash or catch-up pass of an older revision must end first. `finished`: rows up to `revision` are removed. */
export type CompactionStep =
  | { readonly kind: "more" | "blocked" | "idle" }
  | { readonly kind: "finished"; readonly revision: number };

const MORE: CompactionStep = { kind: "more" };
const BLOCKED: CompactionStep = { kind: "blocked" };
const IDLE: CompactionStep = { kind: "idle" };

interface Job {
  readonly previous: number;
  readonly revision: number;
  /** False if the compaction before had not finished: then no hash is kept. */
  readonly keepHash: boolean;
}

type Phase = "start" | "mark" | "hash";

export class Compactor {
  readonly #state: MvccState;
  readonly #jobs: Job[] = [];
  readonly #hashes: KvHash[] = [];
  #phase: Phase = "start";
  /** Row to go on with. */
  #row = NO_ROW;
  #hash: RowHash | undefined;
  /** No row up to R survives: then the hash skips none. */
  #keepsNone = false;
  /** Ids of keys the running job removed, and of keys whose rows are all buried. */
  #removedIds: number[] = [];
  #freeIds: number[] = [];
  #reclaim: RowChunk[] | undefined;
  #hasBuried = false;
  #cleaning: RowChunk[] | undefined;
  #cleaningSlot = 0;

  constructor(state: MvccState) {
    this.#state = state;
  }

  /** Queues the removal of rows below `revision`, which is the compact revision from now on. */
  schedule(revision: number, keepHash = true): void {
    const previous = this.#state.compactRevision;
    this.#jobs.push({ previous, revision, keepHash: keepHash && this.#jobs.length === 0 });
    this.#state.compactRevision = revision;
  }

  get isIdle(): boolean {
    return this.#jobs.length === 0;
  }

  /** The hash kept of the compaction at `revision`. */
  hashAt(revision: number): KvHash | undefined {
    return this.#hashes.find((hash) => hash.hashRevision === revision);
  }

  /** Hashes kept, ascending by revision. */
  get hashes(): readonly KvHash[] {
    return this.#hashes;
  }

  /** Looks at about `rowsMax` rows of the oldest job. */
  step(sink: RevisionSink, rowsMax: number): CompactionStep {
    const job = this.#jobs[0];
    if (job === undefined) return IDLE;
    if (this.#phase === "start") {
      if (this.#state.hasWalkBelow(job.revision)) return BLOCKED;
      this.#row = this.#state.rows.firstRowOf(Math.max(job.previous, 0));
      this.#phase = "mark";
    }
    if (this.#phase === "mark") {
      if (this.#state.hasWalkBelow(job.revision)) return BLOCKED;
      if (!this.#mark(job, rowsMax)) return MORE;
      this.#state.epoch++;
      this.#keepsNone = this.#survivesNone(job);
      this.#hash = job.keepHash ? new RowHash() : undefined;
      this.#row = NO_ROW;
      this.#phase = "hash";
      return MORE;
    }
    if (!this.#hashAndBury(job, sink, rowsMax)) return MORE;
    this.#finish(job);
    return { kind: "finished", revision: job.revision };
  }

  /** Visits rows from `#row` to the last one at or below `main`; true at the end. */
  #each(main: number, rowsMax: number, visit: (chunk: RowChunk, slot: number) => void): boolean {
    const { rows } = this.#state;
    let left = rowsMax;
    for (;;) {
      const chunk = rows.chunkFrom(this.#row);
      if (chunk === undefined) return true;
      let slot = chunk.lowerSlot(this.#row);
      for (; slot < chunk.count; slot++) {
        if (left-- <= 0) {
          this.#row = chunk.rowAt(slot);
          return false;
        }
        if (chunk.main(slot) > main) return true;
        visit(chunk, slot);
      }
      this.#row = chunk.rowAt(chunk.count - 1) + 1;
    }
  }

  #mark(job: Job, rowsMax: number): boolean {
    const state = this.#state;
    return this.#each(job.revision, rowsMax, (chunk, slot) => {
      if (!chunk.isLive(slot)) return;
      const prev = state.previous(chunk, slot);
      if (prev !== NO_ROW) {
        const before = state.rows.chunkOf(prev);
        before.kill(before.slotOf(prev));
      }
      chunk.cutPrev(slot);
      if (chunk.isTombstone(slot) && chunk.main(slot) < job.revision) {
        const id = chunk.keyId(slot);
        const isLast = state.keys.latest(id) === chunk.rowAt(slot);
        chunk.kill(slot);
        if (isLast) {
          state.keys.remove(state.keys.keyOf(id));
          this.#removedIds.push(id);
        }
      }
    });
  }

  #survivesNone(job: Job): boolean {
    const { rows } = this.#state;
    for (let chunk = rows.chunkFrom(0); chunk !== undefined; ) {
      for (let slot = 0; slot < chunk.count; slot++) {
        if (chunk.main(slot) > job.revision) return true;
        if (chunk.isLive(slot)) return false;
      }
      chunk = rows.chunkFrom(chunk.rowAt(chunk.count - 1) + 1);
    }
    return true;
  }

  #hashAndBury(job: Job, sink: RevisionSink, rowsMax: number): boolean {
    const state = this.#state;
    const hash = this.#hash;
    return this.#each(job.revision, rowsMax, (chunk, slot) => {
      if (chunk.isGone(slot) || chunk.isBuried(slot)) return;
      const main = chunk.main(slot);
      const dead = chunk.isDead(slot);
      const tombstone = chunk.isTombstone(slot);
      if (hash !== undefined) {
        const skipped =
          main <= job.previous &&
          ((dead && !this.#keepsNone) || (tombstone && main === job.previous));
        if (!skipped) hash.feed(state, chunk, slot);
      }
      if (dead) {
        if (!tombstone) state.rescueValue(chunk, slot);
        sink.remove(main, chunk.sub(slot), tombstone);
        chunk.bury(slot);
      }
    });
  }

  #finish(job: Job): void {
    if (this.#hash !== undefined) {
      this.#hashes.push({
        hash: this.#hash.value,
        compactRevision: job.previous,
        hashRevision: job.revision,
      });
      this.#hashes.sort((a, b) => a.hashRevision - b.hashRevision);
      if (this.#hashes.length > HASHES_KEPT) this.#hashes.shift();
    }
    this.#hash = undefined;
    for (const id of this.#removedIds) this.#freeIds.push(id);
    this.#removedIds = [];
    this.#hasBuried = true;
    // What these two went through is stale once rows are given back.
    this.#reclaim = undefined;
    this.#cleaning = undefined;
    this.#cleaningSlot = 0;
    this.#jobs.shift();
    this.#phase = "start";
  }

  /**
   * Gives back memory of buried rows and moves values out of worn chunks, about `rowsMax` rows at a time; true when there is
   * nothing left to do now. Rows a pinned reader may hold wait for it.
   */
  reclaimSome(rowsMax: number): boolean {
    if (this.#hasBuried) {
      if (this.#state.hasOldPins() || this.#jobs.length > 0) return true;
      if (!this.#forgetSome(rowsMax)) return false;
      this.#hasBuried = false;
      this.#state.values.markWorn();
      return this.#state.values.wornCount === 0;
    }
    if (this.#state.values.wornCount === 0) return true;
    return this.#cleanSome(rowsMax);
  }

  #forgetSome(rowsMax: number): boolean {
    const state = this.#state;
    this.#reclaim ??= state.rows
      .chunks()
      .filter((chunk) => chunk.deadCount > 0 || chunk.goneCount * 2 >= chunk.capacity);
    let left = rowsMax;
    while (left > 0) {
      const chunk = this.#reclaim.shift();
      if (chunk === undefined) break;
      for (let slot = 0; slot < chunk.count; slot++) {
        if (!chunk.isBuried(slot)) continue;
        const size = chunk.valueBytes(slot);
        if (size !== TOMBSTONE && size > 0) {
          state.values.release(chunk.words[slot * ROW_WORDS + W_VALUE_CHUNK] as number, size);
        }
        chunk.forget(slot);
      }
      left -= chunk.count;
      state.rows.shrink(chunk);
    }
    if (this.#reclaim.length > 0) return false;
    this.#reclaim = undefined;
    state.dropRescued();
    state.keys.freeIds(this.#freeIds);
    this.#freeIds = [];
    return true;
  }

  #cleanSome(rowsMax: number): boolean {
    const { rows, values } = this.#state;
    this.#cleaning ??= rows.chunks();
    let left = rowsMax;
    while (left > 0) {
      const chunk = this.#cleaning[0];
      if (chunk === undefined) break;
      const end = Math.min(chunk.count, this.#cleaningSlot + left);
      for (let slot = this.#cleaningSlot; slot < end; slot++) {
        const size = chunk.valueBytes(slot);
        const at = slot * ROW_WORDS;
        const from = chunk.words[at + W_VALUE_CHUNK] as number;
        if (size === TOMBSTONE || size === 0 || chunk.isGone(slot) || !values.isWorn(from))
          continue;
        const bytes = values.bytesOf(from) as Uint8Array;
        const offset = chunk.words[at + W_VALUE_OFFSET] as number;
        values.addCold(bytes, offset, offset + size);
        chunk.words[at + W_VALUE_CHUNK] = values.chunk;
        chunk.words[at + W_VALUE_OFFSET] = values.offset;
        values.release(from, size);
      }
      left -= end - this.#cleaningSlot;
      this.#cleaningSlot = end;
      if (end === chunk.count) {
        this.#cleaning.shift();
        this.#cleaningSlot = 0;
      }
    }
    if (this.#cleaning.length > 0) return false;
    this.#cleaning = undefined;
    return values.wornCount === 0;
  }
}
