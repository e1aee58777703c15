// One member under everything that can happen to it, thousands of short runs: see simulation.ts.
// A failure names its seed; `node dist/test/sim/main.js <seed> [<end>]` replays it, or runs many more. What these runs found has a test of
// its own, the shortest way to it, in test/server/lives.test.ts: a seed means another run once the simulator changes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type RunStats, simulate } from "./simulation.ts";

const RUNS = 1000;
test(`a member loses and invents nothing in ${RUNS} lives and deaths`, async () => {
  const sums = {
    lives: 0,
    acknowledged: 0,
    events: 0,
    faults: 0,
    snapshots: 0,
    checkpoints: 0,
    full: 0,
  };
  for (let seed = 1; seed <= RUNS; seed++) {
    const stats = await simulate(seed);
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += stats[name];
  }
  // The runs do meet what they are for.
  for (const [name, sum] of Object.entries(sums)) assert.ok(sum > RUNS / 4, `${name}: ${sum}`);
});

test("a seed is a run: two of one seed are equal in every operation and every moment", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const stats: RunStats = await simulate(seed);
    assert.deepEqual(await simulate(seed), stats, `seed ${seed}`);
  }
});
