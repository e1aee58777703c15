// A whole group on the pure core, driven by a seeded generator: messages are lost, repeated and reordered, nodes crash and lose what was
// not synced, logs are compacted, members change. After every event the safety properties of Raft are checked.
//
// Checked (thesis, figure 3.2, and the invariants of etcd's TLA+ model): one leader per term; equal (index, term) means equal entry and
// equal entry before it; whatever one node applies at an index, no other applies differently; a new leader has every entry that was ever
// applied; what a leader commits is durable on a quorum; a read is never answered below what was committed when it was asked.

import assert from "node:assert/strict";
import { Prng } from "../../../src/base/index.ts";
import { confChangeOf } from "../../../src/core/raft/confchange/conf-change.ts";
import {
  isLocalTarget,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryLogStorage,
  type RaftConfig,
  RawNode,
} from "../../../src/core/raft/index.ts";
import { isVoter } from "../../../src/core/raft/quorum/joint.ts";
import {
  ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  createConfChangeV2,
  createConfState,
  createEntry,
  createSnapshot,
  decodeMessage,
  type Entry,
  encodeMessage,
  type HardState,
  type Message,
  MessageType,
  ProtoError,
  type Snapshot,
} from "../../../src/proto/index.ts";

/** How a run differs from others. */
export interface SimSettings {
  readonly seed: number;
  /** Nodes that exist, 1 .. 5. */
  readonly nodes: number;
  readonly steps: number;
  readonly isAsync: boolean;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Members are added, removed, made learners; else all nodes are voters throughout. */
  readonly changesMembers: boolean;
  readonly stepDownOnRemoval: boolean;
  /** Tight limits on messages, windows and application. */
  readonly isTight: boolean;
}

/** Storage that gives others a snapshot of the state machine as it is now, so that whoever was added meanwhile is a member in it. */
class SimStorage extends MemoryLogStorage {
  /** The state machine's place. */
  applied = 0;
  confState: ConfState = createConfState();

  override snapshot(): Snapshot {
    const metadata = {
      confState: this.confState,
      index: this.applied,
      term: this.term(this.applied) ?? 0,
    };
    return createSnapshot({ metadata });
  }

  /** The snapshot that a restart begins with. */
  get stored(): Snapshot {
    return super.snapshot() ?? createSnapshot();
  }
}

interface SimNode {
  readonly id: bigint;
  readonly storage: SimStorage;
  node: RawNode;
  appendWork: Message[];
  applyWork: Message[];
  /** Local responses not yet delivered, in order. */
  local: Message[];
}

const ELECTION_TICKS = 8;

export class ClusterSim {
  readonly #settings: SimSettings;
  readonly #random: Prng;
  readonly #nodes: SimNode[] = [];
  /** How often a run is disturbed, 0 .. 1: little, so that it gets far, or much. */
  readonly #hostility: number;
  #network: Message[] = [];
  /** Nodes that are cut off from the others. */
  #otherSide: ReadonlySet<bigint> = new Set();
  #proposals = 0;
  readonly #leaders = new Map<number, bigint>();
  /** `index/term` of every entry seen in a log, with its payload and the term before it. */
  readonly #entries = new Map<string, string>();
  /** What was applied, by index. */
  readonly #applied = new Map<number, Entry>();
  #committed = 0;
  /** Highest committed index when each read was asked, by its context. */
  readonly #reads = new Map<string, number>();

  constructor(settings: SimSettings) {
    this.#settings = settings;
    this.#random = new Prng(settings.seed);
    this.#hostility = this.#random.pick([0.03, 0.1, 0.3, 1]);
    const ids = Array.from({ length: settings.nodes }, (_, i) => BigInt(i + 1));
    const voters = settings.changesMembers ? ids.slice(0, Math.ceil(ids.length / 2)) : ids;
    for (const id of ids) {
      const storage = new SimStorage();
      const isMember = voters.includes(id);
      const confState = createConfState({ voters: isMember ? voters : [] });
      const metadata = { confState, index: 1, term: 1 };
      if (isMember) storage.applySnapshot(createSnapshot({ metadata }));
      storage.applied = isMember ? 1 : 0;
      storage.confState = confState;
      const node = this.#start(id, storage);
      this.#nodes.push({ id, storage, node, appendWork: [], applyWork: [], local: [] });
    }
    this.#committed = 1;
  }

  /** Entries applied anywhere. */
  get appliedCount(): number {
    return this.#applied.size;
  }

  /** Runs the hostile part: `steps` random events. */
  run(): void {
    for (let i = 0; i < this.#settings.steps; i++) {
      this.#event(this.#random.pick(this.#nodes));
      this.#check();
    }
  }

  /** Ends all faults; true when the group recovers: a leader, a new commit, all members with the whole log. */
  heal(): boolean {
    const before = this.#committed;
    for (let round = 0; round < 400; round++) {
      for (const n of this.#nodes) n.node.tick();
      this.#settle();
      this.#check();
      const leader = this.#nodes.find(({ node }) => node.role === "leader");
      if (leader === undefined) continue;
      if (this.#committed > before && this.#isConverged(leader.node)) return true;
      if (round % 20 === 10) this.#propose(leader);
    }
    return false;
  }

  #start(id: bigint, storage: SimStorage): RawNode {
    const { isTight, isAsync, preVote, checkQuorum } = this.#settings;
    const limits: Partial<RaftConfig> = isTight
      ? {
          messageBytesMax: 20,
          committedBytesMax: 40,
          inflightBytesMax: 60,
          uncommittedBytesMax: 40,
        }
      : {};
    return new RawNode({
      id,
      storage,
      applied: storage.applied,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 1,
      randomElectionTicks: (ticks) => ticks + this.#random.below(ticks),
      inflightMessagesMax: isTight ? 2 : 256,
      ...limits,
      asyncStorageWrites: isAsync,
      preVote,
      checkQuorum,
      stepDownOnRemoval: this.#settings.stepDownOnRemoval,
    });
  }

  // ------------------------------------------------------------------------------------------------------------- events

  #event(n: SimNode): void {
    const roll = this.#random.below(1000);
    if (roll < 380) this.#deliverOne();
    else if (roll < 800) this.#work(n);
    else if (roll < 850) n.node.tick();
    else if (roll < 900) this.#propose(n);
    else if (roll < 920) this.#read(n);
    else if (roll < 935) this.#compact(n);
    else if (roll < 950) this.#changeMembers(n);
    else if (this.#random.chance(this.#hostility)) this.#disturb(n);
  }

  #disturb(n: SimNode): void {
    const other = this.#random.pick(this.#nodes).id;
    const disturbances: readonly (() => void)[] = [
      () => this.#crash(n),
      () => this.#crash(n),
      () => n.node.campaign(),
      () => n.node.forgetLeader(),
      () => n.node.reportUnreachable(other),
      () => void n.node.transferLeader(other),
    ];
    this.#random.pick(disturbances)();
    if (this.#random.chance(0.3)) this.#partition();
  }

  /** Splits the nodes into two sides that do not hear each other, or joins them again. */
  #partition(): void {
    const isWhole = this.#random.chance(0.3);
    this.#otherSide = new Set(
      isWhole ? [] : this.#nodes.filter(() => this.#random.chance(0.4)).map(({ id }) => id),
    );
  }

  /** Takes any message in flight; loses it, delivers it, or delivers it and leaves it in flight. */
  #deliverOne(): void {
    if (this.#network.length === 0) return;
    const at = this.#random.below(Math.min(this.#network.length, 4));
    const m = this.#network[at] as Message;
    const isRepeated = this.#random.chance(0.3 * this.#hostility);
    if (!isRepeated) this.#network.splice(at, 1);
    const isCut = this.#otherSide.has(m.from) !== this.#otherSide.has(m.to);
    const isLost = isCut || this.#random.chance(0.3 * this.#hostility);
    if (!isLost) this.#deliver(m);
    else this.#reportSnapshot(m, false);
  }

  #deliver(m: Message): void {
    const target = this.#nodes.find(({ id }) => id === m.to);
    const copy = decodeMessage(encodeMessage(m), 0, encodeMessage(m).length);
    assert.ok(!(copy instanceof ProtoError));
    target?.node.step(copy);
    this.#reportSnapshot(m, true);
  }

  /** The sender of a snapshot must hear how it went. */
  #reportSnapshot(m: Message, ok: boolean): void {
    if (m.type !== MessageType.MsgSnap) return;
    this.#nodes.find(({ id }) => id === m.from)?.node.reportSnapshot(m.to, ok);
  }

  #propose(n: SimNode): void {
    const count = 1 + this.#random.below(3);
    const entries = Array.from({ length: count }, () =>
      createEntry({ data: Buffer.from(`p${this.#proposals++}`) }),
    );
    n.node.propose(entries);
  }

  #read(n: SimNode): void {
    const context = `r${this.#proposals++}`;
    this.#reads.set(context, this.#committed);
    n.node.readIndex(Buffer.from(context));
  }

  #changeMembers(n: SimNode): void {
    if (!this.#settings.changesMembers) return;
    const types = [
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeAddLearnerNode,
      ConfChangeType.ConfChangeRemoveNode,
    ];
    const transitions = Object.values(ConfChangeTransition);
    // Node 1 stays a voter, so that no change removes all of them.
    const others = this.#nodes.filter(({ id }) => id !== 1n);
    const wantsLeave = this.#random.chance(0.4) || others.length === 0;
    const changes = wantsLeave
      ? []
      : Array.from({ length: 1 + this.#random.below(2) }, () => ({
          type: this.#random.pick(types),
          nodeId: this.#random.pick(others).id,
        }));
    const transition = changes.length === 0 ? 0 : this.#random.pick(transitions);
    n.node.proposeConfChange(createConfChangeV2({ transition, changes }));
  }

  /** Loses everything that is not in storage and starts again from the snapshot there. */
  #crash(n: SimNode): void {
    n.appendWork = [];
    n.applyWork = [];
    n.local = [];
    const { metadata } = n.storage.stored;
    n.storage.applied = metadata?.index ?? 0;
    n.storage.confState = metadata?.confState ?? createConfState();
    n.node = this.#start(n.id, n.storage);
  }

  /** Takes a snapshot of the state machine, if the node knows its place, and drops most of the log below. */
  #compact(n: SimNode): void {
    const { storage } = n;
    if (storage.applied !== n.node.applied || storage.applied > storage.lastIndex()) return;
    // The hard state on disk must not be behind the snapshot.
    const old = this.#durableState(n);
    storage.setHardState({ ...old, commit: Math.max(old.commit, storage.applied) });
    if (storage.createSnapshot(storage.applied, storage.confState, new Uint8Array(0))) {
      storage.compact(storage.applied - this.#random.below(2));
    }
  }

  #durableState(n: SimNode): HardState {
    return n.storage.initialState().hardState ?? { term: 0, vote: 0n, commit: 0 };
  }

  // --------------------------------------------------------------------------------------------------------------- work

  /** Does one piece of the work that a node has handed out, or takes the next Ready. */
  #work(n: SimNode): void {
    const roll = this.#random.below(4);
    if (roll === 0 && n.appendWork.length > 0) this.#append(n);
    else if (roll === 1 && n.applyWork.length > 0) this.#applyNext(n);
    else if (roll === 2 && n.local.length > 0) n.node.stepLocal(n.local.shift() as Message);
    else if (n.node.hasReady()) this.#takeReady(n);
  }

  #settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const n of this.#nodes) {
        while (n.node.hasReady() || n.appendWork.length + n.applyWork.length + n.local.length > 0) {
          isBusy = true;
          if (n.node.hasReady()) this.#takeReady(n);
          if (n.appendWork.length > 0) this.#append(n);
          this.#check();
          if (n.applyWork.length > 0) this.#applyNext(n);
          this.#check();
          const m = n.local.shift();
          if (m !== undefined) n.node.stepLocal(m);
          this.#check();
        }
      }
      const messages = this.#network;
      this.#network = [];
      for (const m of messages) {
        this.#deliver(m);
        this.#check();
      }
    }
  }

  #takeReady(n: SimNode): void {
    const rd = n.node.ready();
    for (const { index, context } of rd.readStates) {
      const asked = this.#reads.get(Buffer.from(context).toString()) ?? 0;
      assert.ok(
        index >= asked,
        "a read is not answered below what was committed when it was asked",
      );
    }
    if (!this.#settings.isAsync) {
      // A write that need not be synced can be lost in a crash.
      const isKept = rd.mustSync || this.#random.chance(0.5);
      this.#store(n, isKept ? rd.hardState : undefined, rd.entries, rd.snapshot);
    }
    for (const m of rd.messages) {
      if (m.to === LOCAL_APPEND_THREAD) n.appendWork.push(m);
      else if (m.to === LOCAL_APPLY_THREAD) n.applyWork.push(m);
      else this.#network.push(m);
    }
    if (this.#settings.isAsync) return;
    this.#apply(n, rd.committedEntries);
    n.node.advance();
  }

  #append(n: SimNode): void {
    const m = n.appendWork.shift() as Message;
    const isKept = m.responses.length > 0 || this.#random.chance(0.5);
    const { term, vote, commit } = m;
    const hasState = term !== 0 && isKept;
    this.#store(n, hasState ? { term, vote, commit } : undefined, m.entries, m.snapshot);
    this.#respond(n, m.responses);
  }

  #applyNext(n: SimNode): void {
    const m = n.applyWork.shift() as Message;
    this.#apply(n, m.entries);
    this.#respond(n, m.responses);
  }

  #respond(n: SimNode, responses: readonly Message[]): void {
    for (const m of responses) {
      const isOwn = m.to === n.id && (isLocalTarget(m.from) || m.from === n.id);
      (isOwn ? n.local : this.#network).push(m);
    }
  }

  #store(
    n: SimNode,
    state: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (snapshot !== undefined) {
      n.storage.applySnapshot(snapshot);
      n.storage.applied = snapshot.metadata?.index ?? 0;
      n.storage.confState = snapshot.metadata?.confState ?? createConfState();
      const old = this.#durableState(n);
      n.storage.setHardState({ ...old, commit: Math.max(old.commit, n.storage.applied) });
    }
    n.storage.append(entries);
    for (const entry of entries) this.#recordEntry(n, entry);
    if (state === undefined) return;
    // A compaction may have written a newer commit index, past what was in the pipeline.
    const commit = Math.max(state.commit, n.storage.firstIndex() - 1);
    n.storage.setHardState({ ...state, commit });
  }

  #apply(n: SimNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot has overtaken it (asynchronous form).
      if (this.#settings.isAsync && entry.index <= n.storage.applied) continue;
      assert.equal(entry.index, n.storage.applied + 1, "entries are applied in order, each once");
      n.storage.applied = entry.index;
      const known = this.#applied.get(entry.index);
      if (known === undefined) this.#applied.set(entry.index, entry);
      else assert.deepEqual(describe(entry), describe(known), "state machine safety");
      const change = confChangeOf(entry);
      if (change !== undefined && !(change instanceof ProtoError)) {
        n.storage.confState = n.node.applyConfChange(change);
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------- checks

  #recordEntry({ node }: SimNode, entry: Entry): void {
    const before = node.raft.log.term(entry.index - 1);
    if (before === undefined) return;
    const key = `${entry.index}/${entry.term}`;
    const text = `${describe(entry)} after ${before}`;
    assert.equal(this.#entries.get(key) ?? text, text, `log matching at ${key}`);
    this.#entries.set(key, text);
  }

  #check(): void {
    for (const n of this.#nodes) {
      const { role, term, raft } = n.node;
      if (role === "leader") {
        const known = this.#leaders.get(term);
        assert.ok(known === undefined || known === n.id, `two leaders in term ${term}`);
        if (known === undefined) {
          this.#leaders.set(term, n.id);
          this.#checkComplete(n);
        }
        this.#checkDurable(n);
      }
      this.#committed = Math.max(this.#committed, raft.log.committed);
    }
  }

  /** A new leader holds everything that was ever applied. */
  #checkComplete({ node }: SimNode): void {
    const { log } = node.raft;
    for (const [index, entry] of this.#applied) {
      if (index < log.firstIndex()) continue;
      assert.equal(log.term(index), entry.term, `leader completeness at ${index}`);
    }
  }

  /** What a leader has newly committed is stored by a majority of each half of its configuration. */
  #checkDurable({ node }: SimNode): void {
    const { log, tracker } = node.raft;
    const index = log.committed;
    if (index <= this.#committed) return;
    const term = log.term(index);
    for (const half of [tracker.config.voters.incoming, tracker.config.voters.outgoing]) {
      const holders = this.#nodes.filter(
        ({ id, storage }) =>
          half.includes(id) && (storage.term(index) === term || storage.firstIndex() > index),
      );
      const isEnough = half.length === 0 || holders.length * 2 > half.length;
      assert.ok(isEnough, `entry ${index} is durable on a quorum`);
    }
  }

  #isConverged(leader: RawNode): boolean {
    const { config } = leader.raft.tracker;
    return this.#nodes
      .filter(({ id }) => isVoter(config.voters, id) || config.learners.includes(id))
      .every(({ node }) => node.applied === leader.lastIndex && node.leader === leader.id);
  }
}

function describe(entry: Entry): string {
  return `${entry.term}/${entry.index} ${entry.type} ${Buffer.from(entry.data).toString("hex")}`;
}
