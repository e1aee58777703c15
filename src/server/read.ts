// Linearizable reads: all readers that arrive while a round is under way share the next one.
//
// A round asks Raft for a read index (8-byte big-endian request id), again with a new id every RETRY_MS and at the first commit of a
// term; any of its ids answers it. Readers are released once applied >= read index. On a single-voter leader everything
// acknowledged is applied, so the read index is the applied index and the reader goes on in the same turn.
// Source: Raft thesis 6.4; etcd server/etcdserver/read.

import type { Clock } from "./ports.ts";
import type { Refusal } from "./refusal.ts";
import type { RequestIds } from "./request-id.ts";

/** Resend period of an unanswered round, in milliseconds. */
const RETRY_MS = 500;

/** Who waits to read; exactly one of the two is called, once. */
export interface Reader {
  onReadable(): void;
  onRefused(refusal: Refusal): void;
}

/** What reads need to know of Raft. */
export interface ReadSource {
  /** True if this member may answer from its applied state at once: leader, only voter, has committed in its term, has applied it. */
  canReadNow(): boolean;
  appliedIndex(): number;
  /** Asks Raft; the answer comes to `onReadState`. */
  requestReadIndex(context: Uint8Array): void;
}

interface Waiting {
  readonly reader: Reader;
  readonly startedMs: number;
}

interface Round {
  readonly contexts: Set<string>;
  readonly waiting: Waiting[];
  sentMs: number;
}

/** All readers of one member. Everything happens in the turn; `tick` gives it time. */
export class LinearizableReads {
  readonly #source: ReadSource;
  readonly #clock: Clock;
  readonly #ids: RequestIds;
  readonly #timeoutMs: number;
  #next: Waiting[] = [];
  #round: Round | undefined;
  /** Rounds that have their index and wait for the applier, ascending by index. */
  #confirmed: { index: number; waiting: Waiting[] }[] = [];
  #armed = false;
  #stopped = false;

  /** `timeoutMs`: the request timeout of the member. */
  constructor(source: ReadSource, clock: Clock, ids: RequestIds, timeoutMs: number) {
    this.#source = source;
    this.#clock = clock;
    this.#ids = ids;
    this.#timeoutMs = timeoutMs;
  }

  /** Calls `reader` when a read of the applied state is linearizable; on a single member before it returns. */
  wait(reader: Reader): void {
    if (this.#stopped) {
      reader.onRefused("stopped");
      return;
    }
    if (this.#source.canReadNow()) {
      reader.onReadable();
      return;
    }
    this.#next.push({ reader, startedMs: this.#clock.nowMs() });
    this.#arm();
  }

  /** Raft answered a read index request. Unknown contexts (of rounds already answered) are ignored. */
  onReadState(index: number, context: Uint8Array): void {
    const round = this.#round;
    if (round === undefined || !round.contexts.has(contextKey(context))) return;
    this.#round = undefined;
    this.#confirmed.push({ index, waiting: round.waiting });
    this.onApplied(this.#source.appliedIndex());
    if (this.#next.length > 0) this.#arm();
  }

  /** The applier reached `index`. */
  onApplied(index: number): void {
    while (this.#confirmed.length > 0 && (this.#confirmed[0]?.index ?? 0) <= index) {
      const released = this.#confirmed.shift()?.waiting ?? [];
      for (const { reader } of released) reader.onReadable();
    }
  }

  /** The leader is another one: the round in flight is void. */
  onLeaderChange(): void {
    const round = this.#round;
    this.#round = undefined;
    for (const { reader } of round?.waiting ?? []) reader.onRefused("leaderChanged");
    if (this.#next.length > 0) this.#arm();
  }

  /** The first entry of a term was committed: questions asked before it may have been dropped. */
  onFirstCommitInTerm(): void {
    if (this.#round !== undefined) this.#send(this.#round);
  }

  /** Resends and times out; called at every Raft tick. */
  tick(nowMs: number): void {
    const round = this.#round;
    if (round === undefined) return;
    let late = 0;
    while (late < round.waiting.length && this.#isLate(round.waiting[late], nowMs)) late++;
    for (const { reader } of round.waiting.splice(0, late)) reader.onRefused("timeout");
    if (round.waiting.length === 0) {
      this.#round = undefined;
      if (this.#next.length > 0) this.#arm();
    } else if (nowMs - round.sentMs >= RETRY_MS) this.#send(round);
  }

  /** Refuses everybody who waits, and all who come; the member stops. */
  stop(): void {
    this.#stopped = true;
    const waiting = [...this.#confirmed.flatMap((c) => c.waiting), ...(this.#round?.waiting ?? [])];
    waiting.push(...this.#next);
    this.#confirmed = [];
    this.#round = undefined;
    this.#next = [];
    for (const { reader } of waiting) reader.onRefused("stopped");
  }

  #isLate(waiting: Waiting | undefined, nowMs: number): boolean {
    return waiting !== undefined && nowMs - waiting.startedMs >= this.#timeoutMs;
  }

  #arm(): void {
    if (this.#armed || this.#round !== undefined) return;
    this.#armed = true;
    this.#clock.endOfTurn(() => {
      this.#armed = false;
      if (this.#round !== undefined || this.#next.length === 0) return;
      this.#round = { contexts: new Set(), waiting: this.#next, sentMs: 0 };
      this.#next = [];
      this.#send(this.#round);
    });
  }

  #send(round: Round): void {
    const context = Buffer.allocUnsafe(8);
    context.writeBigUInt64BE(this.#ids.next());
    round.contexts.add(contextKey(context));
    round.sentMs = this.#clock.nowMs();
    this.#source.requestReadIndex(context);
  }
}

function contextKey(context: Uint8Array): string {
  return Buffer.from(context).toString("latin1");
}
