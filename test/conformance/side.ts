// One of the two servers of a run: carries out steps on it and answers with lines of text that are equal for two correct servers.

import { setTimeout as sleep } from "node:timers/promises";
import type { CallOutcome, GrpcClient } from "../support/grpc-client.ts";
import {
  intOf,
  messageOf,
  messagesOf,
  renderWire,
  type WireField,
  type WireMessage,
  wireSchema,
} from "../support/wire-schema.ts";
import { canonical, canonicalRange, canonicalTxn } from "./canonical.ts";
import {
  type MethodName,
  methods,
  type Op,
  type RequestFields,
  resolveTokens,
  type Standing,
  type StreamName,
  streamNames,
} from "./ops.ts";
import { type Grouping, WatchStream } from "./watch-stream.ts";

const packageName = "etcdserverpb";
const methodNames = Object.keys(methods) as MethodName[];

/** How long a lease of the smallest TTL may take to expire, on a busy machine. */
const expiryMsMax = 20_000;

/** Written to see that a stream without progress (a watcher waits for a future revision) is up to date. */
const fenceKey = Buffer.from("fence");

/** Go's protobuf writes either kind of space here, chosen per binary so that nobody relies on the text. */
function plainSpaces(text: string): string {
  return text.replaceAll("\u00a0", " ");
}

/** RangeStream's chunks merged into the Range answer they stand for; where a chunk ends is not part of the contract. */
function mergeChunks(chunks: readonly WireMessage[]): WireMessage {
  const kvs: WireField[] = [];
  const rest: WireField[] = [];
  chunks.forEach((chunk, i) => {
    const range = messageOf(chunk, "range_response");
    for (const field of range?.fields ?? []) {
      if (field.name === "kvs") kvs.push(field);
      // Only the last chunk says more than key-values; a field of an earlier one keeps its place and shows up.
      else rest.push(i === chunks.length - 1 ? field : { ...field, name: `early ${field.name}` });
    }
    if (range === undefined) rest.push({ name: "chunk without range_response", value: 1n });
  });
  const [header, ...others] = rest;
  const fields = header === undefined ? kvs : [header, ...kvs, ...others];
  return { type: `${packageName}.RangeResponse`, fields };
}

const groupings: Readonly<Record<StreamName, Grouping>> = {
  live: "by revision",
  history: "by revision",
  catchup: "events",
  future: "by revision",
  odd: "events",
};

/** A server, its connection, its watch streams, and what is known of it. */
export class Side {
  readonly name: string;
  readonly client: GrpcClient;
  readonly #streams: ReadonlyMap<StreamName, WatchStream>;
  #memberId = 0n;
  #current = 0;
  #compacted = 0;

  constructor(name: string, client: GrpcClient) {
    this.name = name;
    this.client = client;
    const member = (): bigint => this.#memberId;
    this.#streams = new Map(
      streamNames.map((s) => [s, new WatchStream(client, groupings[s], member)]),
    );
  }

  /** Where this server stands by its own answers. */
  get standing(): Standing {
    return { current: this.#current, compacted: this.#compacted };
  }

  #stream(name: StreamName): WatchStream {
    return this.#streams.get(name) as WatchStream;
  }

  /** Learns the member's id and its revision; to be called once before anything else. */
  async greet(): Promise<void> {
    await this.#unary("MemberList", {});
    await this.#unary("Range", { key: Buffer.from("\0") });
  }

  #note(message: WireMessage): void {
    const header = messageOf(message, "header");
    if (header === undefined) return;
    this.#memberId = intOf(header, "member_id");
    this.#current = Math.max(this.#current, Number(intOf(header, "revision")));
  }

  #decode(method: MethodName, bytes: Uint8Array): WireMessage {
    const message = wireSchema().decode(`${packageName}.${methods[method].response}`, bytes);
    this.#note(
      method === "RangeStream" ? (messageOf(message, "range_response") ?? message) : message,
    );
    return message;
  }

  async #unary(
    method: MethodName,
    request: object,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<{ outcome: CallOutcome; messages: WireMessage[] }> {
    const { path, request: type } = methods[method];
    const bytes = wireSchema().encode(`${packageName}.${type}`, request as RequestFields);
    const outcome =
      method === "RangeStream"
        ? await this.client.serverStream(path, bytes, { metadata })
        : await this.client.unary(path, bytes, { metadata });
    return { outcome, messages: outcome.messages.map((m) => this.#decode(method, m)) };
  }

  #lines(outcome: CallOutcome, messages: readonly WireMessage[]): string[] {
    const end = outcome.code === 0 ? "OK" : `error ${outcome.code} ${plainSpaces(outcome.details)}`;
    return [...messages.map((m) => renderWire(canonical(m, this.#memberId))), end];
  }

  async #call(op: Extract<Op, { kind: "call" }>, standing: Standing): Promise<string[]> {
    const request = resolveTokens(op.request, standing, this.#memberId) as RequestFields;
    const { outcome, messages } = await this.#unary(op.method, request, op.metadata);
    if (op.method === "Compact" && outcome.code === 0) {
      this.#compacted = Number(request["revision"] ?? 0);
      // Compacting the same again is refused, but only once the removal of rows is done: HashKV before that depends on time.
      const fence = await this.#unary("Compact", { ...request, physical: true });
      return [...this.#lines(outcome, messages), ...this.#lines(fence.outcome, fence.messages)];
    }
    if (op.method === "RangeStream") {
      return this.#lines(outcome, messages.length === 0 ? [] : [mergeChunks(messages)]);
    }
    if (op.method === "Range") {
      return this.#lines(
        outcome,
        messages.map((m) => canonicalRange(request, m)),
      );
    }
    if (op.method === "Txn") {
      return this.#lines(
        outcome,
        messages.map((m) => canonicalTxn(request, m)),
      );
    }
    return this.#lines(outcome, messages);
  }

  async #keepAlive(ids: readonly string[]): Promise<string[]> {
    const call = this.client.bidi("/etcdserverpb.Lease/LeaseKeepAlive", { deadlineMs: 30_000 });
    const type = `${packageName}.LeaseKeepAliveRequest`;
    for (const id of ids) call.send(wireSchema().encode(type, { ID: id }));
    call.end();
    const outcome = await call.outcome();
    const responseType = `${packageName}.LeaseKeepAliveResponse`;
    const messages = outcome.messages.map((m) => wireSchema().decode(responseType, m));
    return this.#lines(outcome, messages);
  }

  async #autoLease(ttl: number): Promise<string[]> {
    const { outcome, messages } = await this.#unary("LeaseGrant", { TTL: ttl });
    const id = intOf(messages[0], "ID");
    const shown = messages.map((m) => ({
      ...m,
      fields: m.fields.map((f) => (f.name === "ID" && id > 0n ? { ...f, value: "picked" } : f)),
    }));
    const revoked = await this.#unary("LeaseRevoke", { ID: String(id) });
    return [...this.#lines(outcome, shown), ...this.#lines(revoked.outcome, revoked.messages)];
  }

  async #shortLease(op: Extract<Op, { kind: "shortLease" }>): Promise<string[]> {
    const granted = await this.#unary("LeaseGrant", { ID: op.id, TTL: op.ttl });
    const lines = this.#lines(granted.outcome, granted.messages);
    for (const key of op.keys) {
      const put = await this.#unary("Put", { key, lease: op.id });
      lines.push(...this.#lines(put.outcome, put.messages));
    }
    if (op.revoke) {
      const revoked = await this.#unary("LeaseRevoke", { ID: op.id });
      return [...lines, ...this.#lines(revoked.outcome, revoked.messages)];
    }
    // A lease of the same id granted before with a long TTL does not expire: nothing to wait for.
    if (granted.outcome.code !== 0) return lines;
    const until = Date.now() + expiryMsMax;
    for (;;) {
      const left = await this.#unary("LeaseTimeToLive", { ID: op.id });
      if (intOf(left.messages[0], "TTL") === -1n) {
        return [...lines, ...this.#lines(left.outcome, left.messages)];
      }
      if (Date.now() > until) return [...lines, "did not expire"];
      await sleep(50);
    }
  }

  async #severalMessages(op: Extract<Op, { kind: "cardinality" }>): Promise<string[]> {
    const { path, request } = methods[op.method];
    const bytes = wireSchema().encode(`${packageName}.${request}`, { key: Buffer.from("a") });
    const call = this.client.bidi(path, { deadlineMs: 30_000 });
    for (let i = 0; i < op.count; i++) call.send(bytes);
    call.end();
    const outcome = await call.outcome();
    return this.#lines({ ...outcome, messages: [] }, []);
  }

  async #watch(op: Extract<Op, { kind: "watch" }>, standing: Standing): Promise<string[]> {
    const stream = this.#stream(op.stream);
    const request = resolveTokens(op.request, standing, this.#memberId) as object;
    if (op.stream === "history") {
      return [`caught up: ${await stream.createAndCatchUp(request, standing.current)}`];
    }
    if (op.stream === "future") await stream.createFence(fenceKey);
    await stream.create(request);
    return [];
  }

  /** Lets the stream's watchers have all events first: whether one still under way is sent after a cancel depends on time. */
  async #watchCancel(
    op: Extract<Op, { kind: "watchCancel" }>,
    standing: Standing,
  ): Promise<string[]> {
    const stream = this.#stream(op.stream);
    const lines: string[] = [];
    if (op.stream === "future") {
      await stream.createFence(fenceKey);
      const put = await this.#unary("Put", { key: fenceKey });
      lines.push(...this.#lines(put.outcome, put.messages));
      // Refused under an alarm; then nothing else was written either.
      if (put.outcome.code === 0) lines.push(await stream.untilFence(this.#current));
    } else if (op.stream !== "odd") {
      lines.push(`progress: ${await stream.barrier(standing.current)}`);
    }
    await stream.cancel(op.id);
    return lines;
  }

  async #watchRaw(bytes: Buffer): Promise<string[]> {
    const call = this.client.bidi("/etcdserverpb.Watch/Watch", { deadlineMs: 30_000 });
    call.send(bytes);
    // Bytes that are a message after all are ignored by the server; the fence after them shows which it was.
    const fence = { create_request: { key: Buffer.from("b"), range_end: Buffer.from("a") } };
    call.send(wireSchema().encode(`${packageName}.WatchRequest`, fence));
    const answered = new Promise<void>((resolve) => {
      call.onMessage = () => resolve();
    });
    const ended = call.outcome();
    await Promise.race([answered, ended]);
    if (call.ended === undefined) call.cancel();
    const outcome = await ended;
    const type = `${packageName}.WatchResponse`;
    const messages = outcome.messages.map((m) => wireSchema().decode(type, m));
    // The status of a call this side has cancelled is its own.
    return this.#lines(messages.length > 0 ? { ...outcome, code: 0 } : outcome, messages);
  }

  /** Carries out one step; `standing` fills its tokens and must be the same for both servers. */
  async run(op: Op, standing: Standing): Promise<string[]> {
    switch (op.kind) {
      case "call":
        return await this.#call(op, standing);
      case "raw": {
        const outcome = await this.client.unary(op.path, op.bytes);
        // What garbled bytes did is seen by the steps after them; here only the revision matters.
        const method = methodNames.find((m) => methods[m].path === op.path);
        if (method !== undefined) for (const m of outcome.messages) this.#decode(method, m);
        const size = outcome.messages.map(() => "a message");
        return [...size, ...this.#lines({ ...outcome, messages: [] }, [])];
      }
      case "cardinality":
        return await this.#severalMessages(op);
      case "watch":
        return await this.#watch(op, standing);
      case "watchCancel":
        return await this.#watchCancel(op, standing);
      case "watchRaw":
        return await this.#watchRaw(op.bytes);
      case "keepAlive":
        return await this.#keepAlive(op.ids);
      case "autoLease":
        return await this.#autoLease(op.ttl);
      case "shortLease":
        return await this.#shortLease(op);
      case "sync":
        return await this.#dump(standing);
    }
  }

  /** Waits for the watchers that follow the store, then shows the whole state. */
  async #dump(standing: Standing): Promise<string[]> {
    const lines: string[] = [];
    for (const name of ["live", "history", "catchup"] as const) {
      const progress = await this.#stream(name).barrier(standing.current);
      lines.push(`progress of ${name}: ${progress ?? "none came"}`);
    }
    const all = { key: Buffer.from("\0"), range_end: Buffer.from("\0") };
    for (const [method, request] of [
      ["Range", all],
      ["HashKV", {}],
      ["LeaseLeases", {}],
    ] as const) {
      const { outcome, messages } = await this.#unary(method, request);
      const shown = messages.flatMap((m) => {
        const kvs = messagesOf(m, "kvs").map(renderWire);
        const fields = m.fields.filter((f) => f.name !== "kvs");
        return [...kvs, ...this.#lines(outcome, [{ ...m, fields }])];
      });
      lines.push(...shown.map((line) => `${method}: ${line}`));
      if (outcome.code !== 0) lines.push(`${method}: ${outcome.code} ${outcome.details}`);
    }
    return lines;
  }

  /** What the watchers were sent since the last `forgetEvents`. */
  events(): string[] {
    return streamNames.flatMap((s) =>
      this.#stream(s)
        .lines()
        .map((line) => `Watch[${s}] ${line}`),
    );
  }

  /** Drops the events that were compared. */
  forgetEvents(): void {
    for (const s of this.#streams.values()) s.forget();
  }

  close(): void {
    for (const s of this.#streams.values()) s.close();
    this.client.close();
  }
}
