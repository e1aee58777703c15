// Rounds of load, kill, restart and judgement, over several data directories.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../src/base/index.ts";
import type { ServerCommand } from "../support/server-process.ts";
import type { RoundPlan } from "./kill.ts";
import type { Evidence, Verdict } from "./ledger.ts";
import { Life } from "./life.ts";

/** Rounds on one data directory at most; the number is drawn. */
const lifeRoundsMax = 16;

/** What to run. */
export interface RunOptions {
  readonly command: ServerCommand;
  readonly rounds: number;
  readonly seed: number;
  /** For the data directories; created, and emptied again unless something is wrong. */
  readonly parent: string;
  /** Called after each round with one line about it. */
  readonly onRound?: (line: string) => void;
}

/** Counts of a run. */
export interface RunReport {
  rounds: number;
  lives: number;
  operations: number;
  acknowledged: number;
  refused: number;
  unknown: number;
  /** Unknown operations that had been carried out. */
  happened: number;
  hashesCompared: number;
  startKills: number;
  /** Rounds by the moment of their kill. */
  readonly moments: Record<string, number>;
  durationMs: number;
  /** Empty unless the run failed. */
  problems: readonly string[];
}

/** Runs until the rounds are done or a round shows a problem. */
export async function run(options: RunOptions): Promise<RunReport> {
  const report: RunReport = {
    rounds: 0,
    lives: 0,
    operations: 0,
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    happened: 0,
    hashesCompared: 0,
    startKills: 0,
    moments: {},
    durationMs: 0,
    problems: [],
  };
  const started = Date.now();
  mkdirSync(options.parent, { recursive: true });
  const lives = new Lives(options, report);
  try {
    while (report.rounds < options.rounds && report.problems.length === 0) {
      const line = await lives.round();
      if (line !== undefined) options.onRound?.(line);
    }
  } finally {
    await lives.close(report.problems.length === 0);
  }
  report.durationMs = Date.now() - started;
  return report;
}

class Lives {
  readonly #options: RunOptions;
  readonly #report: RunReport;
  readonly #prng: Prng;
  #life: Life | undefined;
  /** Rounds left for the present life. */
  #roundsLeft = 0;

  constructor(options: RunOptions, report: RunReport) {
    this.#options = options;
    this.#report = report;
    this.#prng = new Prng(options.seed);
  }

  /** Load, kill, restart, judge; gives a line about it, or undefined when it failed. */
  async round(): Promise<string | undefined> {
    const report = this.#report;
    try {
      const life = await this.#current();
      const plan = life.drawPlan();
      const evidence = await life.loadAndKill(plan);
      const since = Date.now();
      await life.start(plan);
      const startMs = Date.now() - since;
      const verdict = await life.judge();
      const missed = life.momentOutcome === "missed" ? " (no change)" : "";
      const moment = `${plan.moment.name}${missed}`;
      this.#count(plan, moment, evidence, verdict);
      if (verdict.problems.length > 0) {
        this.#fail(verdict.problems);
        return undefined;
      }
      const { startKillsMs } = plan;
      const kills = startKillsMs.length > 0 ? ` and ${startKillsMs.length} in the start` : "";
      return (
        `round ${report.rounds}, directory ${report.lives}: ${evidence.operations.length} operations, ` +
        `killed at ${moment}${kills}, up again in ${startMs} ms, ` +
        `${verdict.happened} unknown happened, revision ${life.revision}, compacted ${life.compacted}`
      );
    } catch (error) {
      this.#fail([error instanceof Error ? error.message : String(error)]);
      return undefined;
    }
  }

  /** The life of the next round, running and judged. */
  async #current(): Promise<Life> {
    if (this.#life !== undefined && this.#roundsLeft-- > 0) return this.#life;
    await this.close(true);
    this.#roundsLeft = this.#prng.below(lifeRoundsMax);
    const { command, parent, seed } = this.#options;
    const number = ++this.#report.lives;
    const dir = join(parent, `seed-${seed}-${number}`);
    rmSync(dir, { recursive: true, force: true });
    const life = new Life(command, dir, this.#prng.uint32());
    this.#life = life;
    // Also the first start of all, which makes the directory, is killed on its way.
    const { startKillsMs, flags } = life.drawPlan();
    await life.start({ startKillsMs, flags });
    this.#report.startKills += startKillsMs.length;
    const { problems } = await life.judge();
    if (problems.length > 0) throw new Error(problems.join("\n"));
    return life;
  }

  #count(plan: RoundPlan, moment: string, evidence: Evidence, verdict: Verdict): void {
    const report = this.#report;
    report.rounds++;
    report.startKills += plan.startKillsMs.length;
    report.moments[moment] = (report.moments[moment] ?? 0) + 1;
    for (const { outcome } of evidence.operations) report[outcome.kind]++;
    report.operations += evidence.operations.length;
    report.happened += verdict.happened;
    report.hashesCompared += verdict.hashesCompared;
  }

  #fail(problems: readonly string[]): void {
    const where = `data directory ${this.#life?.dir ?? "none"}, its log beside it`;
    const round = `seed ${this.#options.seed}, round ${this.#report.rounds}, ${where}`;
    this.#report.problems = [round, ...problems];
  }

  /** Ends the present life; its directory is removed unless it is wanted. */
  async close(mayRemove: boolean): Promise<void> {
    await this.#life?.close();
    if (this.#life === undefined || !mayRemove) return;
    rmSync(this.#life.dir, { recursive: true, force: true });
    rmSync(`${this.#life.dir}.log`, { force: true });
  }
}

/** Problems shown of a failed run; the first ones tell the cause. */
const problemsShownMax = 20;

/** A report as text. */
export function reportText(command: ServerCommand, report: RunReport): string {
  const { rounds, lives, startKills, moments, problems } = report;
  const kills = Object.entries(moments).map(([name, count]) => `${count} at ${name}`);
  const lines = [
    `${command.name}: ${rounds} rounds on ${lives} data directories in ${Math.round(report.durationMs / 1000)} s; ` +
      `kills: ${kills.join(", ")}, ${startKills} during a start`,
    `${report.operations} operations: ${report.acknowledged} acknowledged, ${report.refused} refused, ` +
      `${report.unknown} unknown (${report.happened} of them had happened); ${report.hashesCompared} hashes compared`,
    ...problems.slice(0, problemsShownMax),
  ];
  const more = problems.length - problemsShownMax;
  if (more > 0) lines.push(`and ${more} more`);
  if (problems.length === 0) lines.push("nothing lost, nothing invented");
  return lines.join("\n");
}
