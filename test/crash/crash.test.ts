// `kill -9` under mixed load, in a few rounds; `npm run crash` runs many. ETCD_TS_CRASH_ROUNDS and ETCD_TS_CRASH_SEED choose a longer or
// another run; a failure names the seed and leaves the data directory. Then the other way round: losses planted between kill and
// restart must be noticed.

import assert from "node:assert/strict";
import {
  closeSync,
  cpSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { ownProgram, type ServerCommand } from "../support/server-process.ts";
import { Life } from "./life.ts";
import { reportText, run } from "./run.ts";

const rounds = Number(process.env["ETCD_TS_CRASH_ROUNDS"] ?? 3);
const seed = Number(process.env["ETCD_TS_CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const own = ownProgram();
const reference = await findReference();
const needsOwn = own === undefined ? "needs the built program" : false;

const parent = mkdtempSync(join(tmpdir(), "etcd-ts-crash-"));
let isWanted = false;
after(() => {
  if (!isWanted) rmSync(parent, { recursive: true });
});

async function expectNothingLost(t: TestContext, command: ServerCommand): Promise<void> {
  const report = await run({ command, rounds, seed, parent });
  t.diagnostic(reportText(command, report));
  isWanted ||= report.problems.length > 0;
  assert.deepEqual(report.problems, []);
}

void test(`nothing is lost or invented by kills (seed ${seed}, ${rounds} rounds)`, {
  skip: needsOwn,
}, async (t) => {
  assert.ok(own !== undefined);
  await expectNothingLost(t, own);
});

void test("the real etcd passes the same judgement", {
  skip: reference === undefined ? needsReference : false,
}, async (t) => {
  assert.ok(reference !== undefined);
  await expectNothingLost(t, referenceCommand(reference));
});

// ------------------------------------------------------------------------------------------------------------------- planted

const shape = { connections: 2, streams: 4, size: "small" } as const;
/** Long enough for some hundred operations, too short for the store to have them all: they are in the log alone. */
const briefly = { moment: { name: "load", afterMs: 250 }, shape } as const;
const plainly = { startKillsMs: [], flags: [] };

/** A life with one judged round behind it, and killed after a second one. */
async function killedLife(name: string, between: (life: Life) => void = () => {}): Promise<Life> {
  assert.ok(own !== undefined);
  const life = new Life(own, join(parent, name), seed);
  await life.start(plainly);
  assert.deepEqual((await life.judge()).problems, []);
  await life.loadAndKill(briefly);
  between(life);
  await life.start(plainly);
  assert.deepEqual((await life.judge()).problems, []);
  const { operations } = await life.loadAndKill(briefly);
  assert.ok(operations.some(({ outcome }) => outcome.kind === "acknowledged"));
  return life;
}

/** What is noticed on restart: the server's refusal to start, or the problems of the judgement. */
async function noticed(life: Life): Promise<string> {
  try {
    await life.start(plainly);
  } catch (error) {
    return String(error);
  }
  const { problems } = await life.judge();
  return problems.join("\n");
}

void test("a restart on older data is noticed", { skip: needsOwn }, async () => {
  const copy = join(parent, "copy");
  const life = await killedLife("older", ({ dir }) => cpSync(dir, copy, { recursive: true }));
  try {
    rmSync(life.dir, { recursive: true });
    cpSync(copy, life.dir, { recursive: true });
    assert.match(await noticed(life), /lost, the last revision is \d+: operation \d+/);
  } finally {
    await life.close();
  }
});

/** Cuts the last segment of a log `cutBytes` before its last byte that is not zero (the rest is filled ahead). */
function cutLog(dir: string, cutBytes: number): void {
  const folder = join(dir, "member", "wal");
  const last = readdirSync(folder)
    .filter((name) => name.endsWith(".wal"))
    .sort()
    .at(-1);
  assert.ok(last !== undefined);
  const fd = openSync(join(folder, last), "r+");
  const bytes = Buffer.alloc(fstatSync(fd).size);
  readSync(fd, bytes, 0, bytes.length, 0);
  const end = bytes.findLastIndex((byte) => byte !== 0);
  ftruncateSync(fd, end - cutBytes);
  closeSync(fd);
}

void test("a log without its last kilobytes is noticed", { skip: needsOwn }, async (t) => {
  const life = await killedLife("cut");
  try {
    cutLog(life.dir, 4_096);
    const what = await noticed(life);
    t.diagnostic(what.split("\n")[0] ?? "");
    // Either the store was ahead of what is left of the log, and the server refuses to start, or the judge misses writes.
    assert.match(what, /did not start|lost, the last revision is \d+|revision went back/);
  } finally {
    await life.close();
  }
});
