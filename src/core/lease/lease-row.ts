// The stored form of a lease: an 8-byte big-endian id (two's complement) as key, leasepb.Lease as value.
// Source: etcd server/lease/leasepb/lease.proto, server/storage/schema/lease.go.

import { decodeLease, encodeLease, ProtoError } from "../../proto/index.ts";
import type { LeaseRow } from "./lease.ts";

/** Key of a lease in the backend's lease bucket. */
export function leaseRowKey(id: bigint): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id);
  return key;
}

/** Encodes the value of a lease row. */
export function encodeLeaseRow(row: LeaseRow): Uint8Array {
  return encodeLease({ id: row.id, ttl: row.ttlS, remainingTtl: row.remainingTtlS });
}

/** Decodes the value of a lease row; undefined if it is damaged. Unknown fields are skipped. */
export function decodeLeaseRow(value: Uint8Array): LeaseRow | undefined {
  const lease = decodeLease(value, 0, value.length);
  if (lease instanceof ProtoError) return undefined;
  return { id: lease.id, ttlS: lease.ttl, remainingTtlS: lease.remainingTtl };
}
