// What a leader does to spread its log: append, send, heartbeat, commit.
//
// Source: Raft thesis, sections 3.5, 3.6.2 and 10.2.1 (pipelining); etcd raft, raft.go.

import { assert, must } from "../../base/index.ts";
import { type Entry, MessageType } from "../../proto/index.ts";
import { payloadBytes } from "./entry.ts";
import { newMessage } from "./message.ts";
import { hex, type Raft, send, sendAppendAck } from "./raft.ts";
import type { Progress } from "./tracker/progress.ts";

/**
 * Gives `entries` their place at the end of a leader's log; false (nothing changed) when that would exceed the limit of uncommitted
 * payload. Takes the entries: sets their term and index. An empty tail takes any size, and entries without data always fit: a new
 * leader's first entry and leaving a joint configuration must not fail.
 */
export function appendEntries(r: Raft, entries: readonly Entry[]): boolean {
  const bytes = payloadBytes(entries);
  const isOverLimit = r.uncommittedBytes + bytes > r.options.uncommittedBytesMax;
  if (r.uncommittedBytes > 0 && bytes > 0 && isOverLimit) {
    r.logger.warn?.(`${hex(r.id)} dropped a proposal: too much of the log is uncommitted`);
    return false;
  }
  r.uncommittedBytes += bytes;

  const first = r.log.lastIndex() + 1;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    entry.term = r.term;
    entry.index = first + i;
  }
  r.log.append(entries);
  // The leader acknowledges to itself like a follower does, once its own disk has the entries.
  sendAppendAck(r, r.id, first + entries.length - 1);
  return true;
}

/** Takes the payload of applied entries off the uncommitted estimate, which other terms' entries never were part of. */
export function reduceUncommitted(r: Raft, entries: readonly Entry[]): void {
  if (r.uncommittedBytes === 0) return;
  r.uncommittedBytes = Math.max(0, r.uncommittedBytes - payloadBytes(entries));
}

/**
 * Sends `pr` the entries it lacks, as many as fit one message, or a snapshot when they are compacted. Without entries to send, a
 * message goes out only if `sendEmpty`: it carries the commit index or probes. True when something was sent.
 */
export function maybeSendAppend(r: Raft, pr: Progress, sendEmpty: boolean): boolean {
  if (pr.isPaused) return false;
  const prevIndex = pr.next - 1;
  const prevTerm = r.log.term(prevIndex);
  if (prevTerm === undefined) return maybeSendSnapshot(r, pr);

  // A full window sends an empty message once in a while (see Progress.flowPaused): its answer finds out what was lost.
  const isThrottled = pr.state === "replicate" && pr.inflights.isFull;
  const entries = isThrottled ? [] : r.log.entriesFrom(pr.next, r.options.messageBytesMax);
  if (entries === undefined) return maybeSendSnapshot(r, pr);
  if (entries.length === 0 && !sendEmpty) return false;

  send(
    r,
    newMessage(MessageType.MsgApp, pr.id, {
      index: prevIndex,
      logTerm: prevTerm,
      entries,
      commit: r.log.committed,
    }),
  );
  pr.sentEntries(entries.length, payloadBytes(entries));
  pr.sentCommit = r.log.committed;
  return true;
}

function maybeSendSnapshot(r: Raft, pr: Progress): boolean {
  if (!pr.recentActive) {
    r.logger.debug?.(`${hex(r.id)} sends no snapshot to ${hex(pr.id)}: not heard from recently`);
    return false;
  }
  const snapshot = r.log.snapshot();
  if (snapshot === undefined) {
    r.logger.debug?.(`${hex(r.id)} has no snapshot for ${hex(pr.id)} yet`);
    return false;
  }
  const index = must(snapshot.metadata, "a snapshot has metadata").index;
  assert(index > 0, "a compacted log has a snapshot");
  r.logger.debug?.(`${hex(r.id)} sends ${hex(pr.id)} the snapshot at index ${index}`);
  pr.becomeSnapshot(index);
  send(r, newMessage(MessageType.MsgSnap, pr.id, { snapshot }));
  return true;
}

/** Sends every other member what it lacks, or at least the commit index. */
export function broadcastAppend(r: Raft): void {
  for (const pr of r.tracker.ordered) if (pr.id !== r.id) maybeSendAppend(r, pr, true);
}

/** Sends every other member a heartbeat that also asks to confirm the pending reads. */
export function broadcastHeartbeat(r: Raft): void {
  const context = r.readOnly.heartbeatContext();
  for (const pr of r.tracker.ordered) {
    if (pr.id === r.id) continue;
    // Beyond its match a follower may hold other entries than the committed ones, so it must not commit further yet.
    const commit = Math.min(pr.match, r.log.committed);
    send(r, newMessage(MessageType.MsgHeartbeat, pr.id, { commit, context }));
    pr.sentCommit = commit;
  }
}

/** Commits what a quorum has acknowledged, if it is of this term; true when the commit index moved. */
export function maybeCommit(r: Raft): boolean {
  return r.log.maybeCommit(r.tracker.quorumIndex, r.term);
}
