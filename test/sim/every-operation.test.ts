// One short life of a member, cut, failed or damaged in every place: each disk operation fails in each way, the power fails at each, each
// file has bytes that changed by themselves. Every time the next life has everything that was acknowledged and nothing else, or, for
// damage alone, refuses with file and offset.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import type { Knobs } from "./knobs.ts";
import { type Ending, type Script, simulate } from "./simulation.ts";

const EVENTS = 700;
const SEEDS = [3, 6];

/** Everything small, so that the life has cuts, snapshots, released segments and checkpoints. */
const KNOBS: Partial<Knobs> = {
  segmentBytes: 4096,
  snapshotCount: 5,
  catchupEntries: 1,
  slowDisk: 0,
  slowStore: 0,
  quotaBytes: -1,
  checkpoints: {
    rowsMin: 3,
    newPart: 0.1,
    intervalMinMs: 1,
    pollMs: 3,
    pauseMs: 1,
    stopMs: 500,
  },
};

function life(seed: number, script: Partial<Script>): ReturnType<typeof simulate> {
  return simulate(seed, { knobs: KNOBS, script: { events: EVENTS, ending: "kill", ...script } });
}

test("the power fails at every disk operation", async () => {
  for (const seed of SEEDS) {
    const { operations, snapshots } = await life(seed, {});
    assert.ok(operations > 50 && snapshots > 0, `seed ${seed}: ${operations}`);
    for (let at = 1; at <= operations; at++) await life(seed, { crashAt: at });
    const lags = { ...KNOBS, slowStore: 0.1 };
    for (let at = 1; at <= operations; at += 3) {
      await simulate(seed, {
        knobs: lags,
        script: { events: EVENTS, ending: "kill", crashAt: at },
      });
    }
  }
});

for (const fault of ["eio", "enospc", "short"] as const) {
  test(`every disk operation fails with ${fault}`, async () => {
    for (const seed of SEEDS) {
      const { operations } = await life(seed, {});
      for (let at = 1; at <= operations; at++) {
        const ending: Ending = at % 2 === 0 ? "power" : "kill";
        await life(seed, { fault: { at, fault }, ending });
      }
    }
  });
}

/** Paths and sizes of the files of a life that ended in order. */
async function filesOf(seed: number): Promise<Map<string, number>> {
  const files = new Map<string, number>();
  await life(seed, {
    ending: "stop",
    damage: ({ disk }) => {
      for (const path of disk.names.keys()) {
        const bytes = disk.peek(path)?.length ?? 0;
        if (bytes > 0) files.set(path, bytes);
      }
      return { path: "nothing was damaged", at: false };
    },
  });
  return files;
}

test("bytes of the log, of snapshots and of checkpoints change by themselves", async () => {
  const outcomes = { refused: 0, same: 0 };
  const prng = new Prng(1);
  for (const seed of SEEDS) {
    const files = await filesOf(seed);
    assert.ok([...files.keys()].some((path) => path.endsWith(".snap")));
    for (const [path, bytes] of files) {
      for (let n = 0; n < 25; n++) {
        const offset = prng.below(bytes);
        const mask = 1 << prng.below(8);
        const { refused } = await life(seed, {
          ending: "stop",
          damage: ({ disk }) => {
            disk.damage(path, offset, mask);
            return { path: path.endsWith(".wal") ? ".wal" : path, at: true };
          },
        });
        outcomes[refused === undefined ? "same" : "refused"]++;
      }
    }
  }
  assert.ok(outcomes.refused > 50 && outcomes.same > 20, JSON.stringify(outcomes));
});

test("rows of the store change by themselves", async () => {
  let refusals = 0;
  for (const seed of SEEDS) {
    for (let n = 0; n < 60; n++) {
      const { refused } = await life(seed, {
        ending: "stop",
        damage: ({ store }) => {
          store.damage(new Prng(n));
          return { path: "memory", at: false };
        },
      });
      if (refused !== undefined) refusals++;
    }
  }
  assert.ok(refusals > 100, String(refusals));
});
