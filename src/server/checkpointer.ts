// Writes index checkpoints in the background, so that a restart need not read every row of the backend.
//
// A checkpoint is made block by block with a pause after each: a slice holds the loop for a millisecond or two. Compaction waits for it,
// nothing else does. It only saves time: if it cannot be written, the next start takes longer, and nothing else changes.

import type { CheckpointWriter, MvccStore } from "../core/mvcc/index.ts";
import type { Applier } from "./apply/applier.ts";
import {
  CHECKPOINT_FILE,
  CHECKPOINT_KEY,
  type CheckpointStamp,
  encodeStamp,
  encodeStamps,
  frame,
} from "./checkpoint-file.ts";
import { type Backend, Bucket, type Clock, type SideFiles } from "./ports.ts";

/** Settings of a checkpointer; `defaultCheckpoints` says what they are for. */
export interface CheckpointOptions {
  /** Rows since the last checkpoint below which none is written. */
  readonly rowsMin: number;
  /** Part of all rows that must be new before one is written under load. */
  readonly newPart: number;
  /** Shortest time between the ends of two checkpoints, in milliseconds. */
  readonly intervalMinMs: number;
  /** How often to look whether one is due, in milliseconds. */
  readonly pollMs: number;
  /** Pause after each block, in milliseconds. */
  readonly pauseMs: number;
  /** Longest time that writing one may delay a stop, in milliseconds. */
  readonly stopMs: number;
}

/**
 * A start reads about 300,000 rows a second from the backend and a few million from a checkpoint: fewer than 10,000 rows are not worth a
 * file. A quarter of new rows bounds both the bytes written (about 40 a row and checkpoint, so 160 a put) and what a start after a crash
 * reads. A block of 256 KiB each 4 ms and its own 1.5 ms takes a third of a processor for the 1.5 s a million keys need. SIGTERM is to end
 * the process within a second: half of it is left to calls that end, and to the disk.
 */
export const defaultCheckpoints: CheckpointOptions = {
  rowsMin: 10_000,
  newPart: 0.25,
  intervalMinMs: 20_000,
  pollMs: 1000,
  pauseMs: 4,
  stopMs: 500,
};

interface CheckpointerParts {
  readonly store: MvccStore;
  readonly applier: Pick<Applier, "index" | "term" | "background">;
  readonly backend: Backend;
  readonly sideFiles: SideFiles;
  readonly clock: Clock;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Something an operator may want to know. */
  readonly onWarning: (message: string) => void;
}

/** Thrown into the writing of a file that is given up. */
class GivenUp extends Error {
  override readonly name = "GivenUp";
}

/** Writes the checkpoints of one member, one at a time. */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  readonly #options: CheckpointOptions;
  /** Of the file on disk. */
  #finished: CheckpointStamp | undefined;
  /** Changes counted when the last one was begun, and when they were last looked at. */
  #rowsAtLast: number;
  #rowsSeen: number;
  #lastEndMs: number;
  #busy: Promise<void> | undefined;
  #stopped = false;
  /** Blocks follow each other without a pause from now on. */
  #hurried = false;
  #wake: () => void = () => {};
  #giveUp: () => void = () => {};
  #givenUp: Promise<void>;

  /** `restored`: of the checkpoint the store was built from. */
  constructor(
    parts: CheckpointerParts,
    options: CheckpointOptions,
    restored: CheckpointStamp | undefined,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#finished = restored;
    this.#rowsAtLast = parts.store.changeCountAt(restored?.revision ?? 0);
    this.#rowsSeen = 0;
    this.#lastEndMs = parts.clock.nowMs();
    this.#givenUp = new Promise((resolve) => {
      this.#giveUp = resolve;
    });
  }

  /** Begins to look whether a checkpoint is due. */
  start(): void {
    this.#pollLater();
  }

  /**
   * Ends: what is being written is finished if that takes no longer than `stopMs`, and so is one that would spare the next start much.
   * The storage must still work.
   */
  async stop(): Promise<void> {
    const { clock, store } = this.#parts;
    if (this.#stopped) return;
    this.#stopped = true;
    this.#hurried = true;
    this.#wake();
    const isWorthIt = store.changeCount - this.#rowsAtLast >= this.#options.rowsMin;
    if (this.#busy === undefined && isWorthIt) this.#begin();
    if (this.#busy === undefined) return;
    const cancel = clock.after(this.#options.stopMs, () => this.#giveUp());
    await this.#busy;
    cancel();
  }

  /** Ends at once; for a storage that broke. */
  abandon(): void {
    this.#stopped = true;
    this.#giveUp();
    this.#wake();
  }

  #pollLater(): void {
    this.#parts.clock.after(this.#options.pollMs, () => {
      if (this.#stopped) return;
      if (this.#isDue()) this.#begin();
      this.#pollLater();
    });
  }

  #isDue(): boolean {
    const { store, clock } = this.#parts;
    const { rowsMin, newPart, intervalMinMs } = this.#options;
    const rows = store.changeCount;
    const isQuiet = rows === this.#rowsSeen;
    this.#rowsSeen = rows;
    const added = rows - this.#rowsAtLast;
    if (this.#busy !== undefined || clock.nowMs() - this.#lastEndMs < intervalMinMs) return false;
    const rowCount = store.rowCount;
    if (this.#isOvertaken()) return rowCount >= rowsMin;
    return added >= rowsMin && (isQuiet || added >= rowCount * newPart);
  }

  /** A compaction went past the finished checkpoint, which is of no use any more. */
  #isOvertaken(): boolean {
    const { store } = this.#parts;
    return this.#finished !== undefined && store.compactRevision > this.#finished.revision;
  }

  #begin(): void {
    const { store, applier, clock, clusterId, memberId, onWarning } = this.#parts;
    const writer = store.beginCheckpoint();
    if (writer === "wait") return;
    const { index, term } = applier;
    const { revision } = writer;
    const stamp = { clusterId, memberId, index, term, revision, wallMs: clock.wallMs() };
    this.#rowsAtLast = store.changeCount;
    // In this turn: all rows of the checkpoint are in batches before this one.
    applier.background((_sink, batch) => {
      batch.put(Bucket.local, CHECKPOINT_KEY, encodeStamps(this.#finished, stamp));
    });
    this.#busy = this.#write(writer, stamp)
      .then(() => {
        this.#finished = stamp;
      })
      .catch((error: unknown) => {
        if (error instanceof GivenUp) return;
        const text = error instanceof Error ? error.message : String(error);
        onWarning(
          `no checkpoint of the index was written, the next start may take longer: ${text}`,
        );
      })
      .finally(() => {
        writer.abort();
        this.#busy = undefined;
        this.#lastEndMs = clock.nowMs();
      });
  }

  #write(writer: CheckpointWriter, stamp: CheckpointStamp): Promise<void> {
    return this.#parts.sideFiles.save(CHECKPOINT_FILE, this.#chunks(writer, stamp));
  }

  async *#chunks(writer: CheckpointWriter, stamp: CheckpointStamp): AsyncGenerator<Uint8Array> {
    let givenUp = false;
    const whenGivenUp = this.#givenUp.then(() => {
      givenUp = true;
    });
    yield frame(encodeStamp(stamp));
    for (;;) {
      if (givenUp) throw new GivenUp();
      const block = writer.next();
      if (block === undefined) break;
      yield frame(block);
      if (!this.#hurried) await this.#pause();
    }
    // The row that names this file is durable before the file has its name.
    await Promise.race([this.#parts.backend.sync(), whenGivenUp]);
    if (givenUp) throw new GivenUp();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#parts.clock.after(this.#options.pauseMs, resolve);
    });
  }
}
