// The one table of metrics: etcd's names, kinds, labels, buckets and help texts, for everything a member of this version has.
//
// Alerts and dashboards select by these names, so a row never changes and a name ending in `_total` may well be a gauge, as in
// etcd. Labelled metrics appear with their first use, the others from the start with 0. What other parts of etcd would count
// (peers, proxy, v2 store) is here only where etcd's own list of required metrics names it.
// Source: etcd 3.7.1 `/metrics`; operations.md 6.2-6.5.

import {
  type Counter,
  exponentialBounds,
  type Family,
  type Gauge,
  type Histogram,
  MetricRegistry,
} from "./metrics.ts";
import { RpcMetrics } from "./rpc-metrics.ts";

const BOUNDS_A: Float64Array = exponentialBounds(0.001, 2, 14);
const BOUNDS_B: Float64Array = exponentialBounds(0.0001, 2, 20);

/** The metrics of one member. Each part of the member updates its own fields; nobody reads them but a scrape. */
export class EtcdMetrics {
  readonly registry: MetricRegistry = new MetricRegistry();
  /** `grpc_server_*`, one set of counters per RPC method. */
  readonly rpc: RpcMetrics;

  readonly server: ServerMetrics;
  readonly disk: DiskMetrics;
  readonly mvcc: MvccMetrics;
  readonly lease: LeaseMetrics;
  readonly network: NetworkMetrics;

  /** `extensive` adds `grpc_server_handling_seconds` (flag `--metrics=extensive`). */
  constructor(extensive = false) {
    this.rpc = new RpcMetrics(this.registry, extensive);
    this.server = new ServerMetrics(this.registry);
    this.disk = new DiskMetrics(this.registry);
    this.mvcc = new MvccMetrics(this.registry);
    this.lease = new LeaseMetrics(this.registry);
    this.network = new NetworkMetrics(this.registry);
    addAbsentParts(this.registry);
  }
}

/** Rows of the table that belong together. */
abstract class MetricGroup {
  protected readonly r: MetricRegistry;

  constructor(registry: MetricRegistry) {
    this.r = registry;
  }
}

/** Consensus, requests and health of the member. */
export class ServerMetrics extends MetricGroup {
  readonly hasLeader: Gauge = this.r.gauge(
    "etcd_server_has_leader",
    "Whether or not a leader exists. 1 is existence, 0 is not.",
  );
  readonly isLeader: Gauge = this.r.gauge(
    "etcd_server_is_leader",
    "Whether or not this member is a leader. 1 if is, 0 otherwise.",
  );
  readonly isLearner: Gauge = this.r.gauge(
    "etcd_server_is_learner",
    "Whether or not this member is a learner. 1 if is, 0 otherwise.",
  );
  readonly leaderChangesSeen: Counter = this.r.counter(
    "etcd_server_leader_changes_seen_total",
    "The number of leader changes seen.",
  );
  readonly learnerPromoteSuccesses: Counter = this.r.counter(
    "etcd_server_learner_promote_successes",
    "The total number of successful learner promotions while this member is leader.",
  );
  /** Label: Reason. */
  readonly learnerPromoteFailures: Family<Counter> = this.r.counters(
    "etcd_server_learner_promote_failures",
    "The total number of failed learner promotions (likely learner not ready) while this member is leader.",
    "Reason",
  );
  readonly heartbeatSendFailures: Counter = this.r.counter(
    "etcd_server_heartbeat_send_failures_total",
    "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
  );
  readonly snapshotApplyInProgress: Gauge = this.r.gauge(
    "etcd_server_snapshot_apply_in_progress_total",
    "1 if the server is applying the incoming snapshot. 0 if none.",
  );
  /** Commit index. */
  readonly proposalsCommitted: Gauge = this.r.gauge(
    "etcd_server_proposals_committed_total",
    "The total number of consensus proposals committed.",
  );
  /** Applied index. */
  readonly proposalsApplied: Gauge = this.r.gauge(
    "etcd_server_proposals_applied_total",
    "The total number of consensus proposals applied.",
  );
  readonly proposalsPending: Gauge = this.r.gauge(
    "etcd_server_proposals_pending",
    "The current number of pending proposals to commit.",
  );
  readonly proposalsFailed: Counter = this.r.counter(
    "etcd_server_proposals_failed_total",
    "The total number of failed proposals seen.",
  );
  /** Seconds of a whole request. Labels: type (`Range`, `Put`, ...), success (`true`, `false`). */
  readonly requestDuration: Family<Histogram> = this.r.histograms(
    "etcd_server_request_duration_seconds",
    "Response latency distribution in seconds for each type.",
    BOUNDS_A,
    "type",
    "success",
  );
  /** Seconds of applying one entry. Labels: version (`v3`), op, success. */
  readonly applyDuration: Family<Histogram> = this.r.histograms(
    "etcd_server_apply_duration_seconds",
    "The latency distributions of v2 apply called by backend.",
    BOUNDS_B,
    "version",
    "op",
    "success",
  );
  /** Seconds of a range inside the store. Label: success. */
  readonly rangeDuration: Family<Histogram> = this.r.histograms(
    "etcd_server_range_duration_seconds",
    "The latency distributions of txn.Range",
    BOUNDS_B,
    "success",
  );
  readonly slowApply: Counter = this.r.counter(
    "etcd_server_slow_apply_total",
    "The total number of slow apply requests (likely overloaded from slow disk).",
  );
  readonly slowReadIndexes: Counter = this.r.counter(
    "etcd_server_slow_read_indexes_total",
    "The total number of pending read indexes not in sync with leader's or timed out read index requests.",
  );
  readonly readIndexesFailed: Counter = this.r.counter(
    "etcd_server_read_indexes_failed_total",
    "The total number of failed read indexes seen.",
  );
  readonly quotaBackendBytes: Gauge = this.r.gauge(
    "etcd_server_quota_backend_bytes",
    "Current backend storage quota size in bytes.",
  );
  /** Label: server_version. */
  readonly version: Family<Gauge> = this.r.gauges(
    "etcd_server_version",
    "Which version is running. 1 for 'server_version' label with current version.",
    "server_version",
  );
  /** Label: server_go_version; holds the Node.js version here. */
  readonly goVersion: Family<Gauge> = this.r.gauges(
    "etcd_server_go_version",
    "Which Go version server is running with. 1 for 'server_go_version' label with current version.",
    "server_go_version",
  );
  /** Label: server_id, hex. */
  readonly id: Family<Gauge> = this.r.gauges(
    "etcd_server_id",
    "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
    "server_id",
  );
  /** Labels: name, stage. */
  readonly featureEnabled: Family<Gauge> = this.r.gauges(
    "etcd_server_feature_enabled",
    "Whether or not a feature is enabled. 1 is enabled, 0 is not.",
    "name",
    "stage",
  );
  /** Labels: type (`unary`, `stream`), client_api_version. */
  readonly clientRequests: Family<Counter> = this.r.counters(
    "etcd_server_client_requests_total",
    "The total number of client requests per client version.",
    "type",
    "client_api_version",
  );
  readonly healthSuccess: Counter = this.r.counter(
    "etcd_server_health_success",
    "The total number of successful health checks",
  );
  readonly healthFailures: Counter = this.r.counter(
    "etcd_server_health_failures",
    "The total number of failed health checks",
  );
  /** Labels: type (`livez`, `readyz`), name. */
  readonly healthcheck: Family<Gauge> = this.r.gauges(
    "etcd_server_healthcheck",
    "The result of each kind of healthcheck.",
    "type",
    "name",
  );
  /** Labels: type, name, status (`success`, `error`). */
  readonly healthchecks: Family<Counter> = this.r.counters(
    "etcd_server_healthchecks_total",
    "The total number of each kind of healthcheck.",
    "type",
    "name",
    "status",
  );
  /** Label: cluster_version; 1 for the current one, 0 for former ones. */
  readonly clusterVersion: Family<Gauge> = this.r.gauges(
    "etcd_cluster_version",
    "Which version is running. 1 for 'cluster_version' label with current cluster version",
    "cluster_version",
  );
  /** Labels: server_id, alarm_type. */
  readonly alarms: Family<Gauge> = this.r.gauges(
    "etcd_debugging_server_alarms",
    "Alarms for every member in cluster. 1 for 'server_id' label with current ID. 2 for 'alarm_type' label with type of this alarm",
    "server_id",
    "alarm_type",
  );
}

/** WAL, backend and snapshot files; durations in seconds. */
export class DiskMetrics extends MetricGroup {
  readonly walFsyncDuration: Histogram = this.r.histogram(
    "etcd_disk_wal_fsync_duration_seconds",
    "The latency distributions of fsync called by WAL.",
    BOUNDS_A,
  );
  readonly walWriteDuration: Histogram = this.r.histogram(
    "etcd_disk_wal_write_duration_seconds",
    "The latency distributions of write called by WAL.",
    BOUNDS_A,
  );
  readonly walWriteBytes: Gauge = this.r.gauge(
    "etcd_disk_wal_write_bytes_total",
    "Total number of bytes written in WAL.",
  );
  readonly backendCommitDuration: Histogram = this.r.histogram(
    "etcd_disk_backend_commit_duration_seconds",
    "The latency distributions of commit called by backend.",
    BOUNDS_A,
  );
  readonly backendSnapshotDuration: Histogram = this.r.histogram(
    "etcd_disk_backend_snapshot_duration_seconds",
    "The latency distribution of backend snapshots.",
    exponentialBounds(0.01, 2, 17),
  );
  readonly backendDefragDuration: Histogram = this.r.histogram(
    "etcd_disk_backend_defrag_duration_seconds",
    "The latency distribution of backend defragmentation.",
    exponentialBounds(0.1, 2, 13),
  );
  readonly defragInflight: Gauge = this.r.gauge(
    "etcd_disk_defrag_inflight",
    "Whether or not defrag is active on the member. 1 means active, 0 means not.",
  );
  readonly snapFsyncDuration: Histogram = this.r.histogram(
    "etcd_snap_fsync_duration_seconds",
    "The latency distributions of fsync called by snap.",
    BOUNDS_A,
  );
  readonly snapDbFsyncDuration: Histogram = this.r.histogram(
    "etcd_snap_db_fsync_duration_seconds",
    "The latency distributions of fsyncing .snap.db file",
    BOUNDS_A,
  );
  readonly snapDbSaveDuration: Histogram = this.r.histogram(
    "etcd_snap_db_save_total_duration_seconds",
    "The total latency distributions of v3 snapshot save",
    exponentialBounds(0.1, 2, 10),
  );
  readonly snapSaveMarshallingDuration: Histogram = this.r.histogram(
    "etcd_debugging_snap_save_marshalling_duration_seconds",
    "The marshalling cost distributions of save called by snapshot.",
    BOUNDS_A,
  );
  readonly snapSaveDuration: Histogram = this.r.histogram(
    "etcd_debugging_snap_save_total_duration_seconds",
    "The total latency distributions of save called by snapshot.",
    BOUNDS_A,
  );
}

/** The store and its watchers. */
export class MvccMetrics extends MetricGroup {
  readonly ranges: Counter = this.r.counter(
    "etcd_mvcc_range_total",
    "Total number of ranges seen by this member.",
  );
  readonly puts: Counter = this.r.counter(
    "etcd_mvcc_put_total",
    "Total number of puts seen by this member.",
  );
  readonly deletes: Counter = this.r.counter(
    "etcd_mvcc_delete_total",
    "Total number of deletes seen by this member.",
  );
  readonly txns: Counter = this.r.counter(
    "etcd_mvcc_txn_total",
    "Total number of txns seen by this member.",
  );
  readonly dbTotalSize: Gauge = this.r.gauge(
    "etcd_mvcc_db_total_size_in_bytes",
    "Total size of the underlying database physically allocated in bytes.",
  );
  readonly dbTotalSizeInUse: Gauge = this.r.gauge(
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "Total size of the underlying database logically in use in bytes.",
  );
  readonly dbOpenReadTransactions: Gauge = this.r.gauge(
    "etcd_mvcc_db_open_read_transactions",
    "The number of currently open read transactions",
  );
  /** Seconds. */
  readonly hashDuration: Histogram = this.r.histogram(
    "etcd_mvcc_hash_duration_seconds",
    "The latency distribution of storage hash operation.",
    exponentialBounds(0.01, 2, 15),
  );
  /** Seconds. */
  readonly hashRevDuration: Histogram = this.r.histogram(
    "etcd_mvcc_hash_rev_duration_seconds",
    "The latency distribution of storage hash by revision operation.",
    exponentialBounds(0.01, 2, 15),
  );
  readonly keys: Gauge = this.r.gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.");
  readonly currentRevision: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_current_revision",
    "The current revision of store.",
  );
  readonly compactRevision: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_compact_revision",
    "The revision of the last compaction in store.",
  );
  readonly watchStreams: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_watch_stream_total",
    "Total number of watch streams.",
  );
  readonly watchers: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_watcher_total",
    "Total number of watchers.",
  );
  readonly slowWatchers: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_slow_watcher_total",
    "Total number of unsynced slow watchers.",
  );
  readonly pendingEvents: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_pending_events_total",
    "Total number of pending events to be sent.",
  );
  readonly events: Counter = this.r.counter(
    "etcd_debugging_mvcc_events_total",
    "Total number of events sent by this member.",
  );
  readonly totalPutSize: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_total_put_size_in_bytes",
    "The total size of put kv pairs seen by this member.",
  );
  readonly compactionKeys: Counter = this.r.counter(
    "etcd_debugging_mvcc_db_compaction_keys_total",
    "Total number of db keys compacted.",
  );
  /** Unix seconds. */
  readonly compactionLast: Gauge = this.r.gauge(
    "etcd_debugging_mvcc_db_compaction_last",
    "The unix time of the last db compaction. Resets to 0 on start.",
  );
  /** Milliseconds. */
  readonly compactionPause: Histogram = this.r.histogram(
    "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
    "Bucketed histogram of db compaction pause duration.",
    exponentialBounds(1, 2, 13),
  );
  /** Milliseconds. */
  readonly compactionTotal: Histogram = this.r.histogram(
    "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
    "Bucketed histogram of db compaction total duration.",
    exponentialBounds(100, 2, 14),
  );
  /** Milliseconds. */
  readonly indexCompactionPause: Histogram = this.r.histogram(
    "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
    "Bucketed histogram of index compaction pause duration.",
    exponentialBounds(0.5, 2, 14),
  );
}

/** The lessor. */
export class LeaseMetrics extends MetricGroup {
  readonly granted: Counter = this.r.counter(
    "etcd_debugging_lease_granted_total",
    "The total number of granted leases.",
  );
  readonly revoked: Counter = this.r.counter(
    "etcd_debugging_lease_revoked_total",
    "The total number of revoked leases.",
  );
  readonly renewed: Counter = this.r.counter(
    "etcd_debugging_lease_renewed_total",
    "The number of renewed leases seen by the leader.",
  );
  readonly expired: Counter = this.r.counter(
    "etcd_debugging_server_lease_expired_total",
    "The total number of expired leases.",
  );
  /** Seconds of the TTL of each grant. */
  readonly ttl: Histogram = this.r.histogram(
    "etcd_debugging_lease_ttl_total",
    "Bucketed histogram of lease TTLs.",
    exponentialBounds(1, 2, 24),
  );
}

/** Client traffic and streams; durations in seconds. */
export class NetworkMetrics extends MetricGroup {
  readonly clientReceivedBytes: Counter = this.r.counter(
    "etcd_network_client_grpc_received_bytes_total",
    "The total number of bytes received from grpc clients.",
  );
  readonly clientSentBytes: Counter = this.r.counter(
    "etcd_network_client_grpc_sent_bytes_total",
    "The total number of bytes sent to grpc clients.",
  );
  /** Labels: Type (`send`, `receive`), API (`watch`, `lease-keepalive`). */
  readonly streamFailures: Family<Counter> = this.r.counters(
    "etcd_network_server_stream_failures_total",
    "The total number of stream failures from the local server.",
    "Type",
    "API",
  );
  /** Labels: Local, Remote; includes the member itself. */
  readonly knownPeers: Family<Gauge> = this.r.gauges(
    "etcd_network_known_peers",
    "The current number of known peers.",
    "Local",
    "Remote",
  );
  readonly watchSendDuration: Histogram = this.r.histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds",
    "The total duration in seconds of running through the send loop watch stream response all events.",
    BOUNDS_A,
  );
  readonly watchSendPerEventDuration: Histogram = this.r.histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds",
    "The average duration in seconds of running through the send loop watch stream response, per event.",
    BOUNDS_A,
  );
  readonly watchControlDuration: Histogram = this.r.histogram(
    "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds",
    "The total duration in seconds of running through the send loop control stream response.",
    BOUNDS_A,
  );
  readonly watchProgressDuration: Histogram = this.r.histogram(
    "etcd_debugging_server_watch_send_loop_progress_duration_seconds",
    "The total duration in seconds of running through the progress loop control stream response.",
    BOUNDS_A,
  );
}

/** Metrics etcd always shows, of parts this member does not have: they stay 0, and nobody updates them. */
function addAbsentParts(r: MetricRegistry): void {
  r.gauge("etcd_debugging_auth_revision", "The current revision of auth store.");
  for (const part of ["rebalance", "spill", "write"]) {
    r.histogram(
      `etcd_debugging_disk_backend_commit_${part}_duration_seconds`,
      `The latency distributions of commit.${part} called by bboltdb backend.`,
      BOUNDS_A,
    );
  }
  const store = "etcd_debugging_store_";
  r.counter(`${store}expires_total`, "Total number of expired keys.");
  r.counter(
    `${store}watch_requests_total`,
    "Total number of incoming watch requests (new or reestablished).",
  );
  r.gauge(`${store}watchers`, "Count of currently active watchers.");
  const proxy = "etcd_grpc_proxy_";
  r.gauge(`${proxy}cache_hits_total`, "Total number of cache hits");
  r.gauge(`${proxy}cache_misses_total`, "Total number of cache misses");
  r.gauge(`${proxy}cache_keys_total`, "Total number of keys/ranges cached");
  r.gauge(`${proxy}watchers_coalescing_total`, "Total number of current watchers coalescing");
  r.counter(`${proxy}events_coalescing_total`, "Total number of events coalescing");
}
