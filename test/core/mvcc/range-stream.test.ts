// RangeStream: the chunks together are the Range, whatever is written between them (client-api.md 4.3, rules K38-K45).

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { revisionOnly } from "../../../src/core/mvcc/header.ts";
import { type MvccStore, RangeChunk, RangeStream } from "../../../src/core/mvcc/index.ts";
import {
  createPutRequest,
  createRangeRequest,
  createRangeResponse,
  createResponseHeader,
  decodeRangeStreamResponse,
  encodeRangeResponse,
  ProtoError,
  type RangeRequest,
  type RangeResponse,
} from "../../../src/proto/index.ts";
import { putRequest, rangeRequest } from "./arbitrary.ts";
import { bytes, type MemoryRows, smallStore } from "./memory.ts";
import { Model } from "./model.ts";

function begin(store: MvccStore, fields: Partial<RangeRequest>, target = 1024): RangeStream {
  const request = createRangeRequest({ key: "\0", rangeEnd: "\0", ...fields });
  const stream = store.beginRangeStream(request, target);
  assert.ok(stream instanceof RangeStream);
  return stream;
}

/** Drives a stream to its end; `between` runs before every chunk but the first. */
function drain(stream: RangeStream, between: () => void = () => {}): RangeResponse[] | string {
  const messages: RangeResponse[] = [];
  while (!stream.ended) {
    const chunk = stream.step(3);
    if (chunk === undefined) continue;
    if (!(chunk instanceof RangeChunk)) return chunk;
    const size = chunk.size(revisionOnly);
    const buf = Buffer.alloc(size);
    assert.equal(chunk.write(revisionOnly, buf, 0), size);
    const windows = Buffer.alloc(size);
    const source = chunk.source(revisionOnly);
    for (let at = 0; at < size; ) at = source.next(windows, at, Math.min(size, at + 5));
    assert.deepEqual(windows, buf);
    const message = decodeRangeStreamResponse(buf, 0, size);
    assert.ok(!(message instanceof ProtoError) && message.rangeResponse !== undefined);
    messages.push(message.rangeResponse);
    if (!stream.ended) between();
  }
  return messages;
}

function fill(store: MvccStore, sink: MemoryRows, count: number, value = "v"): void {
  for (let i = 0; i < count; i++) {
    store.put(createPutRequest({ key: `k${100 + i}`, value: bytes(value) }), sink);
  }
}

test("K38: the chunks merged are the Range", () => {
  fc.assert(
    fc.property(
      fc.array(putRequest, { maxLength: 60, size: "max" }),
      rangeRequest,
      fc.integer({ min: 1, max: 400 }),
      (puts, ask, target) => {
        const { store, sink } = smallStore();
        const model = new Model();
        for (const request of puts) {
          store.put(request, sink);
          model.put(request);
        }
        const request = createRangeRequest({
          ...ask,
          sortOrder: ask.sortOrder % 2,
          sortTarget: ask.sortOrder % 2 === 1 ? 0 : ask.sortTarget,
          minModRevision: 0,
          maxModRevision: 0,
          minCreateRevision: 0,
          maxCreateRevision: 0,
        });
        // In natural order: without an order a target asks for nothing.
        const wanted = model.range({ ...request, sortTarget: 0 });
        const stream = store.beginRangeStream(request, target);
        if (!(stream instanceof RangeStream)) {
          assert.equal(stream, wanted);
          return;
        }
        const messages = drain(stream, () => store.put(createPutRequest({ key: "c" }), sink));
        assert.ok(typeof messages !== "string" && typeof wanted !== "string");
        const last = messages.at(-1);
        for (const message of messages.slice(0, -1)) {
          assert.deepEqual([message.header, message.more, message.count], [undefined, false, 0]);
        }
        const merged = createRangeResponse({
          ...last,
          kvs: messages.flatMap((message) => message.kvs),
        });
        if (request.keysOnly) for (const kv of wanted.kvs) kv.lease = 0n;
        if (request.keysOnly) for (const kv of merged.kvs) kv.lease = 0n;
        assert.deepEqual(encodeRangeResponse(merged), encodeRangeResponse(wanted));
      },
    ),
    { numRuns: 300 },
  );
});

test("K39-K42: counts, more, number of chunks, and writes in between", () => {
  const { store, sink } = smallStore();
  fill(store, sink, 25);
  const limited = drain(begin(store, { limit: 10 })) as RangeResponse[];
  assert.deepEqual([limited.at(-1)?.more, limited.at(-1)?.count], [true, 25]);
  assert.equal(limited.flatMap((message) => message.kvs).length, 10);
  const all = drain(begin(store, { limit: 25 })) as RangeResponse[];
  assert.deepEqual([all.at(-1)?.more, all.at(-1)?.count], [false, 25]);
  let written = 0;
  const whole = drain(begin(store, {}), () => {
    store.put(createPutRequest({ key: `z${written++}` }), sink);
  }) as RangeResponse[];
  assert.ok(whole.length >= 2 && written > 0);
  assert.equal(whole.at(-1)?.count, 25);
  assert.deepEqual(whole.at(-1)?.header, createResponseHeader({ revision: 26 }));
  const old = drain(begin(store, { revision: 13, limit: 3 })) as RangeResponse[];
  assert.deepEqual([old.at(-1)?.count, old.at(-1)?.more], [12, true]);
  const counted = drain(begin(store, { countOnly: true, revision: 13 })) as RangeResponse[];
  assert.deepEqual([counted.length, counted[0]?.count], [1, 12]);
});

test("K43, K44: compaction past the pinned revision ends the stream", () => {
  const { store, sink } = smallStore();
  fill(store, sink, 25);
  const outcome = drain(begin(store, {}), () => {
    fill(store, sink, 1);
    store.compact(store.revision);
  });
  assert.equal(outcome, "compacted");
  const request = createRangeRequest({ key: "a", rangeEnd: "\0", revision: 3 });
  assert.equal(store.beginRangeStream(request, 1024), "compacted");
});

test("K45: large values come one or few keys a chunk, nothing lost", () => {
  const { store, sink } = smallStore();
  fill(store, sink, 30, "x".repeat(5000));
  const messages = drain(begin(store, {}, 1024)) as RangeResponse[];
  assert.equal(messages.flatMap((message) => message.kvs).length, 30);
  assert.equal(messages.at(-1)?.count, 30);
  assert.ok(messages.slice(6).every((message) => message.kvs.length <= 2));
});
