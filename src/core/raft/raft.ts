// The record of one node's Raft state, and what every part of the state machine does to it: sending, and starting over in a term.
//
// The rules live in the other files as functions over this record: roles.ts (transitions), campaign.ts (elections), replicate.ts
// (appends, heartbeats, commitment), reads.ts, step-*.ts (messages by role), reconfigure.ts and restore.ts (membership, snapshots),
// tick.ts (time). Nothing here blocks, reads a clock or draws a random number by itself.

import { assert } from "../../base/index.ts";
import { type HardState, type Message, MessageType } from "../../proto/index.ts";
import { checkConfig, loggerOf, type RaftConfig, type RaftOptions } from "./config.ts";
import { RaftLog } from "./log.ts";
import { newMessage } from "./message.ts";
import { ReadOnly } from "./read-only.ts";
import { Tracker } from "./tracker/tracker.ts";
import { NO_NODE, type RaftLogger, type ReadState, type Role, type SoftState } from "./types.ts";

export class Raft {
  readonly id: bigint;
  readonly options: RaftOptions;
  readonly logger: RaftLogger;

  term = 0;
  /** Whom this node has voted for in `term`. */
  vote: bigint = NO_NODE;
  readonly log: RaftLog;

  role: Role = "follower";
  leader: bigint = NO_NODE;
  /** This node is a learner in its own, perhaps outdated, view. */
  isLearner = false;
  readonly tracker: Tracker;

  /** To other nodes, to be sent at once. */
  messages: Message[] = [];
  /**
   * Votes and acknowledgements, to other nodes and to this one: to be delivered once everything that is unstable now is durable, also
   * what earlier Readys handed out. Published earlier, a restart could take back what others already count on (thesis, section 3.8).
   */
  messagesAfterAppend: Message[] = [];

  /** Leader: to whom leadership is being transferred. Thesis, section 3.10. */
  leadTransferee: bigint = NO_NODE;
  /** Leader: a membership change is proposed only when everything up to here is applied, so that one at most is in progress. */
  pendingConfIndex = 0;
  /** Leader: estimated payload of the uncommitted tail, never above the truth. */
  uncommittedBytes = 0;

  readonly readOnly: ReadOnly = new ReadOnly();
  /** Leader: MsgReadIndex that came before the first commit of its term. */
  earlyReads: Message[] = [];
  /** Reads whose index is known, for the next Ready. */
  readStates: ReadState[] = [];

  /** Follower, candidate: ticks since the leader was heard or the campaign began. Leader: ticks in the current check-quorum interval. */
  electionElapsed = 0;
  /** Leader: ticks since the last heartbeat. */
  heartbeatElapsed = 0;
  /** Ticks after which this node campaigns. */
  randomizedElectionTicks = 0;

  constructor(config: RaftConfig) {
    this.options = checkConfig(config);
    this.id = config.id;
    this.logger = loggerOf(config);
    this.log = new RaftLog(config.storage, this.options.committedBytesMax);
    this.tracker = new Tracker({
      messagesMax: this.options.inflightMessagesMax,
      bytesMax: this.options.inflightBytesMax,
    });
  }
}

/** What must be persisted besides the log, as it is now. */
export function hardStateOf(r: Raft): HardState {
  return { term: r.term, vote: r.vote, commit: r.log.committed };
}

/** What need not be persisted, as it is now. */
export function softStateOf(r: Raft): SoftState {
  return { leader: r.leader, role: r.role };
}

/** A node id as logs show it. */
export function hex(id: bigint): string {
  return id.toString(16);
}

/**
 * Queues `m`, from this node unless it says otherwise. Votes carry the term they are about; everything else gets the current term,
 * except what is passed on to the leader (MsgProp, MsgReadIndex), which has none.
 */
export function send(r: Raft, m: Message): void {
  if (m.from === NO_NODE) m.from = r.id;
  switch (m.type) {
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      assert(m.term > 0, "a vote names its term");
      break;
    case MessageType.MsgVoteResp:
    case MessageType.MsgPreVoteResp:
      assert(m.term > 0, "a vote names its term");
      r.messagesAfterAppend.push(m);
      return;
    case MessageType.MsgProp:
    case MessageType.MsgReadIndex:
      m.term = 0;
      break;
    case MessageType.MsgAppResp:
      m.term = r.term;
      r.messagesAfterAppend.push(m);
      return;
    default:
      m.term = r.term;
  }
  assert(m.to !== r.id, "a node sends itself only votes and acknowledgements");
  r.messages.push(m);
}

/** Acknowledges to `to` that the log agrees with the leader's up to `index`. */
export function sendAppendAck(r: Raft, to: bigint, index: number): void {
  send(r, newMessage(MessageType.MsgAppResp, to, { index }));
}

/** Starts over in `term`, which may be the current one: no leader, no votes, no transfer, no reads, every progress unknown. */
export function resetTerm(r: Raft, term: number): void {
  if (r.term !== term) {
    r.term = term;
    r.vote = NO_NODE;
  }
  r.leader = NO_NODE;
  r.electionElapsed = 0;
  r.heartbeatElapsed = 0;
  r.randomizedElectionTicks = r.options.randomElectionTicks(r.options.electionTicks);
  r.leadTransferee = NO_NODE;
  r.tracker.resetVotes();
  const lastIndex = r.log.lastIndex();
  for (const pr of r.tracker.ordered) pr.reset(pr.id === r.id ? lastIndex : 0, lastIndex + 1);
  r.pendingConfIndex = 0;
  r.uncommittedBytes = 0;
  r.readOnly.reset();
  r.earlyReads = [];
}
