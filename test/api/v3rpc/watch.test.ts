// Watch: numbering, history, refusals, progress, fragments. Silence is proved by what comes after it on the same call.

import assert from "node:assert/strict";
import {
  createDeleteRangeRequest,
  createPutRequest,
  createRequestOp,
} from "../../../src/proto/index.ts";
import { behaviour } from "./targets.ts";
import { bytes } from "./test-server.ts";
import { eventText } from "./watch-talk.ts";

const [NOPUT, NODELETE] = [0, 1] as const;

function refusal(cancelReason: string, header = "1"): object {
  return { header, watchId: -1, created: true, canceled: true, cancelReason };
}

const EMPTY_RANGE = refusal("mvcc: watcher range is empty");

behaviour("watchers are numbered from 0, around the ids a client chose [W1 W2]", async (s) => {
  const talk = s.watch();
  const ids = [0, 1, 0, 0, -7];
  for (const watchId of ids) talk.create({ key: "a", watchId });
  const created = [];
  for (const _ of ids) created.push(await talk.next());
  assert.deepEqual(created, [
    { header: "1", created: true },
    { header: "1", watchId: 1, created: true },
    { header: "1", watchId: 2, created: true },
    { header: "1", watchId: 3, created: true },
    { header: "1", watchId: -7, created: true },
  ]);
  talk.create({ key: "b", watchId: 1 });
  assert.deepEqual(
    await talk.next(),
    refusal("mvcc: duplicate watch ID provided on the WatchStream"),
  );
  // The counter does not go back; an id that was given up can be chosen again.
  talk.cancel(2);
  assert.deepEqual(await talk.next(), { header: "1", watchId: 2, canceled: true });
  talk.create({ key: "c" });
  assert.deepEqual(await talk.next(), { header: "1", watchId: 4, created: true });
  talk.create({ key: "c", watchId: 2 });
  assert.deepEqual(await talk.next(), { header: "1", watchId: 2, created: true });
  talk.close();
});

behaviour("what cannot be watched is refused and the call goes on [W3 W4 W9]", async (s) => {
  const talk = s.watch();
  const compacted = refusal("etcdserver: mvcc: required revision has been compacted");
  const refused: [object, object][] = [
    [{ key: "b", rangeEnd: "a" }, EMPTY_RANGE],
    [{ key: "a", rangeEnd: "a" }, EMPTY_RANGE],
    [{ key: "a", startRevision: -1 }, compacted],
    [{ key: "b", rangeEnd: "a", startRevision: -1 }, compacted],
  ];
  for (const [request, expected] of refused) {
    talk.create(request);
    assert.deepEqual(await talk.next(), expected);
  }
  talk.create({ key: "b", rangeEnd: "\0" });
  assert.deepEqual(await talk.next(), { header: "1", created: true });
  await s.puts("a=1 c=2");
  assert.equal(await talk.events(), "0@3: c=2@3");
  talk.close();
});

behaviour("no key means every key [W5 W12 W13 W14]", async (s) => {
  const talk = s.watch();
  talk.create({ rangeEnd: "\0" });
  assert.deepEqual(await talk.next(), { header: "1", created: true });
  await s.puts("a=1 b");
  await s.deleteRange({ key: "\0", rangeEnd: "\0" });
  const put = { key: "a", createRevision: 2, modRevision: 2, version: 1, value: "1" };
  assert.deepEqual(await talk.next(), { header: "2", events: [{ kv: put }] });
  const empty = { key: "b", createRevision: 3, modRevision: 3, version: 1 };
  assert.deepEqual(await talk.next(), { header: "3", events: [{ kv: empty }] });
  assert.deepEqual(await talk.next(), {
    header: "4",
    events: [
      { type: 1, kv: { key: "a", modRevision: 4 } },
      { type: 1, kv: { key: "b", modRevision: 4 } },
    ],
  });
  talk.close();
});

behaviour("a watcher from the future is silent until then [W6 W28]", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a", startRevision: 4, progressNotify: true });
  assert.deepEqual(await talk.next(), { header: "1", created: true });
  talk.progress();
  await s.puts("a=1 a=2 a=3 a=4");
  assert.equal(await talk.events(), "0@4: a=3@4");
  assert.equal(await talk.events(), "0@5: a=4@5");
  talk.close();
});

behaviour("history before the compaction ends a watcher after it was created [W7]", async (s) => {
  await s.puts("a=1 a=2 a=3");
  await s.compact({ revision: 4, physical: true });
  const talk = s.watch();
  talk.create({ key: "a", startRevision: 2 });
  assert.deepEqual(await talk.next(), { header: "4", created: true });
  const canceled = await talk.response();
  assert.equal(canceled.header?.revision, 0);
  assert.notEqual(canceled.header?.memberId, 0n);
  const { header: _, events, ...rest } = canceled;
  assert.deepEqual(
    [rest, events],
    [
      {
        watchId: 0,
        created: false,
        canceled: true,
        compactRevision: 4,
        cancelReason: "",
        fragment: false,
      },
      [],
    ],
  );
  // Its id stays taken until the client gives it up, and no progress is told meanwhile.
  talk.create({ key: "b", watchId: 5 });
  assert.deepEqual(await talk.next(), { header: "4", watchId: 5, created: true });
  talk.progress();
  talk.cancel(0);
  assert.deepEqual(await talk.next(), { header: "4", canceled: true });
  talk.progress();
  assert.deepEqual(await talk.next(), { header: "4", watchId: -1 });
  talk.close();
});

behaviour("history at the compaction is what survived it [W8 W17]", async (s) => {
  await s.puts("a=1 b=2 a=3 a=4");
  await s.compact({ revision: 4, physical: true });
  const talk = s.watch();
  talk.create({ rangeEnd: "\0", startRevision: 4, prevKv: true });
  assert.deepEqual(await talk.next(), { header: "5", created: true });
  assert.equal(await talk.events(), "0@5: a=3@4 a=4@5 was 3");
  talk.close();
});

behaviour("a cancelled watcher is told once, an unknown one never [W10 W11 W40]", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a" });
  assert.deepEqual(await talk.next(), { header: "1", created: true });
  talk.cancel(0);
  assert.deepEqual(await talk.next(), { header: "1", canceled: true });
  talk.cancel(0);
  talk.cancel(99);
  talk.send({});
  await s.puts("a=1");
  talk.create({ key: "b" });
  assert.deepEqual(await talk.next(), { header: "2", watchId: 1, created: true });
  talk.close();
});

behaviour("filters drop events, and responses without events [W15]", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a", filters: [NOPUT] });
  talk.create({ key: "a", filters: [NODELETE] });
  talk.create({ key: "a", filters: [NOPUT, NODELETE] });
  talk.create({ key: "a", filters: [77] });
  for (let i = 0; i < 4; i++) await talk.next();
  await s.puts("a=1");
  await s.deleteRange({ key: "a" });
  const events = [];
  for (let i = 0; i < 4; i++) events.push(await talk.events());
  const expected = ["0@3: -a@3", "1@2: a=1@2", "3@2: a=1@2", "3@3: -a@3"];
  assert.deepEqual(events.sort(), expected);
  talk.close();
});

behaviour(
  "previous key-values come with what overwrites or deletes, if asked [W16 W18]",
  async (s) => {
    const [plain, withPrevious] = [s.watch(), s.watch()];
    plain.create({ key: "a" });
    withPrevious.create({ key: "a", prevKv: true });
    await plain.next();
    await withPrevious.next();
    await s.puts("a=1 a=2");
    await s.deleteRange({ key: "a" });
    await s.puts("a=3");
    for (const expected of ["0@2: a=1@2", "0@3: a=2@3", "0@4: -a@4", "0@5: a=3@5"]) {
      assert.equal(await plain.events(), expected);
    }
    for (const expected of ["0@2: a=1@2", "0@3: a=2@3 was 1", "0@4: -a@4 was 2", "0@5: a=3@5"]) {
      assert.equal(await withPrevious.events(), expected);
    }
    plain.close();
    withPrevious.close();
  },
);

behaviour("the events of a txn come together, live and as history [W19]", async (s) => {
  const talk = s.watch();
  talk.create({ rangeEnd: "\0" });
  await talk.next();
  await s.puts("a=1");
  const requestPut = createPutRequest({ key: "b", value: bytes("2") });
  const requestDeleteRange = createDeleteRangeRequest({ key: "a" });
  const success = [createRequestOp({ requestDeleteRange }), createRequestOp({ requestPut })];
  await s.txn({ success });
  assert.equal(await talk.events(), "0@2: a=1@2");
  assert.equal(await talk.events(), "0@3: -a@3 b=2@3");
  talk.create({ rangeEnd: "\0", startRevision: 2 });
  assert.deepEqual(await talk.next(), { header: "3", watchId: 1, created: true });
  assert.equal(await talk.events(), "1@3: a=1@2 -a@3 b=2@3");
  talk.close();
});

behaviour(
  "history comes in responses of at most 1000 revisions, at the revision of now [W20 W21]",
  async (s) => {
    // Two keys a revision: no response may end between them.
    const op = (key: string) => createRequestOp({ requestPut: createPutRequest({ key }) });
    for (let i = 0; i < 1100; i++) await s.txn({ success: [op("a"), op("b")] });
    const talk = s.watch();
    talk.create({ rangeEnd: "\0", startRevision: 2 });
    await talk.next();
    let next = 2;
    while (next < 1102) {
      const { header, events } = await talk.response();
      assert.equal(header?.revision, 1101);
      assert.ok(events.length % 2 === 0 && events.length <= 2000);
      for (let i = 0; i < events.length; i += 2, next++) {
        assert.deepEqual([events[i]?.kv?.modRevision, events[i]?.kv?.key], [next, "a"]);
        assert.deepEqual([events[i + 1]?.kv?.modRevision, events[i + 1]?.kv?.key], [next, "b"]);
      }
    }
    talk.close();
  },
);

behaviour(
  "the first event of a watcher follows the revision it was created at [W22]",
  async (s) => {
    const writing = { on: true };
    const writer = (async () => {
      while (writing.on) await s.puts("a=1");
    })();
    for (let i = 0; i < 20; i++) {
      const talk = s.watch();
      talk.create({ key: "a" });
      const created = await talk.response();
      const first = await talk.response();
      assert.equal(first.events[0]?.kv?.modRevision, (created.header?.revision ?? 0) + 1);
      talk.close();
    }
    writing.on = false;
    await writer;
  },
);

behaviour(
  "asked for progress, a call with synced watchers answers once for all [W26 W27]",
  async (s) => {
    const talk = s.watch();
    talk.progress();
    talk.create({ key: "a" });
    talk.create({ key: "b" });
    await talk.next();
    await talk.next();
    await s.puts("z=1");
    talk.progress();
    assert.deepEqual(await talk.next(), { header: "2", watchId: -1 });
    talk.progress();
    assert.deepEqual(await talk.next(), { header: "2", watchId: -1 });
    await s.puts("a=1");
    assert.equal(await talk.events(), "0@3: a=1@3");
    talk.close();
  },
);

behaviour(
  "periodic progress is for those who asked and got nothing meanwhile [W29 W30 W31]",
  async (s) => {
    const talk = s.watch();
    talk.create({ key: "a", progressNotify: true });
    talk.create({ key: "b" });
    await talk.next();
    await talk.next();
    const startMs = Date.now();
    assert.deepEqual(await talk.next(), { header: "1" });
    await s.puts("a=1 z=2");
    assert.equal(await talk.events(), "0@2: a=1@2");
    assert.deepEqual(await talk.next(), { header: "3" });
    assert.ok(Date.now() - startMs < 3_000);
    talk.close();
  },
  { watchProgressNotifyIntervalMs: 200 },
);

behaviour(
  "large responses come in fragments if asked for, whole if not [W32 W33 W34]",
  async (s) => {
    const [whole, cut] = [s.watch(), s.watch()];
    const value = "v".repeat(1_000_000);
    for (let i = 0; i < 6; i++) await s.put({ key: `k${i}`, value });
    whole.create({ key: "k", rangeEnd: "l", startRevision: 2 });
    cut.create({ key: "k", rangeEnd: "l", startRevision: 2, fragment: true });
    await whole.next();
    await cut.next();
    const { events, fragment } = await whole.response();
    assert.deepEqual([events.length, fragment], [6, false]);
    const keys = [];
    for (let more = true; more; ) {
      const part = await cut.response();
      assert.deepEqual([part.watchId, part.header?.revision, part.events.length], [0, 7, 2]);
      keys.push(...part.events.map((event) => event.kv?.key));
      more = part.fragment;
    }
    assert.deepEqual(
      keys,
      events.map((event) => event.kv?.key),
    );
    // An event that is larger than a fragment may be is one all the same.
    await s.put({ key: "k0", value: "w".repeat(1_500_000) });
    const large = await cut.response();
    assert.deepEqual([large.events.length, large.fragment], [1, false]);
    whole.close();
    cut.close();
  },
);

behaviour("a client that half-closes goes on getting events [W39]", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a" });
  await talk.next();
  talk.end();
  await s.puts("a=1");
  assert.equal(await talk.events(), "0@2: a=1@2");
  talk.close();
});

behaviour("a request that is no message ends the call", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a" });
  await talk.next();
  talk.sendRaw(Buffer.from([0x0a, 0x7f]));
  const { code, details } = await talk.outcome();
  assert.equal(code, 13);
  assert.match(details, /^grpc: failed to unmarshal the received message: proto:/);
});

behaviour("a client that does not read loses nothing [W23 W24]", async (s) => {
  const talk = s.watch();
  talk.create({ rangeEnd: "\0" });
  await talk.next();
  const value = "v".repeat(200_000);
  for (let i = 0; i < 60; i++) await s.put({ key: `k${i}`, value });
  const seen = [];
  while (seen.length < 60) seen.push(...eventText(await talk.response()));
  assert.deepEqual(
    seen.map((text) => text.slice(0, text.indexOf("="))),
    Array.from({ length: 60 }, (_, i) => `k${i}`),
  );
  talk.close();
});
