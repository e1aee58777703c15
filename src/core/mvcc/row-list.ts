// A list of row numbers in segments, so that a list of a million rows never copies itself to grow.

const SEGMENT_BITS = 13;
const SEGMENT_ROWS: number = 1 << SEGMENT_BITS;

export class RowList {
  readonly #segments: number[][] = [];
  #last: number[] = [];
  length = 0;

  push(row: number): void {
    if (this.length % SEGMENT_ROWS === 0) {
      this.#last = [];
      this.#segments.push(this.#last);
    }
    this.#last.push(row);
    this.length++;
  }

  /** The row at `i`, 0 <= i < length. */
  at(i: number): number {
    return (this.#segments[i >>> SEGMENT_BITS] as number[])[i & (SEGMENT_ROWS - 1)] as number;
  }

  /** Forgets the rows from `length` on. */
  truncate(length: number): void {
    if (length >= this.length) return;
    this.length = length;
    this.#segments.length = Math.ceil(length / SEGMENT_ROWS);
    this.#last = this.#segments[this.#segments.length - 1] ?? [];
    if (length % SEGMENT_ROWS !== 0) this.#last.length = length % SEGMENT_ROWS;
  }
}
