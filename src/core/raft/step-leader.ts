// What a leader does with each message.

import {
  type ConfChangeV2,
  createEntry,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  ProtoError,
} from "../../proto/index.ts";
import { confChangeOf, leaveJointEntry } from "./confchange/conf-change.ts";
import { newMessage } from "./message.ts";
import { isJoint } from "./quorum/joint.ts";
import { hex, type Raft, send } from "./raft.ts";
import { releaseConfirmedReads, releaseEarlyReads, takeRead } from "./reads.ts";
import { appendEntries, broadcastAppend, maybeCommit, maybeSendAppend } from "./replicate.ts";
import { becomeFollower } from "./roles.ts";
import type { Progress } from "./tracker/progress.ts";
import { NO_NODE, type StepOutcome } from "./types.ts";

/** Takes a message of the current term, or one without term. */
export function stepLeader(r: Raft, m: Message): StepOutcome {
  switch (m.type) {
    case MessageType.MsgProp:
      return takeProposal(r, m.entries);
    case MessageType.MsgReadIndex:
      takeRead(r, m);
      return "ok";
    default:
  }
  const pr = r.tracker.progress.get(m.from);
  if (pr === undefined) return "ok";
  switch (m.type) {
    case MessageType.MsgAppResp:
      takeAppendResponse(r, pr, m);
      break;
    case MessageType.MsgHeartbeatResp:
      takeHeartbeatResponse(r, pr, m);
      break;
    case MessageType.MsgSnapStatus:
      takeSnapshotStatus(pr, m.reject);
      break;
    case MessageType.MsgUnreachable:
      // What was sent ahead is probably lost.
      if (pr.state === "replicate") pr.becomeProbe();
      break;
    case MessageType.MsgTransferLeader:
      transferLeadership(r, pr);
      break;
    default:
  }
  return "ok";
}

/** Steps down when no quorum was heard from in the interval that ends, and begins the next one. Thesis, section 6.2. */
export function checkQuorum(r: Raft): void {
  if (!r.tracker.isQuorumActive) {
    r.logger.warn?.(`${hex(r.id)} stepped down to follower since quorum is not active`);
    becomeFollower(r, r.term, NO_NODE);
  }
  for (const pr of r.tracker.ordered) if (pr.id !== r.id) pr.recentActive = false;
}

// ------------------------------------------------------------------------------------------------------------ proposals

/** Appends proposed entries and sends them on. Takes the entries, not the array; leaves both as they were unless the answer is ok. */
export function takeProposal(r: Raft, entries: readonly Entry[]): StepOutcome {
  if (entries.length === 0) return "malformed";
  // Removed from the group while it leads, or about to hand over.
  if (!r.tracker.progress.has(r.id) || r.leadTransferee !== NO_NODE) return "dropped";
  let pendingConfIndex = r.pendingConfIndex;
  let blanked: Entry[] | undefined;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    if (entry.type === EntryType.EntryNormal) continue;
    const change = confChangeOf(entry);
    if (change === undefined || change instanceof ProtoError) return "malformed";
    const obstacle = obstacleTo(r, change, pendingConfIndex);
    if (obstacle !== undefined && !r.options.disableConfChangeValidation) {
      r.logger.info?.(`${hex(r.id)} ignores a membership change: ${obstacle}`);
      // The entry stays, empty, so that its proposer's place in the batch is kept.
      blanked ??= entries.slice();
      blanked[i] = createEntry();
    } else {
      pendingConfIndex = r.log.lastIndex() + 1 + i;
    }
  }
  if (!appendEntries(r, blanked ?? entries)) return "dropped";
  r.pendingConfIndex = pendingConfIndex;
  broadcastAppend(r);
  return "ok";
}

/** Why `change` must not enter the log now. A best effort: what counts is the configuration when it is applied. */
function obstacleTo(r: Raft, change: ConfChangeV2, pendingConfIndex: number): string | undefined {
  const isInJoint = isJoint(r.tracker.config.voters);
  if (pendingConfIndex > r.log.applied) {
    return `one may be unapplied at index ${pendingConfIndex} (applied to ${r.log.applied})`;
  }
  const wantsLeave = change.changes.length === 0;
  if (isInJoint && !wantsLeave) return "the joint configuration must be left first";
  if (!isInJoint && wantsLeave) return "there is no joint configuration to leave";
  return undefined;
}

/** Proposes to leave the joint configuration if that is the leader's to do now. Called as entries are applied. */
export function maybeAutoLeave(r: Raft): void {
  if (r.role !== "leader" || !r.tracker.config.autoLeave) return;
  if (r.log.applied < r.pendingConfIndex) return;
  // Dropped while leadership is being transferred: then the next leader does it, or this one at its next applied entry.
  if (takeProposal(r, [leaveJointEntry()]) === "ok") {
    r.logger.info?.(`${hex(r.id)} initiates leaving the joint configuration`);
  }
}

// ------------------------------------------------------------------------------------------------------------ responses

function takeAppendResponse(r: Raft, pr: Progress, m: Message): void {
  pr.recentActive = true;
  if (m.reject) {
    takeRejection(r, pr, m);
    return;
  }
  // An old acknowledgement is news still to a probe: the follower is reachable at its match.
  const isNews = pr.maybeUpdate(m.index) || (pr.match === m.index && pr.state === "probe");
  if (!isNews) return;
  const isOther = pr.id !== r.id;

  if (pr.state === "probe") {
    pr.becomeReplicate();
  } else if (pr.state === "replicate") {
    pr.inflights.freeTo(m.index);
  } else if (pr.match + 1 >= r.log.firstIndex()) {
    // Whatever snapshot it was that the follower installed, the log continues it.
    pr.becomeProbe();
    pr.becomeReplicate();
  }

  if (maybeCommit(r)) {
    releaseEarlyReads(r);
    broadcastAppend(r);
  } else if (isOther && pr.canBumpCommit(r.log.committed)) {
    // The next heartbeat would carry the commit index too, but later.
    maybeSendAppend(r, pr, true);
  }
  if (!isOther) return;
  // The acknowledgement may have made room for more than one message.
  while (maybeSendAppend(r, pr, false));
  if (pr.id === r.leadTransferee && pr.match === r.log.lastIndex()) sendTimeoutNow(r, pr);
}

/**
 * Finds where to probe next. The follower told the last index of its log at or below the rejected one whose term is at most ours
 * there (rejectHint), and its term (logTerm). Our entries above that term cannot be in its log at or below the hint, because terms
 * never fall along a log, so the whole run of them is skipped: at most one probe per term.
 */
function takeRejection(r: Raft, pr: Progress, m: Message): void {
  const hint =
    m.logTerm > 0 ? r.log.findConflictByTerm(m.rejectHint, m.logTerm).index : m.rejectHint;
  if (!pr.maybeDecreaseTo(m.index, hint)) return;
  r.logger.debug?.(`${hex(r.id)} goes back to next=${pr.next} for ${hex(pr.id)}`);
  if (pr.state === "replicate") pr.becomeProbe();
  maybeSendAppend(r, pr, true);
}

function takeHeartbeatResponse(r: Raft, pr: Progress, m: Message): void {
  pr.recentActive = true;
  pr.flowPaused = false;
  // Also when the follower has everything but is being probed: its answer brings it back to replicate. And with a full window an
  // empty message goes out, so that a window of lost messages is found out.
  if (pr.match < r.log.lastIndex() || pr.state === "probe") maybeSendAppend(r, pr, true);
  if (r.options.readOnly !== "safe" || m.context.length === 0) return;
  r.readOnly.acknowledge(m.from, m.context);
  releaseConfirmedReads(r);
}

/** The snapshot's fate. Either way nothing is sent until the follower answers something. */
function takeSnapshotStatus(pr: Progress, isFailed: boolean): void {
  if (pr.state !== "snapshot") return;
  if (isFailed) pr.pendingSnapshot = 0;
  pr.becomeProbe();
  pr.flowPaused = true;
}

// ------------------------------------------------------------------------------------------------------------- transfer

/** Brings the target up to date, then tells it to campaign; within one election timeout, or not at all. Thesis, section 3.10. */
function transferLeadership(r: Raft, pr: Progress): void {
  if (pr.isLearner || pr.id === r.leadTransferee) return;
  r.leadTransferee = NO_NODE;
  if (pr.id === r.id) return;
  r.logger.info?.(`${hex(r.id)} transfers leadership to ${hex(pr.id)} at term ${r.term}`);
  r.electionElapsed = 0;
  r.leadTransferee = pr.id;
  if (pr.match === r.log.lastIndex()) sendTimeoutNow(r, pr);
  else maybeSendAppend(r, pr, true);
}

function sendTimeoutNow(r: Raft, pr: Progress): void {
  send(r, newMessage(MessageType.MsgTimeoutNow, pr.id));
}
