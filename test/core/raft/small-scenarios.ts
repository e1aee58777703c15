// Runs the scenarios of the two small packages below the state machine: quorums and membership changes.

import assert from "node:assert/strict";
import {
  type ChangedGroup,
  type ChangeRefusal,
  enterJoint,
  leaveJoint,
  type NewMemberTerms,
  simpleChange,
} from "../../../src/core/raft/confchange/changer.ts";
import { type IdSet, idSet, NO_IDS } from "../../../src/core/raft/quorum/id-set.ts";
import {
  allVoters,
  type JointVoters,
  jointCommittedIndex,
  jointVoteResult,
} from "../../../src/core/raft/quorum/joint.ts";
import {
  type AckedIndexer,
  EVERYTHING_COMMITTED,
  majorityCommittedIndex,
  majorityVoteResult,
} from "../../../src/core/raft/quorum/majority.ts";
import { describeConfig } from "../../../src/core/raft/tracker/config.ts";
import { Tracker } from "../../../src/core/raft/tracker/tracker.ts";
import { describeProgress, describeQuorum, parseChanges } from "./describe.ts";
import { option, type ScenarioStep } from "./scenario-file.ts";

const VOTE_NAMES = { pending: "VotePending", lost: "VoteLost", won: "VoteWon" } as const;

/** Runs a step of `quorum/`, and checks besides what must not make a difference: the order of the halves, an empty half, a copy. */
export function runQuorumStep(step: ScenarioStep): string {
  const ids = (key: string): bigint[] =>
    (step.options.get(key) ?? []).filter((word) => word !== "zero").map(BigInt);
  const voters: JointVoters = { incoming: idSet(ids("cfg")), outgoing: idSet(ids("cfgj")) };
  const known = new Map<bigint, string>();
  const values = [...(step.options.get(step.command === "vote" ? "votes" : "idx") ?? [])];
  for (const id of new Set([...ids("cfg"), ...ids("cfgj")])) {
    const value = values.shift();
    if (value !== undefined && value !== "_") known.set(id, value);
  }
  assert.equal(values.length, 0, "one value for each voter");
  assert.ok(known.size <= allVoters(voters).length);
  return step.command === "vote" ? runVote(voters, known) : runCommitted(voters, known);
}

function runVote(voters: JointVoters, known: ReadonlyMap<bigint, string>): string {
  const votes = new Map([...known].map(([id, word]) => [id, word === "y"]));
  const result = jointVoteResult(voters, votes);
  assert.equal(jointVoteResult(swap(voters), votes), result, "the halves are symmetric");
  if (voters.outgoing.length === 0) {
    assert.equal(majorityVoteResult(voters.incoming, votes), result, "the empty half is neutral");
  }
  return VOTE_NAMES[result];
}

function runCommitted(voters: JointVoters, known: ReadonlyMap<bigint, string>): string {
  const indexes = new Map([...known].map(([id, word]) => [id, Number(word)]));
  const acked: AckedIndexer = { ackedIndex: (id) => indexes.get(id) ?? 0 };
  const index = jointCommittedIndex(voters, acked);
  assert.equal(jointCommittedIndex(swap(voters), acked), index, "the halves are symmetric");
  if (voters.outgoing.length === 0) {
    const twice = { incoming: voters.incoming, outgoing: voters.incoming };
    assert.equal(jointCommittedIndex(twice, acked), index, "a half joined with itself is itself");
    assert.equal(byDefinition(voters.incoming, acked), index, "the definition says the same");
  }
  const text = index === EVERYTHING_COMMITTED ? "∞" : String(index);
  return `${describeQuorum(voters, indexes)}${text}`;
}

function swap(voters: JointVoters): JointVoters {
  return { incoming: voters.outgoing, outgoing: voters.incoming };
}

/** The plain twin of majorityCommittedIndex: the largest index that more than half have. */
function byDefinition(voters: IdSet, acked: AckedIndexer): number {
  if (voters.length === 0) return majorityCommittedIndex(NO_IDS, acked);
  const indexes = voters.map((id) => acked.ackedIndex(id));
  const isCommitted = (index: number): boolean =>
    indexes.filter((other) => other >= index).length * 2 > voters.length;
  return Math.max(0, ...indexes.filter(isCommitted));
}

/** A runner for the steps of one file of `confchange/`; the last index grows by one with every step. */
export function runConfChangeStep(): (step: ScenarioStep) => string {
  const limits = { messagesMax: 10, bytesMax: Number.POSITIVE_INFINITY };
  const tracker = new Tracker(limits);
  let lastIndex = 0;
  return (step) => {
    const terms: NewMemberTerms = { lastIndex, limits };
    lastIndex++;
    const changed = change(tracker, step, terms);
    if (!changed.ok) return changed.reason;
    tracker.adopt(changed.config, changed.progress);
    const progress = tracker.ordered.map((pr) => ({
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
    }));
    return `${describeConfig(tracker.config)}\n${describeProgress(progress)}`;
  };
}

function change(
  from: Tracker,
  step: ScenarioStep,
  terms: NewMemberTerms,
): ChangedGroup | ChangeRefusal {
  const changes = parseChanges(step.input);
  switch (step.command) {
    case "simple":
      return simpleChange(from, changes, terms);
    case "enter-joint":
      return enterJoint(from, option(step, "autoleave") === "true", changes, terms);
    case "leave-joint":
      assert.equal(changes.length, 0, "leave-joint takes no input");
      return leaveJoint(from);
    default:
      throw new Error(`unknown command ${step.command}`);
  }
}
