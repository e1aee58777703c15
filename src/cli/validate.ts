// Checks across flags, with etcd's words and in etcd's order: what a person reads after a wrong configuration is the first of these.
// Source: operations.md 1.4.

import { isIP } from "node:net";
import { formatDuration, type Logger } from "../base/index.ts";
import { DEFAULT_NAME, type Endpoint, type EtcdConfig } from "../embed/config.ts";
import { initialClusterNames } from "./endpoints.ts";
import { isGateOn } from "./feature-gates.ts";
import { firstUnbuilt } from "./flags.ts";
import { goQuote, goQuoteList } from "./go-text.ts";

/** The error of a `--listen-client-urls` without `--advertise-client-urls` on the command line. */
export const MISSING_ADVERTISE =
  "--advertise-client-urls is required when --listen-client-urls is set explicitly";

/** Longest election timeout etcd takes. */
const ELECTION_TIMEOUT_MS_MAX = 50_000;

const LOG_LEVELS = ["debug", "info", "warn", "error", "dpanic", "panic", "fatal"];

/** Whether `level` is one of zap's; etcd panics over others. */
export function isLogLevel(level: string): boolean {
  return LOG_LEVELS.includes(level);
}

/** What is wrong with the settings of the log, which is set up before anything else is checked. */
export function checkLogging(config: EtcdConfig): string | undefined {
  if (config.logger === "capnslog") return "--logger=capnslog is removed in v3.5";
  if (config.logger !== "zap") return `unknown logger option ${goQuote(config.logger)}`;
  const outputs = config.logOutputs;
  if (outputs.length > 1 && outputs.includes("default")) {
    return 'multi logoutput for "default" is not supported yet';
  }
  if (config.enableLogRotation) {
    const files = outputs.filter((o) => !["default", "stderr", "stdout"].includes(o));
    if (files.length > 1 || (outputs.length === 1 && files.length === 0)) {
      return "--log-outputs requires a single file path when --log-rotate-config-json is defined";
    }
  }
  if (outputs.includes("systemd/journal") && outputs.length > 1) {
    return `running with systemd/journal but other '--log-outputs' values (${goQuoteList(outputs)}) are configured with 'default'; override 'default' value with something else`;
  }
  if (config.logFormat !== "json" && config.logFormat !== "console") {
    return `unknown log format: ${config.logFormat}, supported values json, console`;
  }
  if (outputs.includes("systemd/journal")) {
    return "--log-outputs=systemd/journal is not supported yet by etcd-ts: use stderr, stdout or a file";
  }
  return undefined;
}

function isUnix(endpoint: Endpoint): boolean {
  return endpoint.scheme === "unix" || endpoint.scheme === "unixs";
}

function checkBind(endpoints: readonly Endpoint[]): string | undefined {
  for (const endpoint of endpoints) {
    if (isUnix(endpoint) || endpoint.host === "localhost") continue;
    if (isIP(endpoint.host) === 0 || endpoint.host.includes("%")) {
      return `expected IP in URL for binding (${endpoint.url})`;
    }
  }
  return undefined;
}

function emptyHost(endpoints: readonly Endpoint[]): string | undefined {
  const empty = endpoints.find((endpoint) => !isUnix(endpoint) && endpoint.host === "");
  return empty === undefined ? undefined : `unexpected empty host (${empty.url})`;
}

function joinUrls(endpoints: readonly Endpoint[]): string {
  return goQuote(endpoints.map((endpoint) => endpoint.url).join(","));
}

function checkUrls(config: EtcdConfig, log: Logger): string | undefined {
  const listen =
    checkBind(config.listenPeerUrls) ??
    checkBind(config.listenClientUrls) ??
    checkBind(config.listenClientHttpUrls);
  if (listen !== undefined) return listen;
  if (config.listenClientHttpUrls.length === 0) {
    log.warn(
      "Running http and grpc server on single port. This is not recommended for production.",
    );
  }
  const metrics = checkBind(config.listenMetricsUrls);
  if (metrics !== undefined) return metrics;
  const peer = emptyHost(config.initialAdvertisePeerUrls);
  if (peer !== undefined) {
    const urls = joinUrls(config.initialAdvertisePeerUrls);
    return `--initial-advertise-peer-urls ${urls} must be "host:port" (${peer})`;
  }
  const client = emptyHost(config.advertiseClientUrls);
  if (client !== undefined) {
    const urls = joinUrls(config.advertiseClientUrls);
    return `--advertise-client-urls ${urls} must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (${client})`;
  }
  return undefined;
}

function checkBootstrap(config: EtcdConfig): string | undefined {
  const { token, endpoints } = config.discovery;
  const ways = [config.initialCluster !== "", config.discoverySrv !== "", endpoints.length > 0];
  if (ways.filter(Boolean).length > 1) {
    return 'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"';
  }
  if ((token !== "") !== endpoints.length > 0) {
    return "both --discovery-token and --discovery-endpoints must be set";
  }
  if (endpoints.some((endpoint) => endpoint.trim() === "")) {
    return "--discovery-endpoints must not contain empty endpoints";
  }
  return undefined;
}

function checkTimes(config: EtcdConfig): string | undefined {
  const heartbeat = config.heartbeatIntervalMs;
  const election = config.electionTimeoutMs;
  if (heartbeat === 0) return "--heartbeat-interval must be >0 (set to 0ms)";
  if (election === 0) return "--election-timeout must be >0 (set to 0ms)";
  if (5 * heartbeat > election) {
    return `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`;
  }
  if (election > ELECTION_TIMEOUT_MS_MAX) {
    return `--election-timeout[${election}ms] is too long, and should be set less than ${ELECTION_TIMEOUT_MS_MAX}ms`;
  }
  return undefined;
}

function checkFeatures(config: EtcdConfig, log: Logger): string | undefined {
  const mode = config.autoCompactionMode;
  if (mode === "") return "undefined auto-compaction-mode";
  if (mode !== "periodic" && mode !== "revision") {
    return `unknown auto-compaction-mode ${goQuote(mode)}`;
  }
  const rate = config.distributedTracingSamplingRate;
  if (config.enableDistributedTracing && (rate < 0 || rate > 1_000_000)) {
    const limit = rate < 0 ? "positive" : "less than 1000000";
    return `distributed tracing configurition is not valid: (tracing sampling rate must be ${limit})`;
  }
  const checkpoint = isGateOn(config.featureGates, "LeaseCheckpoint");
  const persist = isGateOn(config.featureGates, "LeaseCheckpointPersist");
  if (checkpoint && !persist) {
    log.warn(
      "Detected that checkpointing is enabled without persistence. Consider enabling feature gate LeaseCheckpointPersist",
    );
  }
  if (persist && !checkpoint) {
    return "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint";
  }
  if (config.compactHashCheckTimeMs <= 0) {
    return `--compact-hash-check-time must be >0 (set to ${formatDuration(config.compactHashCheckTimeMs)})`;
  }
  return undefined;
}

function checkTlsVersions(config: EtcdConfig): string | undefined {
  const min = config.tlsMinVersion;
  const max = config.tlsMaxVersion;
  for (const version of [min, max]) {
    if (!["", "TLS1.2", "TLS1.3"].includes(version)) {
      return `unexpected TLS version ${goQuote(version)} (must be one of: TLS1.2, TLS1.3)`;
    }
  }
  if (max !== "" && min > max) {
    return `min version (${min}) is greater than max version (${max})`;
  }
  if (min === "TLS1.3" && config.cipherSuites.length > 0) {
    return "cipher suites cannot be configured when only TLS1.3 is enabled";
  }
  return undefined;
}

/** What etcd serves and this program does not yet, beyond the flags of the table. */
function checkBuilt(config: EtcdConfig): string | undefined {
  const lists = [
    ["listen-client-urls", config.listenClientUrls],
    ["listen-peer-urls", config.listenPeerUrls],
    ["listen-metrics-urls", config.listenMetricsUrls],
  ] as const;
  for (const [name, endpoints] of lists) {
    const other = endpoints.find((endpoint) => endpoint.scheme !== "http");
    if (other !== undefined) {
      return `--${name}: ${other.scheme} is not supported yet by etcd-ts: only http is accepted (${other.url})`;
    }
  }
  if (initialClusterNames(config.initialCluster).size > 1) {
    return "--initial-cluster with more than one member is not supported yet by etcd-ts";
  }
  return firstUnbuilt(config);
}

/**
 * The first thing wrong with `config`, undefined if nothing is; the log gets the warnings met on the way. `advertiseMissing` says that
 * the command line gave listen URLs and no advertise URLs.
 */
export function validateConfig(
  config: EtcdConfig,
  advertiseMissing: boolean,
  log: Logger,
): string | undefined {
  const problem =
    checkUrls(config, log) ??
    checkBootstrap(config) ??
    checkTimes(config) ??
    (advertiseMissing ? MISSING_ADVERTISE : undefined) ??
    checkFeatures(config, log);
  if (problem !== undefined) return problem;
  if (config.name === DEFAULT_NAME) {
    log.warn(
      "it isn't recommended to use default name, please set a value for --name. Note that etcd might run into issue when multiple members have the same default name",
      { name: config.name },
    );
  }
  return checkTlsVersions(config) ?? checkBuilt(config);
}
