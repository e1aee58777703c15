// The active configuration together with the progress of each of its members and the votes of the current election.
//
// Invariant: exactly the voters and learners of `config` have a progress; `ordered` holds the same objects ascending by id, so that
// messages to the group come out in one order on every run.

import { jointCommittedIndex, jointVoteResult } from "../quorum/joint.ts";
import type { AckedIndexer, VoteResult } from "../quorum/majority.ts";
import type { GroupConfig } from "./config.ts";
import { EMPTY_CONFIG } from "./config.ts";
import type { InflightLimits } from "./inflights.ts";
import type { Progress } from "./progress.ts";

/** Votes counted so far among the voters that are still members. */
export interface VoteTally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

export class Tracker implements AckedIndexer {
  readonly limits: InflightLimits;
  #config: GroupConfig = EMPTY_CONFIG;
  #progress: ReadonlyMap<bigint, Progress> = new Map();
  #ordered: readonly Progress[] = [];
  readonly #votes = new Map<bigint, boolean>();

  constructor(limits: InflightLimits) {
    this.limits = limits;
  }

  get config(): GroupConfig {
    return this.#config;
  }

  get progress(): ReadonlyMap<bigint, Progress> {
    return this.#progress;
  }

  /** Every progress, ascending by id. */
  get ordered(): readonly Progress[] {
    return this.#ordered;
  }

  /** Makes `config` the active one. Takes `progress`, whose learner marks are set from `config`. */
  adopt(config: GroupConfig, progress: ReadonlyMap<bigint, Progress>): void {
    this.#config = config;
    this.#progress = progress;
    this.#ordered = [...progress.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const pr of this.#ordered) pr.isLearner = config.learners.includes(pr.id);
  }

  /** True when one voter alone decides. */
  get isSingleton(): boolean {
    const { incoming, outgoing } = this.#config.voters;
    return incoming.length === 1 && outgoing.length === 0;
  }

  ackedIndex(voter: bigint): number {
    return this.#progress.get(voter)?.match ?? 0;
  }

  /** The highest index that a quorum has acknowledged. It is committed only if it is of the leader's term. */
  get quorumIndex(): number {
    return jointCommittedIndex(this.#config.voters, this);
  }

  /** True when a quorum was heard from since `recentActive` was last cleared. */
  get isQuorumActive(): boolean {
    const active = new Map<bigint, boolean>();
    for (const pr of this.#ordered) if (!pr.isLearner) active.set(pr.id, pr.recentActive);
    return jointVoteResult(this.#config.voters, active) === "won";
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** Records a vote; the first one of each voter counts. */
  recordVote(id: bigint, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tallyVotes(): VoteTally {
    let granted = 0;
    let rejected = 0;
    for (const pr of this.#ordered) {
      const vote = pr.isLearner ? undefined : this.#votes.get(pr.id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: jointVoteResult(this.#config.voters, this.#votes) };
  }
}
