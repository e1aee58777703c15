// Reads of many sockets into one buffer. Node gives every read a buffer of 64 KiB of its own; for small requests the collector then has
// more work than the server (measured: half of the processor time of a client that sends one put at a time).
//
// `net.Socket` can do this only for sockets it makes itself (`onread`), not for accepted ones, so the three fields behind that option are
// set here, found by their names. A Node that has none of them gets ordinary reads; nothing else depends on it.

import type { Socket } from "node:net";

/** Bytes one read may bring. */
const READ_BYTES = 65_536;

/** One turn of the event loop reads one socket at a time, so all of them share this. */
const shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);

interface ReadingHandle {
  useUserBuffer(buffer: Uint8Array): void;
}

interface Fields {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

function fieldsOf(socket: Socket): Fields | undefined {
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string): symbol | undefined =>
    symbols.find((symbol) => symbol.description === name);
  const [buffer, callback, generator] = ["kBuffer", "kBufferCb", "kBufferGen"].map(named);
  if (buffer === undefined || callback === undefined || generator === undefined) return undefined;
  return { buffer, callback, generator };
}

function handleOf(socket: Socket): ReadingHandle | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null || !("useUserBuffer" in handle))
    return undefined;
  return typeof handle.useUserBuffer === "function" ? (handle as ReadingHandle) : undefined;
}

/**
 * Lets `socket` call `receive` with what it reads from now on; the bytes are borrowed, the next read of any socket overwrites them.
 * The socket must not have been read from by pipe or iteration; `pause` and `resume` work as ever.
 */
export function readShared(socket: Socket, receive: (chunk: Buffer) => void): void {
  const fields = fieldsOf(socket);
  const handle = handleOf(socket);
  if (fields === undefined || handle === undefined) {
    socket.on("data", receive);
    return;
  }
  Reflect.set(socket, fields.buffer, shared);
  Reflect.set(socket, fields.generator, null);
  Reflect.set(socket, fields.callback, (bytes: number): boolean => {
    receive(shared.subarray(0, bytes));
    return true;
  });
  handle.useUserBuffer(shared);
  socket.resume();
}
