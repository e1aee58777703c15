// A stable sort that can stop anywhere and go on in a later turn: bottom-up merge sort over positions.

/** Sorted at once, with the engine's own stable sort. */
const RUN = 512;

export class MergeSort {
  readonly #compare: (a: number, b: number) => number;
  #from: Uint32Array;
  #to: Uint32Array;
  #width = 0;
  #done = 0;

  /** Sorts the positions 0 .. count-1 by `compare`, which must be consistent while the sort runs. */
  constructor(count: number, compare: (a: number, b: number) => number) {
    this.#compare = compare;
    this.#from = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.#from[i] = i;
    this.#to = new Uint32Array(count);
  }

  /** Does about `positionsMax` moves (at least one run); true when sorted. */
  step(positionsMax: number): boolean {
    const count = this.#from.length;
    const stop = this.#done + positionsMax;
    if (this.#width === 0) {
      while (this.#done < count) {
        this.#from.subarray(this.#done, this.#done + RUN).sort(this.#compare);
        this.#done += RUN;
        if (this.#done >= stop && this.#done < count) return false;
      }
      this.#width = RUN;
      this.#done = 0;
      return this.#width >= count;
    }
    if (this.#width >= count) return true;
    while (this.#done < count) {
      this.#merge(this.#done);
      this.#done += 2 * this.#width;
      if (this.#done >= stop && this.#done < count) return false;
    }
    [this.#from, this.#to] = [this.#to, this.#from];
    this.#width *= 2;
    this.#done = 0;
    return this.#width >= count;
  }

  #merge(start: number): void {
    const from = this.#from;
    const to = this.#to;
    const middle = Math.min(start + this.#width, from.length);
    const end = Math.min(start + 2 * this.#width, from.length);
    let left = start;
    let right = middle;
    for (let at = start; at < end; at++) {
      const takeLeft =
        left < middle &&
        (right >= end || this.#compare(from[left] as number, from[right] as number) <= 0);
      to[at] = from[takeLeft ? left++ : right++] as number;
    }
  }

  /** The positions in order, once `step` returned true. */
  get order(): Uint32Array {
    return this.#from;
  }
}
