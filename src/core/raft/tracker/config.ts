// The active membership configuration of a group, as an immutable value.
//
// Invariants: learners and voters (either half) share no id; learnersNext is part of the outgoing voters: these become learners
// when the joint configuration is left; learnersNext and autoLeave are empty and false unless the configuration is joint.
// Source: Raft thesis, section 4.3; etcd raft, tracker/tracker.go.

import type { ConfState } from "../../../proto/index.ts";
import { describeIds, type IdSet, idSet, NO_IDS } from "../quorum/id-set.ts";
import { isJoint, type JointVoters } from "../quorum/joint.ts";

/** Who the members are, and in which part. */
export interface GroupConfig {
  readonly voters: JointVoters;
  readonly learners: IdSet;
  /** Voters of the outgoing half that turn into learners once it is left. */
  readonly learnersNext: IdSet;
  /** The leader leaves the joint configuration by itself as soon as it is applied. */
  readonly autoLeave: boolean;
}

/** The configuration of a group that has no member yet. */
export const EMPTY_CONFIG: GroupConfig = {
  voters: { incoming: NO_IDS, outgoing: NO_IDS },
  learners: NO_IDS,
  learnersNext: NO_IDS,
  autoLeave: false,
};

/** The form of `config` that is kept in snapshots. The arrays are the caller's. */
export function toConfState(config: GroupConfig): ConfState {
  return {
    voters: [...config.voters.incoming],
    learners: [...config.learners],
    votersOutgoing: [...config.voters.outgoing],
    learnersNext: [...config.learnersNext],
    autoLeave: config.autoLeave,
  };
}

/** True when both describe the same membership, whatever the order of their lists. */
export function isEquivalentConfState(a: ConfState, b: ConfState): boolean {
  return (
    isSameSet(a.voters, b.voters) &&
    isSameSet(a.learners, b.learners) &&
    isSameSet(a.votersOutgoing, b.votersOutgoing) &&
    isSameSet(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

function isSameSet(a: readonly bigint[], b: readonly bigint[]): boolean {
  const left = idSet(a);
  const right = idSet(b);
  return left.length === right.length && left.every((id, i) => id === right[i]);
}

/** One line as etcd logs it: `voters=(1 2 3)&&(1) learners=(4) autoleave`. */
export function describeConfig(config: GroupConfig): string {
  let text = `voters=${describeIds(config.voters.incoming)}`;
  if (isJoint(config.voters)) text += `&&${describeIds(config.voters.outgoing)}`;
  if (config.learners.length > 0) text += ` learners=${describeIds(config.learners)}`;
  if (config.learnersNext.length > 0) text += ` learners_next=${describeIds(config.learnersNext)}`;
  if (config.autoLeave) text += " autoleave";
  return text;
}
