// A response too large to be written at once, as a list of parts: literal bytes (headers, tags, lengths) and lists of KeyValues.
// Satisfies `MessageSource` of server/ports.ts. What a source holds is the row numbers, not the bytes; it pins them until it is
// read to the end or aborted.

import type { KvList } from "./kv-list.ts";

interface ListPart {
  readonly list: KvList;
  readonly tag: number;
}

/** Collects the parts of a response in order. */
export class PartList {
  readonly parts: (Uint8Array | ListPart)[] = [];
  #literal: Uint8Array = new Uint8Array(256);
  #used = 0;

  /** Room for `size` literal bytes: `write` puts them at `pos` of `buf` and returns the position after them. */
  literal(size: number, write: (buf: Uint8Array, pos: number) => number): void {
    if (this.#used + size > this.#literal.length) {
      const larger = new Uint8Array(Math.max(this.#literal.length * 2, this.#used + size));
      larger.set(this.#literal.subarray(0, this.#used));
      this.#literal = larger;
    }
    this.#used = write(this.#literal, this.#used);
  }

  /** The entries of `list` with `tag` before each. */
  list(list: KvList, tag: number): void {
    if (list.count === 0) return;
    this.flush();
    this.parts.push({ list, tag });
  }

  flush(): void {
    if (this.#used === 0) return;
    this.parts.push(this.#literal.slice(0, this.#used));
    this.#used = 0;
  }
}

/** Gives a response window by window. */
export class ResponseSource {
  readonly sizeBytes: number;
  readonly #parts: readonly (Uint8Array | ListPart)[];
  readonly #unpins: (() => void)[] = [];
  #part = 0;
  #entry = 0;
  /** Pieces of literal bytes or of a large entry still to be given, and the offset in the first. */
  #pieces: Uint8Array[] = [];
  #offset = 0;
  #left: number;

  constructor(parts: PartList, sizeBytes: number) {
    parts.flush();
    this.#parts = parts.parts;
    this.sizeBytes = sizeBytes;
    this.#left = sizeBytes;
    for (const part of this.#parts) {
      if (!(part instanceof Uint8Array)) this.#unpins.push(part.list.pin());
    }
  }

  /**
   * Writes the next bytes to buf[pos, end), at least one, and returns the position after the last. Cost: linear in what is written;
   * one entry that does not fit is encoded outside of `buf` once.
   */
  next(buf: Uint8Array, pos: number, end: number): number {
    let p = pos;
    while (p < end && this.#left > p - pos) {
      if (this.#pieces.length > 0) {
        p = this.#copyPieces(buf, p, end);
        continue;
      }
      const part = this.#parts[this.#part] as Uint8Array | ListPart;
      if (part instanceof Uint8Array) {
        this.#part++;
        this.#pieces = [part];
      } else if (this.#entry === part.list.count) {
        this.#part++;
        this.#entry = 0;
      } else {
        p = part.list.writeSome(this.#entry, part.tag, buf, p, end);
        this.#entry = part.list.next;
        // An entry larger than what is left of the window is given in pieces.
        if (this.#entry < part.list.count && p < end) {
          this.#pieces = part.list.entryPieces(this.#entry++, part.tag);
        }
      }
    }
    this.#left -= p - pos;
    if (this.#left === 0) this.abort();
    return p;
  }

  #copyPieces(buf: Uint8Array, pos: number, end: number): number {
    const piece = this.#pieces[0] as Uint8Array;
    const size = Math.min(piece.length - this.#offset, end - pos);
    buf.set(piece.subarray(this.#offset, this.#offset + size), pos);
    this.#offset += size;
    if (this.#offset === piece.length) {
      this.#pieces.shift();
      this.#offset = 0;
    }
    return pos + size;
  }

  /** Frees what the source holds; called by itself after the last byte. */
  abort(): void {
    for (const unpin of this.#unpins) unpin();
    this.#unpins.length = 0;
  }
}
