// The request of a normal entry, as the applier takes it: which arm of InternalRaftRequest, and its message.

import { assert } from "../../base/index.ts";
import {
  decodeInternalRaftRequest,
  type Entry,
  type InternalRaftRequest,
  ProtoError,
} from "../../proto/index.ts";
import { Arm } from "../proposal.ts";

/** One decoded request. */
export interface AppliedRequest {
  /** An `Arm`, or 0 for a request that changes nothing here. */
  readonly arm: number;
  readonly request: unknown;
}

const NOTHING: AppliedRequest = { arm: 0, request: undefined };

/** Arms in the order they are looked for: the most frequent first. */
const ARMS: readonly (readonly [Arm, (r: InternalRaftRequest) => unknown])[] = [
  [Arm.put, (r) => r.put],
  [Arm.txn, (r) => r.txn],
  [Arm.deleteRange, (r) => r.deleteRange],
  [Arm.leaseGrant, (r) => r.leaseGrant],
  [Arm.leaseRevoke, (r) => r.leaseRevoke],
  [Arm.leaseCheckpoint, (r) => r.leaseCheckpoint],
  [Arm.compaction, (r) => r.compaction],
  [Arm.alarm, (r) => r.alarm],
  [Arm.clusterVersionSet, (r) => r.clusterVersionSet],
  [Arm.clusterMemberAttrSet, (r) => r.clusterMemberAttrSet],
];

/** Decodes the request of a committed entry. A log that holds what cannot be decoded stops the process. */
export function requestOf(entry: Entry): AppliedRequest {
  const decoded = decodeInternalRaftRequest(entry.data, 0, entry.data.length);
  assert(!(decoded instanceof ProtoError), `entry ${entry.index} holds a request`);
  for (const [arm, get] of ARMS) {
    const request = get(decoded);
    if (request !== undefined) return { arm, request };
  }
  return NOTHING;
}
