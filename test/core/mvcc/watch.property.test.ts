// The watch hub against the list of all changes: every watcher gets exactly the events it asked for, once and in order, whatever
// blocks, resumes, compacts and restarts in between; or it is told that compaction overtook it.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type EventBatch,
  type MvccStore,
  StoreBuilder,
  Watcher,
  WatchHub,
  type WatchSink,
  type WatchSpec,
} from "../../../src/core/mvcc/index.ts";
import {
  type DeleteRangeRequest,
  decodeWatchResponse,
  type Event,
  encodeKeyValue,
  type KeyValue,
  ProtoError,
  type PutRequest,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { deleteRequest, key, putRequest, txnRequest } from "./arbitrary.ts";
import { MemoryLeases, type MemoryRows, smallStore } from "./memory.ts";
import { Model } from "./model.ts";

type Step =
  | { kind: "put"; request: PutRequest }
  | { kind: "delete"; request: DeleteRangeRequest }
  | { kind: "txn"; request: TxnRequest }
  | { kind: "watch"; spec: WatchSpec; back: number; fromNow: boolean }
  | { kind: "cancel" | "block" | "resume"; which: number }
  | { kind: "flush" | "restore" }
  | { kind: "catchUp"; rows: number }
  | { kind: "compact"; back: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: putRequest.map((request): Step => ({ kind: "put", request })) },
  { weight: 2, arbitrary: deleteRequest.map((request): Step => ({ kind: "delete", request })) },
  { weight: 3, arbitrary: txnRequest(1).map((request): Step => ({ kind: "txn", request })) },
  {
    weight: 5,
    arbitrary: fc
      .record({
        key,
        rangeEnd: fc.oneof(fc.constant(""), fc.constant("\0"), key),
        noPut: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
        noDelete: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
        prevKv: fc.boolean(),
        back: fc.integer({ min: -3, max: 12 }),
        fromNow: fc.boolean(),
      })
      .map(({ back, fromNow, ...spec }): Step => {
        return { kind: "watch", spec: { ...spec, startRevision: 0 }, back, fromNow };
      }),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({
        kind: fc.constantFrom("cancel", "block", "block", "resume", "resume"),
        which: fc.nat(9),
      })
      .map((fields) => fields as Step),
  },
  { weight: 5, arbitrary: fc.constant<Step>({ kind: "flush" }) },
  {
    weight: 5,
    arbitrary: fc.integer({ min: 1, max: 6 }).map((rows): Step => ({ kind: "catchUp", rows })),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "restore" }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 0, max: 9 }).map((back): Step => ({ kind: "compact", back })),
  },
);

/** A watcher and what it was sent. */
class Client {
  readonly start: number;
  readonly spec: WatchSpec;
  blocked = false;
  cancelledAt = 0;
  readonly got: { event: Event; compactRevision: number }[] = [];
  lastHeader = 0;

  constructor(spec: WatchSpec, start: number) {
    this.spec = spec;
    this.start = start;
  }

  /** Events of this watcher in the history. */
  wanted(model: Model): { kv: KeyValue; tombstone: boolean; main: number }[] {
    const { key: from, rangeEnd, noPut, noDelete } = this.spec;
    return model.changes.filter(
      (change) =>
        change.main >= this.start &&
        (rangeEnd === ""
          ? change.kv.key === from
          : change.kv.key >= from && (rangeEnd === "\0" || change.kv.key < rangeEnd)) &&
        !(change.tombstone ? noDelete : noPut),
    );
  }
}

class Run {
  store: MvccStore;
  sink: MemoryRows;
  hub: WatchHub;
  readonly model: Model = new Model();
  readonly clients: Map<Watcher, Client> = new Map();
  readonly compactions: Set<number> = new Set();

  constructor() {
    ({ store: this.store, sink: this.sink } = smallStore());
    this.hub = new WatchHub(this.store);
  }

  readonly watchSink: WatchSink = {
    onEvents: (watcher, batch) => this.#onEvents(watcher, batch),
    onCompacted: (watcher, compactRevision) => {
      const client = this.#clientOf(watcher);
      if (client.blocked) return false;
      client.cancelledAt = compactRevision;
      return true;
    },
  };

  #clientOf(watcher: Watcher): Client {
    const client = this.clients.get(watcher);
    assert.ok(client !== undefined, "a cancelled watcher gets nothing");
    return client;
  }

  #onEvents(watcher: Watcher, batch: EventBatch): boolean {
    const client = this.#clientOf(watcher);
    assert.equal(client.cancelledAt, 0, "nothing comes after the cancel");
    if (client.blocked) return false;
    const bytes = Buffer.alloc(batch.sizeBytes);
    assert.equal(batch.write(bytes, 0), bytes.length);
    const response = decodeWatchResponse(bytes, 0, bytes.length);
    assert.ok(!(response instanceof ProtoError));
    assert.equal(response.events.length, batch.eventCount);
    assert.ok(response.events.length > 0, "no empty batches");
    const last = client.got.at(-1)?.event.kv?.modRevision ?? 0;
    const first = response.events[0]?.kv?.modRevision ?? 0;
    assert.ok(first > last, "a revision is never split over two batches");
    assert.equal(first, batch.firstMain);
    for (const event of response.events) {
      client.got.push({ event, compactRevision: this.model.compactRevision });
    }
    assert.ok(batch.revision >= (response.events.at(-1)?.kv?.modRevision ?? 0));
    assert.ok(batch.revision >= client.lastHeader, "header revisions never go back");
    client.lastHeader = batch.revision;
    return true;
  }

  apply(s: Step): void {
    switch (s.kind) {
      case "put":
        this.store.put(s.request, this.sink);
        this.model.put(s.request);
        break;
      case "delete":
        this.store.deleteRange(s.request, this.sink);
        this.model.deleteRange(s.request);
        break;
      case "txn":
        this.store.txn(s.request, this.sink);
        this.model.txn(s.request);
        break;
      case "watch":
        this.#watch(s.spec, s.fromNow ? 0 : this.model.revision - s.back);
        break;
      case "cancel":
      case "block":
      case "resume":
        this.#touch(s.kind, s.which);
        break;
      case "flush":
        this.hub.flush();
        break;
      case "catchUp":
        this.hub.catchUp(s.rows);
        break;
      case "restore":
        this.#restore();
        break;
      case "compact":
        this.hub.flush();
        if (this.store.compact(this.model.revision - s.back) !== undefined) break;
        this.model.compact(this.model.revision - s.back);
        this.compactions.add(this.model.compactRevision);
        this.#compactSome();
        break;
    }
    this.#checkProgress();
  }

  #compactSome(): void {
    for (let i = 0; i < 50 && this.store.isCompacting; i++) {
      if (this.store.stepCompaction(this.sink, 20).kind === "blocked") this.hub.catchUp(1);
    }
    this.store.reclaim(50);
  }

  #watch(spec: WatchSpec, startRevision: number): void {
    const current = this.store.revision;
    const full = { ...spec, startRevision };
    const watcher = this.hub.watch(full, this.watchSink);
    if (!(watcher instanceof Watcher)) {
      const { rangeEnd } = spec;
      const isEmpty = rangeEnd !== "" && rangeEnd !== "\0" && rangeEnd <= spec.key;
      assert.equal(watcher, startRevision < 0 ? "compacted" : isEmpty ? "emptyRange" : "");
      return;
    }
    this.clients.set(watcher, new Client(full, startRevision === 0 ? current + 1 : startRevision));
  }

  #touch(kind: "cancel" | "block" | "resume", which: number): void {
    const watcher = [...this.clients.keys()][which];
    if (watcher === undefined) return;
    const client = this.#clientOf(watcher);
    if (kind === "cancel") {
      this.hub.cancel(watcher);
      this.check(client);
      this.clients.delete(watcher);
    } else {
      client.blocked = kind === "block";
      if (kind === "resume") this.hub.resume(watcher);
    }
  }

  /** The store is rebuilt from its rows, as after a snapshot of the leader. */
  #restore(): void {
    if (this.store.isCompacting) return;
    const builder = new StoreBuilder({
      leases: new MemoryLeases(),
      loadValue: this.sink.load,
      valueChunkBytes: 64,
      rowChunkBits: 3,
      leafKeysMax: 4,
    });
    for (const row of this.sink.sorted()) {
      assert.ok(builder.row(row.main, row.sub, row.tombstone, row.value));
    }
    const compacted = this.model.compactRevision;
    this.store = builder.finish({ scheduled: compacted, finished: compacted });
    this.hub.rebind(this.store);
  }

  #checkProgress(): void {
    for (const [watcher, client] of this.clients) {
      const revision = this.hub.progress([watcher]);
      if (revision === undefined) continue;
      const seen = client.got.at(-1)?.event.kv?.modRevision ?? 0;
      assert.ok(seen <= revision, "no event above the progress revision was sent before it");
      const due = client
        .wanted(this.model)
        .filter((change) => change.main <= revision && !this.compactions.has(change.main));
      assert.ok(due.length === 0 || seen >= (due.at(-1)?.main ?? 0), "everything below was sent");
    }
  }

  finish(): void {
    for (const [watcher, client] of this.clients) {
      client.blocked = false;
      this.hub.resume(watcher);
    }
    this.hub.flush();
    while (this.hub.catchUp(4));
    for (const client of this.clients.values()) {
      const due = this.check(client);
      const all = client.wanted(this.model).length;
      if (client.cancelledAt === 0) assert.equal(due, all, "nothing is lost");
      else assert.ok(client.cancelledAt <= this.model.compactRevision);
    }
  }

  /** What was sent is the beginning of what was wanted, field by field; returns how much of the wanted it accounts for. */
  check(client: Client): number {
    const wanted = client.wanted(this.model);
    let at = 0;
    for (const { event, compactRevision } of client.got) {
      let change = wanted[at];
      while (change !== undefined && !isOf(change, event) && this.compactions.has(change.main)) {
        // Of a compacted revision itself only the last change of each key is left to a watcher that begins there.
        change = wanted[++at];
      }
      assert.ok(change !== undefined && event.kv !== undefined);
      const { kv, tombstone, main } = change;
      assert.equal(event.type, tombstone ? 1 : 0);
      assert.deepEqual(Buffer.from(encodeKeyValue(event.kv)), Buffer.from(encodeKeyValue(kv)));
      const before = this.model.stateAt(main - 1).get(kv.key);
      const creating = !tombstone && kv.createRevision === main;
      if (!client.spec.prevKv || creating || before === undefined) {
        assert.equal(event.prevKv, undefined);
      } else if (event.prevKv === undefined) {
        assert.ok(main - 1 < compactRevision, "prev_kv is absent only where it was compacted");
      } else {
        assert.deepEqual(
          Buffer.from(encodeKeyValue(event.prevKv)),
          Buffer.from(encodeKeyValue(before)),
        );
      }
      at++;
    }
    while (at < wanted.length && this.compactions.has((wanted[at] as { main: number }).main)) at++;
    return at;
  }
}

function isOf(change: { kv: KeyValue; tombstone: boolean; main: number }, event: Event): boolean {
  return (
    change.main === event.kv?.modRevision &&
    change.kv.key === event.kv.key &&
    event.type === (change.tombstone ? 1 : 0)
  );
}

test("every watcher gets exactly its events, or the news that compaction overtook it", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: "max" }), (steps) => {
      const run = new Run();
      for (const s of steps) run.apply(s);
      run.finish();
    }),
    { numRuns: 400 },
  );
});
