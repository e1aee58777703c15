// Time of the simulator: one queue of events for the whole machine, and a clock for each life of the program on it.
//
// Nothing happens but by `step`, so a crash can come between any two events, and two runs of one seed are equal event by event.
// Events of one instant run in the order they were asked for.

import type { Cancel, Clock } from "../../src/server/ports.ts";

interface Timer {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/** The machine's time in milliseconds; starts at 1000. */
export class SimClock implements Clock {
  #nowMs = 1000;
  #sequence = 0;
  readonly #timers: Timer[] = [];
  #turn: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    const timer = { atMs: this.#nowMs + delayMs, sequence: this.#sequence++, callback };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  endOfTurn(callback: () => void): void {
    this.#turn.push(callback);
  }

  /** Ends the turn that is under way, or lets the next event happen; false if there is none. */
  step(): boolean {
    if (this.#turn.length > 0) {
      const callbacks = this.#turn;
      this.#turn = [];
      for (const callback of callbacks) callback();
      return true;
    }
    let first = 0;
    for (let i = 1; i < this.#timers.length; i++) {
      if (isBefore(this.#timers[i] as Timer, this.#timers[first] as Timer)) first = i;
    }
    const [timer] = this.#timers.splice(first, 1);
    if (timer === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.callback();
    return true;
  }

  /** Lets time pass while nothing runs: what was due meanwhile comes late. */
  sleep(ms: number): void {
    this.#nowMs += ms;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** The clock as one life of the program sees it: after `end` none of its callbacks comes any more. */
export class LifeClock implements Clock {
  readonly #clock: SimClock;
  #ended = false;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, callback: () => void): Cancel {
    return this.#clock.after(delayMs, () => {
      if (!this.#ended) callback();
    });
  }

  endOfTurn(callback: () => void): void {
    this.#clock.endOfTurn(() => {
      if (!this.#ended) callback();
    });
  }

  end(): void {
    this.#ended = true;
  }
}
