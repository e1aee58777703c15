// Opens the storage of a member and builds the member from it: a new one, or what an earlier life left behind.
// Order: storage (locked) -> identity -> membership, leases, alarms -> rows, which bind keys to leases -> Raft.

import { randomInt } from "node:crypto";
import type { EtcdMetrics, Logger } from "../base/index.ts";
import { Lessor, minLeaseTtlS } from "../core/lease/index.ts";
import { idText, RaftCluster } from "../core/membership/index.ts";
import { type MvccStore, readRevision, revisionBytes, StoreBuilder } from "../core/mvcc/index.ts";
import type { RaftLogger } from "../core/raft/index.ts";
import {
  Alarms,
  BootstrapError,
  bootstrapNode,
  type Clock,
  Member,
  type MemberSettings,
  type MemberStorage,
  type NodeOptions,
  requestTimeoutMs,
  restartNode,
  restoreAlarms,
  restoreLeases,
  restoreMembership,
  storedCompactions,
} from "../server/index.ts";
import { Bucket } from "../server/ports.ts";
import { openMemoryStorage, openStorage } from "../storage/index.ts";
import type { EtcdConfig } from "./config.ts";
import { decodeIdentity, encodeIdentity, type Identity, newIdentity, selfOf } from "./identity.ts";

/** Values kept in memory; beyond it, reads of old ones go to the backend. */
const VALUE_BYTES_MAX = 4 * 1024 ** 3;
/** etcd's defaults where the configuration says 0. */
const SNAPSHOT_COUNT = 10_000;
const CATCHUP_ENTRIES = 5000;
const COMPACTION_SLICE_ROWS = 1000;
const COMPACTION_PAUSE_MS = 10;

interface OpenOptions {
  readonly memory: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: EtcdMetrics;
  readonly onFatal: (error: Error) => void;
}

/** Builds the member of `config`; it is not started. Rejects, with the directory unlocked again, if it cannot be. */
export async function openMember(config: EtcdConfig, options: OpenOptions): Promise<Member> {
  let member: Member | undefined;
  const onFatal = (error: Error): void => {
    if (member === undefined) options.onFatal(error);
    else member.fail(error);
  };
  const identity = newIdentity(config);
  const storageOptions = {
    clock: options.clock,
    metadata: encodeIdentity(identity),
    onFatal,
    onWarning: (message: string) => options.logger.warn(message),
  };
  const storage = options.memory
    ? await openMemoryStorage(storageOptions)
    : await openStorage(config.dataDir === "" ? `${config.name}.etcd` : config.dataDir, {
        ...storageOptions,
        ...(config.walDir === "" ? {} : { walDirectory: config.walDir }),
      });
  try {
    member = await buildMember(config, storage, identity, options);
    return member;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

async function buildMember(
  config: EtcdConfig,
  storage: MemberStorage,
  fresh: Identity,
  options: OpenOptions,
): Promise<Member> {
  const { backend, found } = storage;
  const { clock, logger } = options;
  const identity = found === undefined ? fresh : decodeIdentity(found.metadata);
  const settings = settingsOf(config, identity);
  const cluster = new RaftCluster(
    identity.clusterId,
    config.maxLearners,
    await restoreMembership(backend),
  );
  const lessor = new Lessor({
    minTtlS: minLeaseTtlS(settings.electionTicks, settings.tickMs),
    expiredRetryMs: requestTimeoutMs(settings),
    checkpoints: config.featureGates.get("LeaseCheckpoint") === true,
  });
  await restoreLeases(backend, lessor);
  const alarms = new Alarms();
  await restoreAlarms(backend, alarms);
  const store = await restoreStore(storage, lessor);
  const node: NodeOptions = {
    id: identity.memberId,
    electionTicks: settings.electionTicks,
    preVote: config.preVote,
    randomElectionTicks: (ticks) => ticks + randomInt(ticks),
    logger: raftLogger(logger.named("raft")),
  };
  const raft =
    found === undefined
      ? bootstrapNode(node, selfOf(config, identity))
      : restartNode(node, found, backend.opened, backend.opened.confState ?? cluster.confState());
  logger.info("starting local member", {
    "local-member-id": idText(identity.memberId),
    "cluster-id": idText(identity.clusterId),
  });
  return new Member({
    settings,
    raft,
    state: { store, lessor, cluster, alarms },
    storage,
    clock,
    logger,
    metrics: options.metrics,
    onFatal: options.onFatal,
  });
}

function settingsOf(config: EtcdConfig, identity: Identity): MemberSettings {
  return {
    id: identity.memberId,
    clusterId: identity.clusterId,
    tickMs: config.heartbeatIntervalMs,
    electionTicks: Math.floor(config.electionTimeoutMs / config.heartbeatIntervalMs),
    snapshotCount: config.snapshotCount || SNAPSHOT_COUNT,
    catchupEntries: config.snapshotCatchupEntries || CATCHUP_ENTRIES,
    snapFilesMax: config.maxSnapshots,
    slowApplyMs: config.warningApplyDurationMs,
    quotaBytes: config.quotaBackendBytes,
    requestBytesMax: config.maxRequestBytes,
    compaction: {
      sliceRows: config.compactionBatchLimit || COMPACTION_SLICE_ROWS,
      pauseMs: config.compactionSleepIntervalMs || COMPACTION_PAUSE_MS,
    },
  };
}

/** The store, from all rows of the backend. */
async function restoreStore(storage: MemberStorage, lessor: Lessor): Promise<MvccStore> {
  const { backend } = storage;
  const builder = new StoreBuilder({
    leases: lessor,
    valueBytesMax: VALUE_BYTES_MAX,
    loadValue: (main, sub) => {
      const row = backend.get(Bucket.key, revisionBytes(main, sub));
      if (row === undefined)
        throw new BootstrapError(`the backend has lost revision ${main}_${sub}`);
      return row;
    },
  });
  for await (const rows of backend.scan(Bucket.key)) {
    for (const { key, value } of rows) {
      const revision = readRevision(key);
      if (
        revision === undefined ||
        !builder.row(revision.main, revision.sub, revision.tombstone, value)
      ) {
        const hex = Buffer.from(key).toString("hex");
        throw new BootstrapError(`the backend cannot be read: key row ${hex} is damaged`);
      }
    }
  }
  return builder.finish(storedCompactions(backend));
}

function raftLogger(logger: Logger): RaftLogger {
  return {
    info: (text) => logger.info(text),
    warn: (text) => logger.warn(text),
    error: (text) => logger.error(text),
  };
}
