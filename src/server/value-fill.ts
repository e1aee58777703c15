// After a start from a checkpoint: reads all rows it spoke of in the background, brings their values to memory and proves that index and
// backend agree. They can differ only if one of them is damaged in a way no checksum shows; then the member stops.
//
// It begins when no compaction is under way and lets the loop go after each chunk.

import { type MvccStore, readRevision, revisionBytes, ValueFill } from "../core/mvcc/index.ts";
import type { Compactor } from "./compactor.ts";
import { type Backend, type BackendRow, Bucket, type Clock } from "./ports.ts";

/** Rows looked at before the loop is let go: about a millisecond. */
const SLICE_ROWS = 500;
/** Pause after each slice, in milliseconds: it takes a third of a processor at most. */
const PAUSE_MS = 2;

interface FillerParts {
  readonly store: MvccStore;
  readonly backend: Backend;
  readonly compactor: Pick<Compactor, "whenIdle">;
  readonly clock: Clock;
  /** Index and backend disagree, or the backend cannot be read. */
  readonly onFatal: (error: unknown) => void;
}

/** Fills the values of one store, once. */
export class ValueFiller {
  readonly #parts: FillerParts;
  /** Revision of the checkpoint. */
  readonly #revision: number;
  #running: Promise<void> | undefined;
  #wake: () => void = () => {};
  #stopped = false;

  constructor(parts: FillerParts, revision: number) {
    this.#parts = parts;
    this.#revision = revision;
  }

  start(): void {
    this.#parts.compactor.whenIdle(() => {
      if (this.#stopped) return;
      this.#running = this.#run().catch((error: unknown) => {
        if (!this.#stopped) this.#parts.onFatal(error);
      });
    });
  }

  /** Resolves when nothing is read any more: the backend may be closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, backend } = this.#parts;
    const fill = new ValueFill(store, this.#revision);
    const end = revisionBytes(this.#revision + 1, 0);
    for await (const rows of backend.scan(Bucket.key, undefined, end)) {
      for (let from = 0; from < rows.length; from += SLICE_ROWS) {
        if (this.#stopped) return;
        for (const row of rows.slice(from, from + SLICE_ROWS)) takeRow(fill, row);
        await this.#pause();
      }
    }
    if (!this.#stopped && !fill.end()) throw new Error("the backend has lost rows of the index");
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#parts.clock.after(PAUSE_MS, resolve);
    });
  }
}

function takeRow(fill: ValueFill, { key, value }: BackendRow): void {
  const revision = readRevision(key);
  if (revision === undefined || !fill.row(revision.main, revision.sub, revision.tombstone, value)) {
    const hex = Buffer.from(key).toString("hex");
    throw new Error(`index and backend disagree at row ${hex}: the member must not go on`);
  }
}
