// The configuration of a member: every setting etcd 3.7 has a flag for, typed, with normalised values, and its defaults.
//
// A plain object: `cli/` fills it from flags, environment or file; a library user writes the fields that matter and takes the rest
// from `defaultConfig()`. Settings whose feature is not built yet are here with their default; `cli/` refuses other values.
// Durations are milliseconds, sizes bytes; 0 means what etcd's flag of that name means by 0, stated at the field.
// Source: operations.md 1.5.

import { formatDuration, SERVER_VERSION } from "../base/index.ts";

/** A listen or advertise URL. */
export interface Endpoint {
  readonly scheme: "http" | "https" | "unix" | "unixs";
  /** As written, without brackets for IPv6; for unix schemes the part before the path. */
  readonly host: string;
  /** 0 when the URL gives none (unix schemes, or an empty port, which lets the system choose). */
  readonly port: number;
  /** Path of a unix socket URL, "" otherwise. */
  readonly path: string;
  /** The URL as etcd prints and compares it. */
  readonly url: string;
}

/** TLS settings of one side; files are paths, "" for none. Not built yet. */
export interface TlsConfig {
  certFile: string;
  keyFile: string;
  clientCertFile: string;
  clientKeyFile: string;
  clientCertAuth: boolean;
  trustedCaFile: string;
  crlFile: string;
  allowedCns: readonly string[];
  allowedHostnames: readonly string[];
  skipClientSanVerify: boolean;
  /** Self-signed certificates made at start. */
  auto: boolean;
}

/** Settings for finding the first cluster through another etcd cluster. Not built yet. */
export interface DiscoveryConfig {
  token: string;
  endpoints: readonly string[];
  dialTimeoutMs: number;
  requestTimeoutMs: number;
  keepaliveTimeMs: number;
  keepaliveTimeoutMs: number;
  insecureTransport: boolean;
  insecureSkipTlsVerify: boolean;
  cert: string;
  key: string;
  cacert: string;
  user: string;
  password: string;
}

/** All settings of a member. */
export interface EtcdConfig {
  // Member
  name: string;
  /** "" takes `<name>.etcd`. */
  dataDir: string;
  /** "" keeps the WAL inside `dataDir`. */
  walDir: string;
  /** Applied entries between Raft snapshots; 0 is 10000. */
  snapshotCount: number;
  /** Raft entries kept behind a snapshot for slow followers; 0 is 5000. */
  snapshotCatchupEntries: number;
  heartbeatIntervalMs: number;
  electionTimeoutMs: number;
  initialElectionTickAdvance: boolean;
  listenPeerUrls: readonly Endpoint[];
  listenClientUrls: readonly Endpoint[];
  listenClientHttpUrls: readonly Endpoint[];
  listenMetricsUrls: readonly Endpoint[];
  /** Snapshot files kept; 0 keeps all. */
  maxSnapshots: number;
  /** WAL segments kept; 0 keeps all. */
  maxWals: number;
  /** 0 is 2 GiB, below 0 is no quota. */
  quotaBackendBytes: number;
  /** Of bbolt; without effect here. */
  backendBboltFreelistType: string;
  /** Of bbolt; without effect here. */
  backendBatchIntervalMs: number;
  /** Of bbolt; without effect here. */
  backendBatchLimit: number;
  maxTxnOps: number;
  maxRequestBytes: number;
  maxConcurrentStreams: number;
  /** Shortest time between pings of a client; 0 allows any. */
  grpcKeepaliveMinTimeMs: number;
  /** Idle time after which the server pings; 0 never does. */
  grpcKeepaliveIntervalMs: number;
  grpcKeepaliveTimeoutMs: number;
  socketReusePort: boolean;
  socketReuseAddress: boolean;
  raftReadTimeoutMs: number;
  raftWriteTimeoutMs: number;
  memoryMlock: boolean;

  // Clustering
  initialAdvertisePeerUrls: readonly Endpoint[];
  /** `name=url,name=url`. */
  initialCluster: string;
  initialClusterState: "new" | "existing";
  initialClusterToken: string;
  advertiseClientUrls: readonly Endpoint[];
  discovery: DiscoveryConfig;
  discoveryFallback: "exit" | "proxy";
  discoverySrv: string;
  discoverySrvName: string;
  strictReconfigCheck: boolean;
  preVote: boolean;
  autoCompactionMode: string;
  autoCompactionRetention: string;

  // Security
  clientTls: TlsConfig;
  peerTls: TlsConfig;
  selfSignedCertValidityYears: number;
  cipherSuites: readonly string[];
  tlsMinVersion: string;
  tlsMaxVersion: string;
  /** Allowed origins, sorted; `*` allows all. */
  cors: readonly string[];
  /** Accepted Host names of plain HTTP requests, sorted; `*` accepts all. */
  hostWhitelist: readonly string[];
  authToken: string;
  bcryptCost: number;
  authTokenTtlSeconds: number;

  // Monitoring
  enablePprof: boolean;
  /** `extensive` adds `grpc_server_handling_seconds`; every other value is `basic`. */
  metrics: string;
  enableDistributedTracing: boolean;
  distributedTracingAddress: string;
  distributedTracingServiceName: string;
  distributedTracingInstanceId: string;
  distributedTracingSamplingRate: number;

  // Logging
  logger: string;
  logOutputs: readonly string[];
  logLevel: string;
  logFormat: string;
  enableLogRotation: boolean;
  logRotationConfigJson: string;
  warningUnaryRequestDurationMs: number;
  warningApplyDurationMs: number;

  // Features
  enableGrpcGateway: boolean;
  /** Gates set by name, `AllAlpha` and `AllBeta` already spread; a gate that is absent has its default. */
  featureGates: ReadonlyMap<string, boolean>;
  corruptCheckTimeMs: number;
  compactHashCheckTimeMs: number;
  /** Revisions deleted in one slice of a compaction; 0 is 1000. */
  compactionBatchLimit: number;
  /** Pause between two slices; 0 is 10 ms. */
  compactionSleepIntervalMs: number;
  /** 0 is 10 min; below 100 ms is 100 ms. */
  watchProgressNotifyIntervalMs: number;
  downgradeCheckTimeMs: number;
  bootstrapDefragThresholdMegabytes: number;
  maxLearners: number;

  // Unsafe
  unsafeNoFsync: boolean;
  forceNewCluster: boolean;
}

/** etcd's name for a member nobody named. */
export const DEFAULT_NAME = "default";

function localEndpoint(port: number): Endpoint {
  return { scheme: "http", host: "localhost", port, path: "", url: `http://localhost:${port}` };
}

const NO_TLS: TlsConfig = {
  certFile: "",
  keyFile: "",
  clientCertFile: "",
  clientKeyFile: "",
  clientCertAuth: false,
  trustedCaFile: "",
  crlFile: "",
  allowedCns: [],
  allowedHostnames: [],
  skipClientSanVerify: false,
  auto: false,
};

const NO_DISCOVERY: DiscoveryConfig = {
  token: "",
  endpoints: [],
  dialTimeoutMs: 2000,
  requestTimeoutMs: 5000,
  keepaliveTimeMs: 2000,
  keepaliveTimeoutMs: 6000,
  insecureTransport: true,
  insecureSkipTlsVerify: false,
  cert: "",
  key: "",
  cacert: "",
  user: "",
  password: "",
};

const DEFAULTS: EtcdConfig = {
  name: DEFAULT_NAME,
  dataDir: "",
  walDir: "",
  snapshotCount: 10_000,
  snapshotCatchupEntries: 5000,
  heartbeatIntervalMs: 100,
  electionTimeoutMs: 1000,
  initialElectionTickAdvance: true,
  listenPeerUrls: [localEndpoint(2380)],
  listenClientUrls: [localEndpoint(2379)],
  listenClientHttpUrls: [],
  listenMetricsUrls: [],
  maxSnapshots: 5,
  maxWals: 5,
  quotaBackendBytes: 0,
  backendBboltFreelistType: "",
  backendBatchIntervalMs: 0,
  backendBatchLimit: 0,
  maxTxnOps: 128,
  maxRequestBytes: 1_572_864,
  maxConcurrentStreams: 4_294_967_295,
  grpcKeepaliveMinTimeMs: 5000,
  grpcKeepaliveIntervalMs: 7_200_000,
  grpcKeepaliveTimeoutMs: 20_000,
  socketReusePort: false,
  socketReuseAddress: false,
  raftReadTimeoutMs: 5000,
  raftWriteTimeoutMs: 5000,
  memoryMlock: false,

  initialAdvertisePeerUrls: [localEndpoint(2380)],
  initialCluster: "default=http://localhost:2380",
  initialClusterState: "new",
  initialClusterToken: "etcd-cluster",
  advertiseClientUrls: [localEndpoint(2379)],
  discovery: NO_DISCOVERY,
  discoveryFallback: "exit",
  discoverySrv: "",
  discoverySrvName: "",
  strictReconfigCheck: true,
  preVote: true,
  autoCompactionMode: "periodic",
  autoCompactionRetention: "0",

  clientTls: NO_TLS,
  peerTls: NO_TLS,
  selfSignedCertValidityYears: 1,
  cipherSuites: [],
  tlsMinVersion: "TLS1.2",
  tlsMaxVersion: "",
  cors: ["*"],
  hostWhitelist: ["*"],
  authToken: "simple",
  bcryptCost: 10,
  authTokenTtlSeconds: 300,

  enablePprof: false,
  metrics: "basic",
  enableDistributedTracing: false,
  distributedTracingAddress: "localhost:4317",
  distributedTracingServiceName: "etcd",
  distributedTracingInstanceId: "",
  distributedTracingSamplingRate: 0,

  logger: "zap",
  logOutputs: ["default"],
  logLevel: "info",
  logFormat: "json",
  enableLogRotation: false,
  logRotationConfigJson:
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
  warningUnaryRequestDurationMs: 300,
  warningApplyDurationMs: 100,

  enableGrpcGateway: true,
  featureGates: new Map(),
  corruptCheckTimeMs: 0,
  compactHashCheckTimeMs: 60_000,
  compactionBatchLimit: 0,
  compactionSleepIntervalMs: 0,
  watchProgressNotifyIntervalMs: 0,
  downgradeCheckTimeMs: 5000,
  bootstrapDefragThresholdMegabytes: 0,
  maxLearners: 1,

  unsafeNoFsync: false,
  forceNewCluster: false,
};

/** A new configuration with etcd's default for every setting; the caller owns it. */
export function defaultConfig(): EtcdConfig {
  return structuredClone(DEFAULTS);
}

/** What only the starting member knows of the line `starting an etcd server`. */
export interface StartingState {
  /** A WAL was found: the flags that describe a first cluster are ignored. */
  readonly memberInitialized: boolean;
  readonly dataDir: string;
  /** Sorted `name=url` pairs; "" when the member is initialized. */
  readonly initialCluster: string;
  readonly cpuCount: number;
  readonly arch: string;
  readonly platform: string;
  /** Stands where etcd prints its Go version. */
  readonly runtimeVersion: string;
}

function urls(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map((endpoint) => endpoint.url);
}

/** The fields of the log line `starting an etcd server`, in etcd's order. */
export function startingFields(c: EtcdConfig, state: StartingState): Record<string, unknown> {
  return {
    "etcd-version": SERVER_VERSION,
    "git-sha": "GitNotFound",
    "go-version": state.runtimeVersion,
    "go-os": state.platform,
    "go-arch": state.arch,
    "max-cpu-set": state.cpuCount,
    "max-cpu-available": state.cpuCount,
    "member-initialized": state.memberInitialized,
    name: c.name,
    "data-dir": state.dataDir,
    "wal-dir": c.walDir,
    "wal-dir-dedicated": c.walDir,
    "member-dir": `${state.dataDir}/member`,
    "force-new-cluster": c.forceNewCluster,
    "heartbeat-interval": formatDuration(c.heartbeatIntervalMs),
    "election-timeout": formatDuration(c.electionTimeoutMs),
    "initial-election-tick-advance": c.initialElectionTickAdvance,
    "snapshot-count": c.snapshotCount,
    "max-wals": c.maxWals,
    "max-snapshots": c.maxSnapshots,
    "snapshot-catchup-entries": c.snapshotCatchupEntries,
    "initial-advertise-peer-urls": urls(c.initialAdvertisePeerUrls),
    "listen-peer-urls": urls(c.listenPeerUrls),
    "advertise-client-urls": urls(c.advertiseClientUrls),
    "listen-client-urls": urls(c.listenClientUrls),
    "listen-metrics-urls": urls(c.listenMetricsUrls),
    "local-address": "",
    cors: c.cors,
    "host-whitelist": c.hostWhitelist,
    "initial-cluster": state.initialCluster,
    "initial-cluster-state": c.initialClusterState,
    "initial-cluster-token": state.memberInitialized ? "" : c.initialClusterToken,
    "quota-backend-bytes": c.quotaBackendBytes === 0 ? 2_147_483_648 : c.quotaBackendBytes,
    "max-request-bytes": c.maxRequestBytes,
    "max-concurrent-streams": c.maxConcurrentStreams,
    ...featureFields(c),
    ...discoveryFields(c.discovery),
    "downgrade-check-interval": formatDuration(c.downgradeCheckTimeMs),
    "max-learners": c.maxLearners,
    "v2-deprecation": "write-only",
  };
}

function featureFields(c: EtcdConfig): Record<string, unknown> {
  const gates = [...c.featureGates].map(([name, on]) => `${name}=${on}`).sort();
  return {
    "pre-vote": c.preVote,
    "feature-gates": gates.join(","),
    "initial-corrupt-check": false,
    "corrupt-check-time-interval": formatDuration(c.corruptCheckTimeMs),
    "compact-check-time-interval": formatDuration(c.compactHashCheckTimeMs),
    "auto-compaction-mode": c.autoCompactionMode,
    "auto-compaction-retention": "0s",
    "auto-compaction-interval": "0s",
  };
}

function discoveryFields(d: DiscoveryConfig): Record<string, unknown> {
  return {
    "discovery-token": d.token,
    "discovery-endpoints": d.endpoints.join(","),
    "discovery-dial-timeout": formatDuration(d.dialTimeoutMs),
    "discovery-request-timeout": formatDuration(d.requestTimeoutMs),
    "discovery-keepalive-time": formatDuration(d.keepaliveTimeMs),
    "discovery-keepalive-timeout": formatDuration(d.keepaliveTimeoutMs),
    "discovery-insecure-transport": d.insecureTransport,
    "discovery-insecure-skip-tls-verify": d.insecureSkipTlsVerify,
    "discovery-cert": d.cert,
    "discovery-key": d.key,
    "discovery-cacert": d.cacert,
    "discovery-user": d.user,
  };
}
