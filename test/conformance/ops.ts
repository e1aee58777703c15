// One step of a conformance run, as plain values: what is sent to both servers, and how it is shown to a reader.
//
// A step never names a revision that was seen before: it says "current - 3" or "compacted + 1", and that is turned into a number when
// it runs. So a sequence still means the same after steps were taken out of it.

import { quoteBytes } from "../support/wire-schema.ts";

/** A number known only when the step runs, taken from the reference's answers so far (`member`: each server's own id). */
export type Token =
  /** The newest revision plus `add`. */
  | { readonly $: "current"; readonly add: number }
  /** The revision of the last successful compaction (0 before the first) plus `add`. */
  | { readonly $: "compacted"; readonly add: number }
  /** The newest revision plus `add`, but not below the compacted one nor 1: still readable. */
  | { readonly $: "readable"; readonly add: number }
  | { readonly $: "member" };

/** Where the servers stand when a step runs. */
export interface Standing {
  readonly current: number;
  readonly compacted: number;
}

/** A field of a request: bytes as Buffer, 64-bit integers beyond 2^53 as decimal strings. */
export type FieldValue =
  | string
  | number
  | boolean
  | Buffer
  | Token
  | RequestFields
  | readonly FieldValue[];

/** A request by proto field names. */
export interface RequestFields {
  readonly [name: string]: FieldValue | undefined;
}

/** The methods a run calls, with their message types. */
export const methods = {
  Range: { path: "/etcdserverpb.KV/Range", request: "RangeRequest", response: "RangeResponse" },
  RangeStream: {
    path: "/etcdserverpb.KV/RangeStream",
    request: "RangeRequest",
    response: "RangeStreamResponse",
  },
  Put: { path: "/etcdserverpb.KV/Put", request: "PutRequest", response: "PutResponse" },
  DeleteRange: {
    path: "/etcdserverpb.KV/DeleteRange",
    request: "DeleteRangeRequest",
    response: "DeleteRangeResponse",
  },
  Txn: { path: "/etcdserverpb.KV/Txn", request: "TxnRequest", response: "TxnResponse" },
  Compact: {
    path: "/etcdserverpb.KV/Compact",
    request: "CompactionRequest",
    response: "CompactionResponse",
  },
  LeaseGrant: {
    path: "/etcdserverpb.Lease/LeaseGrant",
    request: "LeaseGrantRequest",
    response: "LeaseGrantResponse",
  },
  LeaseRevoke: {
    path: "/etcdserverpb.Lease/LeaseRevoke",
    request: "LeaseRevokeRequest",
    response: "LeaseRevokeResponse",
  },
  LeaseTimeToLive: {
    path: "/etcdserverpb.Lease/LeaseTimeToLive",
    request: "LeaseTimeToLiveRequest",
    response: "LeaseTimeToLiveResponse",
  },
  LeaseLeases: {
    path: "/etcdserverpb.Lease/LeaseLeases",
    request: "LeaseLeasesRequest",
    response: "LeaseLeasesResponse",
  },
  Alarm: {
    path: "/etcdserverpb.Maintenance/Alarm",
    request: "AlarmRequest",
    response: "AlarmResponse",
  },
  Status: {
    path: "/etcdserverpb.Maintenance/Status",
    request: "StatusRequest",
    response: "StatusResponse",
  },
  Hash: {
    path: "/etcdserverpb.Maintenance/Hash",
    request: "HashRequest",
    response: "HashResponse",
  },
  HashKV: {
    path: "/etcdserverpb.Maintenance/HashKV",
    request: "HashKVRequest",
    response: "HashKVResponse",
  },
  MemberList: {
    path: "/etcdserverpb.Cluster/MemberList",
    request: "MemberListRequest",
    response: "MemberListResponse",
  },
} as const;

export type MethodName = keyof typeof methods;

/**
 * The watch streams of a run. Watchers that behave differently in time live on streams of their own, so that each stream has an
 * order that etcd guarantees (see watch-stream.ts).
 */
export type StreamName = "live" | "history" | "catchup" | "future" | "odd";

/** All stream names, in the order in which they are compared. */
export const streamNames: readonly StreamName[] = ["live", "history", "catchup", "future", "odd"];

export type Op =
  /** A unary or server-streaming call; `reads`: it changes nothing and may run beside other reads. */
  | {
      readonly kind: "call";
      readonly method: MethodName;
      readonly request: RequestFields;
      readonly reads: boolean;
      readonly metadata?: Readonly<Record<string, string>> | undefined;
    }
  /** Bytes that may be no message, or a path that may be no method. */
  | { readonly kind: "raw"; readonly path: string; readonly bytes: Buffer }
  /** A call with `count` request messages where one is expected. */
  | { readonly kind: "cardinality"; readonly method: MethodName; readonly count: number }
  /** A new watcher on one of the run's streams. */
  | { readonly kind: "watch"; readonly stream: StreamName; readonly request: RequestFields }
  | { readonly kind: "watchCancel"; readonly stream: StreamName; readonly id: string }
  /** One message on a watch stream of its own that is no WatchRequest. */
  | { readonly kind: "watchRaw"; readonly bytes: Buffer }
  /** Keep-alives on one stream, then half-close. */
  | { readonly kind: "keepAlive"; readonly ids: readonly string[] }
  /** A grant whose id the server picks, and its revocation. */
  | { readonly kind: "autoLease"; readonly ttl: number }
  /** A lease of the smallest TTL with keys, then revoked at once or waited for until it has expired. */
  | {
      readonly kind: "shortLease";
      readonly id: string;
      readonly ttl: number;
      readonly keys: readonly Buffer[];
      readonly revoke: boolean;
    }
  /** Waits for the watchers and compares everything: events, all keys, hash, leases. */
  | { readonly kind: "sync" };

function isToken(value: object): value is Token {
  return "$" in value;
}

function tokenNumber(token: Token, standing: Standing, member: bigint): string {
  switch (token.$) {
    case "current":
      return String(standing.current + token.add);
    case "compacted":
      return String(standing.compacted + token.add);
    case "readable":
      return String(Math.max(standing.current + token.add, standing.compacted, 1));
    case "member":
      return String(member);
  }
}

/** Replaces each token in `value` by its number. */
export function resolveTokens(value: unknown, standing: Standing, member: bigint): unknown {
  if (Array.isArray(value)) return value.map((v) => resolveTokens(v, standing, member));
  if (typeof value !== "object" || value === null || Buffer.isBuffer(value)) return value;
  if (isToken(value)) return tokenNumber(value, standing, member);
  return Object.fromEntries(
    Object.entries(value).map(([name, v]) => [name, resolveTokens(v, standing, member)]),
  );
}

function show(value: unknown): string {
  if (Buffer.isBuffer(value)) return quoteBytes(value);
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (isToken(value)) {
    if (value.$ === "member") return "<member>";
    return value.add === 0 ? value.$ : `${value.$}${value.add > 0 ? "+" : ""}${value.add}`;
  }
  const fields = Object.entries(value).filter(([, v]) => v !== undefined);
  return `{${fields.map(([name, v]) => `${name}: ${show(v)}`).join(", ")}}`;
}

function showHex(bytes: Buffer): string {
  const hex = bytes.subarray(0, 200).toString("hex");
  return bytes.length > 200 ? `${hex}… (${bytes.length} bytes)` : hex || "(none)";
}

/** One line for a reader: what is sent. */
export function showOp(op: Op): string {
  switch (op.kind) {
    case "call": {
      const extra = op.metadata === undefined ? "" : ` with ${JSON.stringify(op.metadata)}`;
      return `${op.method} ${show(op.request)}${extra}`;
    }
    case "raw":
      return `bytes ${showHex(op.bytes)} to ${op.path}`;
    case "cardinality":
      return `${op.method} with ${op.count} request messages`;
    case "watch":
      return `Watch[${op.stream}] create ${show(op.request)}`;
    case "watchCancel":
      return `Watch[${op.stream}] cancel ${op.id}`;
    case "watchRaw":
      return `Watch bytes ${showHex(op.bytes)}`;
    case "keepAlive":
      return `LeaseKeepAlive ${op.ids.join(", ")}`;
    case "autoLease":
      return `LeaseGrant {TTL: ${op.ttl}} without id, then revoke`;
    case "shortLease": {
      const then = op.revoke ? "then revoke" : "then wait until it expired";
      return `LeaseGrant {ID: ${op.id}, TTL: ${op.ttl}}, put ${show(op.keys)}, ${then}`;
    }
    case "sync":
      return "compare events, keys, hash and leases";
  }
}
