// Cuts chunks into frames: checks the preface, then hands on each frame where it lies in the chunk.
//
// Only a frame cut by the chunk's end is copied, to a buffer of its own. No buffer is changed or used again after frames in it were
// handed on, so the layers above may hold ranges of them. Source: RFC 9113 sections 3.4, 4.1, 4.2.

import { FRAME_BYTES_MAX } from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import { CLIENT_PREFACE, ErrorCode, FRAME_HEADER_BYTES } from "./constants.ts";

const NO_BYTES: Buffer = Buffer.alloc(0);

/** The input side of one connection. */
export class FrameInput {
  #prefaceBytes = 0;
  /** First part of a cut frame: as large as the frame, or as its header until that is complete. */
  #carry: Buffer = NO_BYTES;
  #carryBytes = 0;
  /** When the first part of the cut frame came. */
  cutSinceMs = 0;

  /** True while a frame is incomplete. */
  get isCut(): boolean {
    return this.#carryBytes > 0;
  }

  /** Takes the next bytes of the client. */
  receive(c: Http2Connection, chunk: Buffer): void {
    let pos = 0;
    if (this.#prefaceBytes < CLIENT_PREFACE.length) pos = this.#receivePreface(c, chunk);
    if (this.#carryBytes > 0) pos = this.#completeCarry(c, chunk, pos);
    const end = chunk.length;
    while (end - pos >= FRAME_HEADER_BYTES && !c.isClosed) {
      const length = readLength(chunk, pos);
      if (length > FRAME_BYTES_MAX) {
        c.fail(ErrorCode.frameSizeError, "frame too large");
        return;
      }
      const next = pos + FRAME_HEADER_BYTES + length;
      if (next > end) break;
      c.receiveFrame(chunk, pos, length);
      pos = next;
    }
    if (pos < end && !c.isClosed) this.#startCarry(chunk, pos, c.nowMs);
  }

  #receivePreface(c: Http2Connection, chunk: Buffer): number {
    let pos = 0;
    while (pos < chunk.length && this.#prefaceBytes < CLIENT_PREFACE.length) {
      if (chunk[pos] !== CLIENT_PREFACE[this.#prefaceBytes]) {
        c.fail(ErrorCode.protocolError, "bad preface");
        return chunk.length;
      }
      pos++;
      this.#prefaceBytes++;
    }
    return pos;
  }

  #startCarry(chunk: Buffer, pos: number, nowMs: number): void {
    const have = chunk.length - pos;
    const whole =
      have < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + readLength(chunk, pos);
    this.#carry = Buffer.allocUnsafe(whole);
    chunk.copy(this.#carry, 0, pos);
    this.#carryBytes = have;
    this.cutSinceMs = nowMs;
  }

  #completeCarry(c: Http2Connection, chunk: Buffer, start: number): number {
    let pos = start;
    if (this.#carryBytes < FRAME_HEADER_BYTES) {
      pos += this.#fillCarry(chunk, pos, FRAME_HEADER_BYTES);
      if (this.#carryBytes < FRAME_HEADER_BYTES) return pos;
      const length = readLength(this.#carry, 0);
      if (length > FRAME_BYTES_MAX) {
        c.fail(ErrorCode.frameSizeError, "frame too large");
        return chunk.length;
      }
      const whole = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
      this.#carry.copy(whole, 0, 0, FRAME_HEADER_BYTES);
      this.#carry = whole;
    }
    pos += this.#fillCarry(chunk, pos, this.#carry.length);
    if (this.#carryBytes === this.#carry.length) {
      const frame = this.#carry;
      this.#carry = NO_BYTES;
      this.#carryBytes = 0;
      c.receiveFrame(frame, 0, frame.length - FRAME_HEADER_BYTES);
    }
    return pos;
  }

  #fillCarry(chunk: Buffer, pos: number, upTo: number): number {
    const count = Math.min(upTo - this.#carryBytes, chunk.length - pos);
    chunk.copy(this.#carry, this.#carryBytes, pos, pos + count);
    this.#carryBytes += count;
    return count;
  }
}

function readLength(buf: Buffer, pos: number): number {
  return ((buf[pos] as number) << 16) | ((buf[pos + 1] as number) << 8) | (buf[pos + 2] as number);
}
