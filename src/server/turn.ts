// The turn: proposals of one turn of the event loop gather here and go to Raft together; their callers wait here for the applier.
//
// Invariants: a proposal is either queued, in the log (a place was given), or answered, exactly one of them; the proposals in the log
// are kept in log order, so the applier finds the caller of an entry at the head of a queue, without a look-up.
// The first proposal of a turn arms one end-of-turn callback. While Raft has no leader the queue waits, until the request timeout.

import type { Clock } from "./ports.ts";
import type { Proposal } from "./proposal.ts";
import type { Refusal } from "./refusal.ts";

/** Proposals handed to Raft at once; bounds the time one turn takes (about 3 us each) and thereby everybody's latency. */
export const BATCH_PROPOSALS_MAX = 2000;
/** Bytes of entries handed to Raft at once: one WAL write of at most a few milliseconds. */
export const BATCH_BYTES_MAX: number = 4 << 20;
/** Proposals that may wait for their turn; beyond, clients get "too many requests". */
export const QUEUE_PROPOSALS_MAX = 100_000;
/** Bytes of entries that may wait for their turn. */
export const QUEUE_BYTES_MAX: number = 256 << 20;
/** Proposals in the log and not yet applied; etcd's limit of the gap between commit and apply, counted in requests. */
export const IN_LOG_PROPOSALS_MAX = 20_000;

/** Where a batch of proposals goes. */
export interface ProposalSink {
  /**
   * Appends to the log; returns the index and term given to the first one, `"noLeader"` to keep them waiting, or `"dropped"` if
   * Raft refuses them.
   */
  accept(batch: readonly Proposal[]): { index: number; term: number } | "noLeader" | "dropped";
  /** True while no proposal may be taken (the backend is too far behind). */
  isBlocked(): boolean;
}

/** The proposals of one member. */
export class Turn {
  readonly #clock: Clock;
  readonly #sink: ProposalSink;
  readonly #timeoutMs: number;
  readonly #pump: () => void;
  /** Waiting to go to Raft, oldest first, from `#queueHead`. */
  #queue: Proposal[] = [];
  #queueHead = 0;
  #queueBytes = 0;
  /** In the log, by place, from `#inLogHead`. */
  #inLog: Proposal[] = [];
  #inLogHead = 0;
  /** Lost their place in the log to another leader's entries: only the timeout can answer them. */
  #orphans: Proposal[] = [];
  #armed = false;
  /** Clock time at which the end of this turn was armed. */
  #turnMs = 0;
  #stopped = false;

  /** `pump` is called at the end of each turn in which something was proposed; it calls `handOver`. */
  constructor(clock: Clock, sink: ProposalSink, timeoutMs: number, pump: () => void) {
    this.#clock = clock;
    this.#sink = sink;
    this.#timeoutMs = timeoutMs;
    this.#pump = pump;
  }

  /** The time for what begins now, in milliseconds; one look at the clock serves all proposals of a turn. */
  nowMs(): number {
    return this.#armed ? this.#turnMs : this.#clock.nowMs();
  }

  /** Proposals taken and not yet applied or answered. */
  get pending(): number {
    return this.#queue.length - this.#queueHead + this.#inLog.length - this.#inLogHead;
  }

  /** Takes a proposal; its waiter hears of it later, unless it is refused at once by return value. */
  submit(proposal: Proposal): Refusal | undefined {
    if (this.#stopped) return "stopped";
    const waiting = this.#queue.length - this.#queueHead;
    if (waiting >= QUEUE_PROPOSALS_MAX || this.#queueBytes >= QUEUE_BYTES_MAX)
      return "tooManyRequests";
    this.#queue.push(proposal);
    this.#queueBytes += proposal.entryBytes.length;
    this.arm();
    return undefined;
  }

  /** Pumps at the end of this turn. */
  arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#turnMs = this.#clock.nowMs();
    this.#clock.endOfTurn(() => {
      this.#armed = false;
      this.#pump();
    });
  }

  /** Hands over as much of the queue as the limits allow. */
  handOver(): void {
    while (this.#queueHead < this.#queue.length) {
      if (this.#sink.isBlocked() || this.#inLog.length - this.#inLogHead >= IN_LOG_PROPOSALS_MAX)
        return;
      const batch = this.#peekBatch();
      const place = this.#sink.accept(batch);
      if (place === "noLeader") return;
      this.#dropFromQueue(batch.length);
      if (place === "dropped") {
        for (const proposal of batch) proposal.refuse("proposalDropped");
        continue;
      }
      for (let i = 0; i < batch.length; i++) {
        const proposal = batch[i] as Proposal;
        proposal.index = place.index + i;
        proposal.term = place.term;
        this.#inLog.push(proposal);
      }
    }
  }

  /**
   * The proposal of the entry at (`index`, `term`), if it is one of this member's. Entries are asked for in log order, each once;
   * proposals passed over were replaced in the log.
   */
  takeAt(index: number, term: number): Proposal | undefined {
    for (;;) {
      const proposal = this.#inLog[this.#inLogHead];
      if (proposal === undefined || proposal.index > index) return undefined;
      this.#inLogHead++;
      if (this.#inLogHead > 4096 && this.#inLogHead * 2 > this.#inLog.length) {
        this.#inLog = this.#inLog.slice(this.#inLogHead);
        this.#inLogHead = 0;
      } else if (this.#inLogHead === this.#inLog.length) {
        this.#inLog.length = 0;
        this.#inLogHead = 0;
      }
      if (proposal.index === index && proposal.term === term) return proposal;
      this.#orphans.push(proposal);
    }
  }

  /** Answers what has waited longer than the request timeout. Called at every tick; costs only what is late. */
  tick(nowMs: number): void {
    const deadline = nowMs - this.#timeoutMs;
    let late = 0;
    while ((this.#queue[this.#queueHead + late]?.startedMs ?? nowMs) <= deadline) late++;
    if (late > 0) {
      const proposals = this.#queue.slice(this.#queueHead, this.#queueHead + late);
      this.#dropFromQueue(late);
      for (const proposal of proposals) proposal.refuse("contextDeadline");
    }
    // What is in the log keeps its place so that its entry still finds it; only its caller is told.
    for (let i = this.#inLogHead; i < this.#inLog.length; i++) {
      const proposal = this.#inLog[i] as Proposal;
      if (proposal.startedMs > deadline) break;
      proposal.refuse("timeout");
    }
    while ((this.#orphans[0]?.startedMs ?? nowMs) <= deadline)
      this.#orphans.shift()?.refuse("timeout");
  }

  /** Refuses everybody. */
  stop(): void {
    this.#stopped = true;
    const all = [
      ...this.#orphans,
      ...this.#inLog.slice(this.#inLogHead),
      ...this.#queue.slice(this.#queueHead),
    ];
    this.#orphans = [];
    this.#inLog = [];
    this.#inLogHead = 0;
    this.#dropFromQueue(this.#queue.length - this.#queueHead);
    for (const proposal of all) proposal.refuse("stopped");
  }

  #peekBatch(): Proposal[] {
    let bytes = 0;
    let to = this.#queueHead;
    const last = Math.min(this.#queue.length, to + BATCH_PROPOSALS_MAX);
    do {
      bytes += (this.#queue[to] as Proposal).entryBytes.length;
      to++;
    } while (to < last && bytes < BATCH_BYTES_MAX);
    return this.#queue.slice(this.#queueHead, to);
  }

  #dropFromQueue(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#queueBytes -= (this.#queue[this.#queueHead + i] as Proposal).entryBytes.length;
    }
    this.#queueHead += count;
    if (this.#queueHead === this.#queue.length) {
      this.#queue = [];
      this.#queueHead = 0;
    }
  }
}
