// The clock of a real process. Timers do not keep the process alive; sockets and pending disk work do.

import type { Cancel, Clock } from "../server/ports.ts";

/** Node's monotonic clock, timers and end of turn. */
export const nodeClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs: number, callback: () => void): Cancel {
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
  endOfTurn(callback: () => void): void {
    setImmediate(callback);
  },
};
