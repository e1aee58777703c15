// Chooses and awaits the moment of a kill: after some time, or when the server makes a file in one of its folders (a WAL segment, a
// Raft snapshot, a table of its store), which is when several files have to fit together.

import { existsSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Prng } from "../../src/base/index.ts";
import type { ServerProcess } from "../support/server-process.ts";
import type { LoadShape } from "./load.ts";

/** Folders whose changes are worth a kill, below the data directory. */
const folders: Readonly<Record<"wal" | "snap" | "store", string>> = {
  wal: join("member", "wal"),
  snap: join("member", "snap"),
  store: join("member", "snap", "db"),
};

/** When a server is killed. `name` is for reports. */
export type KillMoment =
  | { readonly name: "load" | "early"; readonly afterMs: number }
  | {
      readonly name: keyof typeof folders;
      /** Which change of the folder. */
      readonly change: number;
      readonly afterMs: number;
      /** When the folder does not change, the kill comes then. */
      readonly timeoutMs: number;
    };

/** How one round goes. */
export interface RoundPlan {
  readonly moment: KillMoment;
  readonly shape: LoadShape;
  /** Kills during the restart that follows, each so long after the start of the process. */
  readonly startKillsMs: readonly number[];
  /** Flags of the server, from the restart on. */
  readonly flags: readonly string[];
}

/** Draws how a round goes. */
export function drawPlan(prng: Prng): RoundPlan {
  const isBulk = prng.chance(0.12);
  const shape = isBulk
    ? { connections: 2, streams: 6, isBulk }
    : { connections: 1 + prng.below(4), streams: 1 + prng.below(12), isBulk };
  const startKillCount = prng.chance(0.3) ? 1 + prng.below(2) : 0;
  const startKillsMs = Array.from({ length: startKillCount }, () => 20 + prng.below(900));
  return { moment: drawMoment(prng, isBulk), shape, startKillsMs, flags: drawFlags(prng) };
}

function drawMoment(prng: Prng, isBulk: boolean): KillMoment {
  const afterMs = prng.below(15);
  if (isBulk) return { name: "wal", change: 1 + prng.below(3), afterMs, timeoutMs: 6_000 };
  const at = prng.below(10);
  if (at < 2) return { name: "early", afterMs: prng.below(60) };
  if (at < 6) return { name: "load", afterMs: 50 + prng.below(900) };
  const name = at < 8 ? "snap" : "store";
  return { name, change: 1 + prng.below(4), afterMs, timeoutMs: 1_000 };
}

function drawFlags(prng: Prng): string[] {
  const flags: string[] = [];
  const snapshotCount = prng.pick([undefined, 10, 50, 200, 1000]);
  if (snapshotCount !== undefined) flags.push("--snapshot-count", String(snapshotCount));
  if (prng.chance(0.3)) flags.push("--snapshot-catchup-entries", String(1 + prng.below(50)));
  if (prng.chance(0.3)) flags.push("--max-snapshots", "1", "--max-wals", "1");
  return flags;
}

/** How the waiting ended: `missed` when the folder did not change in time, `ended` when the server ended by itself. */
export type MomentOutcome = "come" | "missed" | "ended";

/** Waits for the moment. */
export async function untilMoment(
  server: ServerProcess,
  moment: KillMoment,
): Promise<MomentOutcome> {
  const ended = server.exited.then(() => "ended" as const);
  const come =
    "change" in moment
      ? untilChange(join(server.dir, folders[moment.name]), moment.change, moment.timeoutMs)
      : Promise.resolve(true);
  const passed = come.then(async (isCome) => {
    await sleep(moment.afterMs);
    return isCome ? ("come" as const) : ("missed" as const);
  });
  return await Promise.race([passed, ended]);
}

/** True when the folder has changed, false after `timeoutMs`. */
function untilChange(folder: string, change: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let left = change;
    // The real etcd has a file where our store has a folder.
    const watcher =
      existsSync(folder) && statSync(folder).isDirectory() ? watch(folder) : undefined;
    const done = (isCome: boolean): void => {
      clearTimeout(timer);
      watcher?.close();
      resolve(isCome);
    };
    const timer = setTimeout(() => done(false), timeoutMs);
    watcher?.on("error", () => undefined);
    watcher?.on("change", (event) => {
      if (event === "rename" && --left === 0) done(true);
    });
  });
}
