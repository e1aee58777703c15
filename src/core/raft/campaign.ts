// Elections: whether to stand, asking for votes, counting them.
//
// Source: Raft thesis, sections 3.4 (elections), 9.6 (pre-vote), 3.10 (transfer); etcd raft, raft.go.

import { type Message, MessageType } from "../../proto/index.ts";
import { CAMPAIGN_TRANSFER, NO_BYTES, newMessage } from "./message.ts";
import { allVoters } from "./quorum/joint.ts";
import { hex, type Raft, send } from "./raft.ts";
import { broadcastAppend } from "./replicate.ts";
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from "./roles.ts";
import { NO_NODE } from "./types.ts";

/** `preElection` asks first, `election` goes straight for it, `transfer` does so on the leader's demand, whatever leases others hold. */
export type CampaignKind = "preElection" | "election" | "transfer";

/** True when this node may lead: it is a voter in its own view and has no snapshot to install first. */
export function isPromotable(r: Raft): boolean {
  const self = r.tracker.progress.get(r.id);
  return self !== undefined && !self.isLearner && r.log.unstable.snapshot === undefined;
}

/** Starts the election that the settings ask for; does nothing when this node must not stand. */
export function stand(r: Raft): void {
  standAs(r, r.options.preVote ? "preElection" : "election");
}

/** Starts an election of `kind`; does nothing when this node must not stand. */
export function standAs(r: Raft, kind: CampaignKind): void {
  if (r.role === "leader") return;
  if (!isPromotable(r)) {
    r.logger.warn?.(`${hex(r.id)} is unpromotable and can not campaign`);
    return;
  }
  // Its own view of who votes may be about to change by what is already committed.
  if (r.log.hasUnappliedConfChange()) {
    r.logger.warn?.(`${hex(r.id)} waits with its campaign for membership changes to be applied`);
    return;
  }
  r.logger.info?.(`${hex(r.id)} is starting a new election at term ${r.term}`);
  campaign(r, kind);
}

function campaign(r: Raft, kind: CampaignKind): void {
  const isPre = kind === "preElection";
  if (isPre) becomePreCandidate(r);
  else becomeCandidate(r);
  const term = isPre ? r.term + 1 : r.term;
  const request = isPre ? MessageType.MsgPreVote : MessageType.MsgVote;
  const context = kind === "transfer" ? CAMPAIGN_TRANSFER : NO_BYTES;
  const index = r.log.lastIndex();
  const logTerm = r.log.lastTerm();

  for (const id of allVoters(r.tracker.config.voters)) {
    if (id === r.id) {
      // The own vote counts when it is durable, like everybody's.
      send(r, newMessage(voteResponseTo(request), id, { term }));
    } else {
      send(r, newMessage(request, id, { term, index, logTerm, context }));
    }
  }
}

/** The type that answers MsgVote or MsgPreVote. */
export function voteResponseTo(request: number): MessageType {
  return request === MessageType.MsgPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp;
}

/** Counts a vote for this (pre-)candidate and goes on when it decides the election. */
export function countVote(r: Raft, m: Message): void {
  r.tracker.recordVote(m.from, !m.reject);
  const { granted, rejected, result } = r.tracker.tallyVotes();
  r.logger.info?.(`${hex(r.id)} has ${granted} votes and ${rejected} rejections at term ${r.term}`);
  if (result === "lost") {
    becomeFollower(r, r.term, NO_NODE);
  } else if (result === "won") {
    if (r.role === "preCandidate") {
      campaign(r, "election");
    } else {
      becomeLeader(r);
      broadcastAppend(r);
    }
  }
}
