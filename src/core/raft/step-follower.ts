// What a follower does with each message, and how any role takes what a leader of its term sends.

import { must } from "../../base/index.ts";
import { type Message, MessageType } from "../../proto/index.ts";
import { standAs } from "./campaign.ts";
import { newMessage } from "./message.ts";
import { hex, type Raft, send, sendAppendAck } from "./raft.ts";
import { restoreSnapshot } from "./restore.ts";
import { NO_NODE, type StepOutcome } from "./types.ts";

/** Takes a message of the current term, or one without term. */
export function stepFollower(r: Raft, m: Message): StepOutcome {
  switch (m.type) {
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      r.electionElapsed = 0;
      r.leader = m.from;
      takeFromLeader(r, m);
      return "ok";
    case MessageType.MsgProp:
      if (r.options.disableProposalForwarding) return "dropped";
      return passToLeader(r, m);
    case MessageType.MsgReadIndex:
    case MessageType.MsgTransferLeader:
      return passToLeader(r, m);
    case MessageType.MsgReadIndexResp: {
      const { data } = must(m.entries[0], "a read answer has its context");
      r.readStates.push({ index: m.index, context: data });
      return "ok";
    }
    case MessageType.MsgTimeoutNow:
      // No pre-vote: the leader itself asks for this election.
      standAs(r, "transfer");
      return "ok";
    case MessageType.MsgForgetLeader:
      forgetLeader(r);
      return "ok";
    default:
      return "ok";
  }
}

function passToLeader(r: Raft, m: Message): StepOutcome {
  if (r.leader === NO_NODE) return "dropped";
  m.to = r.leader;
  send(r, m);
  return "ok";
}

/** Lets the next pre-vote through without waiting for the leader's lease to end. Leases for reads would break by it. */
function forgetLeader(r: Raft): void {
  if (r.options.readOnly === "leaseBased") {
    r.logger.error?.(`${hex(r.id)} does not forget its leader, whose lease answers reads`);
    return;
  }
  r.leader = NO_NODE;
}

/** Takes a MsgApp, MsgHeartbeat or MsgSnap of the current term. */
export function takeFromLeader(r: Raft, m: Message): void {
  if (m.type === MessageType.MsgApp) {
    takeAppend(r, m);
  } else if (m.type === MessageType.MsgHeartbeat) {
    r.log.commitTo(m.commit);
    send(r, newMessage(MessageType.MsgHeartbeatResp, m.from, { context: m.context }));
  } else {
    const isRestored = restoreSnapshot(r, must(m.snapshot, "MsgSnap has a snapshot"));
    sendAppendAck(r, m.from, isRestored ? r.log.lastIndex() : r.log.committed);
  }
}

function takeAppend(r: Raft, m: Message): void {
  if (m.index < r.log.committed) {
    // Old news: what is committed agrees with every leader's log.
    sendAppendAck(r, m.from, r.log.committed);
    return;
  }
  const agreed = r.log.maybeAppend(m.index, m.logTerm, m.entries, m.commit);
  if (agreed !== undefined) {
    sendAppendAck(r, m.from, agreed);
    return;
  }
  // Where the logs may agree, as far as this side can tell; the leader narrows it further (step-leader.ts, takeRejection).
  const start = Math.min(m.index, r.log.lastIndex());
  const hint = r.log.findConflictByTerm(start, m.logTerm);
  r.logger.debug?.(`${hex(r.id)} rejects an append after ${m.index}, hint ${hint.index}`);
  send(
    r,
    newMessage(MessageType.MsgAppResp, m.from, {
      index: m.index,
      reject: true,
      rejectHint: hint.index,
      logTerm: hint.term,
    }),
  );
}
