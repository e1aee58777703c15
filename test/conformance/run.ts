// A whole conformance run: generate, judge, shrink, report.

import { type Connect, type Contestant, isRepeatable, openContest } from "./contest.ts";
import { generate } from "./generator.ts";
import { type Difference, judge } from "./judge.ts";
import { type Op, showOp } from "./ops.ts";
import { shrink } from "./shrink.ts";

/** What to run. */
export interface RunOptions {
  readonly subject: Contestant;
  readonly reference: Contestant;
  readonly seed: number;
  /** At least so many steps. */
  readonly ops: number;
  /** Time for shrinking a difference; 0 for none. */
  readonly shrinkMs: number;
  /** A sequence of so many steps is short enough; default 0, as short as time allows. */
  readonly enoughSteps?: number;
  readonly connect?: Connect | undefined;
  readonly onStep?: ((done: number) => void) | undefined;
}

/** How it went. */
export interface RunResult {
  readonly seed: number;
  /** Steps judged, up to the difference. */
  readonly done: number;
  readonly durationMs: number;
  readonly difference: Difference | undefined;
  /** The shortest sequence found that shows a difference; empty without one. */
  readonly shrunk: readonly Op[];
  /** For a reader; one line when there is no difference. */
  readonly report: string;
}

/** A longer sequence is shown from its end; the seed gives the rest. */
const stepsShownMax = 60;
const lineCharsMax = 1_500;

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}…` : text;
}

/** Shows where in two long lines the first difference lies; `name` stands before the line. */
export function showLine(name: string, line: string, other: string): string {
  let at = 0;
  while (at < line.length && line[at] === other[at]) at++;
  const from = at > 300 ? at - 200 : 0;
  const shown = line.slice(from, at + 500);
  return `  ${name}: ${from > 0 ? "…" : ""}${shown || "(nothing)"}${at + 500 < line.length ? "…" : ""}`;
}

function report(options: RunOptions, ops: readonly Op[], d: Difference, note: string): string {
  const steps = ops.map((op, i) => `  ${i + 1}. ${cut(showOp(op), lineCharsMax)}`);
  if (steps.length > stepsShownMax) {
    steps.splice(0, steps.length - stepsShownMax, `  … ${steps.length - stepsShownMax} steps more`);
  }
  return [
    `seed ${options.seed}: ${options.subject.name} differs from ${options.reference.name} (${note})`,
    ...steps,
    `at step ${d.index + 1}: ${showOp(d.op)}`,
    showLine(options.subject.name.padEnd(12), d.subject, d.reference),
    showLine(options.reference.name.padEnd(12), d.reference, d.subject),
  ].join("\n");
}

/** Runs `options.ops` steps on two servers and reports the first difference, shrunk. */
export async function runConformance(options: RunOptions): Promise<RunResult> {
  const startedAt = Date.now();
  const open = (): ReturnType<typeof openContest> =>
    openContest(options.subject, options.reference, options.connect);
  const ops = generate(options.seed, options.ops);
  let done = 0;
  const contest = await open();
  let difference: Difference | undefined;
  try {
    difference = await judge(contest.pair, ops, {
      onStep: (n) => {
        done = n;
        options.onStep?.(n);
      },
    });
  } finally {
    await contest.close();
  }
  const result = { seed: options.seed, done, durationMs: Date.now() - startedAt };
  if (difference === undefined) {
    const text = `seed ${options.seed}: ${done} steps in ${(result.durationMs / 1000).toFixed(1)} s, no difference`;
    return { ...result, difference, shrunk: [], report: text };
  }
  if (options.shrinkMs === 0 || !isRepeatable(options.subject, options.reference)) {
    const tail = ops.slice(Math.max(0, difference.index - 20), difference.index + 1);
    const shifted = { ...difference, index: tail.length - 1 };
    const text = report(options, tail, shifted, `after ${done} steps, not shrunk`);
    return { ...result, difference, shrunk: tail, report: text };
  }
  const small = await shrink(open, ops, difference, {
    ms: options.shrinkMs,
    enoughSteps: options.enoughSteps ?? 0,
  });
  const note = `after ${done} steps, shrunk in ${small.attempts} attempts`;
  const text = report(options, small.ops, small.difference, note);
  return { ...result, difference: small.difference, shrunk: small.ops, report: text };
}
