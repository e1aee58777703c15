// The form in which generated codecs are handed around, and the rows of the RPC table.

import type { ProtoError } from "./proto-error.ts";

/** How one message type is encoded and decoded. */
export interface Codec<T> {
  /** Encoded size in bytes. */
  size(message: T): number;
  /** Writes exactly `size(message)` bytes at `pos` and returns the position after them. */
  write(message: T, buf: Uint8Array, pos: number): number;
  /** Decodes buf[start, end); byte values are views of `buf`, not copies. Never throws. */
  decode(buf: Uint8Array, start: number, end: number): T | ProtoError;
}

/** One RPC of the API. */
export interface RpcRow {
  /** With package, for example `etcdserverpb.KV`. */
  readonly service: string;
  readonly method: string;
  /** As on the wire, for example `/etcdserverpb.KV/Put`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Names of the message types as in this folder. */
  readonly requestType: string;
  readonly responseType: string;
}
