// One node of a Raft group, as its caller drives it. It does no I/O and knows no clock: ticks, messages and proposals go in, a Ready
// comes out. All calls are synchronous; none may be made from inside another.
//
// ## The caller's duties, in order
//
// After any call that may have changed something, while `hasReady()`:
//   1. `ready()`. From now on the batch must be carried out.
//   2. Persist `entries`, then `hardState`, and `snapshot` if there is one (then there are no committed entries). With `mustSync` they
//      must be on the disk before step 3 for a follower or candidate. A leader may send its messages before its own write is durable:
//      what must not be published early is not in `messages` but kept back by the node itself until `advance()` or the responses.
//      Stable storage (`LogStorage`) must show them before `advance()`.
//   3. Send `messages`, in order per target. A MsgSnap obliges to call `reportSnapshot`; a target that cannot be reached, to call
//      `reportUnreachable`. Before messages of a batch leave, membership changes that an earlier batch committed should be applied.
//   4. Apply `snapshot`, then `committedEntries`. For each entry of type EntryConfChange or EntryConfChangeV2 call `applyConfChange`,
//      unless the state machine rejects it (then with the node ids set to 0, or not at all). Serve `readStates` that are reached.
//   5. `advance()`. Only now the next `ready()` may be taken.
//
// With `asyncStorageWrites` the disk and the state machine are peers. Steps 2 and 4 come as messages: MsgStorageAppend (entries,
// snapshot, and a hard state if term > 0) and MsgStorageApply (entries). Each target handles its messages in order, and then delivers
// the `responses` of each: those to this node by `stepLocal`, the others to their node. A MsgStorageAppend with responses must be
// durable before; one without need not be. Readys may be taken meanwhile, `advance()` is not called, `messages` may be sent at once.
// A snapshot may overtake a MsgStorageApply that was handed out before it: entries at or below what is installed are skipped then.
//
// `tick()` at a fixed interval. Every message that arrives for this node goes to `step`, from a sender whose identity is known.
//
// ## The messages, and who may send them
//
//   MsgHup, MsgBeat, MsgCheckQuorum       nobody: they stand for what `tick` and `campaign` do
//   MsgProp                               follower to leader: entries to append, passed on; no term
//   MsgApp / MsgAppResp                   leader to member: entries after (index, logTerm), commit index / acknowledgement or rejection
//   MsgVote / MsgVoteResp                 candidate to voter / back. Context `CampaignTransfer`: on the leader's demand
//   MsgPreVote / MsgPreVoteResp           pre-candidate to voter, with the term to come / back; terms do not change by it
//   MsgSnap                               leader to member that needs compacted entries; answered by MsgAppResp
//   MsgHeartbeat / MsgHeartbeatResp       leader to member: commit index, newest pending read / back, echoing the context
//   MsgReadIndex / MsgReadIndexResp       follower to leader: where may this read be served; no term / back
//   MsgTransferLeader                     follower to leader; `from` is the node that shall lead
//   MsgTimeoutNow                         leader to the node that shall lead: campaign now
//   MsgForgetLeader                       local or from a peer: forget who leads, so that a pre-vote can pass
//   MsgUnreachable, MsgSnapStatus         nobody: they stand for `reportUnreachable` and `reportSnapshot`
//   MsgStorage{Append,Apply}[Resp]        node to local storage / back, by `stepLocal`
//
// A message given to `step` belongs to the node from then on, entries and all. Source: Raft thesis; etcd raft 3.7 (doc.go, rawnode.go).

import { assert } from "../../base/index.ts";
import {
  ConfChangeType,
  type ConfState,
  createConfChange,
  createEntry,
  type Entry,
  type HardState,
  type Message,
  MessageType,
} from "../../proto/index.ts";
import { stand } from "./campaign.ts";
import { type AnyConfChange, toConfChangeEntry, toConfChangeV2 } from "./confchange/conf-change.ts";
import type { RaftConfig } from "./config.ts";
import {
  isLocalMessage,
  isLocalTarget,
  isResponseMessage,
  isWellFormed,
  newMessage,
} from "./message.ts";
import { hardStateOf, hex, Raft, softStateOf } from "./raft.ts";
import {
  type Ready,
  storageAppendMessage,
  storageAppendResponse,
  storageApplyMessage,
  storageApplyResponse,
} from "./ready.ts";
import { applyConfChange, restoreConfState } from "./reconfigure.ts";
import { becomeFollower } from "./roles.ts";
import { type BasicStatus, basicStatusOf, type Status, statusOf } from "./status.ts";
import { step } from "./step.ts";
import { tick } from "./tick.ts";
import { describeConfig } from "./tracker/config.ts";
import { NO_NODE, type Role, type SoftState, type StepOutcome } from "./types.ts";

/** A first member of a new group. */
export interface Peer {
  readonly id: bigint;
  /** Goes into the membership change that adds it. */
  readonly context: Uint8Array;
}

export class RawNode {
  /** The state behind this face; for tests and for what reads it without copying. Not to be changed from outside. */
  readonly raft: Raft;
  readonly #isAsync: boolean;
  #softState: SoftState;
  #hardState: HardState;
  /** Synchronous form: what `advance` delivers to this node. Undefined between advance and ready. */
  #onAdvance: Message[] | undefined;

  /** Starts from what `config.storage` holds. */
  constructor(config: RaftConfig) {
    const r = new Raft(config);
    this.raft = r;
    this.#isAsync = r.options.asyncStorageWrites;
    const { hardState, confState } = config.storage.initialState();
    restoreConfState(r, confState);
    if (hardState !== undefined) loadHardState(r, hardState);
    if (config.applied !== undefined && config.applied > 0) {
      r.log.commitTo(config.applied);
      r.log.appliedTo(config.applied, []);
    }
    becomeFollower(r, r.term, NO_NODE);
    this.#softState = softStateOf(r);
    this.#hardState = hardStateOf(r);
    r.logger.info?.(
      `newRaft ${hex(r.id)} [${describeConfig(r.tracker.config)}, term: ${r.term}, ` +
        `commit: ${r.log.committed}, applied: ${r.log.applied}, lastindex: ${r.log.lastIndex()}]`,
    );
  }

  // ---------------------------------------------------------------------------------------------------------- what goes in

  /** Lets one tick pass: elections, heartbeats, check-quorum. */
  tick(): void {
    tick(this.raft);
  }

  /** Campaigns now, if this node may. */
  campaign(): void {
    stand(this.raft);
  }

  /**
   * Proposes `entries` (not empty, without term and index) as one batch: all of them get consecutive places, or none does. Takes the
   * entries if ok; the array stays the caller's. A membership change that must not be made now becomes an empty normal entry.
   * Costs no more per entry than setting two numbers and a few array copies.
   */
  propose(entries: readonly Entry[]): StepOutcome {
    const m = newMessage(MessageType.MsgProp, NO_NODE, { entries: entries.slice() });
    m.from = this.raft.id;
    return step(this.raft, m);
  }

  /** Proposes one normal entry. */
  proposePayload(data: Uint8Array): StepOutcome {
    return this.propose([createEntry({ data })]);
  }

  /** Proposes a membership change; at most one is in progress at a time. */
  proposeConfChange(change: AnyConfChange): StepOutcome {
    return this.propose([toConfChangeEntry(change)]);
  }

  /** Makes a committed membership change the active configuration, when the state machine applies it. Returns the new ConfState. */
  applyConfChange(change: AnyConfChange): ConfState {
    return applyConfChange(this.raft, toConfChangeV2(change));
  }

  /**
   * Takes a message from a peer. Whatever the peer sends, the node's state stays sound: local types, messages that claim to come from
   * this node's own disk, answers of non-members and what no working node sends are refused.
   */
  step(m: Message): StepOutcome {
    const r = this.raft;
    if (isLocalMessage(m.type) || isLocalTarget(m.from)) return "localMessage";
    if (!isWellFormed(m)) return "malformed";
    if (isResponseMessage(m.type)) {
      // Its own votes and acknowledgements reach a node by stepLocal only, after its own disk.
      if (m.from === r.id && m.type !== MessageType.MsgReadIndexResp) return "localMessage";
      if (!r.tracker.progress.has(m.from)) return "unknownPeer";
      if (isImpossibleAck(r, m)) return "malformed";
    }
    return step(r, m);
  }

  /** Takes a response of the local storage that is addressed to this node (asynchronous form). */
  stepLocal(m: Message): StepOutcome {
    assert(this.#isAsync && m.to === this.raft.id, "a response of the own storage");
    assert(m.from === this.raft.id || isLocalTarget(m.from), "a response of the own storage");
    return step(this.raft, m);
  }

  /** Tells that the last message to `id` may be lost. */
  reportUnreachable(id: bigint): void {
    this.#stepFrom(MessageType.MsgUnreachable, id, false);
  }

  /** Tells how the MsgSnap to `id` went. `ok`: it was delivered (the follower may still fail to install it). */
  reportSnapshot(id: bigint, ok: boolean): void {
    this.#stepFrom(MessageType.MsgSnapStatus, id, !ok);
  }

  /** Asks the leader to hand over to `id`. A follower passes this on; `dropped` when it knows no leader. */
  transferLeader(id: bigint): StepOutcome {
    return this.#stepFrom(MessageType.MsgTransferLeader, id, false);
  }

  /**
   * Asks where a linearizable read may be served; the answer comes in `Ready.readStates` with the same `context`, or, when a leader
   * changes or a message is lost, never. `context` must be unique among the reads that wait. `dropped`: no leader is known.
   */
  readIndex(context: Uint8Array): StepOutcome {
    const entries = [createEntry({ data: context })];
    return step(this.raft, newMessage(MessageType.MsgReadIndex, NO_NODE, { entries }));
  }

  /** Makes a follower forget its leader, but not its term; nothing on other roles. */
  forgetLeader(): void {
    step(this.raft, newMessage(MessageType.MsgForgetLeader, NO_NODE));
  }

  /**
   * Makes a new group of `peers`, of which this node should be one, on empty storage: their additions become the first, committed
   * entries at term 1. Every first member must do so with the same peers in the same order.
   */
  bootstrap(peers: readonly Peer[]): void {
    const r = this.raft;
    assert(peers.length > 0, "a group has a first member");
    assert(r.log.lastIndex() === 0, "only empty storage is bootstrapped");
    // The first Ready shall carry the hard state in full.
    this.#hardState = { term: 0, vote: NO_NODE, commit: 0 };
    becomeFollower(r, 1, NO_NODE);
    const changes = peers.map(({ id, context }) =>
      createConfChange({ type: ConfChangeType.ConfChangeAddNode, nodeId: id, context }),
    );
    r.log.append(
      changes.map((change, i) => {
        const entry = toConfChangeEntry(change);
        entry.term = 1;
        entry.index = i + 1;
        return entry;
      }),
    );
    r.log.committed = changes.length;
    // Active at once, so that this node can campaign; applying the entries changes nothing more.
    for (const change of changes) applyConfChange(r, toConfChangeV2(change));
  }

  #stepFrom(type: MessageType, from: bigint, reject: boolean): StepOutcome {
    const m = newMessage(type, NO_NODE, { reject });
    m.from = from;
    return step(this.raft, m);
  }

  // --------------------------------------------------------------------------------------------------------- what comes out

  /** True when `ready` has something to hand out. */
  hasReady(): boolean {
    const r = this.raft;
    return (
      r.messages.length > 0 ||
      r.messagesAfterAppend.length > 0 ||
      r.log.unstable.nextCount > 0 ||
      r.log.hasNextCommitted(!this.#isAsync) ||
      r.log.unstable.nextSnapshot !== undefined ||
      r.readStates.length > 0 ||
      r.leader !== this.#softState.leader ||
      r.role !== this.#softState.role ||
      this.#isHardStateNew()
    );
  }

  /** Hands out all work that is due; it counts as accepted. May be empty. */
  ready(): Ready {
    assert(this.#onAdvance === undefined, "advance comes before the next ready");
    const r = this.raft;
    const isSoftNew = r.leader !== this.#softState.leader || r.role !== this.#softState.role;
    const softState = isSoftNew ? softStateOf(r) : undefined;
    const hardState = this.#isHardStateNew() ? hardStateOf(r) : undefined;
    const entries = r.log.unstable.nextEntries();
    const snapshot = r.log.unstable.nextSnapshot;
    const committedEntries = r.log.nextCommitted(!this.#isAsync);
    const mustSync =
      entries.length > 0 || r.term !== this.#hardState.term || r.vote !== this.#hardState.vote;
    const messages = r.messages;
    const readStates = r.readStates;
    r.messages = [];
    r.readStates = [];
    const rd: Ready = {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages,
      mustSync,
    };
    if (this.#isAsync) this.#addStorageMessages(rd);
    else this.#planAdvance(rd);

    if (softState !== undefined) this.#softState = softState;
    if (hardState !== undefined) this.#hardState = hardState;
    r.messagesAfterAppend = [];
    r.log.unstable.acceptInProgress();
    r.log.acceptApplying(committedEntries, !this.#isAsync);
    return rd;
  }

  /** Tells that the last Ready was carried out (synchronous form). */
  advance(): void {
    assert(!this.#isAsync, "with asynchronous storage the responses take the place of advance");
    const messages = this.#onAdvance ?? [];
    this.#onAdvance = undefined;
    for (const m of messages) step(this.raft, m);
  }

  #isHardStateNew(): boolean {
    const r = this.raft;
    const old = this.#hardState;
    return r.log.committed !== old.commit || r.term !== old.term || r.vote !== old.vote;
  }

  #addStorageMessages(rd: Ready): void {
    const append = storageAppendMessage(this.raft, rd.entries, rd.hardState, rd.snapshot);
    if (append !== undefined) rd.messages.push(append);
    if (rd.committedEntries.length > 0) {
      rd.messages.push(storageApplyMessage(this.raft, rd.committedEntries));
    }
  }

  /** Synchronous form: everything is durable by `advance`, so what waits for that goes to others with the Ready, to this node then. */
  #planAdvance(rd: Ready): void {
    const r = this.raft;
    const plan: Message[] = [];
    for (const m of r.messagesAfterAppend) (m.to === r.id ? plan : rd.messages).push(m);
    const appended = storageAppendResponse(r, rd.snapshot);
    if (appended !== undefined) plan.push(appended);
    if (rd.committedEntries.length > 0) plan.push(storageApplyResponse(r, rd.committedEntries));
    this.#onAdvance = plan;
  }

  // ----------------------------------------------------------------------------------------------------------- what is known

  get id(): bigint {
    return this.raft.id;
  }
  get term(): number {
    return this.raft.term;
  }
  get role(): Role {
    return this.raft.role;
  }
  /** The known leader, NO_NODE (0) if none. */
  get leader(): bigint {
    return this.raft.leader;
  }
  get committed(): number {
    return this.raft.log.committed;
  }
  /** Highest index reported as applied. */
  get applied(): number {
    return this.raft.log.applied;
  }
  get lastIndex(): number {
    return this.raft.log.lastIndex();
  }

  basicStatus(): BasicStatus {
    return basicStatusOf(this.raft);
  }

  /** Everything, with a copy of each member's progress if this node leads. */
  status(): Status {
    return statusOf(this.raft);
  }
}

function loadHardState(r: Raft, state: HardState): void {
  const isEmpty = state.term === 0 && state.vote === NO_NODE && state.commit === 0;
  if (isEmpty) return;
  assert(
    state.commit >= r.log.committed && state.commit <= r.log.lastIndex(),
    `the stored commit index ${state.commit} lies in the stored log`,
  );
  r.log.committed = state.commit;
  r.term = state.term;
  r.vote = state.vote;
}

/** True for an acknowledgement, to a leader in its own term, of entries that it has never had. */
function isImpossibleAck(r: Raft, m: Message): boolean {
  return (
    m.type === MessageType.MsgAppResp &&
    !m.reject &&
    r.role === "leader" &&
    m.term === r.term &&
    m.index > r.log.lastIndex()
  );
}
