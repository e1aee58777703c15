// A binary min-heap of leases by the time they must be looked at next (`wakeMs`); each lease knows its place (`heapIndex`).
// Invariants: a parent wakes no later than its children, and leases[i].heapIndex === i.
// Renewals only move an expiry later, so the lessor leaves `wakeMs` early and corrects it when the lease comes up: a keepalive costs
// no heap work.

import { assert } from "../../base/index.ts";
import type { Lease } from "./lease.ts";

/** Leases by wake time. All costs are O(log n) unless said otherwise. */
export class ExpiryHeap {
  #leases: Lease[] = [];

  get size(): number {
    return this.#leases.length;
  }

  /** The lease with the earliest wake time. O(1). */
  peek(): Lease | undefined {
    return this.#leases[0];
  }

  /** Adds `lease`, or moves it if it is already in, to wake at `wakeMs`. */
  put(lease: Lease, wakeMs: number): void {
    lease.wakeMs = wakeMs;
    let at = lease.heapIndex;
    if (at < 0) {
      at = this.#leases.length;
      this.#leases.push(lease);
    }
    this.#settle(lease, at);
  }

  /** Takes `lease` out; nothing happens if it is not in. */
  remove(lease: Lease): void {
    const at = lease.heapIndex;
    if (at < 0) return;
    lease.heapIndex = -1;
    const last = this.#leases.pop();
    if (last === undefined || last === lease) return;
    this.#settle(last, at);
  }

  /** Replaces everything by `leases`, which must be ascending by `wakeMs`; takes the array. O(n). */
  reset(leases: Lease[]): void {
    for (const lease of this.#leases) lease.heapIndex = -1;
    this.#leases = leases;
    let previous = Number.NEGATIVE_INFINITY;
    leases.forEach((lease, i) => {
      assert(lease.wakeMs >= previous, "a heap is refilled in ascending order");
      previous = lease.wakeMs;
      lease.heapIndex = i;
    });
  }

  /** Finds the place of `lease`, starting from the free or outdated place `at`. */
  #settle(lease: Lease, at: number): void {
    const leases = this.#leases;
    let i = at;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = leases[up] as Lease;
      if (parent.wakeMs <= lease.wakeMs) break;
      this.#place(parent, i);
      i = up;
    }
    if (i === at) i = this.#holeDown(lease, i);
    this.#place(lease, i);
  }

  /** Moves the hole at `at` down past every child that wakes before `lease`; returns where it ends. */
  #holeDown(lease: Lease, at: number): number {
    const leases = this.#leases;
    const half = leases.length >> 1;
    let i = at;
    while (i < half) {
      let down = 2 * i + 1;
      let child = leases[down] as Lease;
      const right = leases[down + 1];
      if (right !== undefined && right.wakeMs < child.wakeMs) {
        down++;
        child = right;
      }
      if (lease.wakeMs <= child.wakeMs) break;
      this.#place(child, i);
      i = down;
    }
    return i;
  }

  #place(lease: Lease, at: number): void {
    this.#leases[at] = lease;
    lease.heapIndex = at;
  }
}
