// The check of --strict-reconfig-check: a member that serves a change of the membership refuses it if the change would leave too few
// voters that have started, or too few it is connected to. Local opinion, asked before the change is proposed.
// Source: etcd server/etcdserver/server.go, membership.RaftCluster IsReadyToAddVotingMember and its siblings.

import type { MembershipChange } from "./conf-change.ts";
import { isStarted, type Member } from "./member.ts";

/** Why the strict check refuses a change. */
export type ReconfigRefusal = "memberNotEnoughStarted" | "unhealthy";

/** What the check asks of the member that serves the change. */
export interface ReconfigView {
  readonly members: readonly Member[];
  /** True for the member itself and for each its link to has been up for 5 s. */
  isConnected(id: bigint): boolean;
}

/** Why `change` is refused, if it is. An update of peer URLs never is. */
export function reconfigRefusal(
  change: MembershipChange,
  view: ReconfigView,
): ReconfigRefusal | undefined {
  const voters = view.members.filter((member) => !member.isLearner);
  switch (change.kind) {
    case "add":
      if (!change.member.isLearner && !mayAddVoter(voters)) return "memberNotEnoughStarted";
      return mayAddConnected(voters, view) ? undefined : "unhealthy";
    case "remove":
      return removeRefusal(change.id, voters, view);
    case "promote": {
      // The learner has started: it is in sync with the leader.
      const started = voters.filter(isStarted).length + 1;
      return started < quorum(voters.length + 1) ? "memberNotEnoughStarted" : undefined;
    }
    case "update":
      return undefined;
  }
}

/** The smallest majority of `voters`. */
export function quorum(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function mayAddVoter(voters: readonly Member[]): boolean {
  const started = voters.filter(isStarted).length;
  // One started member may always be joined by a second: there is no other way to grow from one.
  return started >= quorum(voters.length + 1) || (started === 1 && voters.length === 1);
}

function mayAddConnected(voters: readonly Member[], view: ReconfigView): boolean {
  if (voters.length === 1) return true;
  const connected = voters.filter((member) => view.isConnected(member.id)).length;
  return connected >= quorum(voters.length + 1);
}

function removeRefusal(
  id: bigint,
  voters: readonly Member[],
  view: ReconfigView,
): ReconfigRefusal | undefined {
  if (!voters.some((member) => member.id === id)) return undefined;
  const rest = voters.filter((member) => member.id !== id);
  if (rest.filter(isStarted).length < quorum(rest.length)) return "memberNotEnoughStarted";
  if (!view.isConnected(id)) return undefined;
  const connected = rest.filter((member) => view.isConnected(member.id)).length;
  return connected < quorum(rest.length) ? "unhealthy" : undefined;
}
