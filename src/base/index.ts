// What every part may use: assertions, durations, the log interface, metrics, bytes and checksums, a seeded generator.

export { AssertionFailure, assert, must, unreachable } from "./assert.ts";
export { crc32c, crc32cJoin } from "./crc32c.ts";
export { formatDuration, parseDuration } from "./duration.ts";
export {
  DiskMetrics,
  EtcdMetrics,
  LeaseMetrics,
  MvccMetrics,
  NetworkMetrics,
  ServerMetrics,
} from "./etcd-metrics.ts";
export { type LogFields, type Logger, type LogLevel, silentLogger } from "./logger.ts";
export {
  Counter,
  exponentialBounds,
  Family,
  Gauge,
  Histogram,
  type MetricDescription,
  type MetricKind,
  MetricRegistry,
  type Sample,
} from "./metrics.ts";
export { Prng } from "./prng.ts";
export { GRPC_CODE_NAMES, type RpcCounters, RpcMetrics } from "./rpc-metrics.ts";
export { MIN_CLUSTER_VERSION, SERVER_VERSION } from "./version.ts";
