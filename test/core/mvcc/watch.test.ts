// The rules of client-api.md 5 and 12 (Watch) that concern the hub, each by its number, and the limits of batches.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type EventBatch,
  Watcher,
  WatchHub,
  type WatchSink,
  type WatchSpec,
} from "../../../src/core/mvcc/index.ts";
import { WatchGroups } from "../../../src/core/mvcc/watch-groups.ts";
import {
  createDeleteRangeRequest,
  createPutRequest,
  createRequestOp,
  createTxnRequest,
  createWatchResponse,
  decodeWatchResponse,
  type Event,
  ProtoError,
  sizeWatchResponse,
} from "../../../src/proto/index.ts";
import { bytes, smallStore } from "./memory.ts";

function eventsOf(batch: EventBatch): Event[] {
  const buf = Buffer.alloc(batch.sizeBytes);
  batch.write(buf, 0);
  const response = decodeWatchResponse(buf, 0, buf.length);
  assert.ok(!(response instanceof ProtoError));
  return response.events;
}

/** Takes everything and remembers it. */
class Log implements WatchSink {
  readonly batches: { watcher: Watcher; batch: EventBatch }[] = [];
  readonly cancels: { watcher: Watcher; compactRevision: number }[] = [];
  open = true;

  onEvents(watcher: Watcher, batch: EventBatch): boolean {
    if (this.open) this.batches.push({ watcher, batch });
    return this.open;
  }

  onCompacted(watcher: Watcher, compactRevision: number): boolean {
    if (this.open) this.cancels.push({ watcher, compactRevision });
    return this.open;
  }

  mains(): (number | undefined)[][] {
    return this.batches.map(({ batch }) => eventsOf(batch).map((event) => event.kv?.modRevision));
  }
}

function setUp(): {
  put: (key: string, value?: string) => void;
  hub: WatchHub;
  log: Log;
  watch: (fields?: Partial<WatchSpec>) => Watcher;
} & ReturnType<typeof smallStore> {
  const parts = smallStore();
  const hub = new WatchHub(parts.store);
  const log = new Log();
  return {
    ...parts,
    hub,
    log,
    put: (key, value = "v") => {
      parts.store.put(createPutRequest({ key, value: bytes(value) }), parts.sink);
    },
    watch: (fields = {}) => {
      const watcher = hub.watch(
        {
          key: "a",
          rangeEnd: "\0",
          startRevision: 0,
          noPut: false,
          noDelete: false,
          prevKv: false,
          ...fields,
        },
        log,
      );
      assert.ok(watcher instanceof Watcher);
      return watcher;
    },
  };
}

test("W3, W4, W5, W9: ranges and starts", () => {
  const { hub, log } = setUp();
  const spec = {
    key: "b",
    rangeEnd: "a",
    startRevision: 0,
    noPut: false,
    noDelete: false,
    prevKv: false,
  };
  assert.equal(hub.watch(spec, log), "emptyRange");
  assert.equal(hub.watch({ ...spec, rangeEnd: "b" }, log), "emptyRange");
  assert.ok(hub.watch({ ...spec, rangeEnd: "\0" }, log) instanceof Watcher);
  assert.ok(hub.watch({ ...spec, key: "", rangeEnd: "\0" }, log) instanceof Watcher);
  assert.equal(hub.watch({ ...spec, rangeEnd: "", startRevision: -1 }, log), "compacted");
});

test("W6, W28: a start in the future is silent, without progress, until then", () => {
  const { hub, put, log, watch } = setUp();
  const watcher = watch({ startRevision: 4 });
  for (let i = 0; i < 2; i++) put("a");
  hub.flush();
  assert.equal(hub.progress([watcher]), undefined);
  for (let i = 0; i < 2; i++) put("a");
  hub.flush();
  assert.deepEqual(log.mains(), [[4, 5]]);
  assert.equal(hub.progress([watcher]), 5);
});

test("W7, W8, W23: a start below the compact revision is cancelled with it, at it is served", () => {
  const { store, sink, hub, put, log, watch } = setUp();
  for (let i = 0; i < 5; i++) put("a");
  store.compact(4);
  while (store.stepCompaction(sink, 9).kind !== "finished");
  const late = watch({ startRevision: 3 });
  watch({ startRevision: 4 });
  while (hub.catchUp(10));
  assert.deepEqual(log.cancels, [{ watcher: late, compactRevision: 4 }]);
  assert.deepEqual(log.mains(), [[4, 5, 6]]);
  assert.equal(late.state, "closed");
});

test("W12-W16: events of puts and deletes, filters, prev_kv", () => {
  const { store, sink, hub, put, log, watch } = setUp();
  const deletesOnly = watch({ noPut: true });
  const withPrev = watch({ prevKv: true });
  for (const value of ["1", "", "3"]) {
    put("a", value);
    hub.flush();
  }
  store.deleteRange(createDeleteRangeRequest({ key: "a" }), sink);
  hub.flush();
  const of = (watcher: Watcher): Event[] =>
    log.batches.filter((b) => b.watcher === watcher).flatMap((b) => eventsOf(b.batch));
  assert.equal(log.batches.filter((b) => b.watcher === withPrev).length, 4);
  assert.deepEqual(
    log.batches.map(({ batch }) => batch.revision),
    [2, 3, 4, 5, 5],
  );
  const values = of(withPrev).map((e) => [
    e.type,
    Buffer.from(e.kv?.value ?? []).toString(),
    e.prevKv === undefined ? undefined : Buffer.from(e.prevKv.value).toString(),
  ]);
  assert.deepEqual(values, [
    [0, "1", undefined],
    [0, "", "1"],
    [0, "3", ""],
    [1, "", "3"],
  ]);
  const [gone] = of(deletesOnly);
  assert.equal(of(deletesOnly).length, 1);
  const { key, modRevision, createRevision, version, lease } = gone?.kv ?? {};
  assert.deepEqual([key, modRevision, createRevision, version, lease], ["a", 5, 0, 0, 0n]);
});

test("W17: prev_kv is absent where the revision before is compacted", () => {
  const { store, sink, hub, put, log, watch } = setUp();
  for (let i = 0; i < 3; i++) put("a", String(i));
  store.compact(3);
  while (store.stepCompaction(sink, 9).kind !== "finished");
  watch({ startRevision: 3, prevKv: true });
  while (hub.catchUp(1));
  const [first, second] = eventsOf((log.batches[0] as { batch: EventBatch }).batch);
  assert.equal(first?.prevKv, undefined);
  assert.equal(second?.prevKv?.modRevision, 3);
});

test("W19: all events of a Txn come in one batch, synced and catching up", () => {
  const { store, sink, hub, log, watch } = setUp();
  const op = (key: string): ReturnType<typeof createRequestOp> =>
    createRequestOp({ requestPut: createPutRequest({ key }) });
  watch();
  store.txn(createTxnRequest({ success: [op("a"), op("b"), op("c")] }), sink);
  hub.flush();
  watch({ startRevision: 2 });
  while (hub.catchUp(1));
  assert.deepEqual(log.mains(), [
    [2, 2, 2],
    [2, 2, 2],
  ]);
});

test("W20, W21: catch-up batches hold at most 1000 revisions and report the newest", () => {
  const { hub, put, log, watch } = setUp();
  for (let i = 0; i < 2500; i++) put("a");
  watch({ startRevision: 2 });
  watch({ startRevision: 2, rangeEnd: "" });
  while (hub.catchUp(700));
  const sizes = log.batches.map(({ batch }) => batch.eventCount);
  assert.deepEqual(
    sizes.toSorted((a, b) => b - a),
    [1000, 1000, 1000, 1000, 500, 500],
  );
  assert.ok(log.batches.every(({ batch }) => batch.revision === 2501));
});

test("W22: the first event is the one after the revision of the created response", () => {
  const { hub, put, log, watch } = setUp();
  put("a");
  watch();
  put("a");
  hub.flush();
  assert.deepEqual(log.mains(), [[3]]);
});

test("W23, W24: a blocked watcher gets everything later, in order", () => {
  const { hub, put, log, watch } = setUp();
  const watcher = watch();
  log.open = false;
  for (let i = 0; i < 3; i++) {
    put("a");
    hub.flush();
  }
  assert.deepEqual([watcher.state, hub.progress([watcher])], ["victim", undefined]);
  assert.equal(hub.catchUp(100), false, "a victim waits for its sink");
  log.open = true;
  hub.resume(watcher);
  while (hub.catchUp(100));
  put("a");
  hub.flush();
  assert.deepEqual(log.mains(), [[2, 3, 4], [5]]);
});

test("W25-W27: progress of many watchers together", () => {
  const { hub, put, watch } = setUp();
  put("a");
  hub.flush();
  const synced = watch();
  assert.equal(hub.progress([synced]), 2);
  const behind = watch({ startRevision: 1 });
  assert.equal(hub.progress([synced, behind]), undefined);
  while (hub.catchUp(100));
  assert.equal(hub.progress([synced, behind]), 2);
  assert.equal(hub.progress([]), undefined);
});

test("watchers of one shape share one encoding", () => {
  const { hub, put, log, watch } = setUp();
  for (let i = 0; i < 100; i++) watch();
  watch({ prevKv: true });
  put("a");
  put("b");
  hub.flush();
  assert.equal(log.batches.length, 101);
  assert.equal(new Set(log.batches.map(({ batch }) => batch)).size, 2);
  assert.deepEqual(log.mains()[0], [2, 3], "an apply pass is one batch");
});

test("a watcher cancelled inside a delivery gets nothing more", () => {
  const { hub, put, log, watch } = setUp();
  const first = watch();
  const second = watch();
  const onEvents = log.onEvents.bind(log);
  log.onEvents = (watcher, batch) => {
    hub.cancel(watcher === first ? second : first);
    return onEvents(watcher, batch);
  };
  put("a");
  hub.flush();
  put("a");
  hub.flush();
  assert.equal(log.batches.filter((b) => b.watcher === second).length, 0);
  assert.equal(hub.watcherCount, 1);
});

test("W32, W33: fragments are below the limit, hold at least one event, and together are the batch", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(60), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 20, max: 200 }),
      (lengths, limit) => {
        const { hub, put, log, watch } = setUp();
        watch();
        for (const length of lengths) put("a", "x".repeat(length));
        hub.flush();
        const { batch } = log.batches[0] as { batch: EventBatch };
        const whole = createWatchResponse({ watchId: 5, events: eventsOf(batch) });
        const rest = sizeWatchResponse(createWatchResponse({ watchId: 5 }));
        const parts = batch.fragments(rest, limit);
        if (sizeWatchResponse(whole) < limit || lengths.length === 1) {
          assert.deepEqual(parts, [batch]);
          return;
        }
        assert.deepEqual(parts.flatMap(eventsOf), whole.events);
        parts.forEach((part, i) => {
          const events = eventsOf(part);
          const message = createWatchResponse({ watchId: 5, events, fragment: true });
          assert.ok(events.length === 1 || sizeWatchResponse(message) < limit);
          // Greedy: the next event would not have fitted.
          const next =
            parts[i + 1] === undefined ? undefined : eventsOf(parts[i + 1] as EventBatch)[0];
          if (next === undefined) return;
          const larger = createWatchResponse({ ...message, events: [...events, next] });
          assert.ok(sizeWatchResponse(larger) >= limit);
        });
      },
    ),
  );
});

test("groups are found by key exactly as a scan would", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 3 });
  const shape = fc.record({
    key: text,
    rangeEnd: fc.oneof(text, fc.constant(""), fc.constant("\0")),
    noPut: fc.boolean(),
    noDelete: fc.constant(false),
    prevKv: fc.constant(false),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(shape, fc.boolean()), { maxLength: 60, size: "max" }),
      fc.array(text),
      (members, keys) => {
        const groups = new WatchGroups<number>();
        const listed = new Map(members.map(([s], i) => [i, groups.add(s, i)] as const));
        members.forEach(([, stays], i) => {
          const group = listed.get(i);
          if (stays || group === undefined) return;
          groups.remove(group, i);
          listed.delete(i);
        });
        for (const key of keys) {
          const found: number[] = [];
          groups.find(key, (group) => found.push(...group.members));
          const wanted = [...listed.keys()].filter((i) => {
            const { key: from, rangeEnd } = (members[i] as [WatchSpec, boolean])[0];
            if (rangeEnd === "") return from === key;
            return key >= from && (rangeEnd === "\0" || key < rangeEnd);
          });
          assert.deepEqual(
            found.toSorted((a, b) => a - b),
            wanted,
          );
        }
        assert.equal(groups.groupCount, new Set(listed.values()).size);
      },
    ),
  );
});
