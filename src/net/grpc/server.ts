// What all connections of a listener share: methods, deadlines, the inflater, counters of bytes. Serves requests to the HTTP/2 machine.

import type { Clock, RpcMethod } from "../../server/ports.ts";
import type {
  HpackEncoder,
  Http2App,
  Http2Connection,
  Http2Stream,
  RequestHead,
} from "../http2/index.ts";
import type { ConnectionLimits } from "../limits.ts";
import { GrpcCall } from "./call.ts";
import { CallHead } from "./call-head.ts";
import { DeadlineWheel } from "./deadlines.ts";
import { Inflater } from "./inflate.ts";
import { type CallCounters, MethodTable } from "./method-table.ts";
import { newResponseEncoder } from "./response.ts";

/** gRPC over any number of HTTP/2 connections. */
export class GrpcServer implements Http2App {
  readonly clock: Clock;
  readonly methods: MethodTable;
  readonly deadlines: DeadlineWheel;
  readonly inflater: Inflater;
  /** Bytes of request and response messages, without prefixes and framing. */
  bytesReceived = 0;
  bytesSent = 0;

  constructor(
    methods: readonly RpcMethod[],
    clock: Clock,
    limits: ConnectionLimits,
    counters: ((method: RpcMethod) => CallCounters) | undefined,
  ) {
    this.clock = clock;
    this.methods = new MethodTable(methods, counters);
    this.deadlines = new DeadlineWheel(clock);
    this.inflater = new Inflater(clock, limits.messageBytesMax);
  }

  openStream(connection: Http2Connection, id: number, head: RequestHead): Http2Stream {
    let callHead = head.meaning as CallHead | undefined;
    if (callHead === undefined) {
      callHead = new CallHead(head, this.methods);
      head.meaning = callHead;
    }
    return new GrpcCall(connection, id, head, this, callHead);
  }

  newEncoder(): HpackEncoder {
    return newResponseEncoder();
  }
}
