// Opens the storage of a member, on disk or in memory, and builds the member of a configuration from it.
// Order: storage (locked) -> identity -> state and Raft (server/build-member.ts).

import { randomInt } from "node:crypto";
import type { EtcdMetrics, Logger } from "../base/index.ts";
import {
  buildMember,
  type Clock,
  type Member,
  type MemberSettings,
  type MemberStorage,
} from "../server/index.ts";
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
  let broke: Error | undefined;
  const onFatal = (error: Error): void => {
    broke ??= error;
    member?.fail(error);
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
    member = await build(config, storage, identity, options);
    // The log may fail while the state is read: it prepares its next segment by itself.
    if (broke !== undefined) throw broke;
    return member;
  } catch (error) {
    // Closing gives back what it can; why there is no member is what matters.
    await storage.close().catch(() => undefined);
    throw error;
  }
}

function build(
  config: EtcdConfig,
  storage: MemberStorage,
  fresh: Identity,
  options: OpenOptions,
): Promise<Member> {
  const { found } = storage;
  const identity = found === undefined ? fresh : decodeIdentity(found.metadata);
  return buildMember({
    ...options,
    settings: settingsOf(config, identity),
    self: selfOf(config, identity),
    preVote: config.preVote,
    learnersMax: config.maxLearners,
    leaseCheckpoints: config.featureGates.get("LeaseCheckpoint") === true,
    valueBytesMax: VALUE_BYTES_MAX,
    storage,
    randomElectionTicks: (ticks) => ticks + randomInt(ticks),
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
