// All RPCs of the client port, joined to their handlers. The table of RPCs is generated from `proto/`; a method without a handler is one
// that is not built yet and answers UNIMPLEMENTED. Checks that every call passes first (etcd's interceptors) live here.
// Source: etcd server/etcdserver/api/v3rpc/{grpc,interceptor}.go.

import { rpcTable } from "../../proto/index.ts";
import type { Member, RpcKind, RpcMethod } from "../../server/index.ts";
import { clusterService } from "./cluster.ts";
import { type Handler, RpcContext, type Service } from "./context.ts";
import { Code, edgeErrors } from "./errors.ts";
import { healthService } from "./health.ts";
import { kvService } from "./kv.ts";
import { LeaderMonitor } from "./leader-monitor.ts";
import { leaseService } from "./lease.ts";
import { type MaintenanceOptions, maintenanceService } from "./maintenance.ts";
import { type WatchOptions, watchService } from "./watch.ts";

/** What the services need to be told besides the member. */
export interface RpcOptions extends MaintenanceOptions, WatchOptions {
  /** Ops in one level of a Txn. */
  readonly maxTxnOps: number;
  /** Period in which streams that want a leader are looked after. */
  readonly electionTimeoutMs: number;
}

/** The methods of every service of etcd 3.7, ready for the transport. */
export function rpcMethods(member: Member, options: RpcOptions): RpcMethod[] {
  const context = new RpcContext(member);
  const hasLeader = (): boolean => member.leader !== 0n;
  const monitor = new LeaderMonitor(member.clock, hasLeader, options.electionTimeoutMs);
  const services: Readonly<Record<string, Service>> = {
    "etcdserverpb.KV": kvService(context, options.maxTxnOps),
    "etcdserverpb.Watch": watchService(context, options),
    "etcdserverpb.Lease": leaseService(context),
    "etcdserverpb.Cluster": clusterService(context),
    "etcdserverpb.Maintenance": maintenanceService(context, options),
    "grpc.health.v1.Health": healthService(context),
  };
  return rpcTable.map((row) => {
    const handler = services[row.service]?.[row.method];
    const kind = kindOf(row.requestStream, row.responseStream);
    const streams = kind === "unary" ? undefined : monitor;
    return {
      path: row.path,
      kind,
      open: handler === undefined ? notBuilt(row.path) : checked(context, handler, streams),
    };
  });
}

function kindOf(requestStream: boolean, responseStream: boolean): RpcKind {
  if (requestStream) return responseStream ? "bidi" : "clientStreaming";
  return responseStream ? "serverStreaming" : "unary";
}

function notBuilt(path: string): Handler {
  const text = `etcd-ts does not implement ${path.slice(1)} yet`;
  return (call) => call.fail(Code.unimplemented, text);
}

/** The checks every call passes before its handler, in etcd's order; `streams` watches over those that want a leader. */
function checked(
  context: RpcContext,
  handler: Handler,
  streams: LeaderMonitor | undefined,
): Handler {
  return (call, buf, start, end) => {
    const { metadata } = call;
    const version = metadata.get("client-api-version");
    if (version !== undefined && !isUtf8(version)) {
      const { code, message } = edgeErrors.invalidClientApiVersion;
      return call.fail(code, message);
    }
    const wantsLeader = metadata.get("hasleader") === "true";
    if (wantsLeader && context.member.leader === 0n) return context.refuse(call, "noLeader");
    handler(call, buf, start, end);
    if (wantsLeader && !call.ended) streams?.add(call);
    return undefined;
  };
}

/** Metadata arrives as latin1; what is beyond ASCII must be valid UTF-8. */
function isUtf8(value: string): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(value, "latin1"));
    return true;
  } catch {
    return false;
  }
}
