// Revisions as rows: one row per change of a key, in revision order, in chunks of typed arrays; no object per revision.
//
// Row numbers count up over the life of the process, are never reused and may pass 2^32. A row's words stay as written, except:
// where its value lies, its link to the previous row of the key (cut by compaction) and its life: live -> dead (compaction decided)
// -> buried (its removal was given to the backend) -> gone (memory given back, once no reader can hold it).
//
//   chunk: words  | main | create | version | prev | key+life | value chunk | value offset | value bytes |  8 x uint32 a row
//          highs  | main | create | version | prev |   made when a value needs more than 32 bits
//          leases | low | high |   subs | sub |   crcs | crc |   made when first needed
// A chunk whose rows are mostly gone is packed: `ids` then lists the row numbers that are left, and neighbours are joined.

import { assert } from "../../base/index.ts";

/** No row; `prev` of the first change of a key. */
export const NO_ROW = 0;
/** `value bytes` of a tombstone. */
export const TOMBSTONE = 0xffff_ffff;

/** Words of a row. */
export const ROW_WORDS = 8;
/** Word of the value chunk. */
export const W_VALUE_CHUNK = 5;
/** Word of the offset in the value chunk. */
export const W_VALUE_OFFSET = 6;
/** Word of the value's size in bytes, or TOMBSTONE. */
export const W_VALUE_BYTES = 7;

const W_MAIN = 0;
const W_CREATE = 1;
const W_VERSION = 2;
const W_PREV = 3;
const W_KEY = 4;

const KEY_MASK = 0x3fff_ffff;
const DEAD = 0x8000_0000;
const BURIED = 0x4000_0000;
const GONE = 0xffff_ffff;
const TWO32 = 0x1_0000_0000;

/** Key ids are below this. */
export const KEY_IDS_MAX: number = KEY_MASK;

/** A run of rows. `slot` counts the rows of the chunk from 0. */
export class RowChunk {
  /** Number of the first row the chunk may hold. */
  readonly base: number;
  readonly words: Uint32Array;
  /** Slots in use. */
  count = 0;
  /** Row numbers less `base`, ascending, of a packed chunk; undefined if slot = row - base. */
  readonly ids: Uint32Array | undefined;
  highs: Uint32Array | undefined;
  leases: Int32Array | undefined;
  subs: Uint32Array | undefined;
  /** Checksums of row key and row value; 0 = not known. */
  crcs: Uint32Array | undefined;
  /** Rows dead or buried, and rows gone. */
  deadCount = 0;
  goneCount = 0;

  constructor(base: number, words: Uint32Array, ids?: Uint32Array) {
    this.base = base;
    this.words = words;
    this.ids = ids;
  }

  get capacity(): number {
    return this.words.length / ROW_WORDS;
  }

  /** Slot of row number `row`, -1 if it is gone for good. */
  slotOf(row: number): number {
    if (this.ids === undefined) return row - this.base;
    const slot = this.lowerSlot(row);
    return slot < this.count && this.rowAt(slot) === row ? slot : -1;
  }

  /** Number of the row at `slot`. */
  rowAt(slot: number): number {
    return this.base + (this.ids === undefined ? slot : (this.ids[slot] as number));
  }

  /** First slot whose row number is >= `row`; `count` if none. */
  lowerSlot(row: number): number {
    if (row <= this.base) return 0;
    const ids = this.ids;
    if (ids === undefined) return Math.min(row - this.base, this.count);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (this.base + (ids[mid] as number) < row) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  #wide(slot: number, word: number): number {
    const low = this.words[slot * ROW_WORDS + word] as number;
    return this.highs === undefined ? low : low + (this.highs[slot * 4 + word] as number) * TWO32;
  }

  main(slot: number): number {
    return this.#wide(slot, W_MAIN);
  }

  sub(slot: number): number {
    return this.subs === undefined ? 0 : (this.subs[slot] as number);
  }

  create(slot: number): number {
    return this.#wide(slot, W_CREATE);
  }

  version(slot: number): number {
    return this.#wide(slot, W_VERSION);
  }

  prev(slot: number): number {
    return this.#wide(slot, W_PREV);
  }

  cutPrev(slot: number): void {
    this.words[slot * ROW_WORDS + W_PREV] = NO_ROW;
    if (this.highs !== undefined) this.highs[slot * 4 + W_PREV] = 0;
  }

  keyId(slot: number): number {
    return (this.words[slot * ROW_WORDS + W_KEY] as number) & KEY_MASK;
  }

  valueBytes(slot: number): number {
    return this.words[slot * ROW_WORDS + W_VALUE_BYTES] as number;
  }

  isTombstone(slot: number): boolean {
    return this.words[slot * ROW_WORDS + W_VALUE_BYTES] === TOMBSTONE;
  }

  leaseLow(slot: number): number {
    return this.leases === undefined ? 0 : (this.leases[slot * 2] as number);
  }

  leaseHigh(slot: number): number {
    return this.leases === undefined ? 0 : (this.leases[slot * 2 + 1] as number);
  }

  setLease(slot: number, low: number, high: number): void {
    this.leases ??= new Int32Array(this.capacity * 2);
    this.leases[slot * 2] = low;
    this.leases[slot * 2 + 1] = high;
  }

  crc(slot: number): number {
    return this.crcs === undefined ? 0 : (this.crcs[slot] as number);
  }

  setCrc(slot: number, crc: number): void {
    this.crcs ??= new Uint32Array(this.capacity);
    this.crcs[slot] = crc;
  }

  /** Compaction has not decided against the row. */
  isLive(slot: number): boolean {
    return (this.words[slot * ROW_WORDS + W_KEY] as number) < BURIED;
  }

  /** Dead or buried, not gone. */
  isDead(slot: number): boolean {
    const word = this.words[slot * ROW_WORDS + W_KEY] as number;
    return word >= DEAD && word !== GONE;
  }

  isBuried(slot: number): boolean {
    const word = this.words[slot * ROW_WORDS + W_KEY] as number;
    return word >= DEAD + BURIED && word !== GONE;
  }

  isGone(slot: number): boolean {
    return this.words[slot * ROW_WORDS + W_KEY] === GONE;
  }

  kill(slot: number): void {
    const at = slot * ROW_WORDS + W_KEY;
    this.words[at] = ((this.words[at] as number) | DEAD) >>> 0;
    this.deadCount++;
  }

  bury(slot: number): void {
    const at = slot * ROW_WORDS + W_KEY;
    this.words[at] = ((this.words[at] as number) | BURIED) >>> 0;
  }

  /** The row's memory is given back; the row may have been buried before. */
  forget(slot: number): void {
    this.words[slot * ROW_WORDS + W_KEY] = GONE;
    this.deadCount--;
    this.goneCount++;
  }

  /** Writes a row at the end; the chunk must have room. */
  push(
    main: number,
    sub: number,
    create: number,
    version: number,
    prev: number,
    keyId: number,
  ): number {
    const slot = this.count++;
    const words = this.words;
    const at = slot * ROW_WORDS;
    // A store to a Uint32Array keeps the value modulo 2^32.
    words[at + W_MAIN] = main;
    words[at + W_CREATE] = create;
    words[at + W_VERSION] = version;
    words[at + W_PREV] = prev;
    words[at + W_KEY] = keyId;
    if (main >= TWO32 || prev >= TWO32 || version >= TWO32) {
      this.highs ??= new Uint32Array(this.capacity * 4);
    }
    const highs = this.highs;
    if (highs !== undefined) {
      highs[slot * 4 + W_MAIN] = main / TWO32;
      highs[slot * 4 + W_CREATE] = create / TWO32;
      highs[slot * 4 + W_VERSION] = version / TWO32;
      highs[slot * 4 + W_PREV] = prev / TWO32;
    }
    if (sub !== 0) {
      this.subs ??= new Uint32Array(this.capacity);
      this.subs[slot] = sub;
    }
    return slot;
  }

  /** Copies row `slot` of `from` to the end; the ids of this chunk are set by the caller. */
  take(from: RowChunk, slot: number): void {
    const at = this.count++;
    this.words.set(from.words.subarray(slot * ROW_WORDS, (slot + 1) * ROW_WORDS), at * ROW_WORDS);
    if (from.highs !== undefined) {
      this.highs ??= new Uint32Array(this.capacity * 4);
      this.highs.set(from.highs.subarray(slot * 4, slot * 4 + 4), at * 4);
    }
    if (from.leaseLow(slot) !== 0 || from.leaseHigh(slot) !== 0) {
      this.setLease(at, from.leaseLow(slot), from.leaseHigh(slot));
    }
    if (from.sub(slot) !== 0) {
      this.subs ??= new Uint32Array(this.capacity);
      this.subs[at] = from.sub(slot);
    }
    if (from.crc(slot) !== 0) this.setCrc(at, from.crc(slot));
    if (from.isDead(slot)) this.deadCount++;
  }
}

/** All rows. */
export class RowTable {
  readonly #perChunk: number;
  readonly #scale: number;
  /** Chunk i of the list holds rows from (first + i) * perChunk; a packed chunk may stand at several places. */
  #chunks: (RowChunk | undefined)[] = [];
  #first: number;
  #tail: RowChunk;

  constructor(chunkBits: number, firstRow: number) {
    assert(firstRow > 0, "row numbers start above 0");
    this.#perChunk = 2 ** chunkBits;
    this.#scale = 1 / this.#perChunk;
    this.#first = Math.floor(firstRow * this.#scale);
    this.#tail = this.#newChunk(this.#first * this.#perChunk);
    this.#chunks.push(this.#tail);
    for (let row = this.#tail.base; row < firstRow; row++) {
      this.#tail.forget(this.#tail.push(0, 0, 0, 0, NO_ROW, 0));
      this.#tail.deadCount = 0;
    }
  }

  #newChunk(base: number): RowChunk {
    return new RowChunk(base, new Uint32Array(this.#perChunk * ROW_WORDS));
  }

  /** Number the next row will get. */
  get next(): number {
    return this.#tail.base + this.#tail.count;
  }

  /** The chunk to write the next row to: `push` there gives row `next`. */
  tail(): RowChunk {
    const tail = this.#tail;
    if (tail.count < this.#perChunk) return tail;
    this.#tail = this.#newChunk(tail.base + this.#perChunk);
    this.#chunks.push(this.#tail);
    return this.#tail;
  }

  /** The chunk of a row that is not gone. */
  chunkOf(row: number): RowChunk {
    const chunk = this.#chunks[Math.floor(row * this.#scale) - this.#first];
    if (chunk === undefined) assert(false, "a row that is read is in memory");
    return chunk;
  }

  /** The chunk of `row`, undefined if all its rows are gone. */
  findChunk(row: number): RowChunk | undefined {
    return this.#chunks[Math.floor(row * this.#scale) - this.#first];
  }

  /** The first chunk that holds rows >= `row`, undefined at the end. */
  chunkFrom(row: number): RowChunk | undefined {
    const chunks = this.#chunks;
    let i = Math.max(0, Math.floor(row * this.#scale) - this.#first);
    for (; i < chunks.length; i++) {
      const chunk = chunks[i];
      if (chunk !== undefined && chunk.lowerSlot(row) < chunk.count) return chunk;
    }
    return undefined;
  }

  /** Number of the first row whose main revision is >= `main`; `next` if none. */
  firstRowOf(main: number): number {
    // The last chunk that begins below `main` holds the answer, or the start of the chunk after it is the answer.
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      let probe = mid;
      while (probe < high && (this.#chunks[probe]?.count ?? 0) === 0) probe++;
      const chunk = probe < high ? this.#chunks[probe] : undefined;
      if (chunk === undefined || chunk.main(0) >= main) high = mid;
      else low = probe + 1;
    }
    const chunk = low === 0 ? undefined : this.#chunks[low - 1];
    if (chunk === undefined) return this.#startOf(low);
    let from = 0;
    let to = chunk.count;
    while (from < to) {
      const mid = (from + to) >>> 1;
      if (chunk.main(mid) < main) from = mid + 1;
      else to = mid;
    }
    return from < chunk.count ? chunk.rowAt(from) : this.#startOf(low);
  }

  #startOf(place: number): number {
    return Math.min((this.#first + place) * this.#perChunk, this.next);
  }

  /** The distinct chunks, in row order; a list of its own. */
  chunks(): RowChunk[] {
    const list: RowChunk[] = [];
    for (const chunk of this.#chunks) {
      if (chunk !== undefined && chunk !== list[list.length - 1]) list.push(chunk);
    }
    return list;
  }

  /** Bytes of the typed arrays. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const c of this.chunks()) {
      bytes += c.words.byteLength + (c.highs?.byteLength ?? 0) + (c.leases?.byteLength ?? 0);
      bytes += (c.subs?.byteLength ?? 0) + (c.crcs?.byteLength ?? 0) + (c.ids?.byteLength ?? 0);
    }
    return bytes;
  }

  /**
   * Gives back the memory of gone rows of `chunk`: drops an empty chunk, packs one that is at most half full and joins it with a
   * packed neighbour before it. The chunk rows are appended to stays as it is.
   */
  shrink(chunk: RowChunk): void {
    if (chunk === this.#tail) return;
    const left = chunk.count - chunk.goneCount;
    if (left > 0 && left * 2 > chunk.capacity) return;
    const places = this.#placesOf(chunk);
    if (left === 0) {
      this.#replace(places, undefined);
      return;
    }
    let before = places[0] - 1;
    while (before >= 0 && this.#chunks[before] === undefined) before--;
    const neighbour = before >= 0 ? this.#chunks[before] : undefined;
    const joined =
      neighbour?.ids !== undefined &&
      neighbour.count - neighbour.goneCount + left <= this.#perChunk / 2 &&
      chunk.base + this.#perChunk - neighbour.base < TWO32
        ? neighbour
        : undefined;
    if (joined !== undefined) {
      const from = this.#placesOf(joined);
      this.#replace([from[0], places[1]], pack(joined, chunk));
    } else {
      this.#replace(places, pack(chunk));
    }
  }

  /** First and last place of `chunk` in the list. */
  #placesOf(chunk: RowChunk): [number, number] {
    const first = Math.floor(chunk.base * this.#scale) - this.#first;
    let last = first;
    const lastRow = chunk.rowAt(chunk.count - 1);
    last = Math.max(first, Math.floor(lastRow * this.#scale) - this.#first);
    while (this.#chunks[last + 1] === chunk) last++;
    return [first, last];
  }

  #replace(places: readonly [number, number], chunk: RowChunk | undefined): void {
    for (let i = places[0]; i <= places[1]; i++) this.#chunks[i] = chunk;
    let free = 0;
    while (this.#chunks[free] === undefined) free++;
    // Cut in bulk: the list is short, but not per chunk.
    if (free > 64 || free * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(free);
      this.#first += free;
    }
  }
}

/** A packed chunk with the rows of `parts` that are not gone. */
function pack(...parts: RowChunk[]): RowChunk {
  let left = 0;
  for (const part of parts) left += part.count - part.goneCount;
  const base = (parts[0] as RowChunk).base;
  const ids = new Uint32Array(left);
  const packed = new RowChunk(base, new Uint32Array(left * ROW_WORDS), ids);
  for (const part of parts) {
    for (let slot = 0; slot < part.count; slot++) {
      if (part.isGone(slot)) continue;
      ids[packed.count] = part.rowAt(slot) - base;
      packed.take(part, slot);
    }
  }
  return packed;
}
