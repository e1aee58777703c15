// `npm run bench -- [--quick] [--only put,get] [--json FILE] [--rounds N] [--keys N] [--dir DIR] [--subject COMMAND] [--check]`
//
// Runs the two servers in turns on the same disk and prints how many times better ours is, row by row. `--subject reference` measures
// the real etcd against itself; `--check` makes a missed floor an exit code of 1.

import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { ownProgram, type ServerCommand } from "../support/server-process.ts";
import { Contender } from "./contender.ts";
import { findLoadGenerator, needsCompiler } from "./loadgen.ts";
import { type RowReport, type RowResult, reportRow, showTable } from "./report.ts";
import { fullScale, quickScale, type Row, type Scale, type Section, sections } from "./rows.ts";
import { checkSync, showSync } from "./sync-check.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
    rounds: { type: "string" },
    keys: { type: "string" },
    dir: { type: "string" },
    subject: { type: "string" },
    check: { type: "boolean", default: false },
  },
});

/** statfs type of tmpfs: memory, on which a sync costs nothing. */
const tmpfsType = 0x01021994;

type Pair = readonly [subject: Contender, reference: Contender];

function chosen(row: Row): boolean {
  if (values.only === undefined) return true;
  return values.only.split(",").some((w) => row.name === w || row.name.split(" ")[0] === w);
}

function scale(): Scale {
  const base = values.quick ? quickScale : fullScale;
  return {
    ...base,
    rounds: Number(values.rounds ?? base.rounds),
    keys: Number(values.keys ?? base.keys),
  };
}

async function measureRow(row: Row, pair: Pair, rounds: number, at: Scale): Promise<RowResult> {
  const seen: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    // Who goes first alternates, so that neither always meets what the other left on the disk.
    for (const who of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      seen[who].push(await row.measure(pair[who], at));
    }
  }
  return { row, subject: seen[0], reference: seen[1] };
}

async function measureSection(section: Section, pair: Pair, at: Scale): Promise<RowReport[]> {
  const rows = section.rows.filter(chosen);
  if (rows.length === 0) return [];
  for (const contender of pair) await section.prepare(contender, at);
  const rounds = Math.min(at.rounds, section.roundsMax ?? at.rounds);
  const reports: RowReport[] = [];
  for (const row of rows) {
    const report = reportRow(await measureRow(row, pair, rounds, at));
    console.error(`${row.name}: ${report.ratio.toFixed(2)}x`);
    reports.push(report);
  }
  return reports;
}

async function contenders(): Promise<[ServerCommand, ServerCommand] | string> {
  const reference = await findReference();
  if (reference === undefined) return `skipped: ${needsReference}`;
  const theirs = referenceCommand(reference);
  const given = values.subject;
  if (given === "reference") return [theirs, theirs];
  const ours = given === undefined ? ownProgram() : { name: given, argv: given.split(" ") };
  return ours === undefined ? "the program is not built" : [ours, theirs];
}

async function main(): Promise<number> {
  const generator = await findLoadGenerator();
  const commands = await contenders();
  if (generator === undefined || typeof commands === "string") {
    console.log(generator === undefined ? `skipped: ${needsCompiler}` : commands);
    return 2;
  }
  const parent = mkdtempSync(join(values.dir ?? tmpdir(), "etcd-ts-bench-"));
  if (statfsSync(parent).type === tmpfsType) {
    console.error(`${parent} is in memory: a sync costs nothing there, choose a disk with --dir`);
  }
  const pair: Pair = [
    new Contender(commands[0], generator, join(parent, "subject")),
    new Contender(commands[1], generator, join(parent, "reference")),
  ];
  const at = scale();
  try {
    for (const contender of pair) await contender.start();
    const syncs: string[] = [];
    for (const contender of pair) {
      syncs.push(showSync(contender.name, await checkSync(contender)));
    }
    const rows: RowReport[] = [];
    for (const section of sections) rows.push(...(await measureSection(section, pair, at)));
    console.log(showTable([commands[0].name, commands[1].name], rows));
    const cpus = availableParallelism();
    console.log(`medians of ${at.rounds} alternating rounds, ${at.keys} keys, ${cpus} CPUs`);
    console.log(syncs.join("\n"));
    if (values.json !== undefined) {
      const result = { node: process.version, cpus, scale: at, syncs, rows };
      writeFileSync(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
    }
    return values.check && rows.some((r) => r.isFloorMet === false) ? 1 : 0;
  } finally {
    for (const contender of pair) await contender.stop();
    rmSync(parent, { recursive: true, force: true });
  }
}

process.exitCode = await main();
