// Checks a LevelDB log or manifest file before LevelDB reads it, because LevelDB drops damaged records of its log and opens as if nothing
// had happened. Every record's checksum must hold and every batch must continue the sequence numbers of the one before; only the very
// last batch, which was never waited for, may be torn.
//
//   file    blocks of 32768 bytes; a record never crosses a block, fewer than 7 bytes at the end of a block are zero
//   record  masked crc32c over type and data u32 · length u16 · type 1 (1 full, 2 first, 3 middle, 4 last) · data
//   batch   first sequence number u64 · count u32 · rows
//
// Source: google/leveldb doc/log_format.md, db/log_reader.cc, db/write_batch.cc; measured failures: reference reliability.md B.3.

import { crc32c } from "../../base/index.ts";
import { DamagedFile } from "../files.ts";

const BLOCK_BYTES = 32768;
const HEADER_BYTES = 7;
const Type = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** Undoes LevelDB's masking of stored checksums. */
export function unmaskCrc(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** What a whole log holds. */
export interface LogCheck {
  /** Sequence number the next batch must have; undefined if the log holds no batch. */
  readonly next: bigint | undefined;
  /** True if the file ends in a record that is not whole. */
  readonly torn: boolean;
}

interface FoundFragment {
  type: number;
  start: number;
  end: number;
}

/** Reads the record at `pos`; undefined if there is no valid one. */
function readFragment(buf: Buffer, pos: number, found: FoundFragment): boolean {
  const room = BLOCK_BYTES - (pos % BLOCK_BYTES);
  if (pos + HEADER_BYTES > buf.length || room < HEADER_BYTES) return false;
  const length = buf.readUInt16LE(pos + 4);
  const type = buf[pos + 6] as number;
  const end = pos + HEADER_BYTES + length;
  if (type < Type.full || type > Type.last) return false;
  if (length > room - HEADER_BYTES || end > buf.length) return false;
  if (crc32c(buf, pos + 6, end) !== unmaskCrc(buf.readUInt32LE(pos))) return false;
  found.type = type;
  found.start = pos + HEADER_BYTES;
  found.end = end;
  return true;
}

/** True if another batch begins behind `pos`: then what is damaged before it is not a torn end. */
function beginsAnother(buf: Buffer, pos: number): boolean {
  const found: FoundFragment = { type: 0, start: 0, end: 0 };
  for (let at = pos + 1; at + HEADER_BYTES <= buf.length; at++) {
    const type = buf[at + 6];
    if (type !== Type.full && type !== Type.first) continue;
    if (readFragment(buf, at, found) && found.end > found.start) return true;
  }
  return false;
}

function onlyZeros(buf: Buffer, from: number): boolean {
  for (let i = from; i < buf.length; i++) if (buf[i] !== 0) return false;
  return true;
}

/**
 * Checks the file. `batches`: the records are batches whose numbers follow each other from `next` on (undefined: from wherever the first
 * begins). Throws DamagedFile. Cost: one crc32c pass.
 */
export function checkLog(
  path: string,
  buf: Buffer,
  batches: boolean,
  next: bigint | undefined,
): LogCheck {
  const found: FoundFragment = { type: 0, start: 0, end: 0 };
  let expected = next;
  let pos = 0;
  /** Start of the batch whose fragments are being read. */
  let open: number | undefined;
  while (pos < buf.length) {
    const room = BLOCK_BYTES - (pos % BLOCK_BYTES);
    if (room < HEADER_BYTES) {
      pos += room;
      continue;
    }
    const valid = readFragment(buf, pos, found);
    const begins = found.type === Type.full || found.type === Type.first;
    if (!valid || begins === (open !== undefined)) {
      if (onlyZeros(buf, pos) || !beginsAnother(buf, pos)) return { next: expected, torn: true };
      throw new DamagedFile(path, pos, "damaged record of the store's log, and others follow it");
    }
    if (begins) {
      open = pos;
      if (batches) expected = checkBatch(path, buf, pos, found, expected);
    }
    if (found.type === Type.full || found.type === Type.last) open = undefined;
    pos = found.end;
  }
  return { next: expected, torn: open !== undefined };
}

function checkBatch(
  path: string,
  buf: Buffer,
  pos: number,
  found: FoundFragment,
  expected: bigint | undefined,
): bigint {
  if (found.end - found.start < 12) throw new DamagedFile(path, pos, "a batch has no head");
  const sequence = buf.readBigUInt64LE(found.start);
  if (expected !== undefined && sequence !== expected) {
    const detail = `a batch is missing: sequence ${sequence} follows, ${expected} was expected`;
    throw new DamagedFile(path, pos, detail);
  }
  return sequence + BigInt(buf.readUInt32LE(found.start + 8));
}
