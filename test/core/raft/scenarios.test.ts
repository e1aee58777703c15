// Replays the scenarios of etcd's Raft library, from where they lie, and our own in the same form, and compares every line but log lines.
//
// RAFT_SCENARIOS names the folder of the former (default: ../shared/raft-scenarios beside the repository). With
// RAFT_SCENARIOS_REWRITE=1 our own are rewritten with what the core does now; the diff is then to be read.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { repoRoot } from "../../support/repo.ts";
import { InteractionEnv } from "./interaction.ts";
import { parseScenario, rewriteScenario, type ScenarioStep } from "./scenario-file.ts";
import { runConfChangeStep, runQuorumStep } from "./small-scenarios.ts";

const given = process.env["RAFT_SCENARIOS"] ?? join(repoRoot, "../shared/raft-scenarios");
const own = join(repoRoot, "test/core/raft/scenarios");
const isRewrite = process.env["RAFT_SCENARIOS_REWRITE"] === "1";

type Runner = (step: ScenarioStep) => string;

/** What is left of an output when log lines and the final line end are gone; `ok` stands for nothing. */
function withoutLogs(output: string): string {
  const lines = output.split("\n").filter((line) => !/^\s*(DEBUG|INFO|WARN|ERROR) /.test(line));
  const text = lines.join("\n").trimEnd();
  return text === "" ? "ok" : text;
}

function replay(file: string, newRunner: () => Runner, mayRewrite: boolean): void {
  const steps = parseScenario(readFileSync(file, "utf8"));
  const run = newRunner();
  assert.ok(steps.length > 0, "the scenario has steps");
  const outputs = steps.map((step) => {
    const output = withoutLogs(run(step));
    if (!mayRewrite) {
      assert.equal(output, withoutLogs(step.expected), `${file}:${step.line} ${step.command}`);
    }
    return output;
  });
  if (mayRewrite) writeFileSync(file, rewriteScenario(steps, outputs));
}

function replayFolder(folder: string, newRunner: () => Runner, mayRewrite = false): void {
  const files = existsSync(folder) ? readdirSync(folder).filter((f) => f.endsWith(".txt")) : [];
  if (files.length === 0) {
    test(folder, { skip: "skipped: needs the raft scenarios" }, () => {});
  }
  for (const file of files.sort()) {
    test(file, () => replay(join(folder, file), newRunner, mayRewrite));
  }
}

function newInteraction(): Runner {
  const env = new InteractionEnv();
  return (step) => env.run(step);
}

describe("raft scenarios: interaction", () =>
  replayFolder(join(given, "interaction"), newInteraction));
describe("raft scenarios: quorum", () => replayFolder(join(given, "quorum"), () => runQuorumStep));
describe("raft scenarios: confchange", () =>
  replayFolder(join(given, "confchange"), runConfChangeStep));
describe("raft scenarios: our own", () => replayFolder(own, newInteraction, isRewrite));
