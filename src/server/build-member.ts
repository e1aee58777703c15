// Builds a member from its storage: a new one, or what an earlier life left behind. The same for a disk, for memory and on a virtual clock.
// Order: membership, leases, alarms -> rows, which bind keys to leases -> Raft. Nothing is written before the member is started.

import type { EtcdMetrics, Logger } from "../base/index.ts";
import { Lessor, minLeaseTtlS } from "../core/lease/index.ts";
import { type Member as ClusterMember, idText, RaftCluster } from "../core/membership/index.ts";
import type { RaftLogger } from "../core/raft/index.ts";
import { Alarms } from "./apply/alarms.ts";
import { bootstrapNode, isUnstarted, type NodeOptions, restartNode } from "./bootstrap.ts";
import { Member, type MemberSettings, requestTimeoutMs } from "./member.ts";
import type { Clock, MemberStorage } from "./ports.ts";
import { restoreAlarms, restoreLeases, restoreMembership } from "./restore.ts";
import { restoreStore, type StoreSizes } from "./restore-store.ts";

/** What a member is built from. */
export interface MemberPlan {
  readonly settings: MemberSettings;
  /** The record of itself a new member begins its log with, under the id in `settings`; an existing one has it in its storage. */
  readonly self: ClusterMember;
  readonly preVote: boolean;
  readonly learnersMax: number;
  /** Feature gate LeaseCheckpoint. */
  readonly leaseCheckpoints: boolean;
  /** Values kept in memory; beyond it, reads of old ones go to the backend. */
  readonly valueBytesMax: number;
  /** Sizes of the store's parts, smaller in tests. */
  readonly storeSizes?: StoreSizes;
  readonly storage: MemberStorage;
  readonly clock: Clock;
  /** Spreads elections: `ticks` to 2 * `ticks` - 1. */
  readonly randomElectionTicks: (ticks: number) => number;
  readonly logger: Logger;
  readonly metrics: EtcdMetrics;
  /** Something broke that must end the process; called once. */
  readonly onFatal: (error: Error) => void;
}

/** Builds the member; it is not started. Rejects if its storage cannot be what an earlier life left; the storage stays open. */
export async function buildMember(plan: MemberPlan): Promise<Member> {
  const { settings, storage, clock, logger, metrics, onFatal } = plan;
  const { backend, found } = storage;
  const cluster = new RaftCluster(
    settings.clusterId,
    plan.learnersMax,
    await restoreMembership(backend),
  );
  const lessor = new Lessor({
    minTtlS: minLeaseTtlS(settings.electionTicks, settings.tickMs),
    expiredRetryMs: requestTimeoutMs(settings),
    checkpoints: plan.leaseCheckpoints,
  });
  await restoreLeases(backend, lessor);
  const alarms = new Alarms();
  await restoreAlarms(backend, alarms);
  const { store, checkpoint } = await restoreStore({
    backend,
    sideFiles: storage.sideFiles,
    clusterId: settings.clusterId,
    memberId: settings.id,
    lessor,
    valueBytesMax: plan.valueBytesMax,
    ...(plan.storeSizes === undefined ? {} : { storeSizes: plan.storeSizes }),
    onWarning: (message) => logger.warn(message),
  });
  const node: NodeOptions = {
    id: settings.id,
    electionTicks: settings.electionTicks,
    preVote: plan.preVote,
    randomElectionTicks: plan.randomElectionTicks,
    logger: raftLogger(logger.named("raft")),
  };
  const raft =
    found === undefined || isUnstarted(found)
      ? bootstrapNode(node, plan.self)
      : restartNode(node, found, backend.opened, backend.opened.confState ?? cluster.confState());
  logger.info("starting local member", {
    "local-member-id": idText(settings.id),
    "cluster-id": idText(settings.clusterId),
  });
  const state = { store, lessor, cluster, alarms, checkpoint };
  return new Member({ settings, raft, state, storage, clock, logger, metrics, onFatal });
}

function raftLogger(logger: Logger): RaftLogger {
  return {
    info: (text) => logger.info(text),
    warn: (text) => logger.warn(text),
    error: (text) => logger.error(text),
  };
}
