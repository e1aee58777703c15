// Which method a `:path` names: exact text, decided before anything else sees the request.
//
// No decoding, no case folding: `/etcdserverpb.KV/Put` is a method, `/etcdserverpb.kv/put`, `etcdserverpb.KV/Put` and
// `/etcdserverpb.KV/%50ut` are not (reliability.md D.3). Texts of grpc-go's handleStream.

import type { RpcMethod } from "../../server/ports.ts";
import { goQuote, type Refusal, refusal, STATUS_CODES, StatusCode } from "./status.ts";

/** What is counted per method; the metrics endpoint reads it. */
export interface CallCounters {
  /** Calls given to the handler. */
  started: number;
  /** Calls ended, by gRPC code 0 to 16. */
  readonly handled: Float64Array;
  /** Messages received and sent. */
  received: number;
  sent: number;
  /** Time from start to end; undefined if nobody wants it. */
  readonly handlingSeconds: { observe(seconds: number): void } | undefined;
}

/** A method with what the transport needs beside it. */
export class Route {
  readonly method: RpcMethod;
  readonly counters: CallCounters;
  /** One request message; opened when it is complete. */
  readonly isSingleRequest: boolean;
  readonly isUnary: boolean;

  constructor(method: RpcMethod, counters: CallCounters) {
    this.method = method;
    this.counters = counters;
    this.isUnary = method.kind === "unary";
    this.isSingleRequest = this.isUnary || method.kind === "serverStreaming";
  }
}

/** All methods of a listener. */
export class MethodTable {
  readonly #routes = new Map<string, Route>();
  readonly #services = new Set<string>();

  constructor(
    methods: readonly RpcMethod[],
    counters: ((method: RpcMethod) => CallCounters) | undefined,
  ) {
    for (const method of methods) {
      this.#routes.set(method.path, new Route(method, (counters ?? newCounters)(method)));
      this.#services.add(method.path.slice(1, method.path.lastIndexOf("/")));
    }
  }

  /** All routes, in the order given. */
  get routes(): readonly Route[] {
    return [...this.#routes.values()];
  }

  find(path: string): Route | Refusal {
    const route = this.#routes.get(path);
    if (route !== undefined) return route;
    const slash = path.lastIndexOf("/");
    if (!path.startsWith("/") || slash === 0) {
      return refusal(StatusCode.unimplemented, `malformed method name: ${goQuote(path)}`);
    }
    const service = path.slice(1, slash);
    return refusal(
      StatusCode.unimplemented,
      this.#services.has(service)
        ? `unknown method ${path.slice(slash + 1)} for service ${service}`
        : `unknown service ${service}`,
    );
  }
}

function newCounters(): CallCounters {
  return {
    started: 0,
    handled: new Float64Array(STATUS_CODES),
    received: 0,
    sent: 0,
    handlingSeconds: undefined,
  };
}
