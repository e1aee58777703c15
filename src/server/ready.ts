// The only file that orders persist, send, apply and advance.
//
// Raft runs with asynchronous storage writes: its Ready holds messages to the network, to the append thread (our WAL) and to the apply
// thread (our applier). The rules, each marked at its line below:
//   R1  A message to another member leaves at once: a leader may replicate before its own write is durable (thesis 10.2.1), and whatever
//       must wait for the disk (votes, append answers) Raft itself puts into the responses of a storage message.
//   R2  One WAL write at a time; what gathers meanwhile is one write. Its responses go out only after it is durable.
//   R3  The next write starts before the entries of the finished one are applied: disk and processor work at the same time.
//   R4  Entries are applied in log order, and only those that Raft gives to the apply thread, which are durable here already.
//   R5  A failed write is never answered: the WAL reports it as fatal, `done` does not come, and nothing below it happens.
// Source: etcd raft doc.go "Usage with Asynchronous Storage Writes", etcd server/etcdserver/raft.go.

import { assert } from "../base/index.ts";
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type MemoryLogStorage,
  type RawNode,
  type Ready,
} from "../core/raft/index.ts";
import type { Entry, HardState, Message } from "../proto/index.ts";
import type { Clock, Wal, WalSnapshot } from "./ports.ts";

/** What the order needs of the rest of the member. */
export interface ReadyHost {
  /** Applies committed entries in order; runs to completion. */
  apply(entries: readonly Entry[]): void;
  /** Sends to another member; never blocks. */
  send(message: Message): void;
  onReadState(index: number, context: Uint8Array): void;
  /** The leader or the own role changed. */
  onSoftState(leader: bigint): void;
  /** A write of the WAL that had to be durable is; it took this long. */
  onSynced(tookMs: number): void;
  /** Hands waiting proposals to Raft and calls `run`, now. */
  pump(): void;
  /** The same at the end of this turn. */
  pumpLater(): void;
}

/** Work for the append thread that is queued or on the disk. */
interface AppendBatch {
  state: HardState | undefined;
  /** As they came; a later list may replace the tail of an earlier one. */
  readonly lists: Entry[][];
  mustSync: boolean;
  responses: Message[];
}

/** Applies at most this many messages (each limited by Raft's own bytes limit) before the turn ends: replay must not block the loop. */
const APPLY_BATCHES_PER_TURN_MAX = 4;

/** Drives one Raft node against the WAL and the applier. */
export class ReadyLoop {
  readonly #node: RawNode;
  readonly #log: MemoryLogStorage;
  readonly #wal: Wal;
  readonly #host: ReadyHost;
  readonly #clock: Pick<Clock, "nowMs">;
  #batch: AppendBatch | undefined;
  #saving = false;
  readonly #applying: Message[] = [];
  #snapshots: { snapshot: WalSnapshot; done: () => void }[] = [];
  #running = false;
  #stopped = false;
  #hardState: HardState;

  constructor(
    node: RawNode,
    log: MemoryLogStorage,
    wal: Wal,
    hardState: HardState,
    clock: Pick<Clock, "nowMs">,
    host: ReadyHost,
  ) {
    this.#node = node;
    this.#log = log;
    this.#wal = wal;
    this.#hardState = hardState;
    this.#clock = clock;
    this.#host = host;
  }

  /** True while a write is on its way to the disk. */
  get saving(): boolean {
    return this.#saving;
  }

  /** Writes a snapshot record between two batches; the `.snap` file must be durable already. */
  saveSnapshot(snapshot: WalSnapshot, done: () => void): void {
    this.#snapshots.push({ snapshot, done });
    this.#startWrite();
  }

  /** No further write, apply or message. */
  stop(): void {
    this.#stopped = true;
  }

  /** Does everything that can be done now. Cheap when there is nothing. */
  run(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    let applied = 0;
    for (;;) {
      while (this.#node.hasReady()) this.#take(this.#node.ready());
      this.#startWrite(); // R3: before applying
      const message = this.#applying[0];
      if (message === undefined) break;
      if (applied === APPLY_BATCHES_PER_TURN_MAX) {
        this.#host.pumpLater();
        break;
      }
      this.#applying.shift();
      this.#host.apply(message.entries);
      for (const response of message.responses) this.#deliver(response);
      applied++;
    }
    this.#running = false;
  }

  #take(ready: Ready): void {
    if (ready.softState !== undefined) this.#host.onSoftState(ready.softState.leader);
    for (const state of ready.readStates) this.#host.onReadState(state.index, state.context);
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) this.#queueAppend(message);
      else if (message.to === LOCAL_APPLY_THREAD)
        this.#applying.push(message); // R4
      else this.#host.send(message); // R1
    }
  }

  #queueAppend(message: Message): void {
    assert(message.snapshot === undefined, "a single member is never sent a snapshot");
    const batch = (this.#batch ??= {
      state: undefined,
      lists: [],
      mustSync: false,
      responses: [],
    });
    // A storage message carries a hard state if it has a term.
    if (message.term > 0) {
      const state = { term: message.term, vote: message.vote, commit: message.commit };
      if (state.term !== this.#hardState.term || state.vote !== this.#hardState.vote)
        batch.mustSync = true;
      this.#hardState = state;
      batch.state = state;
    }
    if (message.entries.length > 0) {
      batch.mustSync = true;
      batch.lists.push(message.entries);
    }
    if (batch.responses.length === 0) batch.responses = message.responses;
    else batch.responses = batch.responses.concat(message.responses);
  }

  #startWrite(): void {
    if (this.#saving || this.#stopped) return; // R2: one at a time
    const snapshot = this.#snapshots.shift();
    if (snapshot !== undefined) {
      this.#saving = true;
      this.#wal.saveSnapshot(snapshot.snapshot, () => {
        this.#saving = false;
        snapshot.done();
        this.#goOn();
      });
      return;
    }
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.#saving = true;
    const { state, lists, mustSync } = batch;
    const entries = lists.length === 1 ? (lists[0] ?? []) : lists.flat();
    const startedMs = mustSync ? this.#clock.nowMs() : 0;
    this.#wal.save(state, entries, mustSync, () => {
      if (mustSync) this.#host.onSynced(this.#clock.nowMs() - startedMs);
      this.#written(batch);
    }); // R5
  }

  #written(batch: AppendBatch): void {
    this.#saving = false;
    if (this.#stopped) return;
    for (const entries of batch.lists) this.#log.append(entries);
    if (batch.state !== undefined) this.#log.setHardState(batch.state);
    for (const response of batch.responses) this.#deliver(response); // R2: durable now
    this.#goOn();
  }

  /** The disk is free. A member that stops pumps no more, but waits for the snapshot record that is queued here. */
  #goOn(): void {
    this.#host.pump();
    if (this.#snapshots.length > 0) this.#startWrite();
  }

  #deliver(message: Message): void {
    if (message.to === this.#node.id) this.#node.stepLocal(message);
    else this.#host.send(message);
  }
}
