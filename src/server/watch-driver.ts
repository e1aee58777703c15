// Drives the watch hub: delivers after each apply pass, and lets watchers that lag read on in slices between turns.

import { type MvccStore, WatchHub } from "../core/mvcc/index.ts";
import type { Clock } from "./ports.ts";

/** Rows looked at for lagging watchers in one turn: one or two milliseconds. */
const CATCH_UP_ROWS = 5000;
/** When lagging watchers that could not go on are looked at again, in milliseconds. */
const RETRY_MS = 100;

/** The watchers of one member. */
export class WatchDriver {
  readonly hub: WatchHub;
  readonly #clock: Clock;
  readonly #onStop: Set<() => void> = new Set();
  #armed = false;
  #stopped = false;

  constructor(store: MvccStore, clock: Clock) {
    this.hub = new WatchHub(store);
    this.#clock = clock;
  }

  get watcherCount(): number {
    return this.hub.watcherCount;
  }

  get slowWatcherCount(): number {
    return this.hub.unsyncedCount;
  }

  /** Delivers what was written; at the end of an apply pass, and before a compaction is applied. */
  flush(): void {
    this.hub.flush();
  }

  /** A watcher with a start in the past was created, or one can go on: lets it catch up soon. */
  wake(): void {
    if (this.#armed || this.#stopped || this.hub.unsyncedCount === 0) return;
    this.#armed = true;
    this.#clock.endOfTurn(() => this.#catchUp());
  }

  /** Calls `callback` when the member stops, unless the returned function was called before. */
  whenStopped(callback: () => void): () => void {
    this.#onStop.add(callback);
    return () => this.#onStop.delete(callback);
  }

  stop(): void {
    this.#stopped = true;
    for (const callback of this.#onStop) callback();
    this.#onStop.clear();
  }

  #catchUp(): void {
    this.#armed = false;
    if (this.#stopped) return;
    if (this.hub.catchUp(CATCH_UP_ROWS)) {
      this.wake();
    } else if (this.hub.unsyncedCount > 0) {
      this.#armed = true;
      this.#clock.after(RETRY_MS, () => this.#catchUp());
    }
  }
}
