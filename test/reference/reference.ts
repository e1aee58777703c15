// The real etcd 3.7.1 (server, etcdctl, etcdutl), the judge of ours: built from the Go modules that go.mod beside this file names.
//
// The binaries live in a cache outside the tree, ETCD_TS_REFERENCE or ~/.cache/etcd-ts-reference/3.7.1, and are built at most once.
// Without Go, or when the build fails, there is no reference, and what needs it says so with `needsReference`.

import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repoRoot } from "../support/repo.ts";
import { type ServerCommand, type ServerProcess, startServer } from "../support/server-process.ts";

/** The release we are measured against. */
export const referenceVersion = "3.7.1";

/** The reason a test gives for being skipped. */
export const needsReference: string = `needs Go (etcd ${referenceVersion})`;

/** Absolute paths of the reference's programs. */
export interface Reference {
  readonly etcd: string;
  readonly etcdctl: string;
  readonly etcdutl: string;
}

/** How long one build may hold the lock before another process stops waiting for it. */
const buildMsMax = 15 * 60_000;

function cacheDir(): string {
  return (
    process.env["ETCD_TS_REFERENCE"] ??
    join(homedir(), ".cache", "etcd-ts-reference", referenceVersion)
  );
}

function inCache(): Reference | undefined {
  const dir = cacheDir();
  const paths = {
    etcd: join(dir, "etcd"),
    etcdctl: join(dir, "etcdctl"),
    etcdutl: join(dir, "etcdutl"),
  };
  try {
    for (const path of Object.values(paths)) accessSync(path, constants.X_OK);
    return paths;
  } catch {
    return undefined;
  }
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: join(repoRoot, "test", "reference"),
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve(errors);
      else reject(new Error(`${program} ${args.join(" ")}: exit ${code}\n${errors.slice(-2_000)}`));
    });
  });
}

async function hasGo(): Promise<boolean> {
  try {
    await run("go", ["version"], process.env);
    return true;
  } catch {
    return false;
  }
}

/** True while the process that wrote `lock` lives. */
function isHeld(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(join(lock, "pid"), "utf8")), 0);
    return true;
  } catch {
    return false;
  }
}

/** Takes the build lock; false when another process has finished the build meanwhile. */
async function takeLock(lock: string): Promise<boolean> {
  const until = Date.now() + buildMsMax;
  for (let turn = 0; ; turn++) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, "pid"), String(process.pid));
      return true;
    } catch {
      await sleep(500);
      if (inCache() !== undefined) return false;
      // A lock whose owner is gone, or has not written its pid for two looks, is a leftover.
      if ((turn > 2 && !isHeld(lock)) || Date.now() > until)
        rmSync(lock, { recursive: true, force: true });
    }
  }
}

async function build(): Promise<void> {
  const dir = cacheDir();
  mkdirSync(dir, { recursive: true });
  const lock = `${dir}.lock`;
  if (!(await takeLock(lock))) return;
  try {
    const fresh = await mkdtemp(join(dirname(dir), "build-"));
    await run("go", ["install", "tool"], { ...process.env, GOBIN: fresh, CGO_ENABLED: "0" });
    // The server's package path ends in `server/v3`, and so Go names its binary `server`.
    await rename(join(fresh, "server"), join(dir, "etcd"));
    await rename(join(fresh, "etcdctl"), join(dir, "etcdctl"));
    await rename(join(fresh, "etcdutl"), join(dir, "etcdutl"));
    await rm(fresh, { recursive: true });
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/**
 * Gives the reference's programs, building them first where Go is there (a minute, once). Undefined without Go or when the build
 * fails; the reason of a failed build goes to stderr.
 */
export async function findReference(): Promise<Reference | undefined> {
  const cached = inCache();
  if (cached !== undefined) return cached;
  if (!(await hasGo())) return undefined;
  try {
    await build();
  } catch (error) {
    console.error(`etcd ${referenceVersion} could not be built: ${String(error)}`);
  }
  return inCache();
}

/** The command that starts the reference's server. */
export function referenceCommand(reference: Reference): ServerCommand {
  return { name: `etcd ${referenceVersion}`, argv: [reference.etcd] };
}

/** Starts a real etcd of one member on free ports with its data in `dir`, and waits until it answers. */
export async function startReferenceEtcd(options: {
  reference: Reference;
  dir: string;
  flags?: readonly string[];
}): Promise<ServerProcess> {
  const command = referenceCommand(options.reference);
  return await startServer({ command, dir: options.dir, flags: options.flags });
}
