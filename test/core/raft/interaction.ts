// A cluster of RawNodes that the interaction scenarios drive by hand: every Ready, delivery and disk write is a command.
//
// The state machine appends each applied payload to a string; a snapshot is that string. Beyond the commands of etcd's scenarios there are
// (used by our own): `read-index`, `report-snapshot`, `restart`, and `deliver-msgs` with reverse=true, keep=true.

import { confChangeOf } from "../../../src/core/raft/confchange/conf-change.ts";
import {
  type InitialState,
  isLocalTarget,
  isResponseMessage,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryLogStorage,
  type RaftConfig,
  RawNode,
} from "../../../src/core/raft/index.ts";
import { isVoter } from "../../../src/core/raft/quorum/joint.ts";
import {
  ConfChangeTransition,
  type ConfState,
  createConfChange,
  createConfChangeV2,
  createConfState,
  createMessage,
  createSnapshot,
  createSnapshotMetadata,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  ProtoError,
  type Snapshot,
} from "../../../src/proto/index.ts";
import {
  describeEntries,
  describeMessage,
  describeOutcome,
  describeProgress,
  describeReady,
  describeRole,
  messageTypeNamed,
  parseChanges,
} from "./describe.ts";
import { option, type ScenarioStep } from "./scenario-file.ts";

/** Storage whose snapshot is always the newest state of the state machine. */
class HistoryStorage extends MemoryLogStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  get newest(): Snapshot {
    return this.history[this.history.length - 1] as Snapshot;
  }

  override initialState(): InitialState {
    return {
      hardState: super.initialState().hardState,
      confState: this.newest.metadata?.confState ?? createConfState(),
    };
  }

  override snapshot(): Snapshot {
    return this.newest;
  }
}

interface Member {
  readonly id: bigint;
  readonly config: RaftConfig;
  readonly storage: HistoryStorage;
  node: RawNode;
  appendWork: Message[];
  applyWork: Message[];
}

/** Refused by the interpreter, with the text that the scenario expects. */
class CommandError extends Error {}

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];

function payloadOf(entry: Entry): Uint8Array {
  if (entry.type === EntryType.EntryNormal) return entry.data;
  const change = confChangeOf(entry);
  if (change === undefined || change instanceof ProtoError) throw new Error("bad change");
  return change.context;
}

function isLocalDelivery(m: Message): boolean {
  return m.from === m.to || isLocalTarget(m.from) || isLocalTarget(m.to);
}

/** Runs the commands of one interaction scenario. */
export class InteractionEnv {
  readonly #members: Member[] = [];
  #inFlight: Message[] = [];
  #output = "";
  #isQuiet = false;
  /** Draws for the randomised election timeouts, so that a run is the same each time. */
  #draws = 0;

  /** Carries `step` out and gives what it printed, without log lines; `ok` if nothing. */
  run(step: ScenarioStep): string {
    this.#output = "";
    try {
      this.#dispatch(step);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#output += error.message;
    }
    return this.#output === "" ? "ok" : this.#output;
  }

  #print(text: string): void {
    if (!this.#isQuiet) this.#output += text;
  }

  #indented(body: () => void): void {
    const outer = this.#output;
    this.#output = "";
    body();
    const lines = this.#output.replace(/\n$/, "").split("\n");
    const inner = this.#output === "" ? "" : lines.map((line) => `  ${line}\n`).join("");
    this.#output = outer + inner;
  }

  #dispatch(step: ScenarioStep): void {
    const first = step.words[0] ?? "";
    const member = (): Member => this.#member(first);
    switch (step.command) {
      case "add-nodes":
        return this.#addNodes(step);
      case "campaign":
        return member().node.campaign();
      case "compact":
        member().storage.compact(Number(step.words[1]));
        return this.#printLog(member());
      case "deliver-msgs":
        return this.#deliverCommand(step);
      case "forget-leader":
        return member().node.forgetLeader();
      case "log-level":
        return this.#setLevel(first);
      case "process-append-thread":
        return this.#forEach(step, "processing append thread", (m) => this.#processAppend(m));
      case "process-apply-thread":
        return this.#forEach(step, "processing apply thread", (m) => this.#processApply(m));
      case "process-ready":
        return this.#forEach(step, "handling Ready", (m) => this.#processReady(m));
      case "propose":
        return this.#expectOk(member().node.proposePayload(Buffer.from(step.words[1] ?? "")));
      case "propose-conf-change":
        return this.#proposeConfChange(member(), step);
      case "raft-log":
        return this.#printLog(member());
      case "raft-state":
        return this.#printState();
      case "report-unreachable":
        return member().node.reportUnreachable(BigInt(step.words[1] ?? 0));
      case "send-snapshot":
        return this.#sendSnapshot(member(), BigInt(step.words[1] ?? 0));
      case "set-randomized-election-timeout":
        member().node.raft.randomizedElectionTicks = Number(option(step, "timeout"));
        return;
      case "stabilize":
        return this.#stabilizeCommand(step);
      case "status":
        return this.#print(describeProgress(member().node.status().progress));
      case "tick-election":
        return this.#tick(member(), member().config.electionTicks);
      case "tick-heartbeat":
        return this.#tick(member(), member().config.heartbeatTicks);
      case "transfer-leadership": {
        const target = BigInt(option(step, "to") ?? 0);
        this.#member(option(step, "from") ?? "").node.transferLeader(target);
        return;
      }
      default:
        return this.#dispatchOwn(step, member);
    }
  }

  /** Commands that only our own scenarios use. */
  #dispatchOwn(step: ScenarioStep, member: () => Member): void {
    switch (step.command) {
      case "read-index":
        return this.#expectOk(member().node.readIndex(Buffer.from(step.words[1] ?? "")));
      case "report-snapshot":
        return member().node.reportSnapshot(
          BigInt(step.words[1] ?? 0),
          option(step, "status") === "ok",
        );
      case "restart":
        return this.#restart(member());
      default:
        throw new CommandError("unknown command");
    }
  }

  #member(word: string): Member {
    const member = this.#members[Number(word) - 1];
    if (member === undefined) throw new Error(`no node ${word}`);
    return member;
  }

  #expectOk(outcome: Parameters<typeof describeOutcome>[0]): void {
    if (outcome !== "ok") throw new CommandError(describeOutcome(outcome));
  }

  #setLevel(name: string): void {
    const level = LEVELS.indexOf(name.toUpperCase());
    if (level < 0) throw new Error(`unknown level ${name}`);
    this.#isQuiet = level === LEVELS.length - 1;
  }

  #tick(member: Member, count: number): void {
    for (let i = 0; i < count; i++) member.node.tick();
  }

  /** Runs `body` for each named node; with more than one, each under a headline. */
  #forEach(step: ScenarioStep, headline: string, body: (member: Member) => void): void {
    for (const word of step.words) {
      const member = this.#member(word);
      if (step.words.length === 1) body(member);
      else {
        this.#print(`> ${member.id} ${headline}\n`);
        this.#indented(() => body(member));
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------- nodes

  #addNodes(step: ScenarioStep): void {
    const number = (key: string): number | undefined => {
      const value = option(step, key);
      return value === undefined ? undefined : Number(value);
    };
    const flag = (key: string): boolean => option(step, key) === "true";
    const ids = (key: string): bigint[] => (step.options.get(key) ?? []).map(BigInt);
    const index = number("index") ?? 0;
    const confState = createConfState({ voters: ids("voters"), learners: ids("learners") });
    const content = Buffer.from(option(step, "content") ?? "");
    const isBootstrapped = index > 0 || confState.voters.length > 0 || content.length > 0;
    if (isBootstrapped && index <= 1) {
      throw new CommandError("index must be specified as > 1 due to bootstrap");
    }
    const snapshot = createSnapshot({
      data: content,
      metadata: createSnapshotMetadata({ confState, index, term: isBootstrapped ? 1 : 0 }),
    });
    for (let i = 0; i < Number(step.words[0]); i++) {
      const storage = new HistoryStorage(snapshot);
      if (isBootstrapped) storage.applySnapshot(snapshot);
      const id = BigInt(this.#members.length + 1);
      const config: RaftConfig = {
        id,
        storage,
        electionTicks: 3,
        heartbeatTicks: 1,
        randomElectionTicks: (ticks) => ticks + (this.#draws++ % ticks),
        applied: index,
        inflightMessagesMax: number("inflight") ?? Number.MAX_SAFE_INTEGER,
        ...optional("inflightBytesMax", number("max-inflight-bytes")),
        ...optional("messageBytesMax", number("max-size-per-msg")),
        ...optional("committedBytesMax", number("max-committed-size-per-ready")),
        ...optional("uncommittedBytesMax", number("max-uncommitted-size")),
        asyncStorageWrites: flag("async-storage-writes"),
        preVote: flag("prevote"),
        checkQuorum: flag("checkquorum"),
        readOnly: option(step, "read-only") === "lease-based" ? "leaseBased" : "safe",
        disableConfChangeValidation: flag("disable-conf-change-validation"),
        disableProposalForwarding: flag("disable-proposal-forwarding"),
        stepDownOnRemoval: flag("step-down-on-removal"),
      };
      const node = new RawNode(config);
      this.#members.push({ id, config, storage, node, appendWork: [], applyWork: [] });
    }
  }

  /** Starts the node again from what it has stored; what was not stored yet, and its own messages to itself, are gone. */
  #restart(member: Member): void {
    const applied = member.storage.newest.metadata?.index ?? 0;
    member.appendWork = [];
    member.applyWork = [];
    this.#inFlight = this.#inFlight.filter((m) => !(isLocalDelivery(m) && m.to === member.id));
    member.node = new RawNode({ ...member.config, applied });
  }

  #proposeConfChange(member: Member, step: ScenarioStep): void {
    const changes = parseChanges(step.input);
    const [only] = changes;
    if (option(step, "v1") === "true" && only !== undefined) {
      this.#expectOk(member.node.proposeConfChange(createConfChange(only)));
      return;
    }
    const transitions: Readonly<Record<string, number>> = {
      auto: ConfChangeTransition.ConfChangeTransitionAuto,
      implicit: ConfChangeTransition.ConfChangeTransitionJointImplicit,
      explicit: ConfChangeTransition.ConfChangeTransitionJointExplicit,
    };
    const transition = transitions[option(step, "transition") ?? "auto"];
    if (transition === undefined) throw new Error("unknown transition");
    this.#expectOk(member.node.proposeConfChange(createConfChangeV2({ transition, changes })));
  }

  // ----------------------------------------------------------------------------------------------------------- messages

  #deliverCommand(step: ScenarioStep): void {
    const typeName = option(step, "type");
    const type = typeName === undefined ? undefined : messageTypeNamed(typeName);
    let count = 0;
    for (const word of step.words) count += this.#deliver(BigInt(word), type, false, step);
    for (const id of step.options.get("drop") ?? []) {
      count += this.#deliver(BigInt(id), type, true, step);
    }
    if (count === 0) this.#print("no messages\n");
  }

  /** Delivers or drops what is in flight to `id`; local messages are never dropped. */
  #deliver(
    id: bigint,
    type: number | undefined,
    isDrop: boolean,
    step: ScenarioStep | undefined,
  ): number {
    const isMeant = (m: Message): boolean =>
      m.to === id && !(isDrop && isLocalDelivery(m)) && (type === undefined || m.type === type);
    const isKept = step !== undefined && option(step, "keep") === "true";
    let messages = this.#inFlight.filter(isMeant);
    if (isKept) messages = structuredClone(messages);
    else this.#inFlight = this.#inFlight.filter((m) => !isMeant(m));
    if (step !== undefined && option(step, "reverse") === "true") messages.reverse();
    for (const m of messages) {
      this.#print(`${isDrop ? "dropped: " : ""}${describeMessage(m)}\n`);
      if (!isDrop) this.#stepMessage(this.#member(String(id)), m);
    }
    return messages.length;
  }

  #stepMessage({ node, config }: Member, m: Message): void {
    const isOwn = isLocalTarget(m.from) || (m.from === m.to && isResponseMessage(m.type));
    const outcome = isOwn && config.asyncStorageWrites === true ? node.stepLocal(m) : node.step(m);
    // Only a proposal has someone to be told; other messages are dropped in silence.
    if (outcome === "dropped" && m.type !== MessageType.MsgProp) return;
    if (outcome !== "ok") this.#print(`${describeOutcome(outcome)}\n`);
  }

  #sendSnapshot(from: Member, to: bigint): void {
    const m = createMessage({
      type: MessageType.MsgSnap,
      from: from.id,
      to,
      term: from.node.term,
      snapshot: from.storage.snapshot(),
    });
    this.#inFlight.push(m);
    this.#print(describeMessage(m));
  }

  // ------------------------------------------------------------------------------------------------------------ readies

  #processReady(member: Member): void {
    const rd = member.node.ready();
    const isAsync = member.config.asyncStorageWrites === true;
    this.#print(describeReady(rd));
    if (!isAsync) {
      this.#store(member, rd.hardState, rd.entries, rd.snapshot);
      this.#apply(member, rd.committedEntries);
    }
    for (const m of rd.messages) {
      if (m.to === LOCAL_APPEND_THREAD) member.appendWork.push(m);
      else if (m.to === LOCAL_APPLY_THREAD) member.applyWork.push(m);
      else this.#inFlight.push(m);
    }
    if (!isAsync) member.node.advance();
  }

  #processAppend(member: Member): void {
    const m = member.appendWork.shift();
    if (m === undefined) {
      this.#print("no append work to perform");
      return;
    }
    this.#answerStorage(m, () => {
      const isState = m.term !== 0 || m.vote !== 0n || m.commit !== 0;
      this.#store(member, isState ? m : undefined, m.entries, m.snapshot);
    });
  }

  #processApply(member: Member): void {
    const m = member.applyWork.shift();
    if (m === undefined) {
      this.#print("no apply work to perform");
      return;
    }
    this.#answerStorage(m, () => this.#apply(member, m.entries));
  }

  #answerStorage(m: Message, work: () => void): void {
    const { responses } = m;
    m.responses = [];
    this.#print(`Processing:\n${describeMessage(m)}\n`);
    work();
    this.#print("Responses:\n");
    for (const response of responses) this.#print(`${describeMessage(response)}\n`);
    this.#inFlight.push(...responses);
  }

  #store(
    { storage }: Member,
    state: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (state !== undefined) storage.setHardState(state);
    if (snapshot !== undefined && entries.length > 0) {
      throw new CommandError("can't apply snapshot and entries at the same time");
    }
    if (snapshot !== undefined) storage.applySnapshot(snapshot);
    else storage.append(entries);
  }

  #apply({ node, storage }: Member, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { newest } = storage;
      let confState: ConfState | undefined = newest.metadata?.confState;
      const change = confChangeOf(entry);
      if (change !== undefined && !(change instanceof ProtoError)) {
        confState = node.applyConfChange(change);
      }
      const { index, term } = entry;
      storage.history.push(
        createSnapshot({
          data: Buffer.concat([newest.data, payloadOf(entry)]),
          metadata: { confState, index, term },
        }),
      );
    }
  }

  // ---------------------------------------------------------------------------------------------------------- stabilize

  #stabilizeCommand(step: ScenarioStep): void {
    const wasQuiet = this.#isQuiet;
    const level = option(step, "log-level");
    if (level !== undefined) this.#setLevel(level);
    const members =
      step.words.length === 0 ? [...this.#members] : step.words.map((word) => this.#member(word));
    while (this.#stabilizeRound(members));
    this.#isQuiet = wasQuiet;
  }

  /** One pass over Readys, deliveries, append and apply threads; false when there was nothing to do. */
  #stabilizeRound(members: readonly Member[]): boolean {
    let isBusy = false;
    const work = (member: Member, headline: string, body: () => void): void => {
      isBusy = true;
      this.#print(`> ${member.id} ${headline}\n`);
      body();
    };
    for (const m of members) {
      if (!m.node.hasReady()) continue;
      work(m, "handling Ready", () => this.#indented(() => this.#processReady(m)));
    }
    for (const m of members) {
      if (!this.#inFlight.some(({ to }) => to === m.id)) continue;
      const deliver = (): void => void this.#deliver(m.id, undefined, false, undefined);
      work(m, "receiving messages", () => this.#indented(deliver));
    }
    for (const m of members) {
      if (m.appendWork.length === 0) continue;
      work(m, "processing append thread", () => {
        while (m.appendWork.length > 0) this.#indented(() => this.#processAppend(m));
      });
    }
    for (const m of members) {
      if (m.applyWork.length === 0) continue;
      work(m, "processing apply thread", () => {
        while (m.applyWork.length > 0) this.#indented(() => this.#processApply(m));
      });
    }
    return isBusy;
  }

  // -------------------------------------------------------------------------------------------------------------- views

  #printLog({ storage }: Member): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) {
      this.#print(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    this.#print(describeEntries(storage.entries(first, last + 1, Number.POSITIVE_INFINITY) ?? []));
  }

  #printState(): void {
    for (const { node } of this.#members) {
      const { id, role, term, leader, config } = node.status();
      const voter = isVoter(config.voters, id) ? "(Voter)" : "(Non-Voter)";
      this.#print(`${id}: ${describeRole(role)} ${voter} Term:${term} Lead:${leader}\n`);
    }
  }
}

/** `{ [key]: value }`, or nothing when there is no value. */
function optional<K extends string>(key: K, value: number | undefined): { [P in K]?: number } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: number });
}
