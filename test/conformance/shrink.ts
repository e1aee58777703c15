// Makes a sequence that shows a difference as short as time allows: fewer steps first, then smaller requests.
//
// Each attempt runs on two fresh servers. Any difference counts, not only the first one found: the shortest sequence is the
// best report. Source of the method: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002.

import type { OpenContest } from "./contest.ts";
import { type Difference, judge } from "./judge.ts";
import type { FieldValue, Op, RequestFields } from "./ops.ts";

/** A sequence and the difference it ends in. */
export interface Shrunk {
  readonly ops: readonly Op[];
  readonly difference: Difference;
  /** Pairs of servers that were started. */
  readonly attempts: number;
}

/** How far to go. */
export interface ShrinkBudget {
  readonly ms: number;
  /** A sequence of so many steps is not made shorter; 0 goes on to the smallest request. */
  readonly enoughSteps: number;
}

/** Steps at the end of the failing run that are tried alone, before anything else. */
const tailLengths = [1, 10, 60, 250, 1_000];

/** How long events may be late while shrinking: each attempt that shows a lost event waits so long. */
const lateMs = 400;

class Shrinker {
  readonly #open: OpenContest;
  readonly #budget: ShrinkBudget;
  readonly #untilMs: number;
  /** The servers of the next attempt start while this one runs. */
  #next: ReturnType<OpenContest> | undefined;
  best: readonly Op[];
  difference: Difference;
  attempts = 0;

  constructor(open: OpenContest, ops: readonly Op[], difference: Difference, budget: ShrinkBudget) {
    this.#open = open;
    this.#budget = budget;
    this.#untilMs = Date.now() + budget.ms;
    this.best = ops.slice(0, difference.index + 1);
    this.difference = difference;
  }

  /** Time is up, or the sequence is short enough. */
  get isOver(): boolean {
    return this.best.length <= this.#budget.enoughSteps || Date.now() > this.#untilMs;
  }

  /** Takes `ops` if they still show a difference, cut after it. */
  async try(ops: readonly Op[]): Promise<boolean> {
    if (ops.length === 0 || this.isOver) return false;
    this.attempts++;
    const last = ops.at(-1);
    const whole: readonly Op[] = last?.kind === "sync" ? ops : [...ops, { kind: "sync" }];
    const contest = await (this.#next ?? this.#open());
    this.#next = this.#open();
    // A failed start is reported by the attempt that would have used it.
    this.#next.catch(() => {});
    try {
      const difference = await judge(contest.pair, whole, { lateMs });
      if (difference === undefined) return false;
      this.best = whole.slice(0, difference.index + 1);
      this.difference = difference;
      return true;
    } finally {
      await contest.close();
    }
  }

  /** Takes down the servers no attempt has used. */
  async close(): Promise<void> {
    await (await this.#next)?.close();
  }

  /** The difference often needs only what came right before it. */
  async tails(): Promise<void> {
    const whole = this.best;
    for (const length of tailLengths) {
      if (length < whole.length && (await this.try(whole.slice(-length)))) return;
    }
  }

  /** Takes out ever smaller pieces. */
  async pieces(): Promise<void> {
    let size = Math.ceil(this.best.length / 2);
    while (size >= 1 && !this.isOver) {
      let isSmaller = false;
      for (let start = this.best.length - size; start > -size; start -= size) {
        const from = Math.max(start, 0);
        const rest = [...this.best.slice(0, from), ...this.best.slice(start + size)];
        isSmaller = (await this.try(rest)) || isSmaller;
      }
      if (size === 1 && !isSmaller) return;
      size = size === 1 ? 1 : Math.ceil(size / 2);
    }
  }

  /** Takes fields and list elements out of the requests. */
  async requests(): Promise<void> {
    for (let at = 0; at < this.best.length; at++) {
      let isSmaller = true;
      while (isSmaller && !this.isOver) {
        isSmaller = false;
        for (const smaller of smallerOps(this.best[at])) {
          if (await this.try(this.best.map((op, i) => (i === at ? smaller : op)))) {
            isSmaller = true;
            break;
          }
        }
      }
    }
  }
}

function isFields(value: FieldValue | undefined): value is RequestFields {
  return typeof value === "object" && !Array.isArray(value) && !Buffer.isBuffer(value);
}

/** Every request with one field or list element less, the largest pieces first. */
function* smallerRequests(request: RequestFields): Generator<RequestFields> {
  for (const [name, value] of Object.entries(request)) {
    if (value === undefined) continue;
    yield { ...request, [name]: undefined };
    if (Array.isArray(value)) {
      const list = value as readonly FieldValue[];
      for (let i = 0; i < list.length; i++) {
        yield { ...request, [name]: list.filter((_, n) => n !== i) };
        const element = list[i];
        if (!isFields(element)) continue;
        for (const smaller of smallerRequests(element)) {
          yield { ...request, [name]: list.map((e, n) => (n === i ? smaller : e)) };
        }
      }
    } else if (isFields(value) && !("$" in value)) {
      for (const smaller of smallerRequests(value)) yield { ...request, [name]: smaller };
    }
  }
}

function* smallerOps(op: Op | undefined): Generator<Op> {
  if (op?.kind !== "call" && op?.kind !== "watch") return;
  if (op.kind === "call" && op.metadata !== undefined) yield { ...op, metadata: undefined };
  for (const request of smallerRequests(op.request)) yield { ...op, request };
}

/**
 * Shrinks `ops`, which showed `difference`, within `budget`.
 */
export async function shrink(
  open: OpenContest,
  ops: readonly Op[],
  difference: Difference,
  budget: ShrinkBudget,
): Promise<Shrunk> {
  const shrinker = new Shrinker(open, ops, difference, budget);
  try {
    await shrinker.tails();
    await shrinker.pieces();
    await shrinker.requests();
  } finally {
    await shrinker.close();
  }
  return {
    ops: shrinker.best,
    difference: shrinker.difference,
    attempts: shrinker.attempts,
  };
}
