// The store against the naive model: random histories, every answer compared byte for byte with what the generated codecs make of the
// model's, with compaction, memory reclaim, dropped values, restores and checkpoints in between.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { revisionOnly } from "../../../src/core/mvcc/header.ts";
import {
  type MvccStore,
  type RangeResult,
  StoreBuilder,
  type TxnResult,
} from "../../../src/core/mvcc/index.ts";
import {
  createRangeRequest,
  type DeleteRangeRequest,
  decodeKeyValue,
  encodeDeleteRangeResponse,
  encodeKeyValue,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type KeyValue,
  ProtoError,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { deleteRequest, LEASES, putRequest, rangeRequest, txnRequest } from "./arbitrary.ts";
import { MemoryLeases, type MemoryRows, smallStore } from "./memory.ts";
import { Model } from "./model.ts";

type Step =
  | { kind: "put"; request: PutRequest }
  | { kind: "delete"; request: DeleteRangeRequest }
  | { kind: "txn"; request: TxnRequest }
  | { kind: "range"; request: RangeRequest; step: number }
  | { kind: "compact"; back: number }
  | { kind: "work"; rows: number }
  | { kind: "workAll" }
  | { kind: "restore"; checkpoint: boolean; later: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: putRequest.map((request): Step => ({ kind: "put", request })) },
  { weight: 3, arbitrary: deleteRequest.map((request): Step => ({ kind: "delete", request })) },
  { weight: 4, arbitrary: txnRequest(2).map((request): Step => ({ kind: "txn", request })) },
  {
    weight: 8,
    arbitrary: fc
      .record({ request: rangeRequest, step: fc.integer({ min: 1, max: 5 }) })
      .map((fields): Step => ({ kind: "range", ...fields })),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 8 }).map((back): Step => ({ kind: "compact", back })),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 40 }).map((rows): Step => ({ kind: "work", rows })),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "workAll" }) },
  {
    weight: 1,
    arbitrary: fc
      .record({ checkpoint: fc.boolean(), later: fc.integer({ min: 0, max: 3 }) })
      .map((fields): Step => ({ kind: "restore", ...fields })),
  },
);

/** What may happen while a list is under way. */
const disturbance: fc.Arbitrary<Step> = fc.oneof(
  putRequest.map((request): Step => ({ kind: "put", request })),
  deleteRequest.map((request): Step => ({ kind: "delete", request })),
  fc.integer({ min: 0, max: 2 }).map((back): Step => ({ kind: "compact", back })),
  fc.integer({ min: 5, max: 40 }).map((rows): Step => ({ kind: "work", rows })),
);

interface Writable {
  size(form: typeof revisionOnly): number;
  write(form: typeof revisionOnly, buf: Uint8Array, pos: number): number;
  source(form: typeof revisionOnly): {
    readonly sizeBytes: number;
    next(buf: Uint8Array, pos: number, end: number): number;
  };
}

/** The result's bytes, in one go and in windows of `window` bytes, which must agree. */
function encoded(result: Writable, window: number): Buffer {
  const bytes = Buffer.alloc(result.size(revisionOnly));
  assert.equal(result.write(revisionOnly, bytes, 0), bytes.length);
  const source = result.source(revisionOnly);
  assert.equal(source.sizeBytes, bytes.length);
  const parts = Buffer.alloc(bytes.length);
  let at = 0;
  while (at < parts.length) {
    const end = Math.min(parts.length, at + window);
    const next = source.next(parts, at, end);
    assert.ok(next > at && next <= end);
    at = next;
  }
  assert.deepEqual(parts, bytes);
  return bytes;
}

class Run {
  store: MvccStore;
  sink: MemoryRows;
  leases: MemoryLeases;
  readonly model: Model = new Model();
  #finished = -1;

  constructor() {
    ({
      store: this.store,
      sink: this.sink,
      leases: this.leases,
    } = smallStore({
      valueBytesMax: 256,
    }));
    for (const id of LEASES) {
      this.leases.granted.add(id);
      this.model.leases.add(id);
    }
  }

  apply(s: Step): void {
    switch (s.kind) {
      case "put":
        this.#same(this.store.put(s.request, this.sink), this.model.put(s.request), (m) =>
          encodePutResponse(m),
        );
        break;
      case "delete":
        this.#same(
          this.store.deleteRange(s.request, this.sink),
          this.model.deleteRange(s.request),
          (m) => encodeDeleteRangeResponse(m),
        );
        break;
      case "txn":
        this.#same(this.store.txn(s.request, this.sink), this.model.txn(s.request), (m) =>
          encodeTxnResponse(m),
        );
        break;
      case "range":
        this.#range(s.request, s.step);
        break;
      case "compact": {
        const revision = this.model.revision - s.back;
        assert.equal(this.store.compact(revision), this.model.compact(revision));
        break;
      }
      case "work":
        this.#work(s.rows);
        break;
      case "workAll":
        do this.#work(100);
        while (this.store.isCompacting);
        while (!this.store.reclaim(9));
        break;
      case "restore":
        this.#restore(s.checkpoint, s.later);
        break;
    }
    assert.equal(this.store.revision, this.model.revision);
    assert.equal(this.store.compactRevision, this.model.compactRevision);
  }

  #same<M>(got: Writable | string, wanted: M | string, encode: (m: M) => Uint8Array): void {
    if (typeof wanted === "string" || typeof got === "string") {
      assert.equal(got, wanted);
      return;
    }
    assert.deepEqual(encoded(got, 7), Buffer.from(encode(wanted)));
  }

  #range(request: RangeRequest, keysMax: number): void {
    const wanted = this.model.range(request);
    this.#same(this.store.range(request), wanted, (m) => encodeRangeResponse(m));
    const work = this.store.beginRange(request);
    if (typeof work === "string") {
      assert.equal(work, wanted);
      return;
    }
    while (!work.step(keysMax));
    this.#same(work.result(), wanted, (m) => encodeRangeResponse(m));
    work.release();
  }

  #work(rows: number): void {
    const done = this.store.stepCompaction(this.sink, rows);
    if (done.kind === "finished") this.#finished = done.revision;
    this.store.reclaim(rows);
    if (this.store.isCompacting) return;
    const left = this.sink.sorted().map((row) => `${row.main}_${row.sub}`);
    assert.deepEqual(new Set(left), this.model.rowsLeft(), "compaction keeps exactly these rows");
  }

  #restore(useCheckpoint: boolean, later: number): void {
    const blocks: Uint8Array[] = [];
    const writer = useCheckpoint ? this.store.beginCheckpoint() : "wait";
    if (writer !== "wait") {
      for (let block = writer.next(); block !== undefined; block = writer.next()) {
        blocks.push(block);
        // What is written meanwhile must not be in it.
        if (blocks.length <= later) this.apply({ kind: "put", request: LATE_PUT });
      }
    }
    const leases = new MemoryLeases();
    for (const id of this.leases.granted) leases.granted.add(id);
    const builder = new StoreBuilder({
      leases,
      loadValue: this.sink.load,
      valueChunkBytes: 64,
      rowChunkBits: 3,
      leafKeysMax: 4,
      valueBytesMax: 256,
    });
    for (const block of blocks) assert.ok(builder.checkpointBlock(block));
    for (const row of this.sink.sorted()) {
      if (row.main <= builder.checkpointRevision) continue;
      assert.ok(builder.row(row.main, row.sub, row.tombstone, row.value));
    }
    this.store = builder.finish({
      scheduled: this.model.compactRevision,
      finished: this.#finished,
    });
    assert.deepEqual(leases.leaseOf, this.leases.leaseOf, "keys keep their leases");
    this.leases = leases;
  }

  /** Every readable revision reads as the model's. */
  checkHistory(): void {
    for (let at = Math.max(this.model.compactRevision, 1); at <= this.model.revision; at++) {
      this.#range(createRangeRequest({ key: "\0", rangeEnd: "\0", revision: at }), 3);
    }
  }

  /** The backend holds what the model knows, bytes included. */
  checkBackend(): void {
    const kvs = new Map<string, KeyValue>();
    let main = 0;
    let sub = 0;
    for (const change of this.model.changes) {
      sub = change.main === main ? sub + 1 : 0;
      main = change.main;
      kvs.set(`${main}_${sub}`, change.kv);
    }
    for (const row of this.sink.sorted()) {
      const wanted = kvs.get(`${row.main}_${row.sub}`);
      assert.ok(wanted !== undefined);
      const kv = row.tombstone ? { ...wanted, modRevision: 0 } : wanted;
      assert.deepEqual(Buffer.from(row.value), Buffer.from(encodeKeyValue(kv)));
      assert.ok(!(decodeKeyValue(row.value, 0, row.value.length) instanceof ProtoError));
    }
  }
}

const LATE_PUT: PutRequest = {
  key: "late",
  value: Buffer.from("x"),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
};

test("the store answers as the naive model, through compactions, restores and dropped values", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 70, size: "max" }), (steps) => {
      const run = new Run();
      for (const s of steps) run.apply(s);
      run.checkBackend();
      run.checkHistory();
      run.apply({ kind: "workAll" });
      run.checkBackend();
      run.checkHistory();
    }),
    { numRuns: 400 },
  );
});

test("a list in progress shows its revision while writes and compaction go on", () => {
  fc.assert(
    fc.property(
      fc.array(putRequest, { minLength: 1, maxLength: 30, size: "max" }),
      rangeRequest,
      fc.array(disturbance, { maxLength: 40, size: "max" }),
      (puts, request, steps) => {
        const run = new Run();
        for (const put of puts) run.apply({ kind: "put", request: put });
        const wanted = run.model.range({ ...request, revision: 0 });
        assert.notEqual(typeof wanted, "string");
        const work = run.store.beginRange({ ...request, revision: 0 });
        assert.ok(typeof work !== "string");
        const { store } = run;
        let ready = false;
        for (const s of steps) {
          run.apply(s);
          ready = work.step(1);
        }
        while (!ready) ready = work.step(1);
        const result: RangeResult = work.result();
        const source = result.source(revisionOnly);
        work.release();
        // The source alone now holds the rows.
        for (const s of steps) run.apply(s);
        while (store.isCompacting) run.apply({ kind: "work", rows: 50 });
        const bytes = Buffer.alloc(source.sizeBytes);
        for (let at = 0; at < bytes.length; )
          at = source.next(bytes, at, Math.min(at + 9, bytes.length));
        assert.ok(typeof wanted !== "string");
        assert.deepEqual(bytes, Buffer.from(encodeRangeResponse(wanted)));
        while (!store.reclaim(100));
      },
    ),
    { numRuns: 300 },
  );
});

test("results give the same messages as their bytes", () => {
  fc.assert(
    fc.property(fc.array(txnRequest(2), { minLength: 1, maxLength: 8 }), (requests) => {
      const run = new Run();
      for (const request of requests) {
        const wanted = run.model.txn(request);
        const got: TxnResult | string = run.store.txn(request, run.sink);
        if (typeof got === "string" || typeof wanted === "string") {
          assert.equal(got, wanted);
          continue;
        }
        const message = got.message(wanted.header as NonNullable<typeof wanted.header>);
        assert.deepEqual(encodeTxnResponse(message), encodeTxnResponse(wanted));
      }
    }),
    { numRuns: 150 },
  );
});
