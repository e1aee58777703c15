// The program of this checkout against the real etcd. ETCD_TS_CONFORMANCE_OPS and ETCD_TS_CONFORMANCE_SEED choose a longer or
// another run; the report of a difference names the seed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { ownProgram } from "../support/server-process.ts";
import { runConformance } from "./run.ts";

const opsCount = Number(process.env["ETCD_TS_CONFORMANCE_OPS"] ?? 3_000);
const seed = Number(process.env["ETCD_TS_CONFORMANCE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const subject = ownProgram();
const reference = await findReference();
const skip =
  reference === undefined
    ? needsReference
    : subject === undefined
      ? "needs the built program"
      : false;

void test(`answers, errors and events equal etcd's (seed ${seed}, ${opsCount} steps)`, {
  skip,
}, async (t) => {
  assert.ok(reference !== undefined && subject !== undefined);
  const result = await runConformance({
    subject,
    reference: referenceCommand(reference),
    seed,
    ops: opsCount,
    shrinkMs: 60_000,
  });
  t.diagnostic(result.report.split("\n")[0] ?? "");
  assert.ok(result.difference === undefined, result.report);
});
