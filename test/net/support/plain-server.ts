// The byte machine on real sockets without the listener, for clients that speak HTTP/2 but not gRPC.

import { createServer, type Server } from "node:net";
import { type Http2App, Http2Connection } from "../../../src/net/http2/index.ts";
import { defaultConnectionLimits } from "../../../src/net/limits.ts";

/** Listens on a port of the system's choice; writes whatever the machine has after each chunk. */
export async function servePlain(app: Http2App): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    const flush = (): void => {
      connection.pump();
      const bytes = Buffer.from(connection.out.take());
      if (bytes.length > 0) socket.write(bytes);
      connection.isAwake = false;
      if (connection.isClosed) socket.end();
    };
    const owner = { wake: (): void => undefined };
    const connection = new Http2Connection(
      app,
      owner,
      defaultConnectionLimits,
      "",
      performance.now(),
    );
    connection.start();
    flush();
    socket.on("data", (chunk: Buffer) => {
      connection.receive(chunk, performance.now());
      flush();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => connection.loseAll("connection-lost"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, port: address.port };
}
