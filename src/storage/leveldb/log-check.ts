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
const BATCH_HEAD_BYTES = 12;
const Type = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** Undoes LevelDB's masking of stored checksums. */
export function unmaskCrc(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
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

/** True if another record begins behind `pos`: then what is damaged before it is not a torn end. */
function beginsAnother(buf: Buffer, pos: number): boolean {
  const found: FoundFragment = { type: 0, start: 0, end: 0 };
  for (let at = pos + 1; at + HEADER_BYTES <= buf.length; at++) {
    const type = buf[at + 6];
    if (type !== Type.full && type !== Type.first) continue;
    if (readFragment(buf, at, found)) return true;
  }
  return false;
}

/**
 * Calls `record` with each record of the file (its start, and its bytes, at least `wantBytes` of them) in order. Returns where
 * a last record begins that is not whole, undefined if all are; throws DamagedFile if one that is not whole has others behind it. Cost: one crc32c pass.
 */
export function readLog(
  path: string,
  buf: Buffer,
  wantBytes: number,
  record: (pos: number, bytes: Buffer) => void,
): number | undefined {
  const found: FoundFragment = { type: 0, start: 0, end: 0 };
  let pos = 0;
  /** Start of the record whose fragments are being read, and its bytes so far. */
  let open: number | undefined;
  let bytes: Buffer = buf.subarray(0, 0);
  while (pos < buf.length) {
    const room = BLOCK_BYTES - (pos % BLOCK_BYTES);
    if (room < HEADER_BYTES) {
      pos += room;
      continue;
    }
    const valid = readFragment(buf, pos, found);
    const begins = found.type === Type.full || found.type === Type.first;
    if (!valid || begins === (open !== undefined)) {
      if (!beginsAnother(buf, pos)) return open ?? pos;
      throw new DamagedFile(path, pos, "damaged record of the store's log, and others follow it");
    }
    const fragment = buf.subarray(found.start, found.end);
    if (begins) bytes = fragment;
    else if (bytes.length < wantBytes) bytes = Buffer.concat([bytes, fragment]);
    open ??= pos;
    if (found.type === Type.full || found.type === Type.last) {
      record(open, bytes);
      open = undefined;
    }
    pos = found.end;
  }
  return open;
}

/** What a whole log of batches holds. */
export interface LogCheck {
  /** Sequence number of the first batch; undefined if the log holds none. */
  readonly first: bigint | undefined;
  /** Sequence number the next batch must have. */
  readonly next: bigint | undefined;
  /** The last batch is not whole. */
  readonly torn: boolean;
}

/** Checks a log of batches that continues at `next` (undefined: wherever it begins). Throws DamagedFile. */
export function checkLog(path: string, buf: Buffer, next: bigint | undefined): LogCheck {
  let first: bigint | undefined;
  let expected = next;
  const tornAt = readLog(path, buf, BATCH_HEAD_BYTES, (pos, bytes) => {
    if (bytes.length < BATCH_HEAD_BYTES) throw new DamagedFile(path, pos, "a batch has no head");
    const sequence = bytes.readBigUInt64LE(0);
    if (expected !== undefined && sequence !== expected) {
      const detail = `a batch is missing: sequence ${sequence} follows, ${expected} was expected`;
      throw new DamagedFile(path, pos, detail);
    }
    first ??= sequence;
    expected = sequence + BigInt(bytes.readUInt32LE(8));
  });
  return { first, next: expected, torn: tornAt !== undefined };
}
