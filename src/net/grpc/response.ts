// The frames of a gRPC response: head, message prefix, trailers. In steady state a head is 11 bytes, OK trailers are 10.

import {
  HpackEncoder,
  type Http2Connection,
  literalBytesMax,
  writeFrameHeader,
  writeLiteral,
  writeUint32,
} from "../http2/index.ts";
import { encodeStatusText } from "./status.ts";

const FRAME_HEADER_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
/** `:status: 200` in the static table. */
const INDEXED_STATUS_200 = 0x88;
const CONTENT_TYPE = 0;
const STATUS_OK = 1;

/** Room for a response head or OK trailers, frame header included. */
export const RESPONSE_HEAD_BYTES_MAX = 64;
/** Frame header and message prefix. */
export const MESSAGE_HEAD_BYTES = 14;

/** An encoder that knows the two fields of every response. */
export function newResponseEncoder(): HpackEncoder {
  return new HpackEncoder([
    ["content-type", "application/grpc"],
    ["grpc-status", "0"],
  ]);
}

/** Writes the HEADERS frame that opens a response; needs RESPONSE_HEAD_BYTES_MAX of room. Returns the position after it. */
export function writeHead(c: Http2Connection, buf: Buffer, pos: number, id: number): number {
  let at = c.encoder.begin(buf, pos + FRAME_HEADER_BYTES);
  buf[at] = INDEXED_STATUS_200;
  at = c.encoder.declared(buf, at + 1, CONTENT_TYPE);
  writeFrameHeader(buf, pos, at - pos - FRAME_HEADER_BYTES, HEADERS, END_HEADERS, id);
  return at;
}

/** Writes frame header and prefix of a message that fits one DATA frame; returns the position of the message. */
export function writeMessageHead(buf: Buffer, pos: number, id: number, size: number): number {
  const at = writeFrameHeader(buf, pos, size + 5, DATA, 0, id);
  return writePrefix(buf, at, size);
}

/** Writes the five bytes before an uncompressed message. */
export function writePrefix(buf: Buffer, pos: number, size: number): number {
  buf[pos] = 0;
  return writeUint32(buf, pos + 1, size);
}

/** Writes the trailers of a call that ends with OK; needs RESPONSE_HEAD_BYTES_MAX of room. Returns the position after them. */
export function writeOkTrailers(c: Http2Connection, buf: Buffer, pos: number, id: number): number {
  const start = c.encoder.begin(buf, pos + FRAME_HEADER_BYTES);
  const at = c.encoder.declared(buf, start, STATUS_OK);
  const length = at - pos - FRAME_HEADER_BYTES;
  writeFrameHeader(buf, pos, length, HEADERS, END_HEADERS | END_STREAM, id);
  return at;
}

/** Appends the status that ends a call to the connection's output; after a head as trailers, otherwise as the whole response. */
export function writeStatus(
  c: Http2Connection,
  id: number,
  isHeadSent: boolean,
  httpStatus: number,
  code: number,
  text: string,
): void {
  const encoded = encodeStatusText(text);
  const room = RESPONSE_HEAD_BYTES_MAX + literalBytesMax("grpc-message", encoded) + 40;
  const pos = c.out.reserve(room);
  const buf = c.out.bytes;
  let at = c.encoder.begin(buf, pos + FRAME_HEADER_BYTES);
  if (!isHeadSent) {
    if (httpStatus === 200) buf[at++] = INDEXED_STATUS_200;
    else at = writeLiteral(buf, at, ":status", String(httpStatus));
    at = c.encoder.declared(buf, at, CONTENT_TYPE);
  }
  if (code === 0) at = c.encoder.declared(buf, at, STATUS_OK);
  else at = writeLiteral(buf, at, "grpc-status", String(code));
  if (encoded !== "") at = writeLiteral(buf, at, "grpc-message", encoded);
  const length = at - pos - FRAME_HEADER_BYTES;
  writeFrameHeader(buf, pos, length, HEADERS, END_HEADERS | END_STREAM, id);
  c.out.length = at;
  c.wake();
}
