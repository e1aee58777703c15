// Deadlines of calls on a wheel: adding and removing cost a few stores, because most calls end long before their deadline.
//
//   slot = floor(deadline / DEADLINE_SLOT_MS) mod DEADLINE_SLOTS; a slot is looked at when its time has passed, entries of a later
//   rotation stay. The clock is asked to wake us only for the next slot that holds anything; an empty wheel costs nothing.

import type { Cancel, Clock } from "../../server/ports.ts";
import { DEADLINE_SLOT_MS, DEADLINE_SLOTS } from "../limits.ts";

/** Something with a deadline; the links belong to the wheel. */
export interface DeadlineEntry {
  readonly deadlineMs: number | undefined;
  deadlineNext: DeadlineEntry | undefined;
  deadlinePrevious: DeadlineEntry | undefined;
  /** -1 when not on the wheel. */
  deadlineSlot: number;
  /** The deadline has passed; the entry is off the wheel. */
  onDeadline(): void;
}

/** All deadlines of a listener. */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #heads: (DeadlineEntry | undefined)[] = Array.from({
    length: DEADLINE_SLOTS,
  });
  #count = 0;
  /** First slot number (not reduced) that has not been looked at. */
  #nextSlot = 0;
  #wakeAtSlot = Number.POSITIVE_INFINITY;
  #cancelWake: Cancel | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  add(entry: DeadlineEntry, deadlineMs: number): void {
    if (this.#count === 0) this.#nextSlot = Math.floor(this.#clock.nowMs() / DEADLINE_SLOT_MS);
    const slot = Math.max(Math.floor(deadlineMs / DEADLINE_SLOT_MS), this.#nextSlot);
    const index = slot % DEADLINE_SLOTS;
    const head = this.#heads[index];
    entry.deadlineSlot = index;
    entry.deadlineNext = head;
    if (head !== undefined) head.deadlinePrevious = entry;
    this.#heads[index] = entry;
    this.#count++;
    if (slot < this.#wakeAtSlot) this.#wakeAt(this.#nextWakeFor(slot));
  }

  remove(entry: DeadlineEntry): void {
    if (entry.deadlineSlot < 0) return;
    const { deadlineNext: next, deadlinePrevious: previous } = entry;
    if (previous === undefined) this.#heads[entry.deadlineSlot] = next;
    else previous.deadlineNext = next;
    if (next !== undefined) next.deadlinePrevious = previous;
    entry.deadlineSlot = -1;
    entry.deadlineNext = undefined;
    entry.deadlinePrevious = undefined;
    this.#count--;
  }

  /** Stops waking; entries stay. */
  stop(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
  }

  /** A deadline beyond one rotation is first met when its slot comes round. */
  #nextWakeFor(slot: number): number {
    const ahead = slot - this.#nextSlot;
    return this.#nextSlot + (ahead % DEADLINE_SLOTS);
  }

  #wakeAt(slot: number): void {
    if (slot >= this.#wakeAtSlot) return;
    this.#cancelWake?.();
    this.#wakeAtSlot = slot;
    const delayMs = (slot + 1) * DEADLINE_SLOT_MS - this.#clock.nowMs();
    this.#cancelWake = this.#clock.after(Math.max(0, delayMs), () => this.#onWake());
  }

  #onWake(): void {
    this.#wakeAtSlot = Number.POSITIVE_INFINITY;
    this.#cancelWake = undefined;
    const nowMs = this.#clock.nowMs();
    const passed = Math.floor(nowMs / DEADLINE_SLOT_MS);
    const first = Math.max(this.#nextSlot, passed - DEADLINE_SLOTS);
    const due: DeadlineEntry[] = [];
    for (let slot = first; slot < passed; slot++) {
      let entry = this.#heads[slot % DEADLINE_SLOTS];
      while (entry !== undefined) {
        const next: DeadlineEntry | undefined = entry.deadlineNext;
        if ((entry.deadlineMs as number) <= nowMs) {
          this.remove(entry);
          due.push(entry);
        }
        entry = next;
      }
    }
    this.#nextSlot = Math.max(passed, this.#nextSlot);
    for (const entry of due) entry.onDeadline();
    this.#wakeForNext();
  }

  #wakeForNext(): void {
    if (this.#count === 0) return;
    for (let ahead = 0; ahead < DEADLINE_SLOTS; ahead++) {
      const slot = this.#nextSlot + ahead;
      if (this.#heads[slot % DEADLINE_SLOTS] !== undefined) {
        this.#wakeAt(slot);
        return;
      }
    }
  }
}
