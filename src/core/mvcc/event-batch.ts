// Events of a watch response, encoded once and shared by every watcher that gets the same: the API writes header and watch id around
// them. A batch is immutable and owns its bytes.
//
//   mvccpb.Event: type 1 (PUT omitted) | kv 2 | prev_kv 3          as field 11 of WatchResponse
// Source: etcd server/etcdserver/api/v3rpc/watch.go (sendFragments).

import { EventType } from "../../proto/index.ts";
import { ALL_FIELDS, sizeKeyOnly, sizeKv, writeKeyOnly, writeKv } from "./key-value.ts";
import { NO_ROW, type RowChunk } from "./rows.ts";
import type { MvccState } from "./state.ts";
import { sizeVarint, writeVarint } from "./wire.ts";

const TAG_EVENTS = 0x5a;
const TAG_TYPE = 0x08;
const TAG_KV = 0x12;
const TAG_PREV_KV = 0x1a;
const TAG_MOD = 0x18;

/** Encoded events of one or more transactions, in (main, sub) order. */
export class EventBatch {
  /** Revision for the response header. */
  readonly revision: number;
  readonly #bytes: Uint8Array;
  /** End of each event in the bytes; the first begins at 0. */
  readonly #ends: readonly number[];
  readonly #mains: readonly number[];
  readonly #from: number;
  readonly #to: number;

  constructor(
    revision: number,
    bytes: Uint8Array,
    ends: readonly number[],
    mains: readonly number[],
    from = 0,
    to: number = ends.length,
  ) {
    this.revision = revision;
    this.#bytes = bytes;
    this.#ends = ends;
    this.#mains = mains;
    this.#from = from;
    this.#to = to;
  }

  get eventCount(): number {
    return this.#to - this.#from;
  }

  /** Main revision of the first event. */
  get firstMain(): number {
    return this.#mains[this.#from] ?? 0;
  }

  /** Main revision of the last event. */
  get lastMain(): number {
    return this.#mains[this.#to - 1] ?? 0;
  }

  #startOf(event: number): number {
    return event === 0 ? 0 : (this.#ends[event - 1] as number);
  }

  /** Encoded size in bytes as the repeated field `events`, tags included. */
  get sizeBytes(): number {
    return this.#startOf(this.#to) - this.#startOf(this.#from);
  }

  /** The encoded bytes, a view that must not be changed: for whoever sends them without copying first. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(this.#startOf(this.#from), this.#startOf(this.#to));
  }

  /** Writes `sizeBytes` bytes at `pos` and returns the position after them. */
  write(buf: Uint8Array, pos: number): number {
    buf.set(this.bytes, pos);
    return pos + this.sizeBytes;
  }

  /** The events from main revision `main` on, sharing the bytes; undefined if there are none. */
  since(main: number): EventBatch | undefined {
    if (main <= this.firstMain) return this;
    let from = this.#from;
    while (from < this.#to && (this.#mains[from] as number) < main) from++;
    return from === this.#to ? undefined : this.#slice(from, this.#to);
  }

  #slice(from: number, to: number): EventBatch {
    return new EventBatch(this.revision, this.#bytes, this.#ends, this.#mains, from, to);
  }

  /**
   * The batch in fragments of a response below `limitBytes` each, where `restBytes` is the size of the response without events and
   * without the fragment flag. A fragment holds at least one event and may split a revision. One element: it is sent whole, without
   * the flag; otherwise all but the last carry it.
   */
  fragments(restBytes: number, limitBytes: number): EventBatch[] {
    if (this.eventCount < 2 || restBytes + this.sizeBytes < limitBytes) return [this];
    const room = limitBytes - restBytes - FRAGMENT_FLAG_BYTES;
    const list: EventBatch[] = [];
    let from = this.#from;
    while (from < this.#to) {
      const start = this.#startOf(from);
      let to = from + 1;
      while (to < this.#to && (this.#ends[to] as number) - start < room) to++;
      list.push(this.#slice(from, to));
      from = to;
    }
    return list;
  }
}

const FRAGMENT_FLAG_BYTES = 2;

/**
 * The row whose KeyValue is `prev_kv` of the change at (chunk, slot): the key as it was before this main revision; NO_ROW for a
 * creating put, or if the key did not exist, or if `compacted` reaches that far.
 */
function prevOf(state: MvccState, chunk: RowChunk, slot: number, compacted: number): number {
  const main = chunk.main(slot);
  if (main - 1 < compacted) return NO_ROW;
  if (!chunk.isTombstone(slot) && chunk.create(slot) === main) return NO_ROW;
  let row = state.previous(chunk, slot);
  while (row !== NO_ROW) {
    const at = state.rows.chunkOf(row);
    const place = at.slotOf(row);
    if (at.main(place) < main) return at.isTombstone(place) ? NO_ROW : row;
    row = state.previous(at, place);
  }
  return NO_ROW;
}

function sizeDeleteKv(state: MvccState, chunk: RowChunk, slot: number): number {
  return sizeKeyOnly(state.keys.keyOf(chunk.keyId(slot))) + 1 + sizeVarint(chunk.main(slot));
}

/** Gathers the changes of one group of watchers and encodes them. */
export class EventList {
  readonly #state: MvccState;
  readonly #prevKv: boolean;
  readonly #compacted: number;
  readonly #rows: number[] = [];
  readonly #prevs: number[] = [];
  /** Encoded sizes of the events, without tag and length. */
  readonly #sizes: number[] = [];
  #bytes = 0;
  #mains = 0;
  #lastMain = 0;

  /** `compacted`: revision below which no `prev_kv` is given, -1 if all are. */
  constructor(state: MvccState, prevKv: boolean, compacted: number) {
    this.#state = state;
    this.#prevKv = prevKv;
    this.#compacted = compacted;
  }

  get count(): number {
    return this.#rows.length;
  }

  /** Encoded size so far. */
  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Distinct main revisions so far. */
  get revisionCount(): number {
    return this.#mains;
  }

  get lastMain(): number {
    return this.#lastMain;
  }

  /** Adds the change at (chunk, slot), which is row `row`. */
  add(chunk: RowChunk, slot: number, row: number): void {
    const state = this.#state;
    const prev = this.#prevKv ? prevOf(state, chunk, slot, this.#compacted) : NO_ROW;
    let size = 0;
    if (chunk.isTombstone(slot)) {
      const kv = sizeDeleteKv(state, chunk, slot);
      size = 2 + 1 + sizeVarint(kv) + kv;
    } else {
      const kv = sizeKv(state, chunk, slot, ALL_FIELDS);
      size = 1 + sizeVarint(kv) + kv;
    }
    if (prev !== NO_ROW) {
      const at = state.rows.chunkOf(prev);
      const kv = sizeKv(state, at, at.slotOf(prev), ALL_FIELDS);
      size += 1 + sizeVarint(kv) + kv;
    }
    this.#rows.push(row);
    this.#prevs.push(prev);
    this.#sizes.push(size);
    this.#bytes += 1 + sizeVarint(size) + size;
    const main = chunk.main(slot);
    if (main !== this.#lastMain) {
      this.#lastMain = main;
      this.#mains++;
    }
  }

  /** Encodes the events; `revision` is the header's. */
  encode(revision: number): EventBatch {
    const { rows } = this.#state;
    const bytes = Buffer.allocUnsafe(this.#bytes);
    const ends: number[] = [];
    const mains: number[] = [];
    let p = 0;
    for (let i = 0; i < this.#rows.length; i++) {
      const row = this.#rows[i] as number;
      const chunk = rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      bytes[p] = TAG_EVENTS;
      p = writeVarint(bytes, p + 1, this.#sizes[i] as number);
      p = this.#writeEvent(chunk, slot, this.#prevs[i] as number, bytes, p);
      ends.push(p);
      mains.push(chunk.main(slot));
    }
    return new EventBatch(revision, bytes, ends, mains);
  }

  #writeEvent(chunk: RowChunk, slot: number, prev: number, buf: Uint8Array, pos: number): number {
    const state = this.#state;
    let p = pos;
    if (chunk.isTombstone(slot)) {
      buf[p++] = TAG_TYPE;
      buf[p++] = EventType.DELETE;
      buf[p] = TAG_KV;
      p = writeVarint(buf, p + 1, sizeDeleteKv(state, chunk, slot));
      p = writeKeyOnly(state.keys.keyOf(chunk.keyId(slot)), buf, p);
      buf[p] = TAG_MOD;
      p = writeVarint(buf, p + 1, chunk.main(slot));
    } else {
      buf[p] = TAG_KV;
      p = writeVarint(buf, p + 1, sizeKv(state, chunk, slot, ALL_FIELDS));
      p = writeKv(state, chunk, slot, ALL_FIELDS, buf, p);
    }
    if (prev === NO_ROW) return p;
    const at = state.rows.chunkOf(prev);
    const place = at.slotOf(prev);
    buf[p] = TAG_PREV_KV;
    p = writeVarint(buf, p + 1, sizeKv(state, at, place, ALL_FIELDS));
    return writeKv(state, at, place, ALL_FIELDS, buf, p);
  }
}
