// The client port: accepts sockets, recognises what they speak, and runs gRPC on our own HTTP/2; HTTP/1 goes to a `node:http` server
// with nothing lost. The only file that knows `net.Server`; TLS sockets come in through `accept`.

import type { Server as HttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import type { Cancel, Clock, RpcMethod } from "../server/ports.ts";
import { type CallCounters, GrpcServer } from "./grpc/index.ts";
import { SWITCHING_PROTOCOLS, type Upgrade } from "./h2c-upgrade.ts";
import { HeldPort } from "./held-port.ts";
import { type ConnectionLimits, defaultConnectionLimits, SNIFFING_SOCKETS_MAX } from "./limits.ts";
import { RpcSocket, type SocketContext } from "./rpc-socket.ts";
import { type Protocol, Sniffer } from "./sniffer.ts";
import { TurnFlusher } from "./turn-flusher.ts";

/** What a listener serves and within which limits. */
export interface RpcListenerOptions {
  readonly methods: readonly RpcMethod[];
  readonly clock: Clock;
  /** Gets HTTP/1 connections; without it they are closed. It need not listen itself. */
  readonly http?: HttpServer | undefined;
  /** Overrides of `defaultConnectionLimits`. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Most sockets per address listened on; further ones are closed at once. Default: no limit but the system's. */
  readonly connectionsMax?: number | undefined;
  /** Where calls of a method are counted; called once per method. */
  readonly counters?: ((method: RpcMethod) => CallCounters) | undefined;
  /** Connections that ended with an error, for the log at debug level. */
  readonly onLog?:
    | ((message: string, fields: Readonly<Record<string, unknown>>) => void)
    | undefined;
}

/** Period of sweeps while the listener closes, milliseconds. */
const CLOSING_SWEEP_MS = 20;

/** A client port on any number of addresses. */
export class RpcListener {
  readonly #options: RpcListenerOptions;
  readonly #limits: ConnectionLimits;
  readonly #context: SocketContext;
  readonly #grpc: GrpcServer;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<RpcSocket>();
  readonly #sniffers = new Set<Sniffer>();
  #cancelSweep: Cancel | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #onEmpty: (() => void) | undefined = undefined;

  constructor(options: RpcListenerOptions) {
    this.#options = options;
    this.#limits = { ...defaultConnectionLimits, ...options.limits };
    this.#grpc = new GrpcServer(options.methods, options.clock, this.#limits, options.counters);
    this.#context = {
      server: this.#grpc,
      limits: this.#limits,
      clock: options.clock,
      flusher: new TurnFlusher(),
      onGone: (socket) => this.#forget(socket),
    };
  }

  /** Bytes of request messages since the start (`etcd_network_client_grpc_received_bytes_total`). */
  get bytesReceived(): number {
    return this.#grpc.bytesReceived;
  }

  /** Bytes of response messages since the start (`etcd_network_client_grpc_sent_bytes_total`). */
  get bytesSent(): number {
    return this.#grpc.bytesSent;
  }

  /** Open HTTP/2 connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Listens on `host` (a name or an address) and `port` (0: the system chooses). Rejects with the system's error. */
  async listen(host: string, port: number): Promise<{ port: number }> {
    const held = await HeldPort.bind({ host, port });
    this.adopt(held);
    return { port: held.port };
  }

  /** Listens on a unix socket. */
  async listenPath(path: string): Promise<void> {
    this.adopt(await HeldPort.bind({ path }));
  }

  /** Serves a port taken before, and who connected to it meanwhile. */
  adopt(held: HeldPort): void {
    const server = held.handOver((socket) => this.accept(socket));
    const { connectionsMax } = this.#options;
    if (connectionsMax !== undefined) server.maxConnections = connectionsMax;
    server.on("error", (error) => this.#log("accept failed", { error }));
    this.#servers.push(server);
    this.#startSweeping(this.#limits.sweepIntervalMs);
  }

  /** Serves a socket accepted elsewhere; nothing may have been read from it. */
  accept(socket: Socket): void {
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    if (this.#sniffers.size >= SNIFFING_SOCKETS_MAX) this.#expireOldest();
    const { messageBytesMax } = this.#limits;
    const nowMs = this.#options.clock.nowMs();
    this.#sniffers.add(
      new Sniffer(socket, nowMs, messageBytesMax, (sniffer, protocol, bytes) => {
        this.#sniffers.delete(sniffer);
        this.#serve(socket, protocol, bytes);
      }),
    );
  }

  #expireOldest(): void {
    for (const sniffer of this.#sniffers) {
      sniffer.expire();
      return;
    }
  }

  #serve(socket: Socket, protocol: Protocol | undefined, bytes: Buffer): void {
    if (protocol === undefined) {
      // An error after this has nobody to listen to it.
      socket.on("error", () => undefined);
      socket.destroy();
    } else if (protocol === "http1") {
      this.#serveHttp1(socket, bytes);
    } else {
      this.#serveHttp2(socket, protocol === "http2" ? undefined : protocol, bytes);
    }
  }

  #serveHttp2(socket: Socket, upgrade: Upgrade | undefined, bytes: Buffer): void {
    const rpc = new RpcSocket(this.#context, socket);
    const { connection } = rpc;
    this.#sockets.add(rpc);
    if (upgrade === undefined) {
      connection.start();
      rpc.receive(bytes);
      return;
    }
    const bodyEnd = upgrade.headBytes + upgrade.bodyBytes;
    connection.out.append(SWITCHING_PROTOCOLS);
    connection.start();
    connection.upgrade(upgrade.head, bytes.subarray(upgrade.headBytes, bodyEnd), upgrade.settings);
    if (bytes.length > bodyEnd) rpc.receive(bytes.subarray(bodyEnd));
  }

  #serveHttp1(socket: Socket, bytes: Buffer): void {
    const { http } = this.#options;
    if (http === undefined) {
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    socket.pause();
    socket.unshift(bytes);
    http.emit("connection", socket);
    process.nextTick(() => socket.resume());
  }

  // ------------------------------------------------------------------------------------------------------------- time

  #startSweeping(periodMs: number): void {
    this.#cancelSweep?.();
    this.#cancelSweep = this.#options.clock.after(periodMs, () => {
      this.#sweep();
      this.#cancelSweep = undefined;
      this.#startSweeping(periodMs);
    });
  }

  #sweep(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const sniffer of this.#sniffers) {
      if (nowMs - sniffer.sinceMs < this.#limits.prefaceTimeoutMs) break;
      sniffer.expire();
    }
    let heldBytes = 0;
    for (const socket of this.#sockets) {
      socket.sweep(nowMs);
      heldBytes += socket.heldBytes;
    }
    if (heldBytes > this.#limits.heldBytesTotalMax) this.#shed(heldBytes);
  }

  /** Ends connections, those that hold most first, until the rest is within the limit. */
  #shed(heldBytes: number): void {
    let left = heldBytes;
    const sockets = [...this.#sockets].sort((a, b) => b.heldBytes - a.heldBytes);
    for (const socket of sockets) {
      if (left <= this.#limits.heldBytesTotalMax) return;
      left -= socket.heldBytes;
      socket.shed();
    }
  }

  // -------------------------------------------------------------------------------------------------------------- end

  #forget(socket: RpcSocket): void {
    if (!this.#sockets.delete(socket)) return;
    const { closeReason, peer } = socket.connection;
    if (closeReason !== "" && closeReason !== "drained") {
      this.#log("closed a client connection", { reason: closeReason, "remote-addr": peer });
    }
    if (this.#sockets.size === 0) this.#onEmpty?.();
  }

  #log(message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#options.onLog?.(message, fields);
  }

  /**
   * Stops accepting, lets calls that run finish for at most `timeoutMs`, then ends them with `shutdown`. Resolves when every HTTP/2
   * connection is gone; HTTP/1 connections are the `http` server's.
   */
  closeGracefully(timeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const sniffer of this.#sniffers) sniffer.expire();
    for (const socket of this.#sockets) socket.drain("graceful_stop");
    if (this.#sockets.size > 0) {
      this.#startSweeping(CLOSING_SWEEP_MS);
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(timeoutMs, () => {
          for (const socket of this.#sockets) socket.shutDown();
        });
        this.#onEmpty = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#grpc.deadlines.stop();
  }
}
