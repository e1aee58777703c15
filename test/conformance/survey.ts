// A run that does not stop at a difference: one example of each kind, most frequent first. For work on many differences at once.
// After a difference that may have left the two servers in different states, two fresh ones take over.

import { type Contestant, openContest } from "./contest.ts";
import { generate } from "./generator.ts";
import { type Difference, judge } from "./judge.ts";
import { showOp } from "./ops.ts";
import { showLine } from "./run.ts";

/** Kinds that are shown. */
const kindsShownMax = 60;
const opCharsMax = 400;

/** Two differences are of one kind when they agree on the method and, numbers and quoted text aside, on both lines. */
function kindOf({ op, subject, reference }: Difference): string {
  const plain = (line: string): string =>
    line
      .replaceAll(/"[^"]*"(\*\d+)?/g, '""')
      .replaceAll(/-?\d+/g, "0")
      .slice(0, 160);
  return [op.kind === "call" ? op.method : op.kind, plain(subject), plain(reference)].join("|");
}

/** Both refused, only not in the same words: the state is still the same. */
function isHarmless({ subject, reference }: Difference): boolean {
  return subject.startsWith("error") && reference.startsWith("error");
}

/** Runs `ops` steps from `seed`, or what fits into `budgetMs`, and describes the kinds of differences seen. */
export async function survey(options: {
  readonly subject: Contestant;
  readonly reference: Contestant;
  readonly seed: number;
  readonly ops: number;
  readonly budgetMs: number;
}): Promise<string> {
  const kinds = new Map<string, { count: number; first: Difference }>();
  const note = (difference: Difference): void => {
    const kind = kinds.get(kindOf(difference));
    if (kind === undefined) kinds.set(kindOf(difference), { count: 1, first: difference });
    else kind.count++;
  };
  const ops = generate(options.seed, options.ops);
  const until = Date.now() + options.budgetMs;
  let start = 0;
  while (start < ops.length && Date.now() < until) {
    const contest = await openContest(options.subject, options.reference);
    let done = 0;
    try {
      const end = await judge(contest.pair, ops.slice(start), {
        lateMs: 1_500,
        onStep: (n) => {
          done = n;
        },
        onDifference: (difference) => {
          note({ ...difference, index: start + difference.index });
          return isHarmless(difference) && Date.now() < until;
        },
      });
      start += end === undefined ? done : end.index + 1;
    } finally {
      await contest.close();
    }
  }
  let total = 0;
  for (const { count } of kinds.values()) total += count;
  const shown = [...kinds.values()].sort((a, b) => b.count - a.count).slice(0, kindsShownMax);
  const parts = shown.map(({ count, first }) =>
    [
      `${count}x, first at step ${first.index + 1}: ${showOp(first.op).slice(0, opCharsMax)}`,
      showLine(options.subject.name, first.subject, first.reference),
      showLine(options.reference.name, first.reference, first.subject),
    ].join("\n"),
  );
  const head = `seed ${options.seed}: ${total} differences of ${kinds.size} kinds in ${start} steps`;
  return [head, ...parts].join("\n");
}
