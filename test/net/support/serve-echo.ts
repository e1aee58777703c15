// The listener with the echo service on a port of the system's choice, ended with the test.

import type { Server as HttpServer } from "node:http";
import type { TestContext } from "node:test";
import { type ConnectionLimits, RpcListener } from "../../../src/net/index.ts";
import type { RpcMethod } from "../../../src/server/ports.ts";
import { EchoLog, echoMethods } from "./echo-service.ts";
import { realClock } from "./real-clock.ts";

export interface EchoServer {
  readonly listener: RpcListener;
  readonly port: number;
  readonly log: EchoLog;
  /** Reasons of connections the listener ended. */
  readonly reasons: unknown[];
}

export async function serveEcho(
  t: TestContext,
  options: {
    readonly limits?: Partial<ConnectionLimits>;
    readonly http?: HttpServer;
    readonly methods?: readonly RpcMethod[];
    readonly connectionsMax?: number;
  } = {},
): Promise<EchoServer> {
  const log = new EchoLog();
  const reasons: unknown[] = [];
  const listener = new RpcListener({
    methods: options.methods ?? echoMethods(log),
    clock: realClock,
    http: options.http,
    limits: options.limits,
    connectionsMax: options.connectionsMax,
    onLog: (_message, fields) => reasons.push(fields["reason"]),
  });
  const { port } = await listener.listen("127.0.0.1", 0);
  t.after(() => listener.closeGracefully(0));
  return { listener, port, log, reasons };
}
