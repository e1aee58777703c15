// Maintenance.Hash: a checksum over the whole backend, for comparing one member with itself across restarts.
// Per bucket in order of its etcd name: the name, then each key and value in key order. Left out: where the log stands.
// Source: etcd server/storage/backend/backend.go Hash, server/storage/schema (buckets).

import { crc32c } from "../base/index.ts";
import { type Backend, Bucket } from "./ports.ts";

/** etcd's names of the buckets, in byte order. */
const BUCKETS: readonly (readonly [string, Bucket])[] = [
  ["alarm", Bucket.alarm],
  ["auth", Bucket.auth],
  ["authRoles", Bucket.authRoles],
  ["authUsers", Bucket.authUsers],
  ["cluster", Bucket.cluster],
  ["key", Bucket.key],
  ["lease", Bucket.lease],
  ["members", Bucket.members],
  ["members_removed", Bucket.membersRemoved],
  ["meta", Bucket.meta],
];

/** The checksum of `backend` as of the call. */
export async function hashBackend(backend: Backend): Promise<number> {
  let hash = 0;
  for (const [name, bucket] of BUCKETS) {
    const bytes = Buffer.from(name);
    hash = crc32c(bytes, 0, bytes.length, hash);
    for await (const rows of backend.scan(bucket)) {
      for (const { key, value } of rows) {
        hash = crc32c(key, 0, key.length, hash);
        hash = crc32c(value, 0, value.length, hash);
      }
    }
  }
  return hash;
}
