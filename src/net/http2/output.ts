// The bytes a connection is about to send: one buffer that grows, written in place, given to the socket whole at the end of a turn.
//
// Two buffers take turns: while the socket still holds one, output gathers in the other; no buffer is touched before the socket gave it back.

import { FRAME_HEADER_BYTES } from "./constants.ts";

const CAPACITY_MIN = 4_096;
const NOTHING: Buffer = Buffer.alloc(0);

/** A growing output buffer. `bytes` may be another object after `reserve`. */
export class OutputBuffer {
  bytes: Buffer = NOTHING;
  /** Bytes written; the writer advances it after it wrote. */
  length = 0;
  #spare: Buffer = NOTHING;

  /** Makes room for `count` more bytes and returns the position to write them at. */
  reserve(count: number): number {
    const length = this.length;
    if (length + count > this.bytes.length) this.#grow(length + count);
    return length;
  }

  #grow(needed: number): void {
    let capacity = Math.max(this.bytes.length * 2, CAPACITY_MIN);
    while (capacity < needed) capacity *= 2;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Copies `bytes` behind the output. */
  append(bytes: Uint8Array): void {
    const pos = this.reserve(bytes.length);
    this.bytes.set(bytes, pos);
    this.length = pos + bytes.length;
  }

  /** Hands over what was written; the other buffer is used from now on. Call `giveBack` when the bytes have left. */
  take(): Buffer {
    const full = this.bytes;
    const taken = full.subarray(0, this.length);
    this.bytes = this.#spare;
    this.#spare = full;
    this.length = 0;
    return taken;
  }

  /** Frees both buffers if they are larger than `keepBytes`; only while nothing is taken. */
  shrink(keepBytes: number): void {
    if (this.length > 0) return;
    if (this.bytes.length > keepBytes) this.bytes = NOTHING;
    if (this.#spare.length > keepBytes) this.#spare = NOTHING;
  }
}

/** Writes a frame header and returns the position after it. `payload` < 2^24. */
export function writeFrameHeader(
  buf: Uint8Array,
  pos: number,
  payload: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  buf[pos] = payload >>> 16;
  buf[pos + 1] = payload >>> 8;
  buf[pos + 2] = payload;
  buf[pos + 3] = type;
  buf[pos + 4] = flags;
  buf[pos + 5] = streamId >>> 24;
  buf[pos + 6] = streamId >>> 16;
  buf[pos + 7] = streamId >>> 8;
  buf[pos + 8] = streamId;
  return pos + FRAME_HEADER_BYTES;
}

/** Writes a 32-bit number, most significant byte first, and returns the position after it. */
export function writeUint32(buf: Uint8Array, pos: number, value: number): number {
  buf[pos] = value >>> 24;
  buf[pos + 1] = value >>> 16;
  buf[pos + 2] = value >>> 8;
  buf[pos + 3] = value;
  return pos + 4;
}

/** Reads a 32-bit number, most significant byte first, unsigned. */
export function readUint32(buf: Uint8Array, pos: number): number {
  return (
    (((buf[pos] as number) << 24) |
      ((buf[pos + 1] as number) << 16) |
      ((buf[pos + 2] as number) << 8) |
      (buf[pos + 3] as number)) >>>
    0
  );
}
