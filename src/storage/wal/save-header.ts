// The save header: the first record of every save, by which a reader tells a torn last write from damage.
//
// It is a crc record (which etcd reads and skips) whose 28 data bytes say how long the save's image is, which save of the segment it
// is, how many of the image's sectors are zero by themselves, and the types and lengths of its records (etcd's crc covers neither). A save begins only when the one before it is on disk, so whatever
// follows a save proves that save was durable: damage there is refused. Damage in the very last save is a torn write only if its end is
// zero or more sectors are zero than were written as zero, because what the disk never wrote still holds the zeros of the segment.
//
//   0 magic u32 · 4 image bytes u32 · 8 save number in the segment u32 (from 1) · 12 zero sectors u32 · 16 file offset low 32 bits ·
//   20 shape u32 · 24 crc32c of the 24 bytes before, continued from the segment's number
//
// Without it (a log written by etcd) the reader has etcd's rule, under which a flipped length byte looks like a torn write and cuts
// acknowledged entries off. Source: own; etcd decoder.go isTornEntry for the sector rule.

import { crc32c } from "../../base/index.ts";

/** Data bytes of the header record. */
export const SAVE_HEADER_BYTES = 28;
/** Smallest unit a disk writes whole. */
export const SECTOR_BYTES = 512;

/** "tsW1". */
const MAGIC = 0x31577374;
const MAGIC_BYTES: Buffer = Buffer.from("tsW1", "latin1");

/** What a save says about itself. */
export interface SaveHeader {
  readonly imageBytes: number;
  /** Number of the save in its segment, from 1. */
  readonly number: number;
  readonly zeroSectors: number;
  /** `addShape` of every record behind the header. */
  readonly shape: number;
}

/** Takes one more record into a shape; a shape begins as 0. */
export function addShape(shape: number, type: number, dataBytes: number): number {
  return Math.imul(Math.imul(shape ^ type, 0x01000193) ^ dataBytes, 0x01000193) >>> 0;
}

/** Writes the header at `at`, for an image whose first byte goes to `fileOffset` of segment `segment`. */
export function writeSaveHeader(
  buf: Buffer,
  at: number,
  header: SaveHeader,
  segment: number,
  fileOffset: number,
): void {
  buf.writeUInt32LE(MAGIC, at);
  buf.writeUInt32LE(header.imageBytes, at + 4);
  buf.writeUInt32LE(header.number, at + 8);
  buf.writeUInt32LE(header.zeroSectors, at + 12);
  buf.writeUInt32LE(fileOffset >>> 0, at + 16);
  buf.writeUInt32LE(header.shape, at + 20);
  buf.writeUInt32LE(crc32c(buf, at, at + 24, segment >>> 0), at + 24);
}

/** The header in the data bytes of a crc record, undefined if they are none or damaged. */
export function readSaveHeader(
  buf: Buffer,
  at: number,
  end: number,
  segment: number,
  fileOffset: number,
): SaveHeader | undefined {
  if (end - at !== SAVE_HEADER_BYTES || buf.readUInt32LE(at) !== MAGIC) return undefined;
  if (buf.readUInt32LE(at + 16) !== fileOffset >>> 0) return undefined;
  if (buf.readUInt32LE(at + 24) !== crc32c(buf, at, at + 24, segment >>> 0)) return undefined;
  return {
    imageBytes: buf.readUInt32LE(at + 4),
    number: buf.readUInt32LE(at + 8),
    zeroSectors: buf.readUInt32LE(at + 12),
    shape: buf.readUInt32LE(at + 20),
  };
}

/**
 * How many pieces of buf[start, end), cut at the sectors of the file, are all zero. `fileOffset` is where buf[start] lies in the file.
 */
export function countZeroSectors(
  buf: Buffer,
  start: number,
  end: number,
  fileOffset: number,
): number {
  let count = 0;
  let pos = start;
  let room = SECTOR_BYTES - (fileOffset % SECTOR_BYTES);
  while (pos < end) {
    const last = Math.min(pos + room, end);
    let p = pos;
    while (p < last && buf[p] === 0) p++;
    if (p === last) count++;
    pos = last;
    room = SECTOR_BYTES;
  }
  return count;
}

/** True if the magic number of a save header is anywhere in buf[start, end): the segment is not one of etcd's own. */
export function hasSaveHeaderMagic(buf: Buffer, start: number, end: number): boolean {
  const at = buf.indexOf(MAGIC_BYTES, start);
  return at >= 0 && at < end;
}

/** Offset of the first valid header of save `numberMin` or later in buf[start, end), undefined if there is none. */
export function findSaveHeader(
  buf: Buffer,
  start: number,
  end: number,
  segment: number,
  numberMin: number,
): number | undefined {
  for (let at = start; ; at += 1) {
    at = buf.indexOf(MAGIC_BYTES, at);
    if (at < 0 || at + SAVE_HEADER_BYTES > end) return undefined;
    // The header says itself where its record starts; the frame and record head before the data take 18 to 24 bytes.
    const fileOffset = buf.readUInt32LE(at + 16);
    const header = readSaveHeader(buf, at, at + SAVE_HEADER_BYTES, segment, fileOffset);
    const distance = at - fileOffset;
    if (header !== undefined && header.number >= numberMin && distance > 0 && distance <= 24) {
      return fileOffset;
    }
  }
}
