// A clock that moves only when told: timers and ends of turns run in order of time, then of registration.

import type { Cancel, Clock } from "../../src/server/ports.ts";

interface Timer {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/** Time under the test's control; starts at 1000 ms. */
export class VirtualClock implements Clock {
  #nowMs = 1000;
  #sequence = 0;
  readonly #timers: Set<Timer> = new Set();
  #endOfTurn: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    const timer = { atMs: this.#nowMs + delayMs, sequence: this.#sequence++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  endOfTurn(callback: () => void): void {
    this.#endOfTurn.push(callback);
  }

  /** Ends the turn, and the turns that its callbacks begin. */
  turn(): void {
    while (this.#endOfTurn.length > 0) {
      const callbacks = this.#endOfTurn;
      this.#endOfTurn = [];
      for (const callback of callbacks) callback();
    }
  }

  /** Moves time on by `ms`, running everything that comes due on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    this.turn();
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs > untilMs) continue;
        if (
          next === undefined ||
          timer.atMs < next.atMs ||
          (timer.atMs === next.atMs && timer.sequence < next.sequence)
        ) {
          next = timer;
        }
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      this.turn();
    }
    this.#nowMs = untilMs;
  }
}
