// What a stream still has to send: encoded bytes and lazy sources, in order. Exists only for streams that had to wait.
//
// Small messages share pieces of QUEUE_PIECE_BYTES, so a thousand waiting events are a few objects.

import type { MessageSource } from "../../server/ports.ts";
import { QUEUE_PIECE_BYTES } from "../limits.ts";

class Piece {
  /** Undefined for a source. */
  readonly bytes: Buffer | undefined;
  readonly source: MessageSource | undefined;
  /** Next byte to send, and end of what was written, in `bytes`. */
  start = 0;
  end = 0;
  /** Bytes the source has not given yet. */
  sourceLeft: number;

  constructor(bytes: Buffer | undefined, source: MessageSource | undefined) {
    this.bytes = bytes;
    this.source = source;
    this.sourceLeft = source === undefined ? 0 : source.sizeBytes;
  }
}

/** The queue of one stream. */
export class SendQueue {
  readonly #pieces: Piece[] = [];
  /** Everything not yet written to the connection's output. */
  totalBytes = 0;
  /** The part of it that is held encoded in memory. */
  heldBytes = 0;
  /** The open tail after `reserve`. */
  #tail: Piece | undefined = undefined;

  get isEmpty(): boolean {
    return this.totalBytes === 0;
  }

  /** True while a source is unfinished. */
  get hasSource(): boolean {
    return this.#pieces.some((piece) => piece.source !== undefined);
  }

  /** Room for `count` bytes at the end; `tailBytes` and the returned position say where. Call `commit` after writing. */
  reserve(count: number): number {
    const last = this.#pieces.at(-1);
    if (last?.bytes !== undefined && last.end + count <= last.bytes.length) {
      this.#tail = last;
      return last.end;
    }
    this.#tail = new Piece(Buffer.allocUnsafeSlow(Math.max(count, QUEUE_PIECE_BYTES)), undefined);
    this.#pieces.push(this.#tail);
    return 0;
  }

  get tailBytes(): Buffer {
    return this.#tail?.bytes as Buffer;
  }

  /** Accepts what was written after `reserve`, up to `end`. */
  commit(end: number): void {
    const tail = this.#tail as Piece;
    this.totalBytes += end - tail.end;
    this.heldBytes += end - tail.end;
    tail.end = end;
  }

  pushSource(source: MessageSource): void {
    if (source.sizeBytes === 0) return;
    this.#pieces.push(new Piece(undefined, source));
    this.totalBytes += source.sizeBytes;
  }

  /** Moves up to `count` bytes (at most `totalBytes`) to `buf` at `pos` and returns the position after them. */
  read(buf: Buffer, pos: number, count: number): number {
    const end = pos + count;
    let at = pos;
    while (at < end) {
      const piece = this.#pieces[0] as Piece;
      if (piece.source === undefined) {
        const length = Math.min(end - at, piece.end - piece.start);
        (piece.bytes as Buffer).copy(buf, at, piece.start, piece.start + length);
        piece.start += length;
        this.heldBytes -= length;
        at += length;
        if (piece.start === piece.end) this.#pieces.shift();
      } else {
        const limit = Math.min(end, at + piece.sourceLeft);
        const next = piece.source.next(buf, at, limit);
        if (next <= at || next > limit) throw new RangeError("source broke its contract");
        piece.sourceLeft -= next - at;
        at = next;
        if (piece.sourceLeft === 0) this.#pieces.shift();
      }
    }
    this.totalBytes -= count;
    return at;
  }

  /** Drops everything and tells unfinished sources. */
  abort(): void {
    const pieces = this.#pieces.splice(0);
    this.totalBytes = 0;
    this.heldBytes = 0;
    for (const piece of pieces) piece.source?.abort();
  }
}
