// A client without a socket: drives one server connection in memory on a virtual clock and reads its answers frame by frame.

import { GrpcServer } from "../../../src/net/grpc/server.ts";
import { Http2Connection } from "../../../src/net/http2/connection.ts";
import { type ConnectionLimits, defaultConnectionLimits } from "../../../src/net/limits.ts";
import type { RpcMethod } from "../../../src/server/ports.ts";
import { EchoLog, echoMethods } from "./echo-service.ts";
import { FrameReader, FrameType, PREFACE, type Received, settings, settingsAck } from "./frames.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface MemoryClientOptions {
  readonly limits?: Partial<ConnectionLimits>;
  readonly methods?: (log: EchoLog) => RpcMethod[];
  readonly settings?: [id: number, value: number][];
  /** Without preface and SETTINGS. */
  readonly isSilent?: boolean;
}

/** The connection is flushed after each `send`, as at the end of a turn. */
export class MemoryClient {
  readonly clock: VirtualClock = new VirtualClock();
  readonly log: EchoLog = new EchoLog();
  readonly server: GrpcServer;
  readonly connection: Http2Connection;
  /** All frames received since the last `take`. */
  received: Received[] = [];
  readonly #reader = new FrameReader();

  constructor(options: MemoryClientOptions = {}) {
    const limits = { ...defaultConnectionLimits, ...options.limits };
    const methods = (options.methods ?? echoMethods)(this.log);
    this.server = new GrpcServer(methods, this.clock, limits, undefined);
    this.connection = new Http2Connection(
      this.server,
      { wake: () => undefined },
      limits,
      "127.0.0.1:1",
      this.clock.nowMs(),
    );
    this.connection.start();
    if (options.isSilent === true) return;
    this.send(PREFACE, settings(...(options.settings ?? [])), settingsAck);
    this.take();
  }

  /** Sends all parts as one chunk, or as chunks of `cut` bytes, and flushes. */
  send(...parts: Uint8Array[]): void {
    // A fresh allocation, as from the network: the server may hold it.
    const bytes = Buffer.concat(parts);
    this.connection.receive(bytes, this.clock.nowMs());
    this.flush();
  }

  /** Passes on what the server has written, until it has no more. */
  flush(): void {
    const { connection } = this;
    do {
      connection.pump();
      this.received.push(...this.#reader.read(Buffer.from(connection.out.take())));
      connection.isAwake = false;
    } while (connection.canPump);
  }

  /** Moves time, sweeping as the listener does. */
  advance(ms: number): void {
    let left = ms;
    while (left > 0) {
      const step = Math.min(left, 1_000);
      this.clock.advance(step);
      this.connection.sweep(this.clock.nowMs());
      left -= step;
    }
    this.flush();
  }

  /** The frames since the last call. */
  take(): Received[] {
    const frames = this.received;
    this.received = [];
    return frames;
  }

  /** The code of the GOAWAY received, undefined if there was none. */
  get goaway(): number | undefined {
    const found = this.received.findLast((f) => f.type === FrameType.goaway);
    return found?.payload.readUInt32BE(4);
  }

  /** The code of the RST_STREAM received for a stream, undefined if there was none. */
  rstCode(id: number): number | undefined {
    const found = this.received.find((f) => f.type === FrameType.rstStream && f.id === id);
    return found?.payload.readUInt32BE(0);
  }

  /** All DATA of a stream joined, without the frames. */
  body(id: number): Buffer {
    const parts = this.received.filter((f) => f.type === FrameType.data && f.id === id);
    return Buffer.concat(parts.map((f) => f.payload));
  }

  /** `grpc-status` of a stream, and its text. */
  status(id: number): { code: number; text: string } | undefined {
    const found = this.received.find(
      (f) => f.type === FrameType.headers && f.id === id && f.fields.has("grpc-status"),
    );
    if (found === undefined) return undefined;
    return {
      code: Number(found.fields.get("grpc-status")),
      text: decodeURIComponent(found.fields.get("grpc-message") ?? ""),
    };
  }
}
