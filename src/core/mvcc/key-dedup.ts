// Tells whether a key of a restored row was seen before, from its bytes: rows are read faster than a map of strings takes them, and the
// string is only made for a new key. Open addressing over (hash, id); used while a store is built and then dropped.

import { readChars } from "./wire.ts";

/** Slots looked at before the key goes to the map, which no chosen set of keys can slow down. */
const PROBES_MAX = 32;
const FIRST_BITS = 12;

export class KeyDedup {
  readonly #keyOf: (id: number) => string;
  #bits = FIRST_BITS;
  /** Per slot: hash, id + 1 (0 = empty). */
  #slots: Uint32Array = new Uint32Array(2 << FIRST_BITS);
  #count = 0;
  readonly #overflow: Map<string, number> = new Map();

  constructor(keyOf: (id: number) => string) {
    this.#keyOf = keyOf;
  }

  /** Id of the key at buf[start, end); a new one gets the id that `add` returns for its string. */
  idOf(buf: Uint8Array, start: number, end: number, add: (key: string) => number): number {
    if (this.#count * 2 > 1 << this.#bits) this.#grow();
    const hash = hashOf(buf, start, end);
    const mask = (1 << this.#bits) - 1;
    const slots = this.#slots;
    let slot = hash >>> (32 - this.#bits);
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const stored = slots[2 * slot + 1] as number;
      if (stored === 0) {
        const key = readChars(buf, start, end);
        // It may have gone to the map before the table grew.
        const mapped = this.#overflow.size > 0 ? this.#overflow.get(key) : undefined;
        if (mapped !== undefined) return mapped;
        const id = add(key);
        slots[2 * slot] = hash;
        slots[2 * slot + 1] = id + 1;
        this.#count++;
        return id;
      }
      if (slots[2 * slot] === hash && equals(this.#keyOf(stored - 1), buf, start, end)) {
        return stored - 1;
      }
      slot = (slot + 1) & mask;
    }
    const key = readChars(buf, start, end);
    const known = this.#overflow.get(key);
    if (known !== undefined) return known;
    const id = add(key);
    this.#overflow.set(key, id);
    return id;
  }

  #grow(): void {
    const old = this.#slots;
    this.#bits++;
    const slots = new Uint32Array(2 << this.#bits);
    const mask = (1 << this.#bits) - 1;
    for (let i = 0; i < old.length; i += 2) {
      const stored = old[i + 1] as number;
      if (stored === 0) continue;
      const hash = old[i] as number;
      let slot = hash >>> (32 - this.#bits);
      let probe = 0;
      while (slots[2 * slot + 1] !== 0 && probe++ < PROBES_MAX) slot = (slot + 1) & mask;
      if (probe >= PROBES_MAX) {
        this.#overflow.set(this.#keyOf(stored - 1), stored - 1);
        continue;
      }
      slots[2 * slot] = hash;
      slots[2 * slot + 1] = stored;
    }
    this.#slots = slots;
  }
}

/** FNV-1a with a last mix, so that the top bits depend on all of it. */
export function hashOf(buf: Uint8Array, start: number, end: number): number {
  let h = 0x811c_9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (buf[i] as number), 0x0100_0193);
  h ^= h >>> 15;
  return Math.imul(h, 0x9e37_79b1) >>> 0;
}

function equals(key: string, buf: Uint8Array, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) !== buf[start + i]) return false;
  return true;
}
