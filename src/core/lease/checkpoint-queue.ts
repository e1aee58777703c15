// Leases whose remaining time is to be replicated, in the order they come due.
// The interval is one constant, so due times rise with every push and a plain queue does what etcd keeps a heap for. An entry counts
// only while it is the lease's latest (`checkpointDueMs`); older ones, and those of leases gone since, are dropped when they come up.

import type { Lease } from "./lease.ts";

interface Scheduled {
  readonly lease: Lease;
  readonly dueMs: number;
}

/** A first-in first-out queue of scheduled checkpoints. All costs are amortised O(1). */
export class CheckpointQueue {
  #entries: Scheduled[] = [];
  #head = 0;

  /** Schedules `lease` for `dueMs`, which must not be before any due time given earlier; a previous schedule of it lapses. */
  push(lease: Lease, dueMs: number): void {
    lease.checkpointDueMs = dueMs;
    this.#entries.push({ lease, dueMs });
  }

  /** Takes out the next lease due at `nowMs`, if any. */
  shift(nowMs: number): Lease | undefined {
    for (;;) {
      const entry = this.#entries[this.#head];
      if (entry === undefined || entry.dueMs > nowMs) return undefined;
      this.#head++;
      if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
        this.#entries = this.#entries.slice(this.#head);
        this.#head = 0;
      }
      if (entry.lease.checkpointDueMs !== entry.dueMs) continue;
      entry.lease.checkpointDueMs = -1;
      return entry.lease;
    }
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
  }
}
