// The entrance for every message: what its term means for this node, votes, answers of the local storage; then the role's own rules.
//
// Source: Raft thesis, sections 3.3, 3.6.1 and 9.6; etcd raft, raft.go (Step).

import { type Message, MessageType, type Snapshot } from "../../proto/index.ts";
import { stand, voteResponseTo } from "./campaign.ts";
import { isTransferVote, newMessage } from "./message.ts";
import { hex, type Raft, send } from "./raft.ts";
import { reduceUncommitted } from "./replicate.ts";
import { becomeFollower } from "./roles.ts";
import { stepCandidate } from "./step-candidate.ts";
import { stepFollower } from "./step-follower.ts";
import { maybeAutoLeave, stepLeader } from "./step-leader.ts";
import { NO_NODE, type StepOutcome } from "./types.ts";

/** Takes one message, well formed, and takes it over. Term 0 marks one without term: local, or passed on by a follower. */
export function step(r: Raft, m: Message): StepOutcome {
  if (m.term > r.term) {
    if (!enterHigherTerm(r, m)) return "ok";
  } else if (m.term !== 0 && m.term < r.term) {
    answerLowerTerm(r, m);
    return "ok";
  }
  switch (m.type) {
    case MessageType.MsgHup:
      stand(r);
      return "ok";
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      answerVote(r, m);
      return "ok";
    case MessageType.MsgStorageAppendResp:
      if (m.index !== 0) r.log.unstable.stableTo(m.index, m.logTerm);
      if (m.snapshot !== undefined) snapshotStable(r, m.snapshot);
      return "ok";
    case MessageType.MsgStorageApplyResp:
      entriesApplied(r, m);
      return "ok";
    default:
  }
  if (r.role === "leader") return stepLeader(r, m);
  return r.role === "follower" ? stepFollower(r, m) : stepCandidate(r, m);
}

// ----------------------------------------------------------------------------------------------------------------- terms

/** Follows a newer term where the message calls for it; false when the message must be ignored. */
function enterHigherTerm(r: Raft, m: Message): boolean {
  switch (m.type) {
    case MessageType.MsgVote:
      if (isInLease(r, m)) return false;
      becomeFollower(r, m.term, NO_NODE);
      return true;
    case MessageType.MsgPreVote:
      // Only asked what it would do: the term stays.
      return !isInLease(r, m);
    case MessageType.MsgPreVoteResp:
      // A granted one carries the term that the election would have; a rejection the term of the rejecting node.
      if (m.reject) becomeFollower(r, m.term, NO_NODE);
      return true;
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      becomeFollower(r, m.term, m.from);
      return true;
    default:
      becomeFollower(r, m.term, NO_NODE);
      return true;
  }
}

/** True while this node hears from a leader, which a candidate must not disturb. Thesis, section 4.2.3. */
function isInLease(r: Raft, m: Message): boolean {
  if (!r.options.checkQuorum || r.leader === NO_NODE) return false;
  if (r.electionElapsed >= r.options.electionTicks || isTransferVote(m)) return false;
  r.logger.info?.(
    `${hex(r.id)} ignores a vote request of ${hex(m.from)} at term ${m.term}: in lease`,
  );
  return true;
}

function answerLowerTerm(r: Raft, m: Message): void {
  switch (m.type) {
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
      // A node that came back with a higher term, and whose votes are ignored under check-quorum or pre-vote, would be stuck: tell the
      // leader the term, so that it steps down and an election settles it.
      if (r.options.checkQuorum || r.options.preVote) {
        send(r, newMessage(MessageType.MsgAppResp, m.from));
      }
      return;
    case MessageType.MsgPreVote:
      // Without an answer, a group that is switching to pre-vote could deadlock between a higher term and a longer log.
      send(r, newMessage(MessageType.MsgPreVoteResp, m.from, { term: r.term, reject: true }));
      return;
    case MessageType.MsgStorageAppendResp:
      // The entries may have been replaced since (see ready.ts), but an installed snapshot is committed state in every term.
      if (m.snapshot !== undefined) snapshotStable(r, m.snapshot);
      return;
    default:
  }
}

// ----------------------------------------------------------------------------------------------------------------- votes

/**
 * Grants a vote to a candidate whose log is complete, once per term; a pre-vote for a later term also when the vote of this one is gone.
 * Learners vote too: one that has not learned yet of its promotion may be the voter that the election needs.
 */
function answerVote(r: Raft, m: Message): void {
  const isFree =
    r.vote === m.from ||
    (r.vote === NO_NODE && r.leader === NO_NODE) ||
    (m.type === MessageType.MsgPreVote && m.term > r.term);
  const response = voteResponseTo(m.type);
  if (!isFree || !r.log.isUpToDate(m.index, m.logTerm)) {
    r.logger.info?.(`${hex(r.id)} rejected the vote request of ${hex(m.from)} at term ${r.term}`);
    // A node that has never been in a term has none to tell.
    if (r.term > 0) send(r, newMessage(response, m.from, { term: r.term, reject: true }));
    return;
  }
  r.logger.info?.(`${hex(r.id)} granted the vote request of ${hex(m.from)} at term ${m.term}`);
  // The term of the request: a pre-candidate would ignore an answer of our own, perhaps older one.
  send(r, newMessage(response, m.from, { term: m.term }));
  if (m.type === MessageType.MsgVote) {
    r.electionElapsed = 0;
    r.vote = m.from;
  }
}

// ----------------------------------------------------------------------------------------------------- answers of storage

function snapshotStable(r: Raft, snapshot: Snapshot): void {
  const index = snapshot.metadata?.index ?? 0;
  r.log.unstable.stableSnapshotTo(index);
  r.log.appliedTo(Math.max(index, r.log.applied), []);
  maybeAutoLeave(r);
}

function entriesApplied(r: Raft, m: Message): void {
  const last = m.entries[m.entries.length - 1];
  if (last === undefined) return;
  r.log.appliedTo(Math.max(last.index, r.log.applied), m.entries);
  maybeAutoLeave(r);
  reduceUncommitted(r, m.entries);
}
