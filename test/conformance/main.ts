// `npm run conformance -- [--seed N] [--ops N] [--runs N] [--subject host:port|reference] [--reference host:port] [--shrink-seconds N] [--survey]`
//
// Without --subject the program of this checkout is started, without --reference the real etcd. `--subject reference` compares the
// real etcd with itself. `--survey` does not stop at a difference but lists one of each kind. Exit code 0: no difference; 1: one was found and printed; 2: it could not run.

import { parseArgs } from "node:util";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { ownProgram } from "../support/server-process.ts";
import type { Contestant } from "./contest.ts";
import { runConformance } from "./run.ts";
import { survey } from "./survey.ts";

/** Time for a survey. */
const surveyMs = 120_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    ops: { type: "string", default: "20000" },
    runs: { type: "string", default: "1" },
    subject: { type: "string" },
    reference: { type: "string" },
    survey: { type: "boolean", default: false },
    "shrink-seconds": { type: "string", default: "120" },
  },
});

async function real(): Promise<Contestant | undefined> {
  const reference = await findReference();
  return reference === undefined ? undefined : referenceCommand(reference);
}

async function contestant(
  given: string | undefined,
  fallback: () => Promise<Contestant | undefined>,
): Promise<Contestant | undefined> {
  if (given === undefined) return await fallback();
  if (given === "reference") return await real();
  return { name: given, endpoint: given };
}

async function main(): Promise<number> {
  const reference = await contestant(values.reference, real);
  const subject = await contestant(values.subject, () => Promise.resolve(ownProgram()));
  if (reference === undefined || subject === undefined) {
    console.error(reference === undefined ? needsReference : "the program is not built");
    return 2;
  }
  for (let run = 0; run < Number(values.runs); run++) {
    let shown = Date.now();
    const which = { subject, reference, seed: Number(values.seed) + run, ops: Number(values.ops) };
    if (values.survey) {
      console.log(await survey({ ...which, budgetMs: surveyMs }));
      continue;
    }
    const result = await runConformance({
      ...which,
      shrinkMs: Number(values["shrink-seconds"]) * 1_000,
      onStep: (done) => {
        if (Date.now() - shown < 10_000) return;
        shown = Date.now();
        console.error(`${done} steps`);
      },
    });
    console.log(result.report);
    if (result.difference !== undefined) return 1;
  }
  return 0;
}

process.exitCode = await main();
