// The load generator as a function: compiles loadgen.c once into the cache and runs it.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { repoRoot } from "../support/repo.ts";

const run = promisify(execFile);

/** The reason given when there is no C compiler. */
export const needsCompiler = "needs cc";

/** How one group of a run went; times in milliseconds. */
export interface GroupResult {
  readonly op: string;
  readonly done: number;
  readonly errors: number;
  /** Transactions that took the failure branch. */
  readonly conflicts: number;
  /** Watch events received by all watchers together. */
  readonly events: number;
  /** Bytes of the replies. */
  readonly bytes: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** How a run went. CPU and memory are the server's, if its pid was given. */
export interface LoadResult {
  readonly seconds: number;
  /** When the first group had its last reply, on the clock of `process.hrtime`. */
  readonly lastReplyS: number;
  readonly cpuSeconds: number;
  readonly ownCpuSeconds: number;
  readonly rssKb: number;
  readonly groups: readonly GroupResult[];
}

/** A group's options as loadgen.c names them. */
export interface LoadGroup {
  readonly op: "put" | "get" | "txn" | "list" | "watch";
  readonly conns?: number;
  readonly streams?: number;
  readonly total?: number;
  readonly rate?: number;
  readonly keys?: number;
  readonly order?: "rand" | "seq" | "same";
  readonly value?: number;
  readonly limit?: number;
  readonly prefix?: string;
}

/** A run: which server, how long, what. */
export interface Load {
  readonly port: number;
  readonly pid?: number;
  readonly seconds?: number;
  /** Seconds for which a refused connection is tried again. */
  readonly wait?: number;
  readonly groups: readonly LoadGroup[];
}

/** Runs a load; rejects with loadgen's own message when the server fails it. */
export type LoadGenerator = (load: Load) => Promise<LoadResult>;

/** No single run takes longer. */
const runMsMax = 15 * 60_000;

async function compiled(): Promise<string | undefined> {
  const sources = ["loadgen.c", "loadgen-calls.h", "loadgen-bytes.h"].map((f) =>
    join(repoRoot, "test", "bench", f),
  );
  const hash = createHash("sha256");
  for (const path of sources) hash.update(readFileSync(path));
  const dir = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "etcd-ts-bench");
  const binary = join(dir, `loadgen-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(binary)) return binary;
  mkdirSync(dir, { recursive: true });
  const fresh = `${binary}.${process.pid}`;
  try {
    await run("cc", ["-O2", "-o", fresh, sources[0] as string, "-lm"]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  renameSync(fresh, binary);
  return binary;
}

function option(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`${name}=${value}`];
}

/** The load generator, compiled if it was not; undefined without a C compiler. */
export async function findLoadGenerator(): Promise<LoadGenerator | undefined> {
  const binary = await compiled();
  if (binary === undefined) return undefined;
  return async ({ port, pid, seconds, wait, groups }) => {
    const args = [String(port), ...option("pid", pid), ...option("seconds", seconds)];
    args.push(...option("wait", wait));
    for (const group of groups) {
      args.push("group", ...Object.entries(group).flatMap(([name, v]) => option(name, v)));
    }
    const { stdout } = await run(binary, args, { timeout: runMsMax });
    return JSON.parse(stdout) as LoadResult;
  };
}
