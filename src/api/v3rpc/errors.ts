// The error table: one row per refusal, with its gRPC code and etcd's exact text. Clients match these texts, so they are part of the
// protocol. Source: etcd api/v3rpc/rpctypes/error.go and the list of errors that reach clients with code Unknown.

import type { Refusal } from "../../server/index.ts";

/** gRPC status codes. */
export const Code = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** One row: what the client sees. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
}

function row(code: number, message: string): RpcError {
  return { code, message };
}

const C = Code;

/** Every refusal of the member and its cores. The type makes a missing row a compile error. */
export const rpcErrors: Readonly<Record<Refusal, RpcError>> = {
  emptyKey: row(C.invalidArgument, "etcdserver: key is not provided"),
  keyNotFound: row(C.invalidArgument, "etcdserver: key not found"),
  valueProvided: row(C.invalidArgument, "etcdserver: value is provided"),
  leaseProvided: row(C.invalidArgument, "etcdserver: lease is provided"),
  tooManyOps: row(C.invalidArgument, "etcdserver: too many operations in txn request"),
  duplicateKey: row(C.invalidArgument, "etcdserver: duplicate key given in txn request"),
  invalidSortOption: row(C.invalidArgument, "etcdserver: invalid sort option"),
  compacted: row(C.outOfRange, "etcdserver: mvcc: required revision has been compacted"),
  futureRev: row(C.outOfRange, "etcdserver: mvcc: required revision is a future revision"),
  noSpace: row(C.resourceExhausted, "etcdserver: mvcc: database space exceeded"),
  leaseNotFound: row(C.notFound, "etcdserver: requested lease not found"),
  leaseExists: row(C.failedPrecondition, "etcdserver: lease already exists"),
  leaseTtlTooLarge: row(C.outOfRange, "etcdserver: too large lease TTL"),
  requestTooLarge: row(C.invalidArgument, "etcdserver: request is too large"),
  tooManyRequests: row(C.unknown, "etcdserver: too many requests"),
  noLeader: row(C.unavailable, "etcdserver: no leader"),
  notLeader: row(C.failedPrecondition, "etcdserver: not leader"),
  leaderChanged: row(C.unavailable, "etcdserver: leader changed"),
  stopped: row(C.unavailable, "etcdserver: server stopped"),
  timeout: row(C.unavailable, "etcdserver: request timed out"),
  timeoutWaitAppliedIndex: row(
    C.unavailable,
    "etcdserver: request timed out, waiting for the applied index took too long",
  ),
  contextDeadline: row(C.deadlineExceeded, "context deadline exceeded"),
  corrupt: row(C.dataLoss, "etcdserver: corrupt cluster"),
  proposalDropped: row(C.unknown, "raft proposal dropped"),
  notPrimaryLessor: row(C.unknown, "not a primary lessor"),
  memberNotFound: row(C.notFound, "etcdserver: member not found"),
  unknownAlarmAction: row(C.invalidArgument, "etcdserver: unknown alarm action"),
};

/** Refusals that only the RPC layer itself makes. */
export type EdgeRefusal =
  | "watchCanceled"
  | "invalidClientApiVersion"
  | "rangeStreamSort"
  | "rangeStreamFilters"
  | "unknownHealthService";

/** Their rows. */
export const edgeErrors: Readonly<Record<EdgeRefusal, RpcError>> = {
  watchCanceled: row(C.canceled, "etcdserver: watch canceled"),
  invalidClientApiVersion: row(C.invalidArgument, "etcdserver: invalid client api version"),
  rangeStreamSort: row(C.unimplemented, "RangeStream does not support custom sort orders"),
  rangeStreamFilters: row(C.unimplemented, "RangeStream does not support revision filters"),
  unknownHealthService: row(C.notFound, "unknown service"),
};
