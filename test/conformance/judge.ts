// Sends a sequence of steps to both servers, in the same order, and says where they first differ.
//
// Steps that change something run alone; neighbouring reads run together. Answers are compared at once; watch events, which come
// in their own time, are compared at each sync step, after the servers had the chance to send them.

import { setTimeout as sleep } from "node:timers/promises";
import type { Op, Standing } from "./ops.ts";
import type { Side } from "./side.ts";

/** Where two servers differ. */
export interface Difference {
  /** Index of the step whose answers differ; for watch events, of the sync that showed it. */
  readonly index: number;
  readonly op: Op;
  /** The first line that differs, on each side; empty when that side has no such line. */
  readonly subject: string;
  readonly reference: string;
}

/** The two servers of a run. */
export interface Pair {
  readonly subject: Side;
  readonly reference: Side;
}

/** How many reads run side by side. */
const readsTogetherMax = 8;
/** How long events may be late on one server before that is a difference. */
const eventsMsMax = 5_000;

function differ(
  index: number,
  op: Op,
  subject: readonly string[],
  reference: readonly string[],
): Difference | undefined {
  for (let i = 0; i < Math.max(subject.length, reference.length); i++) {
    if (subject[i] !== reference[i]) {
      return { index, op, subject: subject[i] ?? "", reference: reference[i] ?? "" };
    }
  }
  return undefined;
}

async function runBoth(
  pair: Pair,
  op: Op,
  standing: Standing,
  index: number,
): Promise<Difference | undefined> {
  const [subject, reference] = await Promise.all([
    pair.subject.run(op, standing),
    pair.reference.run(op, standing),
  ]);
  return differ(index, op, subject, reference);
}

async function compareEvents(
  pair: Pair,
  op: Op,
  index: number,
  lateMs: number,
): Promise<Difference | undefined> {
  const until = Date.now() + lateMs;
  for (;;) {
    const found = differ(index, op, pair.subject.events(), pair.reference.events());
    if (found === undefined) {
      pair.subject.forgetEvents();
      pair.reference.forgetEvents();
      return undefined;
    }
    if (Date.now() > until) {
      // Dropped all the same: a run that goes on must not report them again.
      pair.subject.forgetEvents();
      pair.reference.forgetEvents();
      return found;
    }
    await sleep(5);
  }
}

/** The end of the group that starts at `start`: one step, or up to `readsTogetherMax` neighbouring reads. */
function groupEnd(ops: readonly Op[], start: number): number {
  let end = start;
  while (end < ops.length && end - start < readsTogetherMax) {
    const op = ops[end] as Op;
    if (op.kind !== "call" || !op.reads) break;
    end++;
  }
  return Math.max(end, start + 1);
}

/** How a run is watched and when it ends. */
export interface JudgeOptions {
  /** Called after each group with the number of steps done. */
  readonly onStep?: ((done: number) => void) | undefined;
  /** How long events may be late on one server before that is a difference. */
  readonly lateMs?: number | undefined;
  /** Called for each difference; the run goes on if it answers true. Without it the run ends at the first one. */
  readonly onDifference?: ((difference: Difference) => boolean) | undefined;
}

/**
 * Runs `ops` on both servers and answers with the difference that ended the run, if one did. The last step should be a sync, otherwise late events go unseen.
 */
export async function judge(
  pair: Pair,
  ops: readonly Op[],
  options: JudgeOptions = {},
): Promise<Difference | undefined> {
  const goesOn = options.onDifference ?? (() => false);
  for (let start = 0; start < ops.length; ) {
    const end = groupEnd(ops, start);
    const standing = pair.reference.standing;
    const found = await Promise.all(
      ops.slice(start, end).map((op, i) => runBoth(pair, op, standing, start + i)),
    );
    for (const difference of found) {
      if (difference !== undefined && !goesOn(difference)) return difference;
    }
    const op = ops[start] as Op;
    if (op.kind === "sync") {
      const late = await compareEvents(pair, op, start, options.lateMs ?? eventsMsMax);
      if (late !== undefined && !goesOn(late)) return late;
    }
    start = end;
    options.onStep?.(end);
  }
  return undefined;
}
