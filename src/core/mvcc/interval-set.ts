// A set of key intervals, kept as disjoint, ascending [from, to) pairs; `to` undefined: no bound.

export class IntervalSet {
  readonly #from: string[] = [];
  readonly #to: (string | undefined)[] = [];

  /** Adds from <= key < to; an empty interval adds nothing. */
  add(from: string, to: string | undefined): void {
    if (to !== undefined && to <= from) return;
    let first = this.#after(from);
    if (first > 0 && this.#reaches(first - 1, from)) first--;
    const last = to === undefined ? this.#from.length : this.#after(to);
    let newFrom = from;
    let newTo = to;
    if (last > first) {
      if ((this.#from[first] as string) < newFrom) newFrom = this.#from[first] as string;
      const end = this.#to[last - 1];
      if (newTo !== undefined && (end === undefined || end > newTo)) newTo = end;
    }
    this.#from.splice(first, last - first, newFrom);
    this.#to.splice(first, last - first, newTo);
  }

  /** Adds all intervals of `other`. */
  addAll(other: IntervalSet): void {
    for (let i = 0; i < other.#from.length; i++) this.add(other.#from[i] as string, other.#to[i]);
  }

  /** True if `key` lies in one of the intervals. */
  has(key: string): boolean {
    const place = this.#after(key) - 1;
    if (place < 0) return false;
    const to = this.#to[place];
    return to === undefined || key < to;
  }

  /** Number of intervals that begin at or below `key`. */
  #after(key: string): number {
    let low = 0;
    let high = this.#from.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if ((this.#from[mid] as string) <= key) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** True if interval `place` reaches up to `key`, touching included. */
  #reaches(place: number, key: string): boolean {
    const to = this.#to[place];
    return to === undefined || to >= key;
  }
}
