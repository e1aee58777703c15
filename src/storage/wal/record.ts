// One WAL record on disk, byte for byte as etcd writes it, and the image in which the records of one save are gathered.
//
//   frame   u64 little endian: bits 0-55 length of the record, top byte 0x80 | pad when pad (1-7) zero bytes follow, else 0
//   record  walpb.Record { type 1, crc 2, data 3 }; crc = running CRC-32C over the data of all records so far, this one included
//
// Frames start at multiples of 8. A length field of 0 is the end of what was written. Type 4 (crc) repeats the running crc and adds
// nothing to it; its data, which etcd ignores, is where our save header lives (save-header.ts).
// Source: etcd server/storage/wal/{encoder,decoder}.go; reference storage-formats.md 7.1, 7.2.

import { assert, crc32c } from "../../base/index.ts";
import {
  type ConfState,
  type Entry,
  type HardState,
  sizeConfState,
  sizeEntry,
  writeConfState,
  writeEntry,
} from "../../proto/index.ts";
import type { WalSnapshot } from "../../server/ports.ts";
import { addShape } from "./save-header.ts";

export const RecordType = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;

/** Bytes of the length field. */
export const FRAME_BYTES = 8;

/** type tag and value, crc tag and five bytes, data tag and a length of up to five bytes: the most a record adds to its data. */
const RECORD_OVERHEAD_MAX = 2 + 6 + 6;

const IMAGE_BYTES_MIN = 64 * 1024;
/** A larger image buffer is not kept for the next save, so that one huge batch does not hold memory for ever. */
const IMAGE_BYTES_KEPT_MAX = 8 * 1024 * 1024;

/** Bytes of `value` (0 .. 2^53-1) as a varint. */
export function sizeVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Writes `value` (0 .. 2^53-1) as a varint; returns the position after it. */
export function writeVarint(buf: Uint8Array, pos: number, value: number): number {
  let rest = value;
  let p = pos;
  while (rest >= 0x80) {
    buf[p++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  buf[p++] = rest;
  return p;
}

function sizeVarint64(value: bigint): number {
  let size = 1;
  for (let rest = value; rest >= 0x80n; rest >>= 7n) size++;
  return size;
}

function writeVarint64(buf: Uint8Array, pos: number, value: bigint): number {
  let rest = value;
  let p = pos;
  for (; rest >= 0x80n; rest >>= 7n) buf[p++] = Number(rest & 0x7fn) | 0x80;
  buf[p++] = Number(rest);
  return p;
}

/** Records of one save, encoded one behind the other. Reused: `reset` starts the next. */
export class RecordImage {
  buf: Buffer = Buffer.allocUnsafeSlow(IMAGE_BYTES_MIN);
  /** Bytes used. */
  end = 0;
  /** Running crc after the last record. */
  crc = 0;
  /** Types and lengths of the records since it was last set to 0. */
  protected shape = 0;

  /** Empties the image; `crc` is the running crc of the log before it. */
  reset(crc: number): void {
    if (this.buf.length > IMAGE_BYTES_KEPT_MAX) this.buf = Buffer.allocUnsafeSlow(IMAGE_BYTES_MIN);
    this.end = 0;
    this.crc = crc;
  }

  entry(entry: Entry): void {
    const bytes = sizeEntry(entry);
    const at = this.#open(bytes);
    writeEntry(entry, this.buf, at);
    this.#close(RecordType.entry, at, bytes, true);
  }

  /** All three fields are always written, as etcd does. */
  state(state: HardState): void {
    const bytes = 3 + sizeVarint(state.term) + sizeVarint64(state.vote) + sizeVarint(state.commit);
    const at = this.#open(bytes);
    this.buf[at] = 0x08;
    let p = writeVarint(this.buf, at + 1, state.term);
    this.buf[p++] = 0x10;
    p = writeVarint64(this.buf, p, state.vote);
    this.buf[p++] = 0x18;
    writeVarint(this.buf, p, state.commit);
    this.#close(RecordType.state, at, bytes, true);
  }

  metadata(metadata: Uint8Array): void {
    const at = this.#open(metadata.length);
    this.buf.set(metadata, at);
    this.#close(RecordType.metadata, at, metadata.length, true);
  }

  /** Index and term are written even when 0, as etcd does. */
  snapshot(snapshot: WalSnapshot): void {
    const conf: ConfState | undefined = snapshot.confState;
    const confBytes = conf === undefined ? 0 : sizeConfState(conf);
    const bytes =
      2 +
      sizeVarint(snapshot.index) +
      sizeVarint(snapshot.term) +
      (conf === undefined ? 0 : 1 + sizeVarint(confBytes) + confBytes);
    const at = this.#open(bytes);
    this.buf[at] = 0x08;
    let p = writeVarint(this.buf, at + 1, snapshot.index);
    this.buf[p++] = 0x10;
    p = writeVarint(this.buf, p, snapshot.term);
    if (conf !== undefined) {
      this.buf[p++] = 0x1a;
      p = writeVarint(this.buf, p, confBytes);
      writeConfState(conf, this.buf, p);
    }
    this.#close(RecordType.snapshot, at, bytes, true);
  }

  /** A crc record; with `bytes` > 0 also that much data, to be filled in later from the returned offset. */
  crcRecord(bytes: number): number {
    const at = this.#open(bytes);
    if (bytes > 0) this.buf.fill(0, at, at + bytes);
    return this.#close(RecordType.crc, at, bytes, bytes > 0);
  }

  /** Makes room for a record with `bytes` of data; returns where the data goes, as if the crc took five bytes. */
  #open(bytes: number): number {
    const need = this.end + FRAME_BYTES + RECORD_OVERHEAD_MAX + bytes + 8;
    if (need > this.buf.length) {
      const next = Buffer.allocUnsafeSlow(Math.max(need, this.buf.length * 2));
      this.buf.copy(next, 0, 0, this.end);
      this.buf = next;
    }
    return this.end + FRAME_BYTES + 8 + 1 + sizeVarint(bytes);
  }

  /** Writes frame, record head and padding around the data at `at`; returns where the data is now. */
  #close(type: number, at: number, bytes: number, hasData: boolean): number {
    const { buf } = this;
    this.shape = addShape(this.shape, type, bytes);
    if (type !== RecordType.crc) this.crc = crc32c(buf, at, at + bytes, this.crc);
    let p = this.end + FRAME_BYTES;
    buf[p++] = 0x08;
    buf[p++] = type;
    buf[p++] = 0x10;
    p = writeVarint(buf, p, this.crc);
    if (hasData) {
      buf[p++] = 0x1a;
      p = writeVarint(buf, p, bytes);
      // One crc in sixteen is below 2^28 and takes fewer than five bytes.
      if (p !== at) buf.copyWithin(p, at, at + bytes);
    }
    const dataAt = p;
    if (hasData) p += bytes;
    const length = p - this.end - FRAME_BYTES;
    assert(length < 0x1_0000_0000, "a WAL record is below 4 GiB");
    const pad = (8 - (length % 8)) % 8;
    buf.writeUInt32LE(length, this.end);
    buf.writeUInt32LE(pad === 0 ? 0 : ((0x80 | pad) << 24) >>> 0, this.end + 4);
    buf.fill(0, p, p + pad);
    this.end = p + pad;
    return dataAt;
  }
}

/** A record found in a buffer; offsets are into that buffer. Reused by `readRecord`. */
export interface FoundRecord {
  type: number;
  crc: number;
  dataStart: number;
  dataEnd: number;
  /** Offset of the next frame. */
  next: number;
}

/** Why there is no record at an offset. */
export type RecordFault =
  /** The length field is 0. */
  | "end"
  /** The record does not fit in the bytes there are. */
  | "cut"
  /** The length field or the record is not what the encoder makes. */
  | "malformed";

/** Reads the frame at `pos` of buf[0, end) to `found`; checks form, not crc. */
export function readRecord(
  buf: Buffer,
  pos: number,
  end: number,
  found: FoundRecord,
): RecordFault | undefined {
  if (pos + FRAME_BYTES > end) return pos === end ? "end" : "cut";
  const low = buf.readUInt32LE(pos);
  const high = buf.readUInt32LE(pos + 4);
  if (low === 0 && high === 0) return "end";
  const top = high >>> 24;
  const pad = (top & 0x80) === 0 ? 0 : top & 0x07;
  if ((high & 0xffffff) !== 0) return "cut";
  if ((top & 0x78) !== 0 || (top !== 0 && top < 0x81) || (low + pad) % 8 !== 0) return "malformed";
  const start = pos + FRAME_BYTES;
  const next = start + low + pad;
  if (next > end) return "cut";
  return readBody(buf, start, start + low, found) ? setNext(found, next) : "malformed";
}

function setNext(found: FoundRecord, next: number): undefined {
  found.next = next;
}

/** Reads walpb.Record fields of buf[start, end); unknown fields are refused, etcd writes none. */
function readBody(buf: Buffer, start: number, end: number, found: FoundRecord): boolean {
  found.type = 0;
  found.crc = 0;
  found.dataStart = end;
  found.dataEnd = end;
  let p = start;
  while (p < end) {
    const tag = buf[p++];
    let value = 0;
    let scale = 1;
    for (let byte = 0x80; byte >= 0x80; scale *= 0x80) {
      if (p >= end || scale > 0x1_0000_0000_0000) return false;
      byte = buf[p++] as number;
      value += (byte & 0x7f) * scale;
    }
    if (tag === 0x08) found.type = value;
    else if (tag === 0x10) {
      if (value > 0xffffffff) return false;
      found.crc = value;
    } else if (tag === 0x1a) {
      if (value > end - p) return false;
      found.dataStart = p;
      p += value;
      found.dataEnd = p;
    } else return false;
  }
  return found.type >= RecordType.metadata && found.type <= RecordType.snapshot;
}
