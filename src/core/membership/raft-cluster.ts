// The membership a member has applied: who is in, who was removed for ever, the cluster version and a downgrade in progress.
//
// Follows the Raft log, so it is the same on every member after the same entry. Invariants: an id is in at most one of `members` and
// `removed`, and never leaves `removed`; no two members share a peer URL.
// Source: etcd server/etcdserver/api/membership/cluster.go.

import { assert, must } from "../../base/index.ts";
import type { ConfState } from "../../proto/index.ts";
import type { MembershipChange } from "./conf-change.ts";
import { byId, idText, type Member, type MemberAttributes } from "./member.ts";

/** Why a change of the membership is refused, on every member alike. */
export type MembershipRefusal =
  | "memberRemoved"
  | "memberNotFound"
  | "memberExists"
  | "peerUrlExists"
  | "memberNotLearner"
  | "tooManyLearners";

/** A downgrade of the cluster that is, or is not, in progress. */
export interface Downgrade {
  readonly enabled: boolean;
  /** For example "3.6.0"; empty if not enabled. */
  readonly targetVersion: string;
}

/** Everything a member keeps of its cluster. */
export interface MembershipState {
  readonly members: readonly Member[];
  readonly removed: readonly bigint[];
  /** For example "3.7.0"; undefined until a leader has set it. */
  readonly version: string | undefined;
  readonly downgrade: Downgrade;
}

/** A cluster of which nothing is known yet. */
export const EMPTY_MEMBERSHIP: MembershipState = {
  members: [],
  removed: [],
  version: undefined,
  downgrade: { enabled: false, targetVersion: "" },
};

/** The membership as applied. */
export class RaftCluster {
  readonly id: bigint;
  /** Part of the deterministic check of an added learner: it must be the same on all members. */
  readonly #learnersMax: number;
  readonly #members: Map<bigint, Member> = new Map();
  readonly #removed: Set<bigint> = new Set();
  #version: string | undefined;
  #downgrade: Downgrade;

  constructor(id: bigint, learnersMax: number, state: MembershipState = EMPTY_MEMBERSHIP) {
    this.id = id;
    this.#learnersMax = learnersMax;
    this.#version = state.version;
    this.#downgrade = state.downgrade;
    this.restore(state);
  }

  /** The cluster version; undefined while no leader has set one. */
  get version(): string | undefined {
    return this.#version;
  }

  get downgrade(): Downgrade {
    return this.#downgrade;
  }

  /** Takes another state whole, as after a snapshot from the leader. */
  restore(state: MembershipState): void {
    this.#members.clear();
    this.#removed.clear();
    for (const member of state.members) this.#members.set(member.id, member);
    for (const id of state.removed) {
      assert(!this.#members.has(id), `member ${idText(id)} is not both in and removed`);
      this.#removed.add(id);
    }
    this.#version = state.version;
    this.#downgrade = state.downgrade;
  }

  /** Everything that is kept, as `restore` takes it. */
  state(): MembershipState {
    const removed = byId(this.#removed, (id) => id);
    return {
      members: this.list(),
      removed,
      version: this.#version,
      downgrade: this.#downgrade,
    };
  }

  /** All members, ascending by id. */
  list(): Member[] {
    return byId(this.#members.values(), (member) => member.id);
  }

  member(id: bigint): Member | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id);
  }

  /** The configuration Raft starts from: learners apart, ascending. */
  confState(): ConfState {
    const members = this.list();
    return {
      voters: members.filter((m) => !m.isLearner).map((m) => m.id),
      learners: members.filter((m) => m.isLearner).map((m) => m.id),
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
  }

  /** Why `change` is refused, if it is; asked of the membership before the entry, on every member alike. */
  refusalOf(change: MembershipChange): MembershipRefusal | undefined {
    const id = change.kind === "add" ? change.member.id : change.id;
    if (this.#removed.has(id)) return "memberRemoved";
    const known = this.#members.get(id);
    if (change.kind === "add") return this.#refusalOfAdd(change.member);
    if (known === undefined) return "memberNotFound";
    if (change.kind === "promote") return known.isLearner ? undefined : "memberNotLearner";
    if (change.kind === "update" && this.#isUrlTaken(change.peerUrls, id)) return "peerUrlExists";
    return undefined;
  }

  /** Applies a change that is not refused. Returns the member as it is now, undefined if it was removed. */
  apply(change: MembershipChange): Member | undefined {
    assert(this.refusalOf(change) === undefined, "a refused change is not applied");
    switch (change.kind) {
      case "add":
        return this.#set(change.member);
      case "promote":
        return this.#set({ ...this.#known(change.id), isLearner: false });
      case "update":
        return this.#set({ ...this.#known(change.id), peerUrls: change.peerUrls });
      case "remove":
        this.#members.delete(change.id);
        this.#removed.add(change.id);
        return undefined;
    }
  }

  /** Applies what a member published of itself. Returns its record as it is now; undefined for a removed one, which is ignored. */
  setAttributes(id: bigint, attributes: MemberAttributes): Member | undefined {
    if (this.#removed.has(id)) return undefined;
    const { name, clientUrls } = attributes;
    return this.#set({ ...this.#known(id), name, clientUrls });
  }

  /** Applies a cluster version, "X.Y.Z". */
  setVersion(version: string): void {
    assert(/^\d+\.\d+\.\d+$/.test(version), `cluster version ${version} reads X.Y.Z`);
    this.#version = version;
  }

  setDowngrade(downgrade: Downgrade): void {
    this.#downgrade = downgrade;
  }

  #refusalOfAdd(member: Member): MembershipRefusal | undefined {
    if (this.#members.has(member.id)) return "memberExists";
    if (this.#isUrlTaken(member.peerUrls, member.id)) return "peerUrlExists";
    if (!member.isLearner) return undefined;
    const learners = [...this.#members.values()].filter((m) => m.isLearner).length;
    return learners + 1 > this.#learnersMax ? "tooManyLearners" : undefined;
  }

  /** True if a member other than `id` has one of `urls`. */
  #isUrlTaken(urls: readonly string[], id: bigint): boolean {
    for (const member of this.#members.values()) {
      if (member.id !== id && member.peerUrls.some((url) => urls.includes(url))) return true;
    }
    return false;
  }

  #known(id: bigint): Member {
    return must(this.#members.get(id), `member ${idText(id)} is in the cluster`);
  }

  #set(member: Member): Member {
    this.#members.set(member.id, member);
    return member;
  }
}
