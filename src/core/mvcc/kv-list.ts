// KeyValues of a response, held as row numbers: sized from the rows' words, encoded when asked for, in one go or in windows.
//
// The rows stay valid in the turn they were collected in; whoever keeps the list longer pins the state.

import type { KeyValue } from "../../proto/index.ts";
import { type KvFields, kvMessage, sizeKv, writeHead, writeKv, writeTail } from "./key-value.ts";
import { RowList } from "./row-list.ts";
import { ROW_WORDS, W_VALUE_CHUNK, W_VALUE_OFFSET } from "./rows.ts";
import type { MvccState } from "./state.ts";
import { sizeVarint, writeVarint } from "./wire.ts";

/** Rows whose memory is asked for ahead of their use, and how much of each value. */
const TOUCH_ROWS = 64;
const TOUCH_BYTES = 1024;
/** Takes what is read ahead, so that the reads are not optimised away. */
let touched = 0;

export class KvList {
  readonly #state: MvccState;
  readonly rows: RowList;
  readonly fields: KvFields;
  /** Epoch of the state in which the rows were first seen. */
  readonly epoch: number;
  /** Encoded size as a repeated field with a tag of one byte, of the first `#sized` rows. */
  #bytes = 0;
  #sized = 0;

  constructor(
    state: MvccState,
    fields: KvFields,
    rows: RowList = new RowList(),
    epoch: number = state.epoch,
  ) {
    this.#state = state;
    this.epoch = epoch;
    this.fields = fields;
    this.rows = rows;
  }

  get count(): number {
    return this.rows.length;
  }

  /** Encoded size in bytes as a repeated field with a tag of one byte. Cost: linear when first asked, see `sizeSome`. */
  get bytes(): number {
    if (this.#sized < this.rows.length) this.sizeSome(Number.POSITIVE_INFINITY);
    return this.#bytes;
  }

  /** Sizes at most `rowsMax` further rows; true when all are sized. */
  sizeSome(rowsMax: number): boolean {
    const rows = this.rows;
    const end = Math.min(rows.length, this.#sized + rowsMax);
    let bytes = this.#bytes;
    for (let i = this.#sized; i < end; i++) {
      const size = this.#sizeOf(rows.at(i));
      bytes += 1 + sizeVarint(size) + size;
    }
    this.#bytes = bytes;
    this.#sized = end;
    return end === rows.length;
  }

  #sizeOf(row: number): number {
    const chunk = this.#state.rows.chunkOf(row);
    return sizeKv(this.#state, chunk, chunk.slotOf(row), this.fields);
  }

  keyAt(i: number): string {
    const row = this.rows.at(i);
    const chunk = this.#state.rows.chunkOf(row);
    return this.#state.keys.keyOf(chunk.keyId(chunk.slotOf(row)));
  }

  /** First entry that the last `writeSome` left unwritten. */
  next = 0;

  /** Writes entries from `from` on, `tag` before each, as long as they end at or before `end`; sets `next`. */
  writeSome(from: number, tag: number, buf: Uint8Array, pos: number, end: number): number {
    const state = this.#state;
    const { rows, fields } = this;
    let p = pos;
    for (let i = from; i < rows.length; i++) {
      if ((i - from) % TOUCH_ROWS === 0) this.#touch(i);
      const row = rows.at(i);
      const chunk = state.rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      const size = sizeKv(state, chunk, slot, fields);
      if (1 + sizeVarint(size) + size > end - p) {
        this.next = i;
        return p;
      }
      buf[p] = tag;
      p = writeKv(state, chunk, slot, fields, buf, writeVarint(buf, p + 1, size));
    }
    this.next = rows.length;
    return p;
  }

  /**
   * Reads something of the next rows, keys and values without using it. Rows of a list lie all over memory: waiting for many of them
   * at once takes a fraction of waiting for one after the other.
   */
  #touch(from: number): void {
    const state = this.#state;
    const end = Math.min(this.rows.length, from + TOUCH_ROWS);
    if (end - from < TOUCH_ROWS / 2) return;
    for (let i = from; i < end; i++) {
      const row = this.rows.at(i);
      const chunk = state.rows.chunkOf(row);
      touched += chunk.words[chunk.slotOf(row) * ROW_WORDS] as number;
    }
    for (let i = from; i < end; i++) {
      const row = this.rows.at(i);
      const chunk = state.rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      touched += state.keys.keyOf(chunk.keyId(slot)).length;
      const at = slot * ROW_WORDS;
      const bytes = state.values.bytesOf(chunk.words[at + W_VALUE_CHUNK] as number);
      if (bytes === undefined || !this.fields.value) continue;
      const offset = chunk.words[at + W_VALUE_OFFSET] as number;
      const last = Math.min(offset + chunk.valueBytes(slot), offset + TOUCH_BYTES);
      for (let b = offset; b < last; b += 64) touched += bytes[b] as number;
    }
    touched |= 0;
  }

  /** Entry `i` in three pieces: bytes before the value, the value, bytes after it. For entries larger than a window. */
  entryPieces(i: number, tag: number): Uint8Array[] {
    const state = this.#state;
    const row = this.rows.at(i);
    const chunk = state.rows.chunkOf(row);
    const slot = chunk.slotOf(row);
    const size = sizeKv(state, chunk, slot, this.fields);
    const value = this.fields.value ? state.valueOf(chunk, slot) : new Uint8Array(0);
    const rest = new Uint8Array(1 + sizeVarint(size) + size - value.length);
    rest[0] = tag;
    let p = writeVarint(rest, 1, size);
    if (size === 0) return [rest];
    p = writeHead(state, chunk, slot, this.fields.value, rest, p);
    writeTail(chunk, slot, this.fields.lease, rest, p);
    return [rest.subarray(0, p), value, rest.subarray(p)];
  }

  /** Writes all entries: `bytes` bytes. */
  write(tag: number, buf: Uint8Array, pos: number): number {
    return this.writeSome(0, tag, buf, pos, Number.POSITIVE_INFINITY);
  }

  /** Entry `i` as a message; its value is a view that stays right. */
  message(i: number): KeyValue {
    const row = this.rows.at(i);
    const chunk = this.#state.rows.chunkOf(row);
    return kvMessage(this.#state, chunk, chunk.slotOf(row), this.fields);
  }

  /** All entries as messages. */
  messages(): KeyValue[] {
    return Array.from({ length: this.rows.length }, (_, i) => this.message(i));
  }

  /** Keeps the rows valid until the returned function is called. */
  pin(): () => void {
    const state = this.#state;
    state.pin(this.epoch);
    return () => state.unpin(this.epoch);
  }
}
