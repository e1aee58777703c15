// Removes the rows of compacted revisions in the background, a slice at a time with a pause between, so that nobody waits for it, and
// gives memory back afterwards.
//
// The compact revision itself moved when the entry was applied; what happens here changes no answer. With the last slice of a compaction
// the finished revision is stored; a restart resumes one that was scheduled and not finished.
// Source: etcd server/storage/mvcc/kvstore_compaction.go.

import { type MvccStore, revisionBytes } from "../core/mvcc/index.ts";
import { type Applier, FINISHED_COMPACT_KEY } from "./apply/applier.ts";
import { Bucket, type Clock } from "./ports.ts";

/** Backend bytes that may be queued before the next slice waits: removals must not crowd out writes. */
const QUEUED_BYTES_MAX: number = 16 << 20;
/** Rows looked at in one step of giving memory back: a few milliseconds at most. */
const RECLAIM_ROWS = 20_000;
/** How often memory is looked after when nothing else asks for it, in milliseconds. */
const RECLAIM_PERIOD_MS = 1000;

/** Settings of a compactor. */
export interface CompactorOptions {
  /** Rows looked at in one slice. */
  readonly sliceRows: number;
  /** Pause between two slices, in milliseconds. */
  readonly pauseMs: number;
}

interface CompactorParts {
  readonly store: MvccStore;
  readonly applier: Applier;
  readonly queuedBytes: () => number;
  readonly clock: Clock;
}

/** Runs the physical compactions of one member, in order. */
export class Compactor {
  readonly #parts: CompactorParts;
  readonly #options: CompactorOptions;
  #waiting: (() => void)[] = [];
  #running = false;
  #stopped = false;

  constructor(parts: CompactorParts, options: CompactorOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Begins to look after memory, and resumes a compaction the store holds. */
  start(): void {
    this.wake();
    this.#reclaimLater(RECLAIM_PERIOD_MS);
  }

  /** The store was told to compact. */
  wake(): void {
    if (this.#running || !this.#parts.store.isCompacting) return;
    this.#running = true;
    this.#parts.clock.after(0, () => this.#step());
  }

  /** Calls back when everything scheduled so far is removed; at once if nothing is. */
  whenIdle(callback: () => void): void {
    if (this.#parts.store.isCompacting) this.#waiting.push(callback);
    else callback();
  }

  stop(): void {
    this.#stopped = true;
  }

  #step(): void {
    if (this.#stopped) return;
    const { store, applier, queuedBytes, clock } = this.#parts;
    if (queuedBytes() <= QUEUED_BYTES_MAX) {
      applier.background((sink, batch) => {
        const step = store.stepCompaction(sink, this.#options.sliceRows);
        if (step.kind !== "finished") return;
        batch.put(Bucket.meta, FINISHED_COMPACT_KEY, revisionBytes(step.revision, 0));
      });
    }
    if (store.isCompacting) {
      clock.after(this.#options.pauseMs, () => this.#step());
      return;
    }
    this.#running = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }

  #reclaimLater(delayMs: number): void {
    const { store, clock } = this.#parts;
    clock.after(delayMs, () => {
      if (this.#stopped) return;
      const done = store.reclaim(RECLAIM_ROWS);
      this.#reclaimLater(done ? RECLAIM_PERIOD_MS : this.#options.pauseMs);
    });
  }
}
