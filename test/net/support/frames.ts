// Frames by hand: builders for what a client sends and a reader for what the server answers.

import { ErrorCode, Flag, FrameType } from "../../../src/net/http2/constants.ts";
import { HpackDecoder } from "../../../src/net/http2/hpack-decoder.ts";

export { ErrorCode, Flag, FrameType };

export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export type Fields = readonly (readonly [name: string, value: string])[];

export function frame(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id >>> 0, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function settings(...pairs: [id: number, value: number][]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]));
  return frame(FrameType.settings, 0, 0, Buffer.concat(payload));
}

export const settingsAck: Buffer = frame(FrameType.settings, Flag.ack, 0, Buffer.alloc(0));

export function windowUpdate(id: number, bytes: number): Buffer {
  return frame(FrameType.windowUpdate, 0, id, uint32(bytes));
}

export function rst(id: number, code: number = ErrorCode.cancel): Buffer {
  return frame(FrameType.rstStream, 0, id, uint32(code));
}

export function ping(flags = 0): Buffer {
  return frame(FrameType.ping, flags, 0, Buffer.from("12345678"));
}

export function data(id: number, payload: Uint8Array, endStream = false): Buffer {
  return frame(FrameType.data, endStream ? Flag.endStream : 0, id, payload);
}

function integer(value: number, pattern: number, mask: number): Buffer {
  if (value < mask) return Buffer.from([pattern | value]);
  const bytes = [pattern | mask];
  let rest = value - mask;
  while (rest > 127) {
    bytes.push(0x80 | (rest & 0x7f));
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length, 0, 0x7f), bytes]);
}

/** A block of literals, without indexing or (`0x40`) with. */
export function block(fields: Fields, pattern: 0x00 | 0x10 | 0x40 = 0x00): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.from([pattern]), text(name), text(value)])),
  );
}

/** The fields of a gRPC request. */
export function requestFields(path = "/test.Echo/Unary", extra: Fields = []): Fields {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...extra,
  ];
}

export function headers(id: number, fields: Fields = requestFields(), endStream = false): Buffer {
  const flags = Flag.endHeaders | (endStream ? Flag.endStream : 0);
  return frame(FrameType.headers, flags, id, block(fields));
}

/** A message with its five bytes before it. */
export function message(bytes: Uint8Array, flag = 0): Buffer {
  return Buffer.concat([Buffer.from([flag]), uint32(bytes.length), bytes]);
}

/** A frame the server sent. */
export interface Received {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
  /** Decoded, for HEADERS. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Cuts the server's output into frames, decoding header blocks in order. */
export class FrameReader {
  readonly #decoder = new HpackDecoder();
  #rest: Buffer = Buffer.alloc(0);

  read(chunk: Buffer): Received[] {
    let bytes = Buffer.concat([this.#rest, chunk]);
    const frames: Received[] = [];
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < 9 + length) break;
      frames.push(this.#frame(bytes, bytes.subarray(9, 9 + length)));
      bytes = bytes.subarray(9 + length);
    }
    this.#rest = bytes;
    return frames;
  }

  #frame(bytes: Buffer, payload: Buffer): Received {
    const type = bytes[3] as number;
    const fields = new Map<string, string>();
    if (type === FrameType.headers) {
      if (!this.#decoder.decode(payload, 0, payload.length)) throw new Error("bad block from us");
      for (const entry of this.#decoder.fields) fields.set(entry.name, entry.value);
    }
    return {
      type,
      flags: bytes[4] as number,
      id: bytes.readUInt32BE(5) & 0x7fffffff,
      payload: Buffer.from(payload),
      fields,
    };
  }
}
