// Derives the next membership configuration from the active one and a change, without touching either.
//
//    (1 2 3)  ── simple ──►  (1 2 3 4)                        at most one voter differs
//    (1 2 3)  ── enterJoint ──►  (1 4 5)&&(1 2 3)  ── leaveJoint ──►  (1 4 5)
//
// A voter that becomes a learner stays a voter of the outgoing half until that is left (`learnersNext`), so nobody is both.
// Source: Raft thesis, section 4.3; etcd raft, confchange/confchange.go.

import { assert } from "../../../base/index.ts";
import { type ConfChangeSingle, ConfChangeType } from "../../../proto/index.ts";
import { addId, countDifferingIds, type IdSet, NO_IDS, removeId } from "../quorum/id-set.ts";
import { allVoters, isJoint } from "../quorum/joint.ts";
import type { GroupConfig } from "../tracker/config.ts";
import type { InflightLimits } from "../tracker/inflights.ts";
import { Progress } from "../tracker/progress.ts";

/** What a change starts from. */
export interface GroupState {
  readonly config: GroupConfig;
  readonly progress: ReadonlyMap<bigint, Progress>;
}

/** A configuration to adopt. Members that stay keep their progress object; its learner mark is stale until the tracker adopts it. */
export interface ChangedGroup extends GroupState {
  readonly ok: true;
}

/** A change that does not fit the configuration. */
export interface ChangeRefusal {
  readonly ok: false;
  readonly reason: string;
}

/** What a new member's progress starts with. */
export interface NewMemberTerms {
  /** Last index of the local log; a new member is probed from there. */
  readonly lastIndex: number;
  readonly limits: InflightLimits;
}

function refuse(reason: string): ChangeRefusal {
  return { ok: false, reason };
}

/** Applies changes that alter at most one voter, outside a joint configuration. */
export function simpleChange(
  from: GroupState,
  changes: readonly ConfChangeSingle[],
  terms: NewMemberTerms,
): ChangedGroup | ChangeRefusal {
  if (isJoint(from.config.voters))
    return refuse("can't apply simple config change in joint config");
  const draft = new Draft(from, from.config.voters.outgoing, terms);
  const refusal = draft.apply(changes);
  if (refusal !== undefined) return refusal;
  if (countDifferingIds(from.config.voters.incoming, draft.incoming) > 1) {
    return refuse("more than one voter changed without entering joint config");
  }
  return draft.finish(false);
}

/** Keeps the present voters as the outgoing half and applies any changes to the incoming half. */
export function enterJoint(
  from: GroupState,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
  terms: NewMemberTerms,
): ChangedGroup | ChangeRefusal {
  if (isJoint(from.config.voters)) return refuse("config is already joint");
  if (from.config.voters.incoming.length === 0) {
    return refuse("can't make a zero-voter config joint");
  }
  const draft = new Draft(from, from.config.voters.incoming, terms);
  return draft.apply(changes) ?? draft.finish(autoLeave);
}

/** Drops the outgoing half; voters that were to become learners do so. */
export function leaveJoint(from: GroupState): ChangedGroup | ChangeRefusal {
  const { voters, learnersNext } = from.config;
  if (!isJoint(voters)) return refuse("can't leave a non-joint config");
  let learners = from.config.learners;
  for (const id of learnersNext) learners = addId(learners, id);
  const config: GroupConfig = {
    voters: { incoming: voters.incoming, outgoing: NO_IDS },
    learners,
    learnersNext: NO_IDS,
    autoLeave: false,
  };
  const progress = new Map<bigint, Progress>();
  for (const [id, pr] of from.progress) {
    if (voters.incoming.includes(id) || learners.includes(id)) progress.set(id, pr);
  }
  return checked(config, progress);
}

/** A configuration in the making. */
class Draft {
  incoming: IdSet;
  readonly #outgoing: IdSet;
  readonly #terms: NewMemberTerms;
  readonly #progress: Map<bigint, Progress>;
  #learners: IdSet;
  #learnersNext: IdSet;

  constructor(from: GroupState, outgoing: IdSet, terms: NewMemberTerms) {
    this.incoming = from.config.voters.incoming;
    this.#outgoing = outgoing;
    this.#terms = terms;
    this.#progress = new Map(from.progress);
    this.#learners = from.config.learners;
    this.#learnersNext = from.config.learnersNext;
  }

  apply(changes: readonly ConfChangeSingle[]): ChangeRefusal | undefined {
    for (const { type, nodeId } of changes) {
      // The server zeroes the id of a committed change that it decides not to carry out.
      if (nodeId === 0n) continue;
      switch (type) {
        case ConfChangeType.ConfChangeAddNode:
          this.#makeVoter(nodeId);
          break;
        case ConfChangeType.ConfChangeAddLearnerNode:
          this.#makeLearner(nodeId);
          break;
        case ConfChangeType.ConfChangeRemoveNode:
          this.#remove(nodeId);
          break;
        case ConfChangeType.ConfChangeUpdateNode:
          break;
        default:
          return refuse(`unexpected conf type ${String(type)}`);
      }
    }
    return this.incoming.length === 0 ? refuse("removed all voters") : undefined;
  }

  finish(autoLeave: boolean): ChangedGroup {
    const config: GroupConfig = {
      voters: { incoming: this.incoming, outgoing: this.#outgoing },
      learners: this.#learners,
      learnersNext: this.#learnersNext,
      autoLeave,
    };
    return checked(config, this.#progress);
  }

  #makeVoter(id: bigint): void {
    this.#track(id, false);
    this.#learners = removeId(this.#learners, id);
    this.#learnersNext = removeId(this.#learnersNext, id);
    this.incoming = addId(this.incoming, id);
  }

  #makeLearner(id: bigint): void {
    if (this.#learners.includes(id)) return;
    this.#track(id, true);
    this.incoming = removeId(this.incoming, id);
    if (this.#outgoing.includes(id)) this.#learnersNext = addId(this.#learnersNext, id);
    else this.#learners = addId(this.#learners, id);
  }

  #remove(id: bigint): void {
    this.incoming = removeId(this.incoming, id);
    this.#learners = removeId(this.#learners, id);
    this.#learnersNext = removeId(this.#learnersNext, id);
    if (!this.#outgoing.includes(id)) this.#progress.delete(id);
  }

  #track(id: bigint, isLearner: boolean): void {
    if (this.#progress.has(id)) return;
    const next = Math.max(this.#terms.lastIndex, 1);
    this.#progress.set(id, new Progress(id, next, isLearner, this.#terms.limits));
  }
}

/** Checks the invariants of `tracker/config.ts`; a violation is a mistake in this file. */
function checked(config: GroupConfig, progress: ReadonlyMap<bigint, Progress>): ChangedGroup {
  const voters = allVoters(config.voters);
  for (const id of [...voters, ...config.learners]) {
    assert(progress.has(id), "every member has a progress");
  }
  assert(
    progress.size === voters.length + config.learners.length,
    "only members have a progress, and nobody is both voter and learner",
  );
  for (const id of config.learnersNext) {
    assert(config.voters.outgoing.includes(id), "a staged learner is an outgoing voter");
  }
  const isPlain = config.learnersNext.length === 0 && !config.autoLeave;
  assert(isJoint(config.voters) || isPlain, "only a joint configuration has something to leave");
  return { ok: true, config, progress };
}
