// A port taken before there is anybody to serve it: that it is in use shows before anything else is done, and connections made early
// wait, unread but for the socket's own buffer, until a listener takes the port over.

import { lookup } from "node:dns/promises";
import { createServer, type Server, type Socket } from "node:net";
import { SNIFFING_SOCKETS_MAX } from "./limits.ts";

/** Delay with which TCP asks an idle peer whether it lives, milliseconds (Go's default). */
const TCP_KEEPALIVE_MS = 15_000;
/** Sockets the system may queue before accept. */
const BACKLOG = 4_096;

/** Where to listen: a name or address with a port (0: the system chooses), or the path of a unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { path: string };

/** A port that accepts connections and does not serve them yet. */
export class HeldPort {
  readonly #server: Server;
  readonly #waiting: Set<Socket> = new Set();
  #accept: ((socket: Socket) => void) | undefined;

  private constructor() {
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
    this.#server = createServer({ noDelay: true, ...keepAlive }, (socket) => {
      if (this.#accept === undefined) this.#hold(socket);
      else this.#accept(socket);
    });
  }

  /** Takes the port; of a name's addresses the first IPv4 one, as Go does. Rejects with the system's error. */
  static async bind(address: ListenAddress): Promise<HeldPort> {
    const held = new HeldPort();
    const where =
      "host" in address
        ? { host: (await lookup(address.host, { verbatim: false })).address, port: address.port }
        : address;
    return await new Promise((resolve, reject) => {
      held.#server.once("error", reject);
      held.#server.listen({ ...where, backlog: BACKLOG }, () => {
        held.#server.off("error", reject);
        resolve(held);
      });
    });
  }

  /** The port's number, 0 for a unix socket. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Gives every connection, those that waited first, to `accept`; the server is the caller's from now on. */
  handOver(accept: (socket: Socket) => void): Server {
    this.#accept = accept;
    for (const socket of this.#waiting) {
      socket.off("error", ignore);
      accept(socket);
    }
    this.#waiting.clear();
    return this.#server;
  }

  /** Gives the port back; who waited is cut off. */
  close(): void {
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting.clear();
  }

  #hold(socket: Socket): void {
    if (this.#waiting.size >= SNIFFING_SOCKETS_MAX) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    socket.on("error", ignore);
    socket.on("close", () => this.#waiting.delete(socket));
  }
}

/** A socket that breaks while it waits is closed by the system. */
function ignore(): void {}
