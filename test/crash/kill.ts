// Chooses and awaits the moment of a kill: after some time, or when the server makes a file in one of its folders (a WAL segment, a
// Raft snapshot, a table of its store, an index checkpoint), which is when several files have to fit together; or in an orderly stop.

import { existsSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Prng } from "../../src/base/index.ts";
import type { ServerProcess } from "../support/server-process.ts";
import type { LoadShape } from "./load.ts";

interface Place {
  /** Below the data directory. */
  readonly folder: string;
  /** Names of the files that count. */
  readonly names: RegExp;
}

/** Where changes are worth a kill. */
const places: Readonly<Record<"wal" | "snap" | "store" | "checkpoint", Place>> = {
  wal: { folder: join("member", "wal"), names: /./ },
  snap: { folder: join("member", "snap"), names: /\.snap/ },
  store: { folder: join("member", "snap", "db"), names: /./ },
  checkpoint: { folder: join("member", "snap"), names: /\.side/ },
};

/** When a server is killed. `name` is for reports. */
export type KillMoment =
  | { readonly name: "load" | "early"; readonly afterMs: number }
  /** SIGTERM, and SIGKILL so long after it. */
  | { readonly name: "stop"; readonly afterMs: number; readonly graceMs: number }
  | {
      readonly name: keyof typeof places;
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

/** How long an orderly stop may take. */
const stopMsMax = 20_000;
/** A server under load writes its first index checkpoint after 20 s. */
const checkpointMsMax = 30_000;

/** Draws how a round goes. */
export function drawPlan(prng: Prng): RoundPlan {
  const size = prng.pick(sizes);
  const moment = drawMoment(prng, size);
  // A checkpoint is for a store of many rows, and a new segment for long entries: few clients wait less for each other.
  const shape =
    size === "small"
      ? { connections: 1 + prng.below(4), streams: 1 + prng.below(12), size }
      : { connections: 2, streams: 6, size };
  const startKillCount = prng.chance(0.3) ? 1 + prng.below(2) : 0;
  const startKillsMs = Array.from({ length: startKillCount }, () => 20 + prng.below(900));
  return { moment, shape, startKillsMs, flags: drawFlags(prng) };
}

const sizes: readonly LoadShape["size"][] = [
  ...Array.from({ length: 6 }, () => "small" as const),
  "large",
  "many",
];

function drawMoment(prng: Prng, size: LoadShape["size"]): KillMoment {
  const afterMs = prng.below(15);
  if (size === "large")
    return { name: "wal", change: 1 + prng.below(3), afterMs, timeoutMs: 6_000 };
  const at = prng.below(20);
  if (size === "many" && at < 3) {
    const change = 1 + prng.below(2);
    return { name: "checkpoint", change, afterMs, timeoutMs: checkpointMsMax };
  }
  if (at < (size === "many" ? 16 : 2)) {
    const graceMs = prng.chance(0.5) ? stopMsMax : prng.below(600);
    return { name: "stop", afterMs: 200 + prng.below(1_500), graceMs };
  }
  if (at < 5) return { name: "early", afterMs: prng.below(200) };
  if (at < 13) return { name: "load", afterMs: 50 + prng.below(900) };
  const name = at < 17 ? "snap" : "store";
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
      ? untilChange(server.dir, places[moment.name], moment)
      : Promise.resolve(true);
  const passed = come.then(async (isCome) => {
    await sleep(moment.afterMs);
    return isCome ? ("come" as const) : ("missed" as const);
  });
  return await Promise.race([passed, ended]);
}

/** True when the place has changed, false after `timeoutMs`. */
function untilChange(
  dir: string,
  { folder: below, names }: Place,
  { change, timeoutMs }: { readonly change: number; readonly timeoutMs: number },
): Promise<boolean> {
  return new Promise((resolve) => {
    let left = change;
    const folder = join(dir, below);
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
    watcher?.on("change", (event, name) => {
      if (event === "rename" && names.test(String(name)) && --left === 0) done(true);
    });
  });
}
