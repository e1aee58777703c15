// Checksums of rows for HashKV and the compaction hash: CRC-32C over row key and row value as the backend holds them. A row never
// changes, so its checksum is computed once, kept beside it, and a hash of many rows is joined from theirs without their bytes.
// Source: etcd server/storage/mvcc/hash.go.

import { crc32c, crc32cJoin } from "../../base/index.ts";
import { isBlank, sizeKeyOnly, sizeRow, writeHead, writeKeyOnly, writeTail } from "./key-value.ts";
import { REVISION_BYTES, TOMBSTONE_REVISION_BYTES, writeRevision } from "./revision.ts";
import type { RowChunk } from "./rows.ts";
import type { MvccState } from "./state.ts";

/** Bytes of everything in a row but key and value, with room to spare. */
const FIXED_BYTES = 96;
let scratch: Uint8Array = new Uint8Array(1024);

/** The name of the bucket comes first. */
const BUCKET_NAME: Uint8Array = Buffer.from("key", "latin1");

/** Checksum of row key and row value of a row that is not gone. */
function rowCrc(state: MvccState, chunk: RowChunk, slot: number): number {
  const known = chunk.crc(slot);
  if (known !== 0) return known;
  const key = state.keys.keyOf(chunk.keyId(slot));
  const room = key.length + FIXED_BYTES;
  if (scratch.length < room) scratch = new Uint8Array(room * 2);
  const tombstone = chunk.isTombstone(slot);
  let end = writeRevision(scratch, 0, chunk.main(slot), chunk.sub(slot), tombstone);
  let crc: number;
  if (tombstone) {
    end = writeKeyOnly(key, scratch, end);
    crc = crc32c(scratch, 0, end);
  } else if (isBlank(chunk, slot)) {
    crc = crc32c(scratch, 0, end);
  } else {
    end = writeHead(state, chunk, slot, true, scratch, end);
    crc = crc32c(scratch, 0, end);
    const value = state.valueOf(chunk, slot, false);
    crc = crc32c(value, 0, value.length, crc);
    end = writeTail(chunk, slot, true, scratch, 0);
    crc = crc32c(scratch, 0, end, crc);
  }
  chunk.setCrc(slot, crc);
  return crc;
}

/** Bytes of row key and row value. */
function rowBytes(state: MvccState, chunk: RowChunk, slot: number): number {
  if (chunk.isTombstone(slot)) {
    return TOMBSTONE_REVISION_BYTES + sizeKeyOnly(state.keys.keyOf(chunk.keyId(slot)));
  }
  return REVISION_BYTES + sizeRow(state, chunk, slot);
}

/** A hash over rows, fed in revision order. */
export class RowHash {
  value: number = crc32c(BUCKET_NAME);

  feed(state: MvccState, chunk: RowChunk, slot: number): void {
    this.value = crc32cJoin(this.value, rowCrc(state, chunk, slot), rowBytes(state, chunk, slot));
  }
}
