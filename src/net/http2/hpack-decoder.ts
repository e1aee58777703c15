// HPACK decoding: a header block becomes an array of interned entries; the dynamic table is a ring of the same entries.
//
// A block is decoded to its end even when its list is too large, because the table must follow the peer's. `generation` changes with
// every change of the table: whoever remembers what a block meant must check it. Source: RFC 7541.

import { HEADER_FIELDS_MAX, HEADER_LIST_BYTES_MAX, HEADER_TABLE_BYTES } from "../limits.ts";
import { HeaderEntry } from "./header-entry.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_ENTRIES, staticTable } from "./static-table.ts";

/** Entries a table of HEADER_TABLE_BYTES can hold (each costs 32 bytes at least), a power of two. */
const RING_ENTRIES = HEADER_TABLE_BYTES / 32;
const RING_MASK = RING_ENTRIES - 1;
/** An integer may take this many bytes after its prefix: 2^28 is beyond every length and index we accept. */
const INTEGER_SHIFT_MAX = 21;

const MALFORMED = -1;

/** Decoder of one connection. */
export class HpackDecoder {
  /** Changes whenever the dynamic table does. */
  generation = 0;
  /** Fields of the last block; a new array per block. Incomplete if `isListTooLarge`. */
  fields: HeaderEntry[] = [];
  /** The last block's list was larger than HEADER_LIST_BYTES_MAX or HEADER_FIELDS_MAX. */
  isListTooLarge = false;

  readonly #ring: (HeaderEntry | undefined)[] = Array.from({
    length: RING_ENTRIES,
  });
  /** Entries ever inserted, modulo nothing: the newest is at (inserted - 1) & mask. */
  #inserted = 0;
  #count = 0;
  #tableBytes = 0;
  #tableBytesMax = HEADER_TABLE_BYTES;
  #listBytes = 0;
  #pos = 0;

  /** Entries in the dynamic table, newest first; for tests. */
  get table(): readonly HeaderEntry[] {
    return Array.from({ length: this.#count }, (_, i) => this.#dynamic(i) as HeaderEntry);
  }

  /** Size of the dynamic table in bytes; for tests. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  /** Decodes the whole block buf[start, end) into `fields`; false is a COMPRESSION_ERROR. The block's bytes are not kept. */
  decode(buf: Buffer, start: number, end: number): boolean {
    this.fields = [];
    this.isListTooLarge = false;
    this.#listBytes = 0;
    this.#pos = start;
    let mayResize = true;
    while (this.#pos < end) {
      const first = buf[this.#pos] as number;
      if ((first & 0x80) !== 0) {
        const entry = this.#entryAt(this.#integer(buf, end, 0x7f));
        if (entry === undefined) return false;
        this.#emit(entry);
      } else if ((first & 0xe0) === 0x20) {
        if (!mayResize || !this.#resize(this.#integer(buf, end, 0x1f))) return false;
        continue;
      } else if (!this.#literal(buf, end, (first & 0x40) !== 0)) {
        return false;
      }
      mayResize = false;
    }
    return true;
  }

  #literal(buf: Buffer, end: number, isInserted: boolean): boolean {
    const nameIndex = this.#integer(buf, end, isInserted ? 0x3f : 0x0f);
    if (nameIndex === MALFORMED) return false;
    let name: string | undefined;
    if (nameIndex === 0) name = this.#string(buf, end);
    else name = this.#entryAt(nameIndex)?.name;
    if (name === undefined) return false;
    const value = this.#string(buf, end);
    if (value === undefined) return false;
    const entry = new HeaderEntry(name, value);
    if (isInserted) this.#insert(entry);
    this.#emit(entry);
    return true;
  }

  #emit(entry: HeaderEntry): void {
    this.#listBytes += entry.sizeBytes;
    if (this.#listBytes > HEADER_LIST_BYTES_MAX || this.fields.length === HEADER_FIELDS_MAX) {
      this.isListTooLarge = true;
      return;
    }
    this.fields.push(entry);
  }

  #dynamic(age: number): HeaderEntry | undefined {
    return this.#ring[(this.#inserted - 1 - age) & RING_MASK];
  }

  #entryAt(index: number): HeaderEntry | undefined {
    if (index <= STATIC_ENTRIES) return index > 0 ? staticTable[index] : undefined;
    const age = index - STATIC_ENTRIES - 1;
    return age < this.#count ? this.#dynamic(age) : undefined;
  }

  #insert(entry: HeaderEntry): void {
    this.generation++;
    this.#evictTo(this.#tableBytesMax - entry.sizeBytes);
    if (entry.sizeBytes > this.#tableBytesMax) return;
    this.#ring[this.#inserted & RING_MASK] = entry;
    this.#inserted++;
    this.#count++;
    this.#tableBytes += entry.sizeBytes;
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#tableBytes > bytes) {
      const slot = (this.#inserted - this.#count) & RING_MASK;
      this.#tableBytes -= (this.#ring[slot] as HeaderEntry).sizeBytes;
      this.#ring[slot] = undefined;
      this.#count--;
    }
  }

  #resize(bytes: number): boolean {
    if (bytes === MALFORMED || bytes > HEADER_TABLE_BYTES) return false;
    this.generation++;
    this.#tableBytesMax = bytes;
    this.#evictTo(bytes);
    return true;
  }

  #integer(buf: Buffer, end: number, mask: number): number {
    let value = (buf[this.#pos++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= INTEGER_SHIFT_MAX; shift += 7) {
      if (this.#pos >= end) return MALFORMED;
      const byte = buf[this.#pos++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return MALFORMED;
  }

  #string(buf: Buffer, end: number): string | undefined {
    if (this.#pos >= end) return undefined;
    const isHuffman = (buf[this.#pos] as number) >= 0x80;
    const length = this.#integer(buf, end, 0x7f);
    const start = this.#pos;
    if (length === MALFORMED || length > end - start) return undefined;
    this.#pos = start + length;
    if (isHuffman) return decodeHuffman(buf, start, this.#pos);
    return buf.toString("latin1", start, this.#pos);
  }
}
