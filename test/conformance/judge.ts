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
/** How long events may be late on one server before that is a difference, unless the caller says otherwise. */
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
    if (Date.now() > until) return found;
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

/** Called after each group with the number of steps done. */
export type OnStep = (done: number) => void;

/**
 * Runs `ops` on both servers and answers with the first difference. The last step should be a sync, otherwise late events go unseen.
 * `lateMs`: how long events may be late on one server before that is a difference.
 */
export async function judge(
  pair: Pair,
  ops: readonly Op[],
  onStep: OnStep = () => {},
  lateMs: number = eventsMsMax,
): Promise<Difference | undefined> {
  for (let start = 0; start < ops.length; ) {
    const end = groupEnd(ops, start);
    const standing = pair.reference.standing;
    const found = await Promise.all(
      ops.slice(start, end).map((op, i) => runBoth(pair, op, standing, start + i)),
    );
    const first = found.find((d) => d !== undefined);
    if (first !== undefined) return first;
    const op = ops[start] as Op;
    if (op.kind === "sync") {
      const late = await compareEvents(pair, op, start, lateMs);
      if (late !== undefined) return late;
    }
    start = end;
    onStep(end);
  }
  return undefined;
}
