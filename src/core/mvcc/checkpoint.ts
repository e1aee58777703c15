// The index checkpoint: keys in order, then rows in revision order without their values, as of one revision. It lets a restart with
// a million keys skip reading and sorting them; rows after its revision are read from the backend, values when they are asked for.
//
//   block: kind | header: magic, revision, compact revision + 1      varints; the file around the blocks (lengths, checksums) is the
//               | keys:   (length, bytes)*                            caller's; blocks must come back whole and in order
//               | rows:   (flags, key index, main - main before, [sub], put: main - create, version, value bytes, [lease], [crc])*
//               | end:    number of keys, number of rows
// A checkpoint is a cache of what the backend holds: any doubt about it, and it is thrown away.

import { NO_ROW, ROW_WORDS, type RowChunk, TOMBSTONE, W_VALUE_BYTES } from "./rows.ts";
import type { MvccState, Walk } from "./state.ts";
import { readChars, WireReader, writeChars, writeVarint, writeVarint64 } from "./wire.ts";

const MAGIC = 0x6b63_7074;
const KIND = { header: 1, keys: 2, rows: 3, end: 4 } as const;
const FLAG = { tombstone: 1, sub: 2, lease: 4, crc: 8 } as const;
/** Bytes of a block at most, but for one oversized key. */
const BLOCK_BYTES = 262_144;
/** Bytes of a row's record at most. */
const ROW_BYTES_MAX = 80;

/** Writes a checkpoint of `revision` block by block; compaction waits for it, writes do not. */
export class CheckpointWriter {
  readonly #state: MvccState;
  /** Rows above it are not in the checkpoint. */
  readonly revision: number;
  readonly #walk: Walk;
  #phase: "header" | "keys" | "rows" | "end" | "done" = "header";
  #nextKey = "";
  /** Place of each key in the checkpoint + 1, by key id. */
  readonly #places: Uint32Array;
  #keyCount = 0;
  #row = NO_ROW;
  #rowCount = 0;
  #buf: Uint8Array = new Uint8Array(BLOCK_BYTES);

  /** No compaction may be under way. */
  constructor(state: MvccState) {
    this.#state = state;
    this.revision = state.revision;
    this.#walk = { revision: state.compactRevision };
    this.#places = new Uint32Array(state.keys.idCount);
    state.walks.add(this.#walk);
  }

  /** The next block, the receiver's; undefined after the last. Cost: a block, about 1 ms. */
  next(): Uint8Array | undefined {
    switch (this.#phase) {
      case "header":
        this.#phase = "keys";
        return this.#header();
      case "keys":
        return this.#keys();
      case "rows":
        return this.#rows();
      case "end":
        return this.#end();
      case "done":
        return undefined;
    }
  }

  #block(kind: number, end: number): Uint8Array {
    this.#buf[0] = kind;
    return this.#buf.slice(0, end);
  }

  #header(): Uint8Array {
    let p = writeVarint(this.#buf, 1, MAGIC);
    p = writeVarint(this.#buf, p, this.revision);
    // That of the beginning: a compaction ordered since waits for this checkpoint, which still has the rows it removes.
    p = writeVarint(this.#buf, p, this.#walk.revision + 1);
    return this.#block(KIND.header, p);
  }

  #keys(): Uint8Array {
    const { keys } = this.#state;
    let p = 1;
    for (let place = keys.leafOf(this.#nextKey); place < keys.leaves.length; place++) {
      const leaf = keys.leaves[place];
      if (leaf === undefined) break;
      for (let slot = keys.slotIn(leaf, this.#nextKey); slot < leaf.count; slot++) {
        const id = leaf.ids[slot] as number;
        const key = keys.keyOf(id);
        const size = key.length + 5;
        if (p + size > this.#buf.length) {
          if (p > 1) {
            this.#nextKey = key;
            return this.#block(KIND.keys, p);
          }
          this.#buf = new Uint8Array(size + 1);
        }
        if (id >= this.#places.length) continue;
        if (this.#state.changeAt(id, this.revision) === NO_ROW) continue;
        this.#places[id] = ++this.#keyCount;
        p = writeChars(this.#buf, writeVarint(this.#buf, p, key.length), key);
      }
    }
    this.#phase = "rows";
    return this.#block(KIND.keys, p);
  }

  #rows(): Uint8Array {
    const { rows } = this.#state;
    let p = 1;
    let before = 0;
    for (;;) {
      const chunk = rows.chunkFrom(this.#row);
      if (chunk === undefined) break;
      for (let slot = chunk.lowerSlot(this.#row); slot < chunk.count; slot++) {
        if (p + ROW_BYTES_MAX > this.#buf.length) {
          this.#row = chunk.rowAt(slot);
          return this.#block(KIND.rows, p);
        }
        const main = chunk.main(slot);
        if (main > this.revision) {
          this.#phase = "end";
          return this.#block(KIND.rows, p);
        }
        if (!chunk.isLive(slot)) continue;
        p = this.#writeRow(chunk, slot, before, p);
        before = main;
        this.#rowCount++;
      }
      this.#row = chunk.rowAt(chunk.count - 1) + 1;
    }
    this.#phase = "end";
    return this.#block(KIND.rows, p);
  }

  #writeRow(chunk: RowChunk, slot: number, before: number, pos: number): number {
    const buf = this.#buf;
    const main = chunk.main(slot);
    const sub = chunk.sub(slot);
    const tombstone = chunk.isTombstone(slot);
    const low = chunk.leaseLow(slot);
    const high = chunk.leaseHigh(slot);
    const crc = chunk.crc(slot);
    const hasLease = low !== 0 || high !== 0;
    buf[pos] =
      (tombstone ? FLAG.tombstone : 0) |
      (sub !== 0 ? FLAG.sub : 0) |
      (hasLease ? FLAG.lease : 0) |
      (crc !== 0 ? FLAG.crc : 0);
    let p = writeVarint(buf, pos + 1, (this.#places[chunk.keyId(slot)] as number) - 1);
    p = writeVarint(buf, p, main - before);
    if (sub !== 0) p = writeVarint(buf, p, sub);
    if (!tombstone) {
      p = writeVarint(buf, p, main - chunk.create(slot));
      p = writeVarint(buf, p, chunk.version(slot));
      p = writeVarint(buf, p, chunk.valueBytes(slot));
    }
    if (hasLease) p = writeVarint64(buf, p, low, high);
    return crc === 0 ? p : writeVarint(buf, p, crc);
  }

  #end(): Uint8Array {
    this.abort();
    let p = writeVarint(this.#buf, 1, this.#keyCount);
    p = writeVarint(this.#buf, p, this.#rowCount);
    return this.#block(KIND.end, p);
  }

  /** Gives the work up; not needed after the last block. */
  abort(): void {
    this.#phase = "done";
    this.#state.walks.delete(this.#walk);
  }
}

/** Reads blocks into an empty state. */
export class CheckpointReader {
  readonly #state: MvccState;
  #started = false;
  #ended = false;
  #keyCount = 0;
  #rowCount = 0;
  #lastMain = 0;
  #lastKey = "";
  /** Revision of the checkpoint. */
  revision = 0;
  /** True if a row carries a lease. */
  hasLeases = false;

  constructor(state: MvccState) {
    this.#state = state;
  }

  /** True once a block was taken. */
  get started(): boolean {
    return this.#started;
  }

  /** True once the last block was read: the checkpoint is whole. */
  get ended(): boolean {
    return this.#ended;
  }

  get keyCount(): number {
    return this.#keyCount;
  }

  /** Takes the next block; false if it is damaged or out of order, and the state is of no use. */
  block(bytes: Uint8Array): boolean {
    const reader = new WireReader(bytes, 1);
    const kind = bytes[0];
    if (this.#ended || this.#started === (kind === KIND.header)) return false;
    if (kind === KIND.header) return this.#header(reader);
    if (kind === KIND.keys) return this.#rowCount === 0 && this.#keys(reader);
    if (kind === KIND.rows) return this.#rows(reader);
    if (kind !== KIND.end) return false;
    const whole = reader.varint() === this.#keyCount && reader.varint() === this.#rowCount;
    this.#ended = whole && !reader.failed;
    return this.#ended;
  }

  #header(reader: WireReader): boolean {
    this.#started = true;
    if (reader.varint() !== MAGIC) return false;
    this.revision = reader.varint();
    this.#state.compactRevision = reader.varint() - 1;
    return !reader.failed;
  }

  #keys(reader: WireReader): boolean {
    const { keys } = this.#state;
    while (reader.pos < reader.end) {
      const start = reader.delimited();
      if (reader.failed) return false;
      const key = readChars(reader.buf, start, reader.pos);
      if (this.#keyCount > 0 && key <= this.#lastKey) return false;
      this.#lastKey = key;
      keys.register(key);
      this.#keyCount++;
    }
    return true;
  }

  #rows(reader: WireReader): boolean {
    let main = 0;
    while (reader.pos < reader.end) {
      const flags = reader.buf[reader.pos++] as number;
      const id = reader.varint();
      main += reader.varint();
      const sub = (flags & FLAG.sub) === 0 ? 0 : reader.varint();
      if (reader.failed || id >= this.#keyCount || main < this.#lastMain) return false;
      if (main > this.revision) return false;
      this.#lastMain = main;
      this.#row(reader, flags, id, main, sub);
      if (reader.failed) return false;
      this.#rowCount++;
    }
    return true;
  }

  #row(reader: WireReader, flags: number, id: number, main: number, sub: number): void {
    const { keys, rows } = this.#state;
    const tombstone = (flags & FLAG.tombstone) !== 0;
    const create = tombstone ? 0 : main - reader.varint();
    const version = tombstone ? 0 : reader.varint();
    const valueBytes = tombstone ? TOMBSTONE : reader.varint();
    const row = rows.next;
    const chunk = rows.tail();
    const slot = chunk.push(main, sub, create, version, keys.latest(id), id);
    chunk.words[slot * ROW_WORDS + W_VALUE_BYTES] = valueBytes;
    keys.setLatest(id, row);
    if ((flags & FLAG.lease) !== 0) {
      reader.varint();
      chunk.setLease(slot, reader.low, reader.high);
      this.hasLeases = true;
    }
    if ((flags & FLAG.crc) !== 0) chunk.setCrc(slot, reader.varint());
  }
}
