// One HTTP/2 connection on its socket: passes chunks in, writes output once per turn, and keeps both bounded.
//
//   reading  --socket takes nothing, output over its limit--> paused --socket empty--> reading
//   any      --GOAWAY written--> ending (FIN sent, input discarded) --peer closes or LINGER_MS--> gone
//
// The output buffer given to the socket is not touched until the socket is empty again; meanwhile output gathers in the other one.

import type { Socket } from "node:net";
import type { Clock } from "../server/ports.ts";
import type { GrpcServer } from "./grpc/index.ts";
import { type ConnectionOwner, ErrorCode, Http2Connection } from "./http2/index.ts";
import { type ConnectionLimits, LINGER_MS, OUTPUT_READ_STOP_BYTES } from "./limits.ts";
import { readShared } from "./shared-read.ts";
import type { Flushable, TurnFlusher } from "./turn-flusher.ts";

/** What all sockets of a listener share. */
export interface SocketContext {
  readonly server: GrpcServer;
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly flusher: TurnFlusher;
  /** The socket is gone. */
  onGone(socket: RpcSocket): void;
}

/** A socket that speaks HTTP/2. */
export class RpcSocket implements ConnectionOwner, Flushable {
  readonly connection: Http2Connection;
  readonly #context: SocketContext;
  readonly #socket: Socket;
  /** The socket holds bytes it has not passed on; its buffer must not be touched. */
  #isBusy = false;
  #isEnding = false;
  #isGone = false;
  #isPaused = false;
  readonly #onWritten = (): void => this.#afterWrite();

  /** Takes over `socket`; bytes read before go to `receive`. */
  constructor(context: SocketContext, socket: Socket) {
    this.#context = context;
    this.#socket = socket;
    const { server, limits, clock } = context;
    this.connection = new Http2Connection(server, this, limits, peerOf(socket), clock.nowMs());
    readShared(socket, (chunk) => this.receive(chunk));
    socket.on("end", () => this.#destroy());
    socket.on("error", () => this.#destroy());
    socket.on("timeout", () => this.#destroy());
    socket.on("close", () => {
      this.#isGone = true;
      this.connection.loseAll("connection-lost");
      context.onGone(this);
    });
  }

  /** Takes bytes of the client. */
  receive(chunk: Buffer): void {
    const { flusher, clock } = this.#context;
    flusher.isReading = true;
    this.connection.receive(chunk, clock.nowMs());
    flusher.isReading = false;
    this.#limitReading();
  }

  wake(): void {
    this.#context.flusher.add(this);
  }

  flush(): boolean {
    if (this.#isGone) return false;
    const { connection } = this;
    connection.nowMs = Math.floor(this.#context.clock.nowMs());
    if (!this.#isBusy && !this.#isEnding) {
      connection.pump();
      if (connection.out.length > 0) this.#write();
      if (connection.isClosed && !this.#isBusy) this.#finish();
    }
    connection.isAwake = false;
    this.#limitReading();
    return !this.#isBusy && !connection.isClosed && connection.canPump;
  }

  #write(): void {
    const socket = this.#socket;
    socket.write(this.connection.out.take(), this.#onWritten);
    if (socket.writableLength === 0) return;
    this.#isBusy = true;
    socket.setTimeout(this.#context.limits.stallTimeoutMs);
  }

  #afterWrite(): void {
    if (!this.#isBusy || this.#socket.writableLength > 0) return;
    this.#isBusy = false;
    this.#socket.setTimeout(0);
    this.connection.wake();
  }

  /** Reading more requests makes no sense while the client does not take the answers. */
  #limitReading(): void {
    const { out, heldBytes } = this.connection;
    const mustPause = this.#isBusy && out.length + heldBytes > OUTPUT_READ_STOP_BYTES;
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Periodic work; see `Http2Connection.sweep`. */
  sweep(nowMs: number): void {
    // A slow socket is judged by its own timeout: streams behind it only wait for their turn.
    if (this.#isBusy) this.connection.progressAtMs = Math.floor(nowMs);
    if (this.connection.sweep(nowMs)) this.#destroy();
  }

  /** Memory that waits here, in bytes: output not taken, answers queued, requests unfinished. */
  get heldBytes(): number {
    const { out, heldBytes, pendingRequestBytes } = this.connection;
    return out.length + heldBytes + pendingRequestBytes;
  }

  /** Ends the connection because it holds too much. */
  shed(): void {
    this.connection.fail(ErrorCode.enhanceYourCalm, "too much memory held");
    if (this.#isBusy) this.#destroy();
  }

  /** Ends the connection gracefully. */
  drain(text: string): void {
    this.connection.drain(text);
  }

  /** Ends the connection now; calls are told `shutdown`. */
  shutDown(): void {
    this.connection.loseAll("shutdown");
    this.#destroy();
  }

  #finish(): void {
    this.#isEnding = true;
    this.#socket.end();
    const cancel = this.#context.clock.after(LINGER_MS, () => this.#destroy());
    this.#socket.once("close", cancel);
  }

  #destroy(): void {
    this.#socket.destroy();
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return "@";
  const host = remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress;
  return `${host}:${remotePort}`;
}
