// The kinds of refusal a member can answer a request with. Only names live here; `api/v3rpc/errors.ts` gives each its gRPC code and
// etcd's exact text. Source: etcd server/etcdserver/errors, api/v3rpc/rpctypes.

import type { LeaseRefusal } from "../core/lease/index.ts";
import type { MvccRefusal } from "../core/mvcc/index.ts";

/** Refusals that arise in the member itself, not in one of the cores. */
export type MemberRefusal =
  | "noSpace"
  | "corrupt"
  | "requestTooLarge"
  | "tooManyRequests"
  | "noLeader"
  | "notLeader"
  | "leaderChanged"
  | "stopped"
  | "timeout"
  | "contextDeadline"
  | "timeoutWaitAppliedIndex"
  | "proposalDropped"
  | "notPrimaryLessor"
  | "memberNotFound"
  | "unknownAlarmAction";

/** Everything a request can be refused with. */
export type Refusal = MvccRefusal | LeaseRefusal | MemberRefusal;
