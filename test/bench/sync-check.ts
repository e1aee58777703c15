// Checks that a server makes each write durable before it answers: a benchmark of two servers compares nothing if one does not.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Contender } from "./contender.ts";

/** Puts one after the other, so that none can share another's sync. */
const putsTotal = 200;

/** What was seen. `perPut` is undefined without strace. */
export interface SyncCheck {
  readonly perPut: number | undefined;
  /** The log's file is open so that every write is a sync. */
  readonly hasSyncedWal: boolean;
}

/** Counts fsync and fdatasync calls per put. */
export async function checkSync(contender: Contender): Promise<SyncCheck> {
  const puts = { op: "put", total: putsTotal, prefix: "sync-", keys: 100 } as const;
  const hasSyncedWal = contender.hasSyncedWal();
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-bench-"));
  const out = join(dir, "strace");
  const args = ["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", out, "-p", String(contender.pid)];
  const strace = spawn("strace", args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => {
    strace.on("error", () => resolve());
    strace.on("exit", () => resolve());
  });
  // strace says nothing when it has attached; half a second is ample, and too few syncs would only make this check fail.
  await Promise.race([ended, sleep(500)]);
  await contender.load([puts]);
  strace.kill("SIGINT");
  await ended;
  let perPut: number | undefined;
  try {
    const lines = readFileSync(out, "utf8").split("\n");
    perPut = lines.filter((l) => / f(data)?sync\(/.test(l)).length / putsTotal;
  } catch {
    // No strace, or it may not attach here.
  }
  rmSync(dir, { recursive: true });
  return { perPut, hasSyncedWal };
}

/** One line for a reader. */
export function showSync(name: string, check: SyncCheck): string {
  const counted = check.perPut === undefined ? "not counted (no strace)" : check.perPut.toFixed(2);
  const opened = check.hasSyncedWal ? "each write of the log is a sync (O_DSYNC)" : "no O_DSYNC";
  return `${name}: fsync and fdatasync calls per put: ${counted}; ${opened}`;
}
