// HashKV at a revision, in steps: which rows at or below the compact revision are replaced by newer ones up to `revision`, then the
// hash over the rest. Compaction waits for it, and it starts only when no compaction is under way, so that what it sees does not
// depend on how far the removal of rows got. Source: etcd server/storage/mvcc/hash.go (unsafeHashByRev).

import type { KvHash } from "./compaction.ts";
import { RowHash } from "./row-hash.ts";
import { NO_ROW, type RowChunk } from "./rows.ts";
import type { MvccState, Walk } from "./state.ts";

const PAGE_BITS = 16;

/** A set of row numbers, as bit pages. */
class RowSet {
  readonly #pages: Map<number, Uint8Array> = new Map();

  add(row: number): void {
    const number = Math.floor(row / 2 ** PAGE_BITS);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(2 ** PAGE_BITS / 8);
      this.#pages.set(number, page);
    }
    const bit = row - number * 2 ** PAGE_BITS;
    page[bit >>> 3] = (page[bit >>> 3] as number) | (1 << (bit & 7));
  }

  has(row: number): boolean {
    const number = Math.floor(row / 2 ** PAGE_BITS);
    const bit = row - number * 2 ** PAGE_BITS;
    return (((this.#pages.get(number)?.[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1;
  }
}

export class HashWork {
  readonly #state: MvccState;
  readonly revision: number;
  readonly #compactRevision: number;
  /** No compaction above the present one may begin. */
  readonly #walk: Walk;
  readonly #replaced: RowSet = new RowSet();
  readonly #hash: RowHash = new RowHash();
  #phase: "replaced" | "keep" | "hash" | "done" = "replaced";
  #row = NO_ROW;
  #keepsNone = true;

  /** `revision` is checked and not 0; no compaction may be under way. */
  constructor(state: MvccState, revision: number) {
    this.#state = state;
    this.revision = revision;
    this.#compactRevision = state.compactRevision;
    this.#walk = { revision: state.compactRevision };
    state.walks.add(this.#walk);
    this.#row = state.rows.firstRowOf(Math.max(this.#compactRevision, 0));
    // Literally: nothing has a main revision at or below a negative one.
    if (revision < 0) this.#end();
  }

  /** Looks at about `rowsMax` rows; true when `result` is ready. */
  step(rowsMax: number): boolean {
    const state = this.#state;
    const compact = this.#compactRevision;
    switch (this.#phase) {
      case "replaced": {
        const ended = this.#each(rowsMax, (chunk, slot) => {
          const prev = state.previous(chunk, slot);
          if (prev !== NO_ROW) this.#replaced.add(prev);
          return true;
        });
        if (ended) this.#to("keep");
        break;
      }
      case "keep": {
        const ended = this.#each(rowsMax, (chunk, slot) => {
          this.#keepsNone = chunk.isTombstone(slot) || this.#replaced.has(chunk.rowAt(slot));
          return this.#keepsNone;
        });
        if (ended) this.#to("hash");
        break;
      }
      case "hash": {
        const ended = this.#each(rowsMax, (chunk, slot) => {
          const main = chunk.main(slot);
          const tombstone = chunk.isTombstone(slot);
          const kept = !tombstone && !this.#replaced.has(chunk.rowAt(slot));
          const skipped =
            main <= compact && ((!this.#keepsNone && !kept) || (tombstone && main === compact));
          if (!skipped) this.#hash.feed(state, chunk, slot);
          return true;
        });
        if (ended) this.#end();
        break;
      }
      case "done":
        break;
    }
    return this.#phase === "done";
  }

  #to(phase: "keep" | "hash"): void {
    this.#phase = phase;
    this.#row = NO_ROW;
  }

  /** Visits live rows from `#row` to the last at or below `revision`, until `visit` returns false; true at the end. */
  #each(rowsMax: number, visit: (chunk: RowChunk, slot: number) => boolean): boolean {
    const { rows } = this.#state;
    let left = rowsMax;
    for (;;) {
      const chunk = rows.chunkFrom(this.#row);
      if (chunk === undefined) return true;
      for (let slot = chunk.lowerSlot(this.#row); slot < chunk.count; slot++) {
        if (left-- <= 0) {
          this.#row = chunk.rowAt(slot);
          return false;
        }
        if (chunk.main(slot) > this.revision) return true;
        if (chunk.isLive(slot) && !visit(chunk, slot)) return true;
      }
      this.#row = chunk.rowAt(chunk.count - 1) + 1;
    }
  }

  #end(): void {
    this.#phase = "done";
    this.#state.walks.delete(this.#walk);
  }

  /** Gives the work up; not needed after the last step. */
  abort(): void {
    this.#end();
  }

  /** The hash, once `step` returned true. */
  get result(): KvHash {
    return {
      hash: this.#hash.value,
      compactRevision: this.#compactRevision,
      hashRevision: this.revision,
    };
  }
}
