// Checks a LevelDB table file block by block, because LevelDB as we can open it verifies no block: a flipped bit could hide a row without
// any row looking wrong, and a compaction would then write the damage out again with good checksums.
//
//   file    data blocks · filter block · metaindex block · index block · footer (48 bytes)
//   block   contents · type 1 (0 plain, 1 snappy) · masked crc32c over contents and type
//   footer  two handles (varint offset, varint size), padding, magic 0xdb4775248b80fb57
//   index   entries (shared, unshared, value length as varints; key rest; value = handle), restart array u32[], restart count u32
//
// Source: google/leveldb doc/table_format.md, table/format.cc; google/snappy format_description.txt.

import { crc32c } from "../../base/index.ts";
import { DamagedFile } from "../files.ts";
import { unmaskCrc } from "./log-check.ts";

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC_LOW = 0x8b80fb57;
const MAGIC_HIGH = 0xdb477524;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

class Cursor {
  readonly buf: Buffer;
  pos: number;
  readonly end: number;

  constructor(buf: Buffer, pos: number, end: number) {
    this.buf = buf;
    this.pos = pos;
    this.end = end;
  }

  /** The next varint; undefined if there is none. */
  varint(): number | undefined {
    let value = 0;
    for (let scale = 1; scale <= 0x1_0000_0000_0000; scale *= 0x80) {
      if (this.pos >= this.end) return undefined;
      const byte = this.buf[this.pos++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  handle(): Handle | undefined {
    const offset = this.varint();
    const size = this.varint();
    return offset === undefined || size === undefined ? undefined : { offset, size };
  }
}

/** Undoes snappy; undefined if the bytes are not snappy's. For index blocks only: small, and their checksum was checked. */
export function unsnappy(buf: Buffer): Buffer | undefined {
  const cursor = new Cursor(buf, 0, buf.length);
  const size = cursor.varint();
  if (size === undefined || size > buf.length * 64) return undefined;
  const out = Buffer.alloc(size);
  let at = 0;
  let p = cursor.pos;
  while (p < buf.length) {
    const tag = buf[p++] as number;
    const kind = tag & 3;
    if (kind === 0) {
      let length = tag >>> 2;
      if (length >= 60) {
        const bytes = length - 59;
        if (p + bytes > buf.length) return undefined;
        length = buf.readUIntLE(p, bytes);
        p += bytes;
      }
      length += 1;
      if (p + length > buf.length || at + length > size) return undefined;
      buf.copy(out, at, p, p + length);
      p += length;
      at += length;
      continue;
    }
    const bytes = kind === 3 ? 4 : kind;
    if (p + bytes > buf.length) return undefined;
    const rest = buf.readUIntLE(p, bytes);
    const length = kind === 1 ? 4 + ((tag >>> 2) & 7) : 1 + (tag >>> 2);
    const back = kind === 1 ? ((tag >>> 5) << 8) | rest : rest;
    p += bytes;
    if (back === 0 || back > at || at + length > size) return undefined;
    // Copies may overlap their own output, so byte by byte.
    for (let i = 0; i < length; i++, at++) out[at] = out[at - back] as number;
  }
  return at === size ? out : undefined;
}

function checkBlock(path: string, buf: Buffer, handle: Handle): void {
  const end = handle.offset + handle.size;
  if (end + TRAILER_BYTES > buf.length - FOOTER_BYTES) {
    throw new DamagedFile(path, handle.offset, "a block of the store reaches beyond its file");
  }
  if (crc32c(buf, handle.offset, end + 1) !== unmaskCrc(buf.readUInt32LE(end + 1))) {
    throw new DamagedFile(path, handle.offset, "damaged block of the store: checksum mismatch");
  }
}

/** The values (handles) of an index-like block. */
function* handlesOf(path: string, buf: Buffer, handle: Handle): Generator<Handle> {
  const end = handle.offset + handle.size;
  const stored = buf.subarray(handle.offset, end);
  const plain = buf[end] === 1 ? unsnappy(stored) : stored;
  const bad = (): DamagedFile =>
    new DamagedFile(path, handle.offset, "an index block is malformed");
  if (plain === undefined || plain.length < 4) throw bad();
  const restarts = plain.readUInt32LE(plain.length - 4);
  const entriesEnd = plain.length - 4 - restarts * 4;
  if (entriesEnd < 0) throw bad();
  const cursor = new Cursor(plain, 0, entriesEnd);
  while (cursor.pos < entriesEnd) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const valueBytes = cursor.varint();
    if (shared === undefined || unshared === undefined || valueBytes === undefined) throw bad();
    cursor.pos += unshared;
    const next = cursor.pos + valueBytes;
    const value = cursor.handle();
    if (value === undefined || next > entriesEnd) throw bad();
    cursor.pos = next;
    yield value;
  }
}

/** Checks every block of the table in `buf`; throws DamagedFile with the offset of the block. Cost: one crc32c pass. */
export function checkTable(path: string, buf: Buffer): void {
  const footer = buf.length - FOOTER_BYTES;
  if (footer < 0) throw new DamagedFile(path, -1, "a table of the store is too short");
  const isTable =
    buf.readUInt32LE(buf.length - 8) === MAGIC_LOW &&
    buf.readUInt32LE(buf.length - 4) === MAGIC_HIGH;
  const cursor = new Cursor(buf, footer, buf.length - 8);
  const metaindex = cursor.handle();
  const index = cursor.handle();
  if (!isTable || metaindex === undefined || index === undefined) {
    throw new DamagedFile(path, footer, "the footer of a table of the store is damaged");
  }
  checkBlock(path, buf, metaindex);
  checkBlock(path, buf, index);
  let covered = 0;
  for (const handle of handlesOf(path, buf, index)) {
    // Data blocks follow each other without gaps; a changed handle would leave one.
    if (handle.offset !== covered)
      throw new DamagedFile(path, covered, "a block has no index entry");
    checkBlock(path, buf, handle);
    covered = handle.offset + handle.size + TRAILER_BYTES;
  }
  for (const handle of handlesOf(path, buf, metaindex)) checkBlock(path, buf, handle);
}
