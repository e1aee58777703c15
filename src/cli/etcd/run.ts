// The life of the member inside the program: start, serve, stop by signal or by its own failure, and the exit status of each.
// Source: operations.md 2.2, 2.5, 2.10, 2.11.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Logger } from "../../base/index.ts";
import { type EtcdConfig, startingFields } from "../../embed/config.ts";
import { goArch, runtimeVersion } from "../help.ts";
import { errorText, fileErrorText } from "../system-error.ts";
import { bootstrapProblem, firstClusterText } from "./bootstrap.ts";

/** The member as the program sees it; `embed/` makes it. */
export interface RunningMember {
  /** Resolves with the error that makes going on impossible; never rejects. */
  readonly fatal: Promise<Error>;
  stop(): Promise<void>;
}

/** Starts a member and resolves when it serves clients. */
export type StartMember = (
  config: EtcdConfig,
  hooks: { readonly logger: Logger },
) => Promise<RunningMember>;

type StopSignal = "SIGTERM" | "SIGINT";

const SIGNAL_NAMES: Readonly<Record<StopSignal, string>> = {
  SIGTERM: "terminated",
  SIGINT: "interrupt",
};

/** What kind of directory `dir` is, or undefined after a fatal line. Other names than etcd's own are only warned about. */
function identifyDirectory(dir: string, log: Logger): "member" | "empty" | undefined {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "empty";
    const reason = fileErrorText(error, dir).replace(/^scandir /, "open ");
    log.fatal("failed to list data directory", { dir, error: reason });
    return undefined;
  }
  for (const filename of names.sort()) {
    if (filename === "member" || filename === "proxy") continue;
    log.warn("found invalid file under data directory", { filename, "data-dir": dir });
  }
  if (names.includes("proxy")) {
    log.fatal(
      names.includes("member")
        ? "invalid datadir; both member and proxy directories exist"
        : "v2 http proxy has already been deprecated in 3.6",
      { "dir-type": "proxy" },
    );
    return undefined;
  }
  return names.includes("member") ? "member" : "empty";
}

/** Ends the process as the signal itself would, which is what a supervisor expects to see; as process 1 that cannot be, so 0. */
function dieOf(signal: StopSignal): void {
  if (process.pid === 1) process.exit(0);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function stopOnSignal(member: RunningMember, config: EtcdConfig, log: Logger): void {
  const fields = {
    name: config.name,
    "data-dir": config.dataDir,
    "advertise-peer-urls": config.initialAdvertisePeerUrls.map((endpoint) => endpoint.url),
    "advertise-client-urls": config.advertiseClientUrls.map((endpoint) => endpoint.url),
  };
  let stopping = false;
  const stop = async (signal: StopSignal): Promise<void> => {
    if (stopping) {
      dieOf(signal);
      return;
    }
    stopping = true;
    log.info("received signal; shutting down", { signal: SIGNAL_NAMES[signal] });
    log.info("closing etcd server", fields);
    try {
      await member.stop();
    } catch (error) {
      log.fatal("failed to close etcd server", { error: errorText(error) });
      process.exit(1);
    }
    log.info("closed etcd server", fields);
    dieOf(signal);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => void stop(signal));
  }
}

/** Whether `dir` holds a write-ahead log: then the flags that describe a first cluster are ignored. */
function hasWal(config: EtcdConfig): boolean {
  try {
    const dir = config.walDir === "" ? join(config.dataDir, "member", "wal") : config.walDir;
    return readdirSync(dir).some((name) => name.endsWith(".wal"));
  } catch {
    return false;
  }
}

function logStarting(config: EtcdConfig, memberInitialized: boolean, log: Logger): void {
  const urls = config.listenClientUrls.map((endpoint) => endpoint.url);
  log.info("configuring client listeners", { "listen-client-urls": urls });
  const fields = startingFields(config, {
    memberInitialized,
    dataDir: config.dataDir,
    initialCluster: memberInitialized ? "" : firstClusterText(config),
    cpuCount: availableParallelism(),
    arch: goArch(),
    platform: process.platform,
    runtimeVersion: runtimeVersion(),
  });
  log.info("starting an etcd server", fields);
}

/** Tells who waits for this program that it serves. */
function logReady(config: EtcdConfig, log: Logger): void {
  for (const _ of config.listenClientUrls) log.info("ready to serve client requests");
  if ((process.env["NOTIFY_SOCKET"] ?? "") !== "") {
    const error = "notification sockets are not supported yet by etcd-ts";
    log.error("failed to notify systemd for readiness", { error });
  }
}

/** Runs the member until the process ends; returns only with the exit code of a failed start. */
export async function run(
  config: EtcdConfig,
  log: Logger,
  start: () => Promise<StartMember>,
): Promise<number> {
  const kind = identifyDirectory(config.dataDir, log);
  if (kind === undefined) return 1;
  log.info(
    kind === "member" ? "server has already been initialized" : "Initialize and start etcd server",
    { "data-dir": config.dataDir, "dir-type": kind },
  );
  const memberInitialized = hasWal(config);
  logStarting(config, memberInitialized, log);
  const problem = memberInitialized ? undefined : await bootstrapProblem(config);
  if (problem !== undefined) {
    log.fatal("discovery failed", { error: problem });
    return 1;
  }
  let member: RunningMember;
  try {
    member = await (await start())(config, { logger: log });
  } catch (error) {
    log.fatal("discovery failed", { error: errorText(error) });
    return 1;
  }
  stopOnSignal(member, config, log);
  logReady(config, log);
  const error = await member.fatal;
  log.fatal("server stopped by a fatal error", { error: errorText(error) });
  return 1;
}
