// A leader's answers to MsgReadIndex.
//
// A leader's commit index may lag behind what its predecessors committed until an entry of its own term is committed; reads wait for
// that. Two divergences from etcd's library, both where it would answer stale:
// - A sole voter waits too. After a restart its commit index can be older than what it had already acknowledged (the commit index alone
//   is not synced).
// - A leader that was removed, leaving one voter, does not answer by itself: that voter may have gone on without it.
// Source: Raft thesis, section 6.4.

import { must } from "../../base/index.ts";
import { type Message, MessageType } from "../../proto/index.ts";
import { newMessage } from "./message.ts";
import { isVoter } from "./quorum/joint.ts";
import { type Raft, send } from "./raft.ts";
import { broadcastHeartbeat } from "./replicate.ts";
import { NO_NODE } from "./types.ts";

/** Takes a MsgReadIndex as leader: answers, asks a quorum, or keeps it until this term has committed something. */
export function takeRead(r: Raft, request: Message): void {
  if (!hasCommittedInTerm(r)) {
    r.earlyReads.push(request);
  } else if (isSoleVoter(r) || r.options.readOnly === "leaseBased") {
    answerRead(r, request, r.log.committed);
  } else {
    r.readOnly.add(request, r.log.committed, r.id);
    broadcastHeartbeat(r);
  }
}

/** Takes the reads that came too early, once the commit index has moved. */
export function releaseEarlyReads(r: Raft): void {
  if (r.earlyReads.length === 0 || !hasCommittedInTerm(r)) return;
  const requests = r.earlyReads;
  r.earlyReads = [];
  for (const request of requests) takeRead(r, request);
}

/** Answers the reads that a quorum has confirmed. */
export function releaseConfirmedReads(r: Raft): void {
  for (const { request, index } of r.readOnly.takeConfirmed(r.tracker.config.voters)) {
    answerRead(r, request, index);
  }
}

function answerRead(r: Raft, request: Message, index: number): void {
  if (request.from === NO_NODE || request.from === r.id) {
    const { data } = must(request.entries[0], "a read request has a context");
    r.readStates.push({ index, context: data });
    return;
  }
  send(
    r,
    newMessage(MessageType.MsgReadIndexResp, request.from, { index, entries: request.entries }),
  );
}

function isSoleVoter(r: Raft): boolean {
  return r.tracker.isSingleton && isVoter(r.tracker.config.voters, r.id);
}

function hasCommittedInTerm(r: Raft): boolean {
  return r.log.matchesTerm(r.log.committed, r.term);
}
