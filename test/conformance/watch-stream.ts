// One watch stream of one server: creates and cancels watchers, waits for them, and keeps what they were sent, by watcher.
//
// etcd orders the responses of one watcher, not those of two, so they are compared watcher by watcher, header included. Where one
// response ends and the next begins is compared as far as etcd determines it:
//   whole       a watcher caught up before the next write: responses as they are
//   by revision a watcher that follows the store: one response per revision, unless its connection was slow; then a response may hold
//               several, with a header ahead of them, and is taken apart into the responses it stands for
//   events      a watcher that catches up while writes go on: where a response ends depends on time, so events are compared
// The rules every grouping obeys are checked on each server alone.

import { setTimeout as sleep } from "node:timers/promises";
import type { BidiCall, GrpcClient } from "../support/grpc-client.ts";
import {
  intOf,
  messageOf,
  messagesOf,
  renderWire,
  type WireMessage,
  wireSchema,
} from "../support/wire-schema.ts";
import { canonical } from "./canonical.ts";

const watchPath = "/etcdserverpb.Watch/Watch";
const requestType = "etcdserverpb.WatchRequest";
const responseType = "etcdserverpb.WatchResponse";

/** Watch id of the fence, above those a run picks. */
const fenceId = "5000000";

/** How long a server may take to answer a watch request. */
const answerMsMax = 10_000;
/** How long to wait for a progress answer before asking again: etcd drops a request that comes while a watcher catches up. */
const progressRetryMs = 120;

function isProgress(response: WireMessage): boolean {
  return (
    intOf(response, "created") === 0n &&
    intOf(response, "canceled") === 0n &&
    intOf(response, "compact_revision") === 0n &&
    messagesOf(response, "events").length === 0
  );
}

/** How responses with events are compared; see the head of this file. */
export type Grouping = "whole" | "by revision" | "events";

/** The responses, one per revision, that a response with several revisions stands for. */
function byRevision(response: WireMessage): WireMessage[] {
  const parts = new Map<bigint, WireMessage>();
  for (const event of messagesOf(response, "events")) {
    const revision = intOf(messageOf(event, "kv"), "mod_revision");
    const part = parts.get(revision);
    const fields = part?.fields ?? response.fields.filter((f) => f.name !== "events");
    parts.set(revision, {
      type: response.type,
      fields: [...fields, { name: "events", value: event }],
    });
  }
  return [...parts].map(([revision, part]) => ({
    type: part.type,
    fields: part.fields
      .filter((f) => parts.size === 1 || f.name !== "fragment")
      .map((f) =>
        f.name === "header" && typeof f.value === "object" && "fields" in f.value
          ? { name: f.name, value: withRevision(f.value, revision) }
          : f,
      ),
  }));
}

function withRevision(header: WireMessage, revision: bigint): WireMessage {
  const fields = header.fields.map((f) =>
    f.name === "revision" ? { name: f.name, value: revision } : f,
  );
  return { type: header.type, fields };
}

/** A watch stream, opened by the first request and again after the server has ended it. */
export class WatchStream {
  readonly #client: GrpcClient;
  #grouping: Grouping;
  readonly #memberId: () => bigint;
  #call: BidiCall | undefined;
  /** Lines by watch id, in order of arrival, since the last `forget`. */
  readonly #lines = new Map<string, string[]>();
  /** Newest mod_revision sent to a watcher, and whether its response said that a fragment follows. */
  readonly #last = new Map<string, { revision: bigint; isFragment: boolean }>();
  readonly #active = new Set<string>();
  #created = 0;
  #progress: bigint | undefined;

  constructor(client: GrpcClient, grouping: Grouping, memberId: () => bigint) {
    this.#client = client;
    this.#grouping = grouping;
    this.#memberId = memberId;
  }

  #open(): BidiCall {
    if (this.#call !== undefined && this.#call.ended === undefined) return this.#call;
    const call = this.#client.bidi(watchPath);
    call.onMessage = (bytes) => this.#receive(wireSchema().decode(responseType, bytes));
    void call.outcome().then((end) => {
      this.#active.clear();
      if (this.#call === call) this.#line("stream", `ended: ${end.code} ${end.details}`);
    });
    this.#call = call;
    return call;
  }

  #line(id: string, text: string): void {
    const lines = this.#lines.get(id);
    if (lines === undefined) this.#lines.set(id, [text]);
    else lines.push(text);
  }

  #receive(response: WireMessage): void {
    if (isProgress(response)) {
      this.#progress = intOf(messageOf(response, "header"), "revision");
      return;
    }
    const id = String(intOf(response, "watch_id"));
    if (intOf(response, "created") !== 0n) {
      this.#created++;
      this.#last.delete(id);
      if (intOf(response, "canceled") === 0n) this.#active.add(id);
    } else if (intOf(response, "canceled") !== 0n) {
      this.#active.delete(id);
    }
    this.#checkGrouping(id, response);
    const shown = canonical(response, this.#memberId());
    const events = messagesOf(shown, "events");
    const parts =
      events.length === 0 || this.#grouping === "whole"
        ? [shown]
        : this.#grouping === "events"
          ? events
          : byRevision(shown);
    for (const part of parts) this.#line(id, renderWire(part));
  }

  /** The rules every response keeps, on both servers: revisions rise, none is split, the header is not behind the events. */
  #checkGrouping(id: string, response: WireMessage): void {
    const revisions = messagesOf(response, "events").map((e) =>
      intOf(messageOf(e, "kv"), "mod_revision"),
    );
    const first = revisions[0];
    const newest = revisions.at(-1);
    if (first === undefined || newest === undefined) return;
    const last = this.#last.get(id);
    if (last !== undefined) {
      const isNext = last.isFragment ? first >= last.revision : first > last.revision;
      if (!isNext) this.#line(id, `broken: revision ${first} after ${last.revision}`);
    }
    if (revisions.some((r, i) => r < (revisions[i - 1] ?? first))) {
      this.#line(id, `broken: revisions fall within a response`);
    }
    const header = intOf(messageOf(response, "header"), "revision");
    if (header < newest) this.#line(id, `broken: header ${header} is behind event ${newest}`);
    this.#last.set(id, { revision: newest, isFragment: intOf(response, "fragment") !== 0n });
  }

  /** Asks for a watcher and waits for the answer; a missing answer becomes a line. */
  async create(request: object): Promise<void> {
    const call = this.#open();
    const before = this.#created;
    call.send(wireSchema().encode(requestType, { create_request: request }));
    const until = Date.now() + answerMsMax;
    while (this.#created === before) {
      if (call.ended !== undefined || Date.now() > until) {
        this.#line("stream", "no answer to a create request");
        return;
      }
      await sleep(1);
    }
  }

  /** Asks for a watcher of history and lets it catch up, alone; answers as `barrier`. */
  async createAndCatchUp(request: object, revision: number): Promise<bigint | undefined> {
    // What the stream's other watchers are still owed does not belong to the catch-up.
    await this.barrier(revision);
    const grouping = this.#grouping;
    this.#grouping = "whole";
    await this.create(request);
    const progress = await this.barrier(revision);
    this.#grouping = grouping;
    return progress;
  }

  /** Cancels watcher `id`, and waits until the server has seen it: a create that must be refused follows as a fence. */
  async cancel(id: string): Promise<void> {
    this.#open().send(wireSchema().encode(requestType, { cancel_request: { watch_id: id } }));
    await this.create({ key: Buffer.from("b"), range_end: Buffer.from("a") });
  }

  /** Makes sure of a watcher of `key` for `untilFence`. */
  async createFence(key: Buffer): Promise<void> {
    if (!this.#active.has(fenceId)) await this.create({ key, watch_id: fenceId });
  }

  /** Waits until the fence was sent an event of at least `revision`: all synced watchers have then been sent theirs. */
  async untilFence(revision: number): Promise<string> {
    const until = Date.now() + answerMsMax;
    while ((this.#last.get(fenceId)?.revision ?? 0n) < BigInt(revision)) {
      if (Date.now() > until) return "the fence got no event";
      await sleep(1);
    }
    return "up to date";
  }

  /**
   * Waits until every watcher has been sent everything up to now, by a progress request, which etcd answers behind all events once the
   * watchers follow the store. Answers the revision of the progress, 0n when there is no watcher, undefined when none came.
   */
  async barrier(revision: number): Promise<bigint | undefined> {
    const until = Date.now() + answerMsMax;
    while (this.#active.size > 0 && Date.now() < until) {
      this.#progress = undefined;
      this.#open().send(wireSchema().encode(requestType, { progress_request: {} }));
      const retryAt = Date.now() + progressRetryMs;
      while (Date.now() < retryAt) {
        await sleep(1);
        // Written by #receive meanwhile, which the compiler cannot see.
        const progress = this.#progress as bigint | undefined;
        if (progress !== undefined && progress >= BigInt(revision)) return progress;
      }
    }
    return this.#active.size > 0 ? undefined : 0n;
  }

  /** What was received since the last `forget`, watcher by watcher. */
  lines(): string[] {
    const ids = [...this.#lines.keys()].sort();
    return ids.flatMap((id) => (this.#lines.get(id) ?? []).map((line) => `watcher ${id}: ${line}`));
  }

  /** Drops what was compared. */
  forget(): void {
    this.#lines.clear();
  }

  close(): void {
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }
}
