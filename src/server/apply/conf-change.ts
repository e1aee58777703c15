// Applies ConfChange entries: validated against the membership as applied, given to Raft (as a no-op if refused), kept in the backend.
// Source: etcd server/etcdserver/server.go applyConfChange.

import { assert } from "../../base/index.ts";
import {
  changeOf,
  encodeMemberRow,
  MEMBER_REMOVED_VALUE,
  type MembershipRefusal,
  memberRowKey,
  type RaftCluster,
} from "../../core/membership/index.ts";
import type { RawNode } from "../../core/raft/index.ts";
import {
  type ConfChange,
  type ConfState,
  decodeConfChange,
  type Entry,
  ProtoError,
} from "../../proto/index.ts";
import { type BackendBatch, Bucket } from "../ports.ts";

/** What became of a ConfChange entry. */
export interface ConfChangeResult {
  readonly confState: ConfState;
  readonly refusal: MembershipRefusal | undefined;
}

/** Applies the change of `entry` to Raft, to `cluster` and to the batch. */
export function applyConfChange(
  entry: Entry,
  node: RawNode,
  cluster: RaftCluster,
  batch: BackendBatch,
): ConfChangeResult {
  const change = decodeConfChange(entry.data, 0, entry.data.length);
  assert(!(change instanceof ProtoError), `conf change at index ${entry.index} can be decoded`);
  const wanted = changeOf(change);
  assert(wanted !== undefined, `conf change at index ${entry.index} names a member`);
  const refusal = cluster.refusalOf(wanted);
  if (refusal !== undefined) {
    // Raft counts the entry as done, with no effect.
    return { confState: node.applyConfChange({ ...change, nodeId: 0n }), refusal };
  }
  const confState = node.applyConfChange(change);
  const member = cluster.apply(wanted);
  persist(change, member === undefined ? undefined : encodeMemberRow(member), batch);
  return { confState, refusal: undefined };
}

function persist(change: ConfChange, row: Uint8Array | undefined, batch: BackendBatch): void {
  const key = memberRowKey(change.nodeId);
  if (row !== undefined) {
    batch.put(Bucket.members, key, row);
    return;
  }
  batch.delete(Bucket.members, key);
  batch.put(Bucket.membersRemoved, key, MEMBER_REMOVED_VALUE);
}
