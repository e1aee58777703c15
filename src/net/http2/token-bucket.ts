// A rate limit with a burst, on a clock given from outside.

/** Allows `burst` events at once and `perSecond` after that. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAtMs = 0;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
  }

  /** Takes one token; false if there is none. */
  take(nowMs: number): boolean {
    if (this.#filledAtMs > 0) {
      const gained = ((nowMs - this.#filledAtMs) * this.#perSecond) / 1_000;
      this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    }
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
