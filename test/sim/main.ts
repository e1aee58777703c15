// Runs seeds of the single-member simulator: `main.js <first> [<end>]`, each failure on a line of its own.

import { simulate } from "./simulation.ts";

const first = Number(process.argv[2] ?? 1);
const end = Number(process.argv[3] ?? first + 1);
let failures = 0;
for (let seed = first; seed < end; seed++) {
  try {
    const stats = await simulate(seed);
    if (end - first === 1) console.log(stats);
  } catch (error) {
    failures++;
    console.log((error as Error).message);
  }
}
console.log(`${end - first} runs, ${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;
