// The Watch service: any number of watchers over one call. The hub decides who gets what and when; this file numbers watchers, answers
// the client's requests and lets the hub know when the call cannot take more.
// Invariants: `created` precedes every event of its watcher; after `canceled` there is none; a call that does not drain holds at most
// BUFFERED_BYTES_MAX and one batch, further events stay in the store's rows.
// Source: etcd server/etcdserver/api/v3rpc/watch.go.

import type { EventBatch, Watcher, WatchSink } from "../../core/mvcc/index.ts";
import {
  createWatchResponse,
  decodeWatchRequest,
  FilterType,
  ProtoError,
  type WatchCreateRequest,
  type WatchResponse,
  WatchResponseCodec,
} from "../../proto/index.ts";
import type { Cancel, ServerCall } from "../../server/index.ts";
import type { RpcContext, Service } from "./context.ts";
import { EventsEncoder } from "./watch-response.ts";

/** Bytes a call may have waiting before its watchers are left to catch up later. */
const BUFFERED_BYTES_MAX = 1 << 20;
/** Watch id of responses that concern no watcher. */
const NO_WATCH_ID = -1;
/** etcd's default of the progress interval, and its smallest value, in milliseconds. */
const PROGRESS_MS_DEFAULT = 10 * 60_000;
const PROGRESS_MS_MIN = 100;

/** Settings of the Watch service. */
export interface WatchOptions {
  /** Responses of watchers that ask for fragments are split at this size. */
  readonly fragmentBytesMax: number;
  /** Interval of periodic progress; 0 for etcd's default. */
  readonly progressNotifyMs: number;
  /** Uniform over [0, 1); spreads the progress of many calls. */
  readonly random: () => number;
}

/** Handlers of the Watch service. */
export function watchService(context: RpcContext, options: WatchOptions): Service {
  return {
    Watch(call) {
      new WatchCall(context, call, options).open();
    },
  };
}

/** One watcher of a call. */
class CallWatcher implements WatchSink {
  readonly id: number;
  readonly wantsProgress: boolean;
  readonly #fragment: boolean;
  readonly #owner: WatchCall;
  readonly #encoder: EventsEncoder;
  watcher: Watcher | undefined;
  /** Got events since the last tick of periodic progress. */
  active = false;

  constructor(owner: WatchCall, id: number, request: WatchCreateRequest, encoder: EventsEncoder) {
    this.#owner = owner;
    this.id = id;
    this.wantsProgress = request.progressNotify;
    this.#fragment = request.fragment;
    this.#encoder = encoder;
  }

  onEvents(watcher: Watcher, batch: EventBatch): boolean {
    const { call, options } = this.#owner;
    if (call.bufferedBytes > BUFFERED_BYTES_MAX) {
      this.#owner.victims.push(watcher);
      return false;
    }
    this.active = true;
    this.#owner.countEvents(batch.eventCount);
    const encoder = this.#encoder;
    if (!this.#fragment) {
      call.send(encoder, { watchId: this.id, batch, fragment: false });
      return true;
    }
    const parts = batch.fragments(encoder.restBytes(batch), options.fragmentBytesMax);
    parts.forEach((part, i) => {
      call.send(encoder, { watchId: this.id, batch: part, fragment: i < parts.length - 1 });
    });
    return true;
  }

  onCompacted(_watcher: Watcher, compactRevision: number): boolean {
    this.#owner.send({ watchId: this.id, canceled: true, compactRevision }, 0);
    return true;
  }
}

/** One Watch call. */
class WatchCall {
  readonly call: ServerCall;
  readonly options: WatchOptions;
  /** Watchers whose events were not taken; they go on when the call has drained. */
  victims: Watcher[] = [];
  readonly #context: RpcContext;
  /** By id; one that compaction cancelled stays until the client cancels it too. */
  readonly #watchers: Map<number, CallWatcher> = new Map();
  #forgetStop: () => void = () => {};
  #nextId = 0;
  #isOpen = false;
  #cancelProgress: Cancel | undefined;

  constructor(context: RpcContext, call: ServerCall, options: WatchOptions) {
    this.#context = context;
    this.call = call;
    this.options = options;
  }

  /** Begins to answer. */
  open(): void {
    const { call } = this;
    const { watches, metrics } = this.#context.member;
    this.#isOpen = true;
    metrics.mvcc.watchStreams.inc();
    this.#forgetStop = watches.whenStopped(() => {
      this.#close();
      this.#context.refuse(call, "stopped");
    });
    call.onMessage = (buf, start, end) => this.#onRequest(buf, start, end);
    call.onCancel = () => this.#close();
    call.onDrain = () => {
      const waiting = this.victims;
      this.victims = [];
      for (const watcher of waiting) watches.hub.resume(watcher);
      watches.wake();
    };
  }

  /** Counts events sent. */
  countEvents(count: number): void {
    this.#context.member.metrics.mvcc.events.add(count);
  }

  /** Sends a response without events. */
  send(fields: Partial<WatchResponse>, revision: number): void {
    const header = this.#context.header(revision);
    this.call.send(WatchResponseCodec, createWatchResponse({ ...fields, header }));
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#context.member.metrics.mvcc.watchStreams.dec();
    this.#forgetStop();
    this.#cancelProgress?.();
    const { hub } = this.#context.member.watches;
    for (const { watcher } of this.#watchers.values()) {
      if (watcher !== undefined) hub.cancel(watcher);
    }
    this.#watchers.clear();
    this.victims = [];
  }

  #onRequest(buf: Uint8Array, start: number, end: number): void {
    const request = decodeWatchRequest(buf, start, end);
    if (request instanceof ProtoError) {
      this.#close();
      this.#context.undecodableInStream(this.call, request);
    } else if (request.createRequest !== undefined) this.#create(request.createRequest);
    else if (request.cancelRequest !== undefined) this.#cancel(request.cancelRequest.watchId);
    else if (request.progressRequest !== undefined) this.#progress();
  }

  #create(request: WatchCreateRequest): void {
    const { member } = this.#context;
    const id = request.watchId === 0 ? this.#freeId() : request.watchId;
    const entry = new CallWatcher(this, id, request, new EventsEncoder(member.header, id));
    const watcher = member.watches.hub.watch(
      {
        key: request.key,
        rangeEnd: request.rangeEnd,
        startRevision: request.startRevision,
        noPut: request.filters.includes(FilterType.NOPUT),
        noDelete: request.filters.includes(FilterType.NODELETE),
        prevKv: request.prevKv,
      },
      entry,
    );
    if (watcher === "compacted") {
      return this.#refuse("etcdserver: mvcc: required revision has been compacted");
    }
    if (watcher === "emptyRange") return this.#refuse("mvcc: watcher range is empty");
    if (this.#watchers.has(id)) {
      member.watches.hub.cancel(watcher);
      return this.#refuse("mvcc: duplicate watch ID provided on the WatchStream");
    }
    if (request.watchId === 0) this.#nextId = id + 1;
    entry.watcher = watcher;
    this.#watchers.set(id, entry);
    this.send({ watchId: id, created: true }, member.currentRevision);
    if (entry.wantsProgress && this.#cancelProgress === undefined) this.#startProgress();
    return member.watches.wake();
  }

  #freeId(): number {
    let id = this.#nextId;
    while (this.#watchers.has(id)) id++;
    return id;
  }

  #refuse(cancelReason: string): void {
    const fields = { watchId: NO_WATCH_ID, created: true, canceled: true, cancelReason };
    this.send(fields, this.#context.member.currentRevision);
  }

  #cancel(id: number): void {
    const entry = this.#watchers.get(id);
    if (entry?.watcher === undefined) return;
    this.#watchers.delete(id);
    this.#context.member.watches.hub.cancel(entry.watcher);
    this.send({ watchId: id, canceled: true }, this.#context.member.currentRevision);
  }

  /** Answers a progress request if every watcher has everything; otherwise it is dropped. */
  #progress(): void {
    const watchers: Watcher[] = [];
    for (const { watcher } of this.#watchers.values())
      if (watcher !== undefined) watchers.push(watcher);
    const revision = this.#context.member.watches.hub.progress(watchers);
    if (revision !== undefined) this.send({ watchId: NO_WATCH_ID }, revision);
  }

  #startProgress(): void {
    const wanted = this.options.progressNotifyMs || PROGRESS_MS_DEFAULT;
    const periodMs = Math.max(PROGRESS_MS_MIN, wanted) * (1 + this.options.random() / 10);
    const { clock, watches } = this.#context.member;
    this.#cancelProgress = clock.after(periodMs, () => {
      for (const entry of this.#watchers.values()) {
        if (!entry.wantsProgress || entry.watcher === undefined) continue;
        const revision = entry.active ? undefined : watches.hub.progress([entry.watcher]);
        entry.active = false;
        if (revision !== undefined) this.send({ watchId: entry.id }, revision);
      }
      this.#startProgress();
    });
  }
}
