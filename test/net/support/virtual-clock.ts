// A clock moved by hand: nothing happens until the test says so.

import type { Cancel, Clock } from "../../../src/server/ports.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time starts at 1,000,000 ms. */
export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Set<Timer>();
  #turn: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  endOfTurn(callback: () => void): void {
    this.#turn.push(callback);
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Runs what waits for the end of the turn, once; what that asks for belongs to the next turn. */
  turn(): void {
    const callbacks = this.#turn;
    this.#turn = [];
    for (const callback of callbacks) callback();
  }

  /** Moves on by `ms`, firing timers in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}
