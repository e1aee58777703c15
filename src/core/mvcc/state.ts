// The state of the store that its parts work on: rows, keys, values, the two revisions, and who is reading.
//
// Two kinds of readers outlive a turn. A *pin* holds rows by number: rows it may hold are not given back before it is released. A
// *walk* (a list being collected, a hash, a catch-up pass) still follows links between rows: compaction does not begin to cut links
// at a revision above the walk's until the walk ends. Walks are driven by the server alone, so no client can hold up compaction.

import { assert, must } from "../../base/index.ts";
import type { LeaseBook } from "../lease/index.ts";
import { KeyIndex } from "./key-index.ts";
import {
  NO_ROW,
  ROW_WORDS,
  type RowChunk,
  RowTable,
  TOMBSTONE,
  W_VALUE_BYTES,
  W_VALUE_CHUNK,
  W_VALUE_OFFSET,
} from "./rows.ts";
import type { LoadValue, StoreOptions } from "./types.ts";
import { ValueArena } from "./value-arena.ts";
import { WireReader } from "./wire.ts";

const VALUE_CHUNK_BYTES = 4 * 1024 * 1024;
const ROW_CHUNK_BITS = 16;
const LEAF_KEYS_MAX = 256;
/** Fewer keys than this are not read ahead. */
const TOUCH_KEYS_MIN = 16;
/** Takes what is read ahead, so that the reads are not optimised away. */
let touched = 0;
/** Field 5, length-delimited, of mvccpb.KeyValue. */
const TAG_VALUE = 0x2a;

/** A reader that follows links between rows at `revision`. */
export interface Walk {
  readonly revision: number;
}

export class MvccState {
  readonly rows: RowTable;
  readonly keys: KeyIndex;
  readonly values: ValueArena;
  readonly leases: LeaseBook;
  readonly valueBytesMax: number;
  readonly #loadValue: LoadValue | undefined;
  /** Newest revision; a fresh store is at 1. */
  revision = 1;
  /** Reads below it are refused; -1 if never compacted. */
  compactRevision = -1;
  /** Main revision of the newest row: `revision`, or one more inside a write transaction. */
  headMain = 1;
  /** Counts finished marking passes of compaction; a pin belongs to the epoch it was taken in. */
  epoch = 0;
  readonly #pins: Map<number, number> = new Map();
  readonly walks: Set<Walk> = new Set();
  /** Values of buried rows that a pinned reader may still want and that neither memory nor the backend will hold, by row. */
  readonly #rescued: Map<number, Uint8Array> = new Map();

  constructor(options: StoreOptions) {
    this.rows = new RowTable(options.rowChunkBits ?? ROW_CHUNK_BITS, options.firstRow ?? 1);
    this.keys = new KeyIndex(options.leafKeysMax ?? LEAF_KEYS_MAX);
    this.keys.isLive = (id) => this.isLiveKey(id);
    this.values = new ValueArena(options.valueChunkBytes ?? VALUE_CHUNK_BYTES);
    this.leases = options.leases;
    this.valueBytesMax = options.valueBytesMax ?? Number.POSITIVE_INFINITY;
    this.#loadValue = options.loadValue;
  }

  /** True if the last change of the key is a put. */
  isLiveKey(id: number): boolean {
    const row = this.keys.latest(id);
    const chunk = this.rows.chunkOf(row);
    return !chunk.isTombstone(chunk.slotOf(row));
  }

  /** The row `prev` links to, or NO_ROW if there is none or compaction removed it. */
  previous(chunk: RowChunk, slot: number): number {
    const row = chunk.prev(slot);
    if (row === NO_ROW) return NO_ROW;
    const at = this.rows.findChunk(row);
    const place = at === undefined ? -1 : at.slotOf(row);
    return at !== undefined && place >= 0 && at.isLive(place) ? row : NO_ROW;
  }

  /** Newest change of key `id` at or below `main`, tombstones included; NO_ROW if none. Cost: changes above `main`. */
  changeAt(id: number, main: number): number {
    let row = this.keys.latest(id);
    if (main >= this.headMain) return row;
    while (row !== NO_ROW) {
      const chunk = this.rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      if (chunk.main(slot) <= main) return row;
      row = this.previous(chunk, slot);
    }
    return NO_ROW;
  }

  /**
   * Reads something of the latest rows of keys that are about to be looked at, without using it: waiting for memory once for many
   * rows takes a fraction of waiting for each.
   */
  touchKeys(ids: Uint32Array, from: number, to: number): void {
    if (to - from < TOUCH_KEYS_MIN) return;
    const { keys, rows } = this;
    for (let i = from; i < to; i++) {
      const row = keys.latest(ids[i] as number);
      const chunk = rows.chunkOf(row);
      touched += chunk.words[chunk.slotOf(row) * ROW_WORDS] as number;
    }
    for (let i = from; i < to; i++) touched += keys.keyOf(ids[i] as number).length;
    touched |= 0;
  }

  /** The put of key `id` that is visible at `main`, NO_ROW if the key does not exist then. */
  visibleAt(id: number, main: number): number {
    const row = this.changeAt(id, main);
    if (row === NO_ROW) return NO_ROW;
    const chunk = this.rows.chunkOf(row);
    return chunk.isTombstone(chunk.slotOf(row)) ? NO_ROW : row;
  }

  /**
   * The value of a put, a view that stays right. A value that had to be loaded is kept in memory while there is room, unless `keep`
   * is false.
   */
  valueOf(chunk: RowChunk, slot: number, keep = true): Uint8Array {
    const size = chunk.valueBytes(slot);
    if (size === 0 || size === TOMBSTONE) return EMPTY;
    const at = slot * ROW_WORDS;
    const inMemory = this.values.view(
      chunk.words[at + W_VALUE_CHUNK] as number,
      chunk.words[at + W_VALUE_OFFSET] as number,
      size,
    );
    if (inMemory !== undefined) return inMemory;
    const rescued = chunk.isLive(slot) ? undefined : this.#rescued.get(chunk.rowAt(slot));
    return rescued ?? this.#load(chunk, slot, size, keep);
  }

  /** Called before a put's row is taken from the backend: keeps its value for pinned readers if memory may not. */
  rescueValue(chunk: RowChunk, slot: number): void {
    if (!this.hasOldPins() || chunk.valueBytes(slot) === 0) return;
    if (this.valueBytesMax === Number.POSITIVE_INFINITY && this.isResident(chunk, slot)) return;
    this.#rescued.set(chunk.rowAt(slot), this.valueOf(chunk, slot, false));
  }

  /** No buried row is left. */
  dropRescued(): void {
    this.#rescued.clear();
  }

  /** True if the row's value is in memory. */
  isResident(chunk: RowChunk, slot: number): boolean {
    return (
      this.values.bytesOf(chunk.words[slot * ROW_WORDS + W_VALUE_CHUNK] as number) !== undefined
    );
  }

  #load(chunk: RowChunk, slot: number, size: number, keep: boolean): Uint8Array {
    const load = must(this.#loadValue, "a store whose values may be absent can load them");
    const main = chunk.main(slot);
    const value = valueField(load(main, chunk.sub(slot)));
    if (value?.length !== size) {
      const where = `${main}_${chunk.sub(slot)}`;
      assert(false, `row ${where} of the backend holds the ${size} bytes of value written there`);
    }
    if (keep && this.values.residentBytes < this.valueBytesMax) {
      this.storeValue(chunk, slot, value, 0, size);
    }
    return value;
  }

  /** Copies from[start, end), the value of a row, into memory. */
  storeValue(chunk: RowChunk, slot: number, from: Uint8Array, start: number, end: number): void {
    this.values.add(from, start, end);
    const at = slot * ROW_WORDS;
    chunk.words[at + W_VALUE_CHUNK] = this.values.chunk;
    chunk.words[at + W_VALUE_OFFSET] = this.values.offset;
    chunk.words[at + W_VALUE_BYTES] = end - start;
  }

  /** Holds every row a reader could see in `epoch`, and that was held without a gap since, until `unpin`. */
  pin(epoch: number): void {
    this.#pins.set(epoch, (this.#pins.get(epoch) ?? 0) + 1);
  }

  unpin(epoch: number): void {
    const left = must(this.#pins.get(epoch), "a pin is released once") - 1;
    if (left === 0) this.#pins.delete(epoch);
    else this.#pins.set(epoch, left);
  }

  /** True if a pin may hold rows that the last finished compaction removed. */
  hasOldPins(): boolean {
    for (const epoch of this.#pins.keys()) if (epoch < this.epoch) return true;
    return false;
  }

  /** True if a walk at a revision below `main` is under way. */
  hasWalkBelow(main: number): boolean {
    for (const walk of this.walks) if (walk.revision < main) return true;
    return false;
  }
}

const EMPTY: Uint8Array = new Uint8Array(0);

/** The value of an encoded mvccpb.KeyValue; undefined if it cannot be decoded. */
function valueField(row: Uint8Array): Uint8Array | undefined {
  const reader = new WireReader(row);
  let value = EMPTY;
  while (reader.pos < reader.end && !reader.failed) {
    const tag = reader.varint();
    if (tag === TAG_VALUE) {
      const start = reader.delimited();
      value = row.subarray(start, reader.pos);
    } else {
      reader.skip(tag & 7);
    }
  }
  return reader.failed ? undefined : value;
}
