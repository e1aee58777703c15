// Decisions of one majority quorum: which index it has committed, how a vote stands.
//
// The empty quorum agrees with everything, so that it is the neutral half of a joint quorum.
// Source: Raft thesis, sections 3.4 (votes) and 3.6.2 (commitment).

import type { IdSet } from "./id-set.ts";

/** Answers which index a voter has acknowledged. */
export interface AckedIndexer {
  /** The highest index `voter` is known to have acknowledged, 0 when nothing is known of it. */
  ackedIndex(voter: bigint): number;
}

/** Outcome of an election so far: `won` and `lost` are final, `pending` depends on votes that are still missing. */
export type VoteResult = "pending" | "lost" | "won";

/** What the empty quorum has committed: more than any index. */
export const EVERYTHING_COMMITTED: number = Number.MAX_SAFE_INTEGER;

/** The highest index that a majority of `voters` has acknowledged; EVERYTHING_COMMITTED for no voters. O(n²), n is small. */
export function majorityCommittedIndex(voters: IdSet, acked: AckedIndexer): number {
  const count = voters.length;
  if (count === 0) return EVERYTHING_COMMITTED;
  if (count === 1) return acked.ackedIndex(voters[0] as bigint);

  // Insertion sort, ascending. The element with count/2 others above it is acknowledged by a majority.
  const sorted: number[] = [];
  for (const voter of voters) {
    const index = acked.ackedIndex(voter);
    let at = sorted.length;
    sorted.push(index);
    while (at > 0 && (sorted[at - 1] as number) > index) {
      sorted[at] = sorted[at - 1] as number;
      at--;
    }
    sorted[at] = index;
  }
  return sorted[count - (Math.floor(count / 2) + 1)] as number;
}

/** Counts `votes` (true: granted, false: rejected, absent: not yet known) of `voters`; votes of others do not matter. */
export function majorityVoteResult(voters: IdSet, votes: ReadonlyMap<bigint, boolean>): VoteResult {
  if (voters.length === 0) return "won";
  const needed = Math.floor(voters.length / 2) + 1;
  let granted = 0;
  let missing = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}
