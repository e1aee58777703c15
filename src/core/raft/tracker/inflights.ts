// The window of append messages that were sent to one follower and not yet acknowledged, limited by count and by bytes.
//
// A ring over two parallel arrays of numbers, grown on demand up to the count limit: most windows stay tiny.
// Invariant: indexes in the ring are ascending.

import { assert } from "../../../base/index.ts";

/** Limits of one window. Both are inclusive; a message may overshoot the byte limit when the window was below it. */
export interface InflightLimits {
  /** Messages, at least 1. */
  readonly messagesMax: number;
  /** Payload bytes; Infinity for no limit. */
  readonly bytesMax: number;
}

export class Inflights {
  readonly #limits: InflightLimits;
  #indexes: Float64Array = new Float64Array(0);
  #sizes: Float64Array = new Float64Array(0);
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  /** Messages in the window. */
  get count(): number {
    return this.#count;
  }

  /** Payload bytes in the window. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True when no further message may be added. */
  get isFull(): boolean {
    return this.#count >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Adds a message whose last entry is `lastIndex`, above every index in the window, which must not be full. */
  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, "an inflight window takes messages only below its limits");
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = lastIndex;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Frees every message whose last entry is at or below `index`. */
  freeTo(index: number): void {
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count--;
    }
  }

  /** Frees everything. */
  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const room = Math.min(Math.max(8, this.#indexes.length * 2), this.#limits.messagesMax);
    const indexes = new Float64Array(room);
    const sizes = new Float64Array(room);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#start + i) % this.#indexes.length;
      indexes[i] = this.#indexes[from] as number;
      sizes[i] = this.#sizes[from] as number;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
