// What a node tells about itself to people and to the code around it.

import type { Raft } from "./raft.ts";
import type { GroupConfig } from "./tracker/config.ts";
import type { ProgressState } from "./tracker/progress.ts";
import type { Role } from "./types.ts";

/** The state of one node. Costs one small object. */
export interface BasicStatus {
  readonly id: bigint;
  readonly term: number;
  readonly vote: bigint;
  readonly commit: number;
  readonly leader: bigint;
  readonly role: Role;
  readonly applied: number;
  readonly leadTransferee: bigint;
}

/** A copy of what a leader knows about one member. */
export interface ProgressStatus {
  readonly id: bigint;
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState;
  readonly isLearner: boolean;
  readonly isPaused: boolean;
  readonly pendingSnapshot: number;
  readonly recentActive: boolean;
  readonly inflightCount: number;
  readonly isInflightFull: boolean;
}

/** Everything that a node tells about itself. */
export interface Status extends BasicStatus {
  readonly config: GroupConfig;
  /** Ascending by id; empty unless this node leads. */
  readonly progress: readonly ProgressStatus[];
}

/** The state of `r`, as it is now. */
export function basicStatusOf(r: Raft): BasicStatus {
  return {
    id: r.id,
    term: r.term,
    vote: r.vote,
    commit: r.log.committed,
    leader: r.leader,
    role: r.role,
    applied: r.log.applied,
    leadTransferee: r.leadTransferee,
  };
}

/** The state of `r` with a copy of each progress. O(members). */
export function statusOf(r: Raft): Status {
  const progress = r.role === "leader" ? r.tracker.ordered : [];
  return {
    ...basicStatusOf(r),
    config: r.tracker.config,
    progress: progress.map((pr) => ({
      id: pr.id,
      match: pr.match,
      next: pr.next,
      state: pr.state,
      isLearner: pr.isLearner,
      isPaused: pr.isPaused,
      pendingSnapshot: pr.pendingSnapshot,
      recentActive: pr.recentActive,
      inflightCount: pr.inflights.count,
      isInflightFull: pr.inflights.isFull,
    })),
  };
}
