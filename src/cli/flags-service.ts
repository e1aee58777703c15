// The flag table, second part: security, monitoring, logging, features. See flags.ts.

import {
  bool,
  duration,
  endpoints,
  type FlagRow,
  int,
  list,
  NO_FILE_KEY,
  origins,
  rowsOf,
  set,
  setText,
  text,
  uint,
  uint64,
} from "./flag-row.ts";

const own = rowsOf((s) => s.config);
const clientTls = rowsOf((s) => s.config.clientTls, "client-transport-security");
const peerTls = rowsOf((s) => s.config.peerTls, "peer-transport-security");

/** Group `Security`. */
export const securityFlags: readonly FlagRow[] = [
  clientTls(
    "cert-file",
    text,
    "certFile",
    "default-only",
    "Certificate file of the client listeners.",
    "cert-file",
  ),
  clientTls(
    "key-file",
    text,
    "keyFile",
    "default-only",
    "Key file of the client listeners.",
    "key-file",
  ),
  clientTls(
    "client-cert-file",
    text,
    "clientCertFile",
    "default-only",
    "Certificate file for this server's own calls to a client listener.",
    "client-cert-file",
  ),
  clientTls(
    "client-key-file",
    text,
    "clientKeyFile",
    "default-only",
    "Key file for this server's own calls to a client listener.",
    "client-key-file",
  ),
  clientTls(
    "client-cert-auth",
    bool,
    "clientCertAuth",
    "default-only",
    "Require verified client certificates.",
    "client-cert-auth",
  ),
  clientTls(
    "client-crl-file",
    text,
    "crlFile",
    "default-only",
    "Revocation list for client certificates.",
    NO_FILE_KEY,
  ),
  clientTls(
    "client-cert-allowed-hostname",
    list,
    "allowedHostnames",
    "default-only",
    "Names accepted in client certificates.",
    "allowed-hostname",
  ),
  clientTls(
    "trusted-ca-file",
    text,
    "trustedCaFile",
    "default-only",
    "Authorities that client certificates are verified against.",
    "trusted-ca-file",
  ),
  clientTls(
    "auto-tls",
    bool,
    "auto",
    "default-only",
    "Serve clients with a certificate made at start.",
    "auto-tls",
  ),
  peerTls(
    "peer-cert-file",
    text,
    "certFile",
    "default-only",
    "Certificate file of the peer listeners.",
    "cert-file",
  ),
  peerTls(
    "peer-key-file",
    text,
    "keyFile",
    "default-only",
    "Key file of the peer listeners.",
    "key-file",
  ),
  peerTls(
    "peer-client-cert-file",
    text,
    "clientCertFile",
    "default-only",
    "Certificate file for calls to peers.",
    "client-cert-file",
  ),
  peerTls(
    "peer-client-key-file",
    text,
    "clientKeyFile",
    "default-only",
    "Key file for calls to peers.",
    "client-key-file",
  ),
  peerTls(
    "peer-client-cert-auth",
    bool,
    "clientCertAuth",
    "default-only",
    "Require verified certificates of peers.",
    "client-cert-auth",
  ),
  peerTls(
    "peer-trusted-ca-file",
    text,
    "trustedCaFile",
    "default-only",
    "Authorities that peer certificates are verified against.",
    "trusted-ca-file",
  ),
  peerTls(
    "peer-auto-tls",
    bool,
    "auto",
    "default-only",
    "Talk to peers with a certificate made at start.",
    "auto-tls",
  ),
  peerTls(
    "peer-crl-file",
    text,
    "crlFile",
    "default-only",
    "Revocation list for peer certificates.",
    NO_FILE_KEY,
  ),
  peerTls(
    "peer-cert-allowed-cn",
    list,
    "allowedCns",
    "default-only",
    "Common names accepted in peer certificates.",
    "allowed-cn",
  ),
  peerTls(
    "peer-cert-allowed-hostname",
    list,
    "allowedHostnames",
    "default-only",
    "Names accepted in peer certificates.",
    "allowed-hostname",
  ),
  peerTls(
    "peer-skip-client-san-verification",
    bool,
    "skipClientSanVerify",
    "default-only",
    "Do not compare a peer's certificate with its address.",
    "skip-client-san-verification",
  ),
  own(
    "self-signed-cert-validity",
    uint,
    "selfSignedCertValidityYears",
    "inert",
    "Years a certificate made at start is valid.",
  ),
  own(
    "cipher-suites",
    list,
    "cipherSuites",
    "default-only",
    "Cipher suites of TLS 1.2, by their names in Go.",
  ),
  own(
    "tls-min-version",
    text,
    "tlsMinVersion",
    "inert",
    "Oldest TLS version to accept: TLS1.2 or TLS1.3.",
  ),
  own(
    "tls-max-version",
    text,
    "tlsMaxVersion",
    "inert",
    "Newest TLS version to use: TLS1.2, TLS1.3, or empty for the newest there is.",
  ),
  own("cors", origins, "cors", "built", "Origins that browsers may call from; * for all."),
  own(
    "host-whitelist",
    setText,
    "hostWhitelist",
    "built",
    "Host names accepted in plain HTTP requests; * for all.",
  ),
];

/** Group `Auth`. */
export const authFlags: readonly FlagRow[] = [
  own(
    "auth-token",
    text,
    "authToken",
    "default-only",
    "Kind of the tokens that clients authenticate with, and its options.",
  ),
  own("bcrypt-cost", uint, "bcryptCost", "inert", "Cost of hashing a password."),
  own(
    "auth-token-ttl",
    uint,
    "authTokenTtlSeconds",
    "inert",
    "Seconds a simple token lives without use.",
  ),
];

/** Group `Profiling and Monitoring`. */
export const monitoringFlags: readonly FlagRow[] = [
  own(
    "enable-pprof",
    bool,
    "enablePprof",
    "default-only",
    "Serve profiles under /debug/pprof/ on the client URLs.",
  ),
  own(
    "metrics",
    text,
    "metrics",
    "built",
    "basic, or extensive for a histogram of the duration of each RPC.",
  ),
  own(
    "listen-metrics-urls",
    endpoints,
    "listenMetricsUrls",
    "built",
    "More URLs for metrics and health.",
  ),
];

/** Group `Logging`. */
export const loggingFlags: readonly FlagRow[] = [
  own("logger", text, "logger", "built", "Kind of logger; only zap, which names the format."),
  own(
    "log-outputs",
    set,
    "logOutputs",
    "built",
    "Where lines go: default, stdout, stderr, or files, comma-separated.",
  ),
  own(
    "log-level",
    text,
    "logLevel",
    "built",
    "Least level to write: debug, info, warn, error, panic or fatal.",
  ),
  own("log-format", text, "logFormat", "built", "json or console."),
  own("enable-log-rotation", bool, "enableLogRotation", "default-only", "Rotate the log file."),
  own(
    "log-rotation-config-json",
    text,
    "logRotationConfigJson",
    "inert",
    "Sizes and ages for the rotation, as JSON.",
  ),
  own(
    "warning-unary-request-duration",
    duration,
    "warningUnaryRequestDurationMs",
    "default-only",
    "Duration of a request above which a line is written.",
  ),
];

/** Group `Distributed tracing`. */
export const tracingFlags: readonly FlagRow[] = [
  own(
    "enable-distributed-tracing",
    bool,
    "enableDistributedTracing",
    "default-only",
    "Send traces to an OpenTelemetry collector.",
  ),
  own(
    "distributed-tracing-address",
    text,
    "distributedTracingAddress",
    "inert",
    "Address of that collector.",
  ),
  own(
    "distributed-tracing-service-name",
    text,
    "distributedTracingServiceName",
    "inert",
    "Name of the service in traces.",
  ),
  own(
    "distributed-tracing-instance-id",
    text,
    "distributedTracingInstanceId",
    "inert",
    "Name of this member in traces, unique in the cluster.",
  ),
  own(
    "distributed-tracing-sampling-rate",
    int,
    "distributedTracingSamplingRate",
    "inert",
    "Traces taken of a million requests.",
  ),
];

/** Group `Features`. */
export const featureFlags: readonly FlagRow[] = [
  own(
    "corrupt-check-time",
    duration,
    "corruptCheckTimeMs",
    "default-only",
    "Time between two comparisons of the data of all members; 0 for never.",
  ),
  own(
    "compact-hash-check-time",
    duration,
    "compactHashCheckTimeMs",
    "inert",
    "Time between two comparisons of compaction hashes (gate CompactHashCheck).",
  ),
  own(
    "compaction-batch-limit",
    int,
    "compactionBatchLimit",
    "built",
    "Revisions deleted in one slice of a compaction; 0 is 1000.",
  ),
  own(
    "compaction-sleep-interval",
    duration,
    "compactionSleepIntervalMs",
    "built",
    "Pause between two slices of a compaction; 0 is 10ms.",
  ),
  own(
    "watch-progress-notify-interval",
    duration,
    "watchProgressNotifyIntervalMs",
    "built",
    "Time between progress notifications of idle watches; 0 is 10m.",
  ),
  own(
    "downgrade-check-time",
    duration,
    "downgradeCheckTimeMs",
    "inert",
    "Time between two looks at a downgrade under way.",
  ),
  own(
    "warning-apply-duration",
    duration,
    "warningApplyDurationMs",
    "built",
    "Duration of applying a request above which a line is written.",
  ),
  own(
    "bootstrap-defrag-threshold-megabytes",
    uint,
    "bootstrapDefragThresholdMegabytes",
    "default-only",
    "Defragment at start when that much would be freed.",
  ),
  own("max-learners", int, "maxLearners", "built", "Most learners in the cluster."),
  own(
    "snapshot-catchup-entries",
    uint64,
    "snapshotCatchupEntries",
    "built",
    "Entries kept behind a Raft snapshot for slow followers.",
  ),
];

/** Group `Unsafe feature`. */
export const unsafeFlags: readonly FlagRow[] = [
  own(
    "unsafe-no-fsync",
    bool,
    "unsafeNoFsync",
    "default-only",
    "Do not wait for the disk: data is lost at a crash.",
  ),
  own(
    "force-new-cluster",
    bool,
    "forceNewCluster",
    "default-only",
    "Start as the only member of the cluster found on disk.",
  ),
];
