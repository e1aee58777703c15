// The few protobuf primitives the store writes its rows and responses with: varints of counters, of 64-bit values given as two
// halves, and latin1 strings. Messages are written from typed arrays, so the generated codecs (objects) do not fit here.

type Latin1Write = (this: Uint8Array, text: string, pos: number, length: number) => number;
type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;
// Node's native functions; they work on every Uint8Array, and @types/node does not list them.
const latin1Write = (Buffer.prototype as unknown as { latin1Write: Latin1Write }).latin1Write;
const latin1Slice = (Buffer.prototype as unknown as { latin1Slice: Latin1Slice }).latin1Slice;

/** Up to here a loop over chars beats the call into Node. */
const LOOP_MAX = 16;

/** Bytes of the varint of `value`, a safe integer >= 0. */
export function sizeVarint(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  if (value < 0x2_0000_0000_0000) return 7;
  return 8;
}

/** Writes the varint of `value`, a safe integer >= 0. */
export function writeVarint(buf: Uint8Array, pos: number, value: number): number {
  let p = pos;
  let rest = value;
  while (rest > 0x7fff_ffff) {
    buf[p++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buf[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buf[p++] = rest;
  return p;
}

/** Bytes of the varint of a 64-bit value given as signed 32-bit halves. */
export function sizeVarint64(low: number, high: number): number {
  if (high === 0) return sizeVarint(low >>> 0);
  const h = high >>> 0;
  if (h < 0x8) return 5;
  if (h < 0x400) return 6;
  if (h < 0x2_0000) return 7;
  if (h < 0x100_0000) return 8;
  return h < 0x8000_0000 ? 9 : 10;
}

/** Writes the varint of a 64-bit value given as signed 32-bit halves. */
export function writeVarint64(buf: Uint8Array, pos: number, low: number, high: number): number {
  let p = pos;
  let lo = low >>> 0;
  let hi = high >>> 0;
  while (hi !== 0) {
    buf[p++] = (lo & 0x7f) | 0x80;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  return writeVarint(buf, p, lo);
}

/** Writes the chars of `text` as bytes, without a length. */
export function writeChars(buf: Uint8Array, pos: number, text: string): number {
  const length = text.length;
  if (length <= LOOP_MAX) {
    for (let i = 0; i < length; i++) buf[pos + i] = text.charCodeAt(i);
  } else {
    latin1Write.call(buf, text, pos, length);
  }
  return pos + length;
}

/** buf[start, end) as a string of one char per byte. */
export function readChars(buf: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(buf, start, end);
}

/** Reads protobuf primitives one after the other; `failed` is set, and stays set, when the bytes end too early or are no varint. */
export class WireReader {
  readonly buf: Uint8Array;
  readonly end: number;
  pos: number;
  failed = false;
  /** Signed 32-bit halves of the last varint. */
  low = 0;
  high = 0;

  constructor(buf: Uint8Array, start = 0, end: number = buf.length) {
    this.buf = buf;
    this.pos = start;
    this.end = end;
  }

  /** Reads a varint to `low` and `high` and returns it as a number; exact below 2^53. */
  varint(): number {
    const buf = this.buf;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) break;
      const byte = buf[this.pos++] as number;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= (byte & 0x7f) << 28;
        high = (byte & 0x7f) >>> 4;
      } else if (shift < 63) high |= (byte & 0x7f) << (shift - 32);
      else high |= (byte & 1) << 31;
      if (byte < 0x80) {
        this.low = low;
        this.high = high;
        return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
      }
    }
    this.failed = true;
    return 0;
  }

  /** Reads a length and skips that many bytes; returns where they begin. They end at `pos`. */
  delimited(): number {
    const length = this.varint();
    const start = this.pos;
    if (length > this.end - start) {
      this.failed = true;
      this.pos = this.end;
      return start;
    }
    this.pos = start + length;
    return start;
  }

  /** Skips the value of an unknown field. */
  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 2) this.delimited();
    else if (wireType === 1) this.pos += 8;
    else if (wireType === 5) this.pos += 4;
    else this.failed = true;
    if (this.pos > this.end) this.failed = true;
  }
}
