// Removes the rows of compacted revisions in the background, a slice at a time with a pause between, so that nobody waits for it.
//
// The compact revision itself moved when the entry was applied; what happens here changes no answer. When the last slice is handed to the
// backend the finished revision is stored with it; a restart resumes a compaction that was scheduled and not finished.
// Source: etcd server/storage/mvcc/kvstore_compaction.go.

import type { CompactionPass, MvccStore } from "../core/mvcc/index.ts";
import { revisionBytes } from "../core/mvcc/index.ts";
import { type Applier, FINISHED_COMPACT_KEY } from "./apply/applier.ts";
import { Bucket, type Clock } from "./ports.ts";

/** Settings of a compactor. */
export interface CompactorOptions {
  /** Rows looked at in one slice. */
  readonly sliceRows: number;
  /** Pause between two slices, in milliseconds. */
  readonly pauseMs: number;
  /** Backend bytes that may be queued before the next slice waits. */
  readonly queuedBytesMax: number;
}

interface Job {
  readonly revision: number;
  readonly waiting: (() => void)[];
}

/** Runs the physical compactions of one member, in order. */
export class Compactor {
  readonly #store: MvccStore;
  readonly #applier: Applier;
  readonly #queuedBytes: () => number;
  readonly #clock: Clock;
  readonly #options: CompactorOptions;
  readonly #jobs: Job[] = [];
  #pass: CompactionPass | undefined;
  #stopped = false;

  constructor(
    parts: { store: MvccStore; applier: Applier; queuedBytes: () => number; clock: Clock },
    options: CompactorOptions,
  ) {
    this.#store = parts.store;
    this.#applier = parts.applier;
    this.#queuedBytes = parts.queuedBytes;
    this.#clock = parts.clock;
    this.#options = options;
  }

  /** Queues the removal of what compaction at `revision` leaves without use. */
  schedule(revision: number): void {
    this.#jobs.push({ revision, waiting: [] });
    if (this.#jobs.length === 1) this.#clock.after(0, () => this.#step());
  }

  /** Calls back when everything scheduled so far is removed; at once if nothing is. */
  whenIdle(callback: () => void): void {
    const last = this.#jobs.at(-1);
    if (last === undefined) callback();
    else last.waiting.push(callback);
  }

  stop(): void {
    this.#stopped = true;
  }

  #step(): void {
    const job = this.#jobs[0];
    if (job === undefined || this.#stopped) return;
    if (this.#queuedBytes() > this.#options.queuedBytesMax) {
      this.#clock.after(this.#options.pauseMs, () => this.#step());
      return;
    }
    this.#pass ??= this.#store.compaction(job.revision);
    const pass = this.#pass;
    let done = false;
    this.#applier.background((sink, batch) => {
      done = pass.step(this.#options.sliceRows, sink);
      if (done) batch.put(Bucket.meta, FINISHED_COMPACT_KEY, revisionBytes(job.revision, 0));
    });
    if (done) {
      this.#pass = undefined;
      this.#jobs.shift();
      for (const callback of job.waiting) callback();
    }
    if (this.#jobs.length > 0) this.#clock.after(this.#options.pauseMs, () => this.#step());
  }
}
