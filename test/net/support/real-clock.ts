// The clock port over the machine itself, for tests with real sockets.

import type { Clock } from "../../../src/server/ports.ts";

/** The machine's clock and loop. */
export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  endOfTurn: (callback) => {
    setImmediate(callback);
  },
};
