// `npm run crash -- [--rounds N] [--seed N] [--subject "command with flags"|reference] [--dir folder]`
//
// The seed fixes requests, flags and moments; which operations a kill meets depends on time as well. Exit code 0: nothing was lost or
// invented; 1: something was, and is printed; 2: it could not run. After a failure the data directory stays.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { ownProgram, type ServerCommand } from "../support/server-process.ts";
import { reportText, run } from "./run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    subject: { type: "string" },
    dir: { type: "string", default: join(tmpdir(), `etcd-ts-crash-${process.pid}`) },
  },
});

async function subject(): Promise<ServerCommand | undefined> {
  if (values.subject === undefined) return ownProgram();
  if (values.subject !== "reference") {
    return { name: values.subject, argv: values.subject.split(" ").filter((word) => word !== "") };
  }
  const reference = await findReference();
  return reference === undefined ? undefined : referenceCommand(reference);
}

async function main(): Promise<number> {
  const command = await subject();
  if (command === undefined) {
    console.error(values.subject === undefined ? "the program is not built" : needsReference);
    return 2;
  }
  const seed = Number(values.seed);
  console.log(`seed ${seed}`);
  const rounds = Number(values.rounds);
  const report = await run({
    command,
    rounds,
    seed,
    parent: values.dir,
    onRound: (line) => console.log(line),
  });
  console.log(reportText(command, report));
  return report.problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();
