// The stored form of a lease: an 8-byte big-endian id (two's complement) as key, leasepb.Lease as value.
// Wire format of the value (proto3, zero fields omitted): ID 1 int64, TTL 2 int64, RemainingTTL 3 int64.
// Source: etcd server/lease/leasepb/lease.proto, server/storage/schema/lease.go.

import type { LeaseRow } from "./lease.ts";

/** Key of a lease in the backend's lease bucket. */
export function leaseRowKey(id: bigint): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id);
  return key;
}

/** Encodes the value of a lease row. */
export function encodeLeaseRow(row: LeaseRow): Buffer {
  const buf = Buffer.allocUnsafe(33);
  let pos = writeField(buf, 0, 1, row.id);
  pos = writeField(buf, pos, 2, BigInt(row.ttlS));
  pos = writeField(buf, pos, 3, BigInt(row.remainingTtlS));
  return buf.subarray(0, pos);
}

/** Decodes the value of a lease row; undefined if it is damaged. Unknown fields are skipped. */
export function decodeLeaseRow(value: Uint8Array): LeaseRow | undefined {
  const fields: [bigint, bigint, bigint] = [0n, 0n, 0n];
  let pos = 0;
  while (pos < value.length) {
    const tag = readVarint(value, pos);
    if (tag === undefined) return undefined;
    const field = Number(tag.value >> 3n);
    const wireType = Number(tag.value & 7n);
    pos = tag.pos;
    if (wireType === 0) {
      const varint = readVarint(value, pos);
      if (varint === undefined) return undefined;
      if (field >= 1 && field <= 3) fields[field - 1] = BigInt.asIntN(64, varint.value);
      pos = varint.pos;
    } else {
      const end = skip(value, pos, wireType);
      if (end === undefined) return undefined;
      pos = end;
    }
  }
  const [id, ttl, remainingTtl] = fields;
  const row = { id, ttlS: Number(ttl), remainingTtlS: Number(remainingTtl) };
  return Number.isSafeInteger(row.ttlS) && Number.isSafeInteger(row.remainingTtlS)
    ? row
    : undefined;
}

function writeField(buf: Buffer, at: number, field: number, value: bigint): number {
  if (value === 0n) return at;
  let pos = at;
  buf[pos++] = field << 3;
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    buf[pos++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  buf[pos++] = Number(rest);
  return pos;
}

function readVarint(buf: Uint8Array, at: number): { value: bigint; pos: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = buf[at + i];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), pos: at + i + 1 };
  }
  return undefined;
}

function skip(buf: Uint8Array, at: number, wireType: number): number | undefined {
  let end: number;
  if (wireType === 1) end = at + 8;
  else if (wireType === 5) end = at + 4;
  else if (wireType === 2) {
    const length = readVarint(buf, at);
    if (length === undefined || length.value > BigInt(buf.length)) return undefined;
    end = length.pos + Number(length.value);
  } else return undefined;
  return end <= buf.length ? end : undefined;
}
