// From a command line to a checked configuration: flags, variables or file, in etcd's order of reading, logging and refusing.
// Nothing is started here; the result says either what to start or how to end.
// Source: operations.md 1.1-1.4, 2.2.

import type { Logger } from "../../base/index.ts";
import { DEFAULT_NAME, type EtcdConfig } from "../../embed/config.ts";
import { parseArguments } from "../arguments.ts";
import { applyConfigFile } from "../config-file.ts";
import { defaultHost } from "../default-host.ts";
import { applyEnvironment } from "../environment.ts";
import type { Settings } from "../flag-row.ts";
import { defaultSettings } from "../flags.ts";
import { goQuote } from "../go-text.ts";
import { flagList, USAGE, versionText } from "../help.ts";
import { DEFAULT_LOGGER, type LoggerOptions } from "../logger.ts";
import { checkLogging, isLogLevel, MISSING_ADVERTISE, validateConfig } from "../validate.ts";

/** What the program asks of its surroundings. */
export interface Surroundings {
  /** Path of the program, then its arguments. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Opens a log, or says why it cannot. */
  openLog(options: LoggerOptions): Promise<Logger | string>;
  stdout(text: string): void;
  stderr(text: string): void;
}

/** What to do next. */
export type Decision =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "start"; readonly config: EtcdConfig; readonly log: Logger };

/** A configuration that was read, or the reason it is refused; `log` is the configured log once it exists. */
interface Reading {
  readonly log: Logger | undefined;
  readonly problem: string | undefined;
}

/** Etcd closes quiet peer connections no sooner than this. */
const RAFT_TIMEOUT_MS_MIN = 5000;

const DEPRECATIONS: readonly (readonly [flag: string, message: string])[] = [
  ["max-snapshots", "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8."],
  [
    "v2-deprecation",
    "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.",
  ],
];

function exit(code: number): Decision {
  return { kind: "exit", code };
}

/** stderr, which cannot fail to open. */
async function defaultLogger(around: Surroundings): Promise<Logger> {
  const log = await around.openLog(DEFAULT_LOGGER);
  if (typeof log === "string") throw new Error(log);
  return log;
}

function raiseRaftTimeouts(config: EtcdConfig, log: Logger): void {
  if (config.raftReadTimeoutMs < RAFT_TIMEOUT_MS_MIN) {
    config.raftReadTimeoutMs = RAFT_TIMEOUT_MS_MIN;
    log.info("raft-read-timeout increased to minimum value: 5s");
  }
  if (config.raftWriteTimeoutMs < RAFT_TIMEOUT_MS_MIN) {
    config.raftWriteTimeoutMs = RAFT_TIMEOUT_MS_MIN;
    log.info("raft-write-timeout increased to minimum value: 5s");
  }
}

/** Checks what was read, with the log it asks for. */
async function check(
  config: EtcdConfig,
  advertiseMissing: boolean,
  around: Surroundings,
): Promise<Reading | Decision> {
  const problem = checkLogging(config);
  if (problem !== undefined) return { log: undefined, problem };
  const { logLevel: level, logFormat: format, logOutputs: outputs } = config;
  if (!isLogLevel(level)) {
    around.stderr(`panic: unrecognized level: ${goQuote(level)}\n`);
    return exit(2);
  }
  const log = await around.openLog({ level, format, outputs });
  if (typeof log === "string") return { log: undefined, problem: log };
  return { log, problem: validateConfig(config, advertiseMissing, log) };
}

/** Flags and variables. A decision is the end of the program. */
async function readFlags(
  settings: Settings,
  given: Set<string>,
  around: Surroundings,
): Promise<Reading | Decision> {
  const { config } = settings;
  const early = await defaultLogger(around);
  const variable = applyEnvironment(around.environment, settings, given, early);
  if (variable?.kind === "shadowed") {
    early.fatal(
      "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))",
      { "environment-variable": variable.variable },
    );
    return exit(1);
  }
  if (variable !== undefined) return { log: undefined, problem: variable.message };
  raiseRaftTimeouts(config, early);
  const discovers =
    config.discoverySrv !== "" ||
    config.discoverySrvName !== "" ||
    config.discovery.endpoints.length > 0;
  if (discovers && !given.has("initial-cluster")) config.initialCluster = "";
  if (config.discoveryFallback === "proxy") {
    const problem = `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`;
    return { log: undefined, problem };
  }
  const missing = given.has("listen-client-urls") && !given.has("advertise-client-urls");
  return check(config, missing, around);
}

/** The config file, and nothing else. */
async function readFile(
  path: string,
  settings: Settings,
  given: Set<string>,
  around: Surroundings,
): Promise<Reading | Decision> {
  const problem = await applyConfigFile(path, settings, given);
  if (problem?.kind === "exit") {
    around.stderr(`${problem.line}\n`);
    return exit(problem.code);
  }
  if (problem !== undefined) return { log: undefined, problem: problem.message };
  const reading = await check(settings.config, false, around);
  if ("kind" in reading) return reading;
  reading.log?.info(
    "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided",
    { path },
  );
  return reading;
}

/** `name=url` pairs of this member alone. */
function clusterOfOne(config: EtcdConfig): string {
  const name = config.name === "" ? DEFAULT_NAME : config.name;
  return config.initialAdvertisePeerUrls.map((endpoint) => `${name}=${endpoint.url}`).join(",");
}

/** Fills in what follows from other settings: addresses for 0.0.0.0, the cluster of a named member, the data directory. */
function complete(config: EtcdConfig, log: Logger): void {
  const defaults = defaultSettings().config;
  let used: string | undefined;
  const lists = [
    ["listenPeerUrls", "initialAdvertisePeerUrls"],
    ["listenClientUrls", "advertiseClientUrls"],
  ] as const;
  for (const [listen, advertise] of lists) {
    const first = config[listen][0];
    const [only, ...others] = config[advertise];
    const untouched = others.length === 0 && only?.url === defaults[advertise][0]?.url;
    if (first?.host !== "0.0.0.0" || !untouched || only === undefined) continue;
    const host = defaultHost();
    if (typeof host !== "string") {
      log.info("failed to detect default host", { error: host });
      continue;
    }
    const url = `${only.scheme}://${host}:${first.port}`;
    config[advertise] = [{ ...only, host, port: first.port, url }];
    used = host;
  }
  if (used !== undefined) log.info("detected default host for advertise", { host: used });
  if (config.name !== DEFAULT_NAME && config.initialCluster === defaults.initialCluster) {
    config.initialCluster = clusterOfOne(config);
  }
  if (config.dataDir === "") {
    config.dataDir = `${config.name}.etcd`;
    log.warn("'data-dir' was empty; using default", { "data-dir": config.dataDir });
  }
}

async function refuse(around: Surroundings, problem: string): Promise<Decision> {
  const log = await defaultLogger(around);
  log.info("Running: ", { args: around.args });
  log.warn("failed to verify flags", { error: problem });
  return exit(1);
}

/** Ends with what was read: the log's first lines, a refusal, or a start. */
async function conclude(
  reading: Reading,
  config: EtcdConfig,
  given: ReadonlySet<string>,
  around: Surroundings,
): Promise<Decision> {
  const { log, problem } = reading;
  if (log === undefined) return refuse(around, problem ?? "");
  for (const [flag, message] of DEPRECATIONS) {
    if (given.has(flag)) log.warn(message);
  }
  log.info("Running: ", { args: around.args });
  if (problem !== undefined) {
    log.warn("failed to verify flags", { error: problem });
    if (problem === MISSING_ADVERTISE) {
      log.warn("advertise client URLs are not set", { error: problem });
    }
    return exit(1);
  }
  complete(config, log);
  return { kind: "start", config, log };
}

/** Reads everything and decides. */
export async function decide(around: Surroundings): Promise<Decision> {
  const byFlags = defaultSettings();
  const parsed = parseArguments(around.args.slice(1), byFlags);
  if (parsed.outcome === "help") {
    around.stderr(`${USAGE}\n`);
    around.stdout(`${flagList()}\n`);
    return exit(0);
  }
  if (parsed.outcome === "bad") {
    around.stderr(`${parsed.message}\n${USAGE}\n`);
    return exit(2);
  }
  if (parsed.rest[0] !== undefined) {
    return refuse(around, `${goQuote(parsed.rest[0])} is not a valid flag`);
  }
  if (byFlags.program.version) {
    around.stdout(versionText());
    return exit(0);
  }
  const path = byFlags.program.configFile || around.environment["ETCD_CONFIG_FILE"] || "";
  const settings = path === "" ? byFlags : defaultSettings();
  const given = new Set(path === "" ? parsed.given : []);
  const reading =
    path === ""
      ? await readFlags(settings, given, around)
      : await readFile(path, settings, given, around);
  if ("kind" in reading) return reading;
  return conclude(reading, settings.config, given, around);
}
