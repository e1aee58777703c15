// All RPCs of the client port, joined to their handlers. The table of RPCs is generated from `proto/`; a method without a handler is one
// that is not built yet and answers UNIMPLEMENTED. Checks that every call passes first (etcd's interceptors) live here.
// Source: etcd server/etcdserver/api/v3rpc/{grpc,interceptor}.go.

import { rpcTable } from "../../proto/index.ts";
import type { Member, RpcKind, RpcMethod, ServerCall } from "../../server/index.ts";
import { clusterService } from "./cluster.ts";
import { type Handler, RpcContext, type Service } from "./context.ts";
import { Code, edgeErrors } from "./errors.ts";
import { healthService } from "./health.ts";
import { kvService } from "./kv.ts";
import { leaseService } from "./lease.ts";
import { type MaintenanceOptions, maintenanceService } from "./maintenance.ts";
import { type WatchOptions, watchService } from "./watch.ts";

/** What the services need to be told besides the member. */
export interface RpcOptions extends MaintenanceOptions, WatchOptions {
  /** Ops in one level of a Txn. */
  readonly maxTxnOps: number;
}

/** The methods of every service of etcd 3.7, ready for the transport. */
export function rpcMethods(member: Member, options: RpcOptions): RpcMethod[] {
  const context = new RpcContext(member);
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
    return {
      path: row.path,
      kind: kindOf(row.requestStream, row.responseStream),
      open: handler === undefined ? notBuilt(row.service, row.method) : checked(context, handler),
    };
  });
}

function kindOf(requestStream: boolean, responseStream: boolean): RpcKind {
  if (requestStream) return responseStream ? "bidi" : "clientStreaming";
  return responseStream ? "serverStreaming" : "unary";
}

function notBuilt(service: string, method: string): Handler {
  const text = `unknown method ${method} for service ${service}`;
  return (call) => call.fail(Code.unimplemented, text);
}

/** The checks every call passes before its handler, in etcd's order. */
function checked(context: RpcContext, handler: Handler): Handler {
  return (call, buf, start, end) => {
    const { metadata } = call;
    const version = metadata.get("client-api-version");
    if (version !== undefined && !isUtf8(version)) {
      const { code, message } = edgeErrors.invalidClientApiVersion;
      return call.fail(code, message);
    }
    if (metadata.get("hasleader") === "true" && !requireLeader(context, call)) return undefined;
    return handler(call, buf, start, end);
  };
}

function requireLeader(context: RpcContext, call: ServerCall): boolean {
  if (context.member.leader !== 0n) return true;
  context.refuse(call, "noLeader");
  return false;
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
