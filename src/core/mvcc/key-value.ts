// mvccpb.KeyValue out of and into rows: fields in ascending order, zero values omitted, exactly as etcd stores and sends it.
//
//   key 1 | create_revision 2 | mod_revision 3 | version 4 | value 5 | lease 6          a tombstone's row holds only the key
//
// One row is an exception: a restore with bumped revision leaves a put with an empty key and no bytes at all (version 0).

import type { KeyValue } from "../../proto/index.ts";
import type { RowChunk } from "./rows.ts";
import type { MvccState } from "./state.ts";
import {
  sizeVarint,
  sizeVarint64,
  WireReader,
  writeChars,
  writeVarint,
  writeVarint64,
} from "./wire.ts";

const TAG_KEY = 0x0a;
const TAG_CREATE = 0x10;
const TAG_MOD = 0x18;
const TAG_VERSION = 0x20;
const TAG_VALUE = 0x2a;
const TAG_LEASE = 0x30;

/** What of a row goes into a message. */
export interface KvFields {
  readonly value: boolean;
  readonly lease: boolean;
}

/** The whole KeyValue. */
export const ALL_FIELDS: KvFields = { value: true, lease: true };

/** Bytes of a KeyValue that holds only a key. */
export function sizeKeyOnly(key: string): number {
  return key.length === 0 ? 0 : 1 + sizeVarint(key.length) + key.length;
}

/** Writes a KeyValue that holds the key alone; returns the position after it. */
export function writeKeyOnly(key: string, buf: Uint8Array, pos: number): number {
  if (key.length === 0) return pos;
  buf[pos] = TAG_KEY;
  return writeChars(buf, writeVarint(buf, pos + 1, key.length), key);
}

/** True for the row without bytes. */
export function isBlank(chunk: RowChunk, slot: number): boolean {
  return chunk.version(slot) === 0 && !chunk.isTombstone(slot);
}

/** Bytes before the value's own bytes. */
function sizeHead(state: MvccState, chunk: RowChunk, slot: number, value: boolean): number {
  const key = state.keys.keyOf(chunk.keyId(slot));
  const size = chunk.valueBytes(slot);
  return (
    sizeKeyOnly(key) +
    3 +
    sizeVarint(chunk.create(slot)) +
    sizeVarint(chunk.main(slot)) +
    sizeVarint(chunk.version(slot)) +
    (value && size > 0 ? 1 + sizeVarint(size) : 0)
  );
}

function sizeTail(chunk: RowChunk, slot: number, lease: boolean): number {
  if (!lease || chunk.leases === undefined) return 0;
  const low = chunk.leaseLow(slot);
  const high = chunk.leaseHigh(slot);
  return low === 0 && high === 0 ? 0 : 1 + sizeVarint64(low, high);
}

/** Bytes of the KeyValue of a put. */
export function sizeKv(state: MvccState, chunk: RowChunk, slot: number, fields: KvFields): number {
  if (isBlank(chunk, slot)) return 0;
  return (
    sizeHead(state, chunk, slot, fields.value) +
    (fields.value ? chunk.valueBytes(slot) : 0) +
    sizeTail(chunk, slot, fields.lease)
  );
}

/** Writes everything before the value's own bytes. */
export function writeHead(
  state: MvccState,
  chunk: RowChunk,
  slot: number,
  value: boolean,
  buf: Uint8Array,
  pos: number,
): number {
  let p = writeKeyOnly(state.keys.keyOf(chunk.keyId(slot)), buf, pos);
  buf[p] = TAG_CREATE;
  p = writeVarint(buf, p + 1, chunk.create(slot));
  buf[p] = TAG_MOD;
  p = writeVarint(buf, p + 1, chunk.main(slot));
  buf[p] = TAG_VERSION;
  p = writeVarint(buf, p + 1, chunk.version(slot));
  const size = chunk.valueBytes(slot);
  if (value && size > 0) {
    buf[p] = TAG_VALUE;
    p = writeVarint(buf, p + 1, size);
  }
  return p;
}

/** Writes everything after the value. */
export function writeTail(
  chunk: RowChunk,
  slot: number,
  lease: boolean,
  buf: Uint8Array,
  pos: number,
): number {
  if (!lease || chunk.leases === undefined) return pos;
  const low = chunk.leaseLow(slot);
  const high = chunk.leaseHigh(slot);
  if (low === 0 && high === 0) return pos;
  buf[pos] = TAG_LEASE;
  return writeVarint64(buf, pos + 1, low, high);
}

/** Writes the KeyValue of a put: `sizeKv` bytes. */
export function writeKv(
  state: MvccState,
  chunk: RowChunk,
  slot: number,
  fields: KvFields,
  buf: Uint8Array,
  pos: number,
): number {
  if (isBlank(chunk, slot)) return pos;
  let p = writeHead(state, chunk, slot, fields.value, buf, pos);
  const size = chunk.valueBytes(slot);
  if (fields.value && size > 0) {
    buf.set(state.valueOf(chunk, slot), p);
    p += size;
  }
  return writeTail(chunk, slot, fields.lease, buf, p);
}

/** Bytes of the row value in the backend. */
export function sizeRow(state: MvccState, chunk: RowChunk, slot: number): number {
  return chunk.isTombstone(slot)
    ? sizeKeyOnly(state.keys.keyOf(chunk.keyId(slot)))
    : sizeKv(state, chunk, slot, ALL_FIELDS);
}

/** The lease of a row as a signed 64-bit number. */
export function leaseOf(chunk: RowChunk, slot: number): bigint {
  if (chunk.leases === undefined) return 0n;
  const low = chunk.leaseLow(slot);
  const high = chunk.leaseHigh(slot);
  if (high === 0) return BigInt(low >>> 0);
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

/** The row of a put as a message; the value is a view that stays right. */
export function kvMessage(
  state: MvccState,
  chunk: RowChunk,
  slot: number,
  fields: KvFields,
): KeyValue {
  return {
    key: state.keys.keyOf(chunk.keyId(slot)),
    createRevision: chunk.create(slot),
    modRevision: isBlank(chunk, slot) ? 0 : chunk.main(slot),
    version: chunk.version(slot),
    value: fields.value ? state.valueOf(chunk, slot) : NO_BYTES,
    lease: fields.lease ? leaseOf(chunk, slot) : 0n,
  };
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** A decoded row value; reused by its owner. The value lies in the decoded bytes at [valueStart, valueEnd). */
export class DecodedKv {
  keyStart = 0;
  keyEnd = 0;
  create = 0;
  mod = 0;
  version = 0;
  valueStart = 0;
  valueEnd = 0;
  leaseLow = 0;
  leaseHigh = 0;

  /** Decodes an encoded KeyValue; false if it is damaged. */
  decode(row: Uint8Array): boolean {
    this.keyStart = this.keyEnd = this.create = this.mod = this.version = 0;
    this.valueStart = this.valueEnd = this.leaseLow = this.leaseHigh = 0;
    const r = new WireReader(row);
    while (r.pos < r.end && !r.failed) {
      const tag = r.varint();
      if (tag === TAG_KEY) {
        this.keyStart = r.delimited();
        this.keyEnd = r.pos;
      } else if (tag === TAG_CREATE) this.create = r.varint();
      else if (tag === TAG_MOD) this.mod = r.varint();
      else if (tag === TAG_VERSION) this.version = r.varint();
      else if (tag === TAG_VALUE) {
        this.valueStart = r.delimited();
        this.valueEnd = r.pos;
      } else if (tag === TAG_LEASE) {
        r.varint();
        this.leaseLow = r.low;
        this.leaseHigh = r.high;
      } else r.skip(tag & 7);
    }
    return !r.failed;
  }
}
