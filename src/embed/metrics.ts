// Joins the metrics that are read at a scrape to the member and its listener. What hot code counts is counted where it happens.

import { type EtcdMetrics, SERVER_VERSION } from "../base/index.ts";
import { idText } from "../core/membership/index.ts";
import type { RpcListener } from "../net/index.ts";
import { alarmName, type Member } from "../server/index.ts";

/** Lets every gauge of `metrics` that has a meaning for `member` read it. */
export function bindMemberMetrics(metrics: EtcdMetrics, member: Member): void {
  const { server, mvcc } = metrics;
  server.hasLeader.read = () => Number(member.leader !== 0n);
  server.isLeader.read = () => Number(member.isLeader);
  server.proposalsCommitted.read = () => member.committedIndex;
  server.proposalsApplied.read = () => member.appliedIndex;
  server.proposalsPending.read = () => member.pendingProposals;
  server.quotaBackendBytes.read = () => member.quotaBytes;
  server.version.with(SERVER_VERSION).set(1);
  server.goVersion.with(process.version).set(1);
  server.id.with(idText(member.id)).set(1);
  mvcc.dbTotalSize.read = () => member.backendSizeBytes;
  mvcc.dbTotalSizeInUse.read = () => member.backendSizeBytes;
  mvcc.keys.read = () => member.store.liveKeyCount;
  mvcc.currentRevision.read = () => member.store.revision;
  mvcc.compactRevision.read = () => member.store.compactRevision;
  mvcc.watchers.read = () => member.watches.watcherCount;
  mvcc.slowWatchers.read = () => member.watches.slowWatcherCount;
}

/** Brings what is not a gauge up to date; called before each scrape. */
export function refreshMetrics(
  metrics: EtcdMetrics,
  member: Member,
  listeners: readonly RpcListener[],
): void {
  const { network, server } = metrics;
  network.clientReceivedBytes.value = listeners.reduce((sum, l) => sum + l.bytesReceived, 0);
  network.clientSentBytes.value = listeners.reduce((sum, l) => sum + l.bytesSent, 0);
  if (member.cluster.version !== undefined) {
    server.clusterVersion.with(shortVersion(member.cluster.version)).set(1);
  }
  for (const alarm of member.alarms.list()) {
    server.alarms.with(idText(alarm.memberId), alarmName(alarm.alarm)).set(1);
  }
}

/** `3.7.0` as etcd's metric shows it: `3.7`. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
