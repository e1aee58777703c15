// The simulator is worth what it finds: every bug planted under the member must be noticed within its number of seeds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.ts";
import { simulate } from "./simulation.ts";

/** The first violation the bug causes. */
async function discover({ seeds, tampering }: PlantedBug): Promise<string | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await simulate(seed, { tampering });
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

for (const bug of PLANTED_BUGS) {
  test(`planted bug: ${bug.name}`, async (t) => {
    const message = await discover(bug);
    assert.ok(message !== undefined, `not found in ${bug.seeds} seeds`);
    assert.match(message, bug.found);
    t.diagnostic(message.slice(0, 200));
  });
}
