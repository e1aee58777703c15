// A watch that outlives connections: events in order, none lost, none twice, across reconnects and endpoints.
//
// Invariant: `#nextRevision` is the first revision whose events were not handed out; a new stream starts there. It is known from
// the moment the server says "created", so that nothing between two streams is missed even if no event has come yet.

import {
  createWatchCreateRequest,
  createWatchRequest,
  type Event,
  EventType,
  FilterType,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from "../proto/index.ts";
import { type CallOptions, type Connection, type Duplex, pause } from "./connection.ts";
import { codeOf, EtcdError, toEtcdError } from "./error.ts";
import { type Key, type KeyRange, type Pair, pairOf, wireRange } from "./key-value.ts";
import { methods } from "./methods.ts";

/** How to watch. */
export interface WatchOptions extends KeyRange, Pick<CallOptions, "metadata"> {
  /** First revision wanted, inclusive; without it, what happens from now on. */
  readonly startRevision?: number;
  /** With each change the pair before it. */
  readonly prevKv?: boolean;
  /** Empty batches now and then, to show how far the watch has come. */
  readonly progressNotify?: boolean;
  /** Events not wanted. */
  readonly without?: "put" | "delete";
}

/** One change. */
export interface WatchEvent {
  readonly type: "put" | "delete";
  /** For a delete only `key` and `modRevision` say something. */
  readonly kv: Pair;
  readonly prevKv: Pair | undefined;
}

/** Changes that came together; all events of a revision are in one batch. */
export interface WatchBatch {
  /** The member's revision when it sent the batch. */
  readonly revision: number;
  /** Empty for a progress report: every later event is newer than `revision`. */
  readonly events: WatchEvent[];
}

/** Batches kept for a reader that is slow; then the stream is read no further, and the server keeps the rest. */
const QUEUED_BATCHES_MAX = 64;

/**
 * A running watch: iterate over it. The iteration ends after `cancel`, and throws EtcdError when the server ends the watch (history
 * compacted, permission denied) or refuses it.
 */
export class Watcher implements AsyncIterable<WatchBatch> {
  readonly #connection: Connection;
  readonly #request: WatchCreateRequest;
  readonly #options: WatchOptions;
  readonly #queue: WatchBatch[] = [];
  /** Resolves with the revision the watch began at, once the server has it; rejects if it never will. */
  readonly created: Promise<number>;
  #createdAt: (revision: number) => void = () => undefined;
  #neverCreated: (error: EtcdError) => void = () => undefined;
  #nextRevision: number;
  #stream: Duplex<WatchRequest, WatchResponse> | undefined;
  #fragments: Event[] = [];
  #cancelled = false;
  #ended = false;
  #error: EtcdError | undefined;
  #wakeReader: () => void = () => undefined;
  #wakePump: () => void = () => undefined;

  constructor(connection: Connection, key: Key, options: WatchOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#nextRevision = options.startRevision ?? 0;
    const filter = options.without === "put" ? FilterType.NOPUT : FilterType.NODELETE;
    this.#request = createWatchCreateRequest({
      ...wireRange(key, options),
      prevKv: options.prevKv ?? false,
      progressNotify: options.progressNotify ?? false,
      filters: options.without === undefined ? [] : [filter],
      fragment: true,
    });
    this.created = new Promise((resolve, reject) => {
      this.#createdAt = resolve;
      this.#neverCreated = reject;
    });
    // Who does not ask for `created` learns of a failure from the iteration.
    this.created.catch(() => undefined);
    void this.#run();
  }

  /** Ends the watch; batches already here can still be read. */
  cancel(): void {
    this.#cancelled = true;
    this.#stream?.cancel();
    this.#wakePump();
  }

  /** Asks the server for a progress report; it answers, with an empty batch, only when the watch is up to date. */
  requestProgress(): void {
    this.#stream?.send(createWatchRequest({ progressRequest: {} }));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchBatch, void, void> {
    try {
      for (;;) {
        const batch = this.#queue.shift();
        if (batch !== undefined) {
          this.#wakePump();
          yield batch;
        } else if (this.#ended) {
          if (this.#error !== undefined) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
      }
    } finally {
      this.cancel();
    }
  }

  async #run(): Promise<void> {
    const forget = this.#connection.onClose(() => this.cancel());
    try {
      for (let attempt = 0; !this.#isOver(); attempt++) {
        if (await this.#runStream()) attempt = 0;
        if (!this.#isOver()) await pause(attempt);
      }
    } catch (failure) {
      this.#error = toEtcdError(failure);
    }
    forget();
    this.#ended = true;
    this.#neverCreated(
      this.#error ?? new EtcdError(codeOf("CANCELLED"), "the watch was cancelled"),
    );
    this.#wakeReader();
  }

  #isOver(): boolean {
    return this.#cancelled || this.#error !== undefined;
  }

  /** Runs one stream to its end. Returns true if it ever worked; throws a failure that a new stream would meet again. */
  async #runStream(): Promise<boolean> {
    const { metadata } = this.#options;
    const opened = await this.#connection.duplex(methods.watch, metadata ? { metadata } : {});
    const stream: Duplex<WatchRequest, WatchResponse> = opened.stream;
    this.#stream = stream;
    this.#fragments = [];
    let worked = false;
    try {
      if (this.#cancelled) return false;
      const createRequest = { ...this.#request, startRevision: this.#nextRevision };
      stream.send(createWatchRequest({ createRequest }));
      for await (const response of stream) {
        worked = true;
        this.#take(response);
        await this.#room();
        if (this.#isOver()) break;
      }
    } catch (failure) {
      const error = toEtcdError(failure);
      if (!this.#cancelled && !mayResume(error)) throw error;
      this.#connection.turnFrom(opened.at);
    } finally {
      stream.cancel();
    }
    return worked;
  }

  #take(response: WatchResponse): void {
    const revision = response.header?.revision ?? 0;
    if (response.canceled) {
      this.#error = cancelError(response);
      return;
    }
    if (response.created) {
      if (this.#nextRevision === 0) this.#nextRevision = revision + 1;
      this.#createdAt(revision);
      return;
    }
    this.#fragments.push(...response.events);
    if (response.fragment) return;
    const events = this.#fragments.map(eventOf);
    this.#fragments = [];
    const last = events.at(-1);
    // A report promises that everything up to its revision was seen; events promise that only of their own.
    const seen = last === undefined ? revision : last.kv.modRevision;
    this.#nextRevision = Math.max(this.#nextRevision, seen + 1);
    this.#queue.push({ revision, events });
    this.#wakeReader();
  }

  /** Waits while the reader is too far behind. */
  async #room(): Promise<void> {
    while (this.#queue.length >= QUEUED_BATCHES_MAX && !this.#cancelled) {
      await new Promise<void>((resolve) => {
        this.#wakePump = resolve;
      });
    }
  }
}

function eventOf(event: Event): WatchEvent {
  const { kv, prevKv } = event;
  if (kv === undefined) throw new EtcdError(codeOf("INTERNAL"), "a watch event without a key");
  return {
    type: event.type === EventType.DELETE ? "delete" : "put",
    kv: pairOf(kv),
    prevKv: prevKv && pairOf(prevKv),
  };
}

/** What the server's end of a watch means. */
function cancelError(response: WatchResponse): EtcdError {
  const { compactRevision, cancelReason } = response;
  const compacted = "etcdserver: mvcc: required revision has been compacted";
  if (compactRevision !== 0 || cancelReason === compacted) {
    return new EtcdError(codeOf("OUT_OF_RANGE"), compacted, { compactRevision });
  }
  return new EtcdError(
    codeOf("CANCELLED"),
    cancelReason === "" ? "etcdserver: watch canceled" : cancelReason,
  );
}

/** True if a new stream may go on where the old one ended. */
function mayResume(error: EtcdError): boolean {
  // INTERNAL: how a stream ends whose connection was cut. CANCELLED: the server or a proxy went away in good order.
  return ["UNAVAILABLE", "INTERNAL", "CANCELLED"].includes(error.codeName);
}
