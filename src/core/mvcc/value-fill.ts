// After a restart from a checkpoint: brings values back into memory from a scan of the backend in the background, and on the way compares
// index and backend row by row, so that a checkpoint that does not belong to the backend cannot stay unnoticed.
//
// Both sides ascend by revision, so this is a merge. Compaction may go on meanwhile: a row that is dead in the index may be in the scan or
// not, and rows of the scan that the index has given up are at or below the compact revision.

import { DecodedKv } from "./key-value.ts";
import { NO_ROW, type RowChunk, TOMBSTONE } from "./rows.ts";
import type { MvccState } from "./state.ts";
import type { MvccStore } from "./store.ts";
import { readChars } from "./wire.ts";

export class ValueFill {
  readonly #state: MvccState;
  readonly #lastMain: number;
  readonly #kv: DecodedKv = new DecodedKv();
  /** Row of the index to go on with. */
  #row = NO_ROW;

  /** Of the rows up to revision `lastMain`. No compaction may be under way when the scan begins. */
  constructor(store: MvccStore, lastMain: number) {
    this.#state = store.state;
    this.#lastMain = lastMain;
  }

  /**
   * Takes the next row of the scan, its bytes borrowed; values are kept in memory while there is room. False if index and backend
   * disagree: on this row, or because rows of the index before it were not in the scan.
   */
  row(main: number, sub: number, tombstone: boolean, value: Uint8Array): boolean {
    const { rows, compactRevision } = this.#state;
    if (main > this.#lastMain || !this.#skipTo(main, sub)) return false;
    const chunk = rows.chunkFrom(this.#row);
    const slot = chunk === undefined ? 0 : chunk.lowerSlot(this.#row);
    if (chunk === undefined || chunk.main(slot) !== main || chunk.sub(slot) !== sub) {
      return main <= compactRevision;
    }
    this.#row = chunk.rowAt(slot) + 1;
    return !chunk.isLive(slot) || this.#compare(chunk, slot, tombstone, value);
  }

  /** After the last row of the scan; false if rows of the index were not in it. */
  end(): boolean {
    return this.#skipTo(this.#lastMain + 1, 0);
  }

  /** Moves on to the first row at or after (main, sub); false if one that the backend must have was passed over. */
  #skipTo(main: number, sub: number): boolean {
    const { rows } = this.#state;
    for (;;) {
      const chunk = rows.chunkFrom(this.#row);
      if (chunk === undefined) return true;
      for (let slot = chunk.lowerSlot(this.#row); slot < chunk.count; slot++) {
        this.#row = chunk.rowAt(slot);
        if (chunk.isGone(slot)) continue;
        const at = chunk.main(slot);
        if (at > main || (at === main && chunk.sub(slot) >= sub)) return true;
        if (chunk.isLive(slot)) return false;
      }
      this.#row = chunk.rowAt(chunk.count - 1) + 1;
    }
  }

  #compare(chunk: RowChunk, slot: number, tombstone: boolean, value: Uint8Array): boolean {
    const state = this.#state;
    const kv = this.#kv;
    if (tombstone !== chunk.isTombstone(slot) || !kv.decode(value)) return false;
    if (value.length > 0 || tombstone) {
      const key = readChars(value, kv.keyStart, kv.keyEnd);
      if (key !== state.keys.keyOf(chunk.keyId(slot))) return false;
    }
    if (tombstone) return true;
    const size = chunk.valueBytes(slot);
    const agrees =
      kv.valueEnd - kv.valueStart === size &&
      kv.create === chunk.create(slot) &&
      kv.version === chunk.version(slot) &&
      kv.leaseLow === chunk.leaseLow(slot) &&
      kv.leaseHigh === chunk.leaseHigh(slot);
    if (!agrees) return false;
    if (size > 0 && size !== TOMBSTONE && !state.isResident(chunk, slot)) {
      if (state.values.residentBytes < state.valueBytesMax) {
        state.storeValue(chunk, slot, value, kv.valueStart, kv.valueEnd);
      }
    }
    return true;
  }
}
