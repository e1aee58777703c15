// Reading primitives of the generated decoders: varints, fixed tags, lengths, strings, and skipping what is not known.
//
// Every function takes (buf, pos, end), reads only in [pos, end), and leaves the position after what it read in `at.pos`. A fault
// leaves `at.pos` = -1 and its reason in `at`; `fault` turns that into a ProtoError. Nothing here throws or allocates, except the
// string, view or bigint asked for. `at` is one constant object: decoding is synchronous, and V8 reads and writes it by address.
//
// The rules are those of google.golang.org/protobuf, which etcd 3.7 uses. Source: protobuf.dev/programming-guides/encoding.

import {
  int64Clamped,
  int64ToBigint,
  int64ToNumber,
  uint64ToBigint,
  uint64ToNumber,
} from "./gate.ts";
import { ProtoError } from "./proto-error.ts";
import { isUtf8 } from "./utf8.ts";

/**
 * Messages and groups may lie inside each other this deep; more is refused, for the stack's sake. A nested txn takes two levels, and the
 * default of `--max-txn-ops` allows 128 of them.
 */
export const MESSAGE_DEPTH_MAX = 512;

/** Wire types. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** What a function of this file left behind. */
interface Cursor {
  /** Position after what was read, -1 after a fault. */
  pos: number;
  /** Halves of the varint read last by `readVarint64`, unsigned. */
  low: number;
  high: number;
  /** Reason and place of the last fault. */
  reason: string;
  offset: number;
}

export const at: Cursor = { pos: 0, low: 0, high: 0, reason: "", offset: 0 };

/** The zero-length value shared by all empty bytes fields. */
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;
// Node's native functions; they work on every Uint8Array, and @types/node does not list them.
const latin1Slice = (Buffer.prototype as unknown as { latin1Slice: Latin1Slice }).latin1Slice;
const utf8Slice = (Buffer.prototype as unknown as { utf8Slice: Latin1Slice }).utf8Slice;

function fail(reason: string, offset: number): -1 {
  at.pos = -1;
  at.reason = reason;
  at.offset = offset;
  return -1;
}

/** The fault left in `at` as the error of `field` (`Message.field`, or `Message` alone). */
export function fault(field: string): ProtoError {
  return new ProtoError(`${field}: ${at.reason}`, at.offset);
}

/** The error of a message nested too deep at `pos`. */
export function depthFault(field: string, pos: number): ProtoError {
  const message = `${field}: nested deeper than ${MESSAGE_DEPTH_MAX} messages`;
  return new ProtoError(message, pos, true);
}

/** Reads up to ten bytes into `at.low` and `at.high`. */
function readVarint64(buf: Uint8Array, pos: number, end: number): void {
  let low = 0;
  let p = pos;
  for (let shift = 0; shift < 28; shift += 7) {
    if (p >= end) {
      fail("varint is cut off", p);
      return;
    }
    const byte = buf[p++] as number;
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      at.low = low;
      at.high = 0;
      at.pos = p;
      return;
    }
  }
  readVarint64Rest(buf, p, end, low);
}

/** The fifth to tenth byte of a varint whose lower 28 bits are `low28`. */
function readVarint64Rest(buf: Uint8Array, pos: number, end: number, low28: number): void {
  let low = low28;
  let high = 0;
  let p = pos;
  for (let shift = 28; shift < 70; shift += 7) {
    if (p >= end) {
      fail("varint is cut off", p);
      return;
    }
    const byte = buf[p++] as number;
    if (shift === 28) {
      low = (low | (byte << 28)) >>> 0;
      high = (byte & 0x7f) >>> 4;
    } else if (shift === 63 && byte > 1) {
      break;
    } else {
      high |= (byte & 0x7f) << (shift - 32);
    }
    if (byte < 0x80) {
      at.low = low;
      at.high = high >>> 0;
      at.pos = p;
      return;
    }
  }
  fail("varint is longer than 64 bits", pos);
}

/** A field's tag, -1 on a fault. Called for tags of more than one byte and for doubtful ones. */
export function readTag(buf: Uint8Array, pos: number, end: number): number {
  readVarint64(buf, pos, end);
  if (at.pos < 0) return -1;
  // The highest field number, 2^29 - 1, is also the highest a 32-bit tag can hold.
  if (at.high !== 0 || at.low < 8) return fail("field number is out of range", pos);
  return at.low;
}

/** Length of a length-delimited field; it never exceeds what is left after it. */
export function readLength(buf: Uint8Array, pos: number, end: number): number {
  let length: number;
  if (pos < end && (buf[pos] as number) < 0x80) {
    length = buf[pos] as number;
    at.pos = pos + 1;
  } else {
    readVarint64(buf, pos, end);
    if (at.pos < 0) return -1;
    length = at.high === 0 ? at.low : Number.POSITIVE_INFINITY;
  }
  return length <= end - at.pos ? length : fail("length goes beyond the message", pos);
}

/** bool: whether any of the 64 bits is set. */
export function readBool(buf: Uint8Array, pos: number, end: number): boolean {
  if (pos < end && (buf[pos] as number) < 0x80) {
    at.pos = pos + 1;
    return buf[pos] !== 0;
  }
  readVarint64(buf, pos, end);
  return at.low !== 0 || at.high !== 0;
}

/** int32 and enums: the lower 32 bits, signed. */
export function readInt32(buf: Uint8Array, pos: number, end: number): number {
  if (pos < end && (buf[pos] as number) < 0x80) {
    at.pos = pos + 1;
    return buf[pos] as number;
  }
  readVarint64(buf, pos, end);
  return at.low | 0;
}

/** uint32: the lower 32 bits. */
export function readUint32(buf: Uint8Array, pos: number, end: number): number {
  return readInt32(buf, pos, end) >>> 0;
}

function checked(value: number, pos: number): number {
  return Number.isNaN(value) ? fail("integer is beyond 2^53 - 1", pos) : value;
}

/** int64 counter; a fault if it is no safe integer. */
export function readInt53(buf: Uint8Array, pos: number, end: number): number {
  if (pos < end && (buf[pos] as number) < 0x80) {
    at.pos = pos + 1;
    return buf[pos] as number;
  }
  readVarint64(buf, pos, end);
  return at.pos < 0 ? -1 : checked(int64ToNumber(at.high, at.low), pos);
}

/** int64 counter; beyond the safe integers it becomes the nearest of them (see gate.ts). */
export function readInt53Clamped(buf: Uint8Array, pos: number, end: number): number {
  if (pos < end && (buf[pos] as number) < 0x80) {
    at.pos = pos + 1;
    return buf[pos] as number;
  }
  readVarint64(buf, pos, end);
  return at.pos < 0 ? -1 : int64Clamped(at.high, at.low);
}

/** uint64 counter; a fault if it is no safe integer. */
export function readUint53(buf: Uint8Array, pos: number, end: number): number {
  if (pos < end && (buf[pos] as number) < 0x80) {
    at.pos = pos + 1;
    return buf[pos] as number;
  }
  readVarint64(buf, pos, end);
  return at.pos < 0 ? -1 : checked(uint64ToNumber(at.high, at.low), pos);
}

/** int64 id. */
export function readInt64(buf: Uint8Array, pos: number, end: number): bigint {
  readVarint64(buf, pos, end);
  return int64ToBigint(at.high, at.low);
}

/** uint64 id. */
export function readUint64(buf: Uint8Array, pos: number, end: number): bigint {
  readVarint64(buf, pos, end);
  return uint64ToBigint(at.high, at.low);
}

/** A view of the `length` bytes at `pos`; the caller has checked that they are there. */
export function viewBytes(buf: Uint8Array, pos: number, length: number): Uint8Array {
  at.pos = pos + length;
  return length === 0 ? EMPTY_BYTES : new Uint8Array(buf.buffer, buf.byteOffset + pos, length);
}

/** The `length` bytes at `pos` as a string of one char per byte; the caller has checked that they are there. */
export function readLatin1(buf: Uint8Array, pos: number, length: number): string {
  at.pos = pos + length;
  return length === 0 ? "" : latin1Slice.call(buf, pos, pos + length);
}

/** The `length` bytes at `pos` as a UTF-8 string, a fault if they are none; the caller has checked that they are there. */
export function readUtf8(buf: Uint8Array, pos: number, length: number): string {
  if (!isUtf8(buf, pos, pos + length)) {
    fail("string is not valid UTF-8", pos);
    return "";
  }
  at.pos = pos + length;
  return length === 0 ? "" : utf8Slice.call(buf, pos, pos + length);
}

/**
 * Skips the rest of a field whose tag has just been read and is not one of the message's. Returns the position after it, -1 on a
 * fault. A known number with another wire type comes here as well, as in Go. `tag` -1 keeps the fault `readTag` left.
 */
export function skipField(
  buf: Uint8Array,
  pos: number,
  end: number,
  tag: number,
  depth: number,
): number {
  if (tag < 0) return -1;
  if (tag < 8) return fail("field number is out of range", pos - 1);
  switch (tag & 7) {
    case VARINT:
      readVarint64(buf, pos, end);
      return at.pos;
    case FIXED64:
      return end - pos < 8 ? fail("fixed64 is cut off", pos) : pos + 8;
    case BYTES: {
      const length = readLength(buf, pos, end);
      return length < 0 ? -1 : at.pos + length;
    }
    case GROUP_START:
      return skipGroup(buf, pos, end, tag, depth + 1);
    case GROUP_END:
      return fail("end of a group that was not begun", pos);
    case FIXED32:
      return end - pos < 4 ? fail("fixed32 is cut off", pos) : pos + 4;
    default:
      return fail("wire type is unknown", pos);
  }
}

function skipGroup(
  buf: Uint8Array,
  pos: number,
  end: number,
  startTag: number,
  depth: number,
): number {
  if (depth > MESSAGE_DEPTH_MAX) {
    return fail(`nested deeper than ${MESSAGE_DEPTH_MAX} messages`, pos);
  }
  const endTag = startTag + (GROUP_END - GROUP_START);
  let p = pos;
  while (p < end) {
    const tag = readTag(buf, p, end);
    if (tag < 0) return -1;
    if (tag === endTag) return at.pos;
    p = skipField(buf, at.pos, end, tag, depth);
    if (p < 0) return -1;
  }
  return fail("group is cut off", p);
}
