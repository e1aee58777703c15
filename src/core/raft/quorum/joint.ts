// Decisions of a joint quorum: both majorities must agree. Outside a membership change the outgoing half is empty.
//
// Source: Raft thesis, section 4.3 (C_old,new).

import { type IdSet, unionIds } from "./id-set.ts";
import {
  type AckedIndexer,
  majorityCommittedIndex,
  majorityVoteResult,
  type VoteResult,
} from "./majority.ts";

/** The voters of a group. `incoming` is the set that remains, `outgoing` the set that is being left (empty: not joint). */
export interface JointVoters {
  readonly incoming: IdSet;
  readonly outgoing: IdSet;
}

/** True while a joint configuration change is in progress. */
export function isJoint(voters: JointVoters): boolean {
  return voters.outgoing.length > 0;
}

/** Everyone who has a vote in either half. */
export function allVoters(voters: JointVoters): IdSet {
  return unionIds(voters.incoming, voters.outgoing);
}

/** True when `id` has a vote in either half. */
export function isVoter(voters: JointVoters, id: bigint): boolean {
  return voters.incoming.includes(id) || voters.outgoing.includes(id);
}

/** The highest index committed in both majorities. */
export function jointCommittedIndex(voters: JointVoters, acked: AckedIndexer): number {
  const incoming = majorityCommittedIndex(voters.incoming, acked);
  if (voters.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityCommittedIndex(voters.outgoing, acked));
}

/** A vote is won when both majorities grant it, and lost as soon as one of them rejects it. */
export function jointVoteResult(
  voters: JointVoters,
  votes: ReadonlyMap<bigint, boolean>,
): VoteResult {
  const incoming = majorityVoteResult(voters.incoming, votes);
  if (voters.outgoing.length === 0) return incoming;
  const outgoing = majorityVoteResult(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
