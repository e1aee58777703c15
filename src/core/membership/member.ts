// A member of the cluster as its records say it, and the ids of members and clusters.
// Source: etcd server/etcdserver/api/membership/member.go, cluster.go.

import { assert } from "../../base/index.ts";

/** One server of the cluster. Immutable: a change makes a new record. */
export interface Member {
  /** Unsigned 64 bits, never 0. */
  readonly id: bigint;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has started and published itself. */
  readonly name: string;
  readonly clientUrls: readonly string[];
}

/** What a member says of itself when it starts. */
export type MemberAttributes = Pick<Member, "name" | "clientUrls">;

/** SHA-1, which this folder gets handed: 20 bytes of digest. */
export type Sha1 = (bytes: Uint8Array) => Uint8Array;

/** True once the member has published itself; only such members count for strict reconfiguration. */
export function isStarted(member: Member): boolean {
  return member.name !== "";
}

/** Text of an id in paths, logs and stored keys: hexadecimal without leading zeros. */
export function idText(id: bigint): string {
  return id.toString(16);
}

/**
 * Id of a member: the head of SHA-1 over its sorted peer URLs, the cluster token and, for a member added at run time, the time.
 * A new cluster's members pass the token and no time; `member add` passes an empty token and the Unix time in whole seconds.
 */
export function memberId(
  sha1: Sha1,
  peerUrls: readonly string[],
  clusterToken: string,
  addedAtUnixS?: number,
): bigint {
  const urls = [...peerUrls].sort().join("");
  const time = addedAtUnixS === undefined ? "" : String(addedAtUnixS);
  return headOfDigest(sha1, Buffer.from(urls + clusterToken + time));
}

/** Id of a cluster: the head of SHA-1 over the ids of its first members, ascending, eight big-endian bytes each. */
export function clusterId(sha1: Sha1, memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  byId(memberIds, (id) => id).forEach((id, i) => bytes.writeBigUInt64BE(id, 8 * i));
  return headOfDigest(sha1, bytes);
}

/** A copy of `items`, ascending by id. */
export function byId<T>(items: Iterable<T>, idOf: (item: T) => bigint): T[] {
  return [...items].sort((a, b) => {
    const x = idOf(a);
    const y = idOf(b);
    return x < y ? -1 : Number(x > y);
  });
}

function headOfDigest(sha1: Sha1, bytes: Buffer): bigint {
  const digest = sha1(bytes);
  assert(digest.length === 20, "SHA-1 gives 20 bytes");
  return Buffer.from(digest).readBigUInt64BE(0);
}
