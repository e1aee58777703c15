// A TCP proxy in front of a server that can cut every connection, and refuse new ones, at a word.

import { connect, createServer, type Server, type Socket } from "node:net";

export class CutProxy {
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();
  #refusing = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port and forwards to 127.0.0.1:`port`. */
  static async start(port: number): Promise<CutProxy> {
    const server = createServer();
    const proxy = new CutProxy(server);
    server.on("connection", (socket) => proxy.#join(socket, port));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get endpoint(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Cuts every connection now; while `refusing`, new ones are cut at once. */
  cut(refusing = false): void {
    this.#refusing = refusing;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut(true);
    this.#server.close();
  }

  #join(socket: Socket, port: number): void {
    if (this.#refusing) {
      socket.destroy();
      return;
    }
    const onward = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on("error", () => undefined);
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
