// HPACK encoding of a server's few response fields. Fields declared at construction are put into the peer's table once and are one or
// two bytes from then on; all others are literals that leave the table alone, so nothing is ever evicted.
//
// If the peer's table cannot hold the declared fields together, they are literals too. Blocks must be written in the order in which
// they are sent. Source: RFC 7541.

import { HEADER_TABLE_BYTES } from "../limits.ts";
import { STATIC_ENTRIES, staticNameIndex } from "./static-table.ts";

const ENTRY_OVERHEAD_BYTES = 32;
const NOT_INSERTED = -1;

class DeclaredField {
  /** `0x40` literal with incremental indexing, then name and value. */
  readonly insertion: Buffer;
  /** The same field as a literal without indexing. */
  readonly literal: Buffer;
  /** How many entries were inserted before it. */
  order = NOT_INSERTED;

  constructor(name: string, value: string) {
    this.insertion = literalBytes(0x40, 0x3f, name, value);
    this.literal = literalBytes(0x00, 0x0f, name, value);
  }
}

/** Encoder of one connection. Positions are in a buffer the caller has made large enough. */
export class HpackEncoder {
  readonly #fields: readonly DeclaredField[];
  readonly #neededBytes: number;
  #inserted = 0;
  #isIndexing = true;
  /** Table size the peer allows, and the one the peer last heard of from us. */
  #tableBytes = HEADER_TABLE_BYTES;
  #announcedBytes = HEADER_TABLE_BYTES;
  #mustAnnounce = false;

  constructor(declared: readonly (readonly [name: string, value: string])[]) {
    this.#fields = declared.map(([name, value]) => new DeclaredField(name, value));
    this.#neededBytes = declared.reduce(
      (sum, [name, value]) => sum + name.length + value.length + ENTRY_OVERHEAD_BYTES,
      0,
    );
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableBytes(bytes: number): void {
    const size = Math.min(bytes, HEADER_TABLE_BYTES);
    if (size === this.#tableBytes) return;
    this.#tableBytes = size;
    this.#mustAnnounce = true;
  }

  /** Starts a block: writes what the peer must know first (at most 8 bytes) and returns the position after it. */
  begin(buf: Uint8Array, pos: number): number {
    if (!this.#mustAnnounce) return pos;
    this.#mustAnnounce = false;
    let at = pos;
    if (this.#announcedBytes !== 0) {
      // Empties the table; this also covers any smaller size the peer allowed in between.
      buf[at++] = 0x20;
    }
    if (this.#tableBytes !== 0) at = writeInteger(buf, at, 0x20, 0x1f, this.#tableBytes);
    this.#announcedBytes = this.#tableBytes;
    this.#inserted = 0;
    this.#isIndexing = this.#tableBytes >= this.#neededBytes;
    for (const field of this.#fields) field.order = NOT_INSERTED;
    return at;
  }

  /** Writes declared field `i`. */
  declared(buf: Uint8Array, pos: number, i: number): number {
    const field = this.#fields[i] as DeclaredField;
    if (field.order !== NOT_INSERTED) {
      // Few fields are declared, so the index is always below the prefix's limit.
      buf[pos] = 0x80 | (STATIC_ENTRIES + this.#inserted - field.order);
      return pos + 1;
    }
    let bytes = field.literal;
    if (this.#isIndexing) {
      field.order = this.#inserted++;
      bytes = field.insertion;
    }
    buf.set(bytes, pos);
    return pos + bytes.length;
  }
}

function writeInteger(
  buf: Uint8Array,
  pos: number,
  pattern: number,
  mask: number,
  value: number,
): number {
  if (value < mask) {
    buf[pos] = pattern | value;
    return pos + 1;
  }
  let at = pos;
  buf[at++] = pattern | mask;
  let rest = value - mask;
  while (rest > 127) {
    buf[at++] = 0x80 | (rest & 0x7f);
    rest >>>= 7;
  }
  buf[at++] = rest;
  return at;
}

/** Bytes `writeLiteral` takes at most. */
export function literalBytesMax(name: string, value: string): number {
  return name.length + value.length + 12;
}

/** Writes a field as a literal that leaves the peer's table alone; name and value are latin1. Returns the position after it. */
export function writeLiteral(buf: Buffer, pos: number, name: string, value: string): number {
  return writeField(buf, pos, 0x00, 0x0f, name, value);
}

function writeField(
  buf: Buffer,
  pos: number,
  pattern: number,
  mask: number,
  name: string,
  value: string,
): number {
  const index = staticNameIndex(name);
  let at = writeInteger(buf, pos, pattern, mask, index);
  if (index === 0) {
    at = writeInteger(buf, at, 0, 0x7f, name.length);
    at += buf.write(name, at, "latin1");
  }
  at = writeInteger(buf, at, 0, 0x7f, value.length);
  return at + buf.write(value, at, "latin1");
}

function literalBytes(pattern: number, mask: number, name: string, value: string): Buffer {
  const buf = Buffer.alloc(literalBytesMax(name, value));
  return buf.subarray(0, writeField(buf, 0, pattern, mask, name, value));
}
