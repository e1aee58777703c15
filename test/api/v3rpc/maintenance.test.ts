// Maintenance and Cluster: alarms and what they stop, the quota, hashes, Status and MemberList.

import assert from "node:assert/strict";
import { methods } from "../../../src/client/index.ts";
import {
  createCompare,
  createDeleteRangeRequest,
  createHashKVRequest,
  createMemberListRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createStatusRequest,
  type RequestOp,
} from "../../../src/proto/index.ts";
import { behaviour, ownBehaviour } from "./targets.ts";
import type { TestServer } from "./test-server.ts";

const NO_SPACE = "8 etcdserver: mvcc: database space exceeded";
const CORRUPT = "15 etcdserver: corrupt cluster";
const [GET, ACTIVATE, DEACTIVATE] = [0, 1, 2] as const;
const [NONE, NOSPACE, CORRUPTED] = [0, 1, 2] as const;

const putOp: RequestOp = createRequestOp({ requestPut: createPutRequest({ key: "p" }) });
const getOp: RequestOp = createRequestOp({ requestRange: createRangeRequest({ key: "a" }) });
const deleteOp: RequestOp = createRequestOp({
  requestDeleteRange: createDeleteRangeRequest({ key: "d" }),
});

/** The text of a refusal, `ok` for an answer. */
async function outcome(answer: Promise<unknown>): Promise<string> {
  const shown = await answer;
  return typeof shown === "string" ? shown : "ok";
}

behaviour(
  "alarms are a set of kind and member, kept until they are taken back [M13 M14]",
  async (s) => {
    assert.deepEqual(await s.alarm({ action: GET }), { header: "1" });
    const alarm = { memberId: 77n, alarm: NOSPACE };
    assert.deepEqual(await s.alarm({ action: ACTIVATE, ...alarm }), {
      header: "1",
      alarms: [alarm],
    });
    assert.deepEqual(await s.alarm({ action: ACTIVATE, ...alarm }), {
      header: "1",
      alarms: [alarm],
    });
    assert.deepEqual(await s.alarm({ action: ACTIVATE, memberId: 5n, alarm: NONE }), {
      header: "1",
    });
    assert.deepEqual(await s.alarm({ action: GET, memberId: 1n }), {
      header: "1",
      alarms: [alarm],
    });
    assert.deepEqual(await s.alarm({ action: GET, alarm: CORRUPTED }), { header: "1" });
    assert.equal(await s.put({ key: "a" }), NO_SPACE);
    // Nothing stands for every member, or for every kind.
    for (const request of [
      { memberId: 0n, alarm: NOSPACE },
      { memberId: 77n, alarm: NONE },
      { memberId: 77n, alarm: CORRUPTED },
    ] as const) {
      assert.deepEqual(await s.alarm({ action: DEACTIVATE, ...request }), { header: "1" });
    }
    assert.equal(await s.put({ key: "a" }), NO_SPACE);
    const removed = await s.alarm({ action: DEACTIVATE, ...alarm });
    assert.deepEqual(removed, { header: "1", alarms: [alarm] });
    assert.deepEqual(await s.put({ key: "a" }), { header: "2" });
  },
);

ownBehaviour("an alarm action that does not exist is refused, where etcd crashes", async (s) => {
  const refused = "3 etcdserver: unknown alarm action";
  assert.equal(await s.alarm({ action: 9, memberId: 1n, alarm: NOSPACE }), refused);
  assert.equal(await s.alarm({ action: -1 }), refused);
});

behaviour("NOSPACE stops what may take room, and nothing else [M12]", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  await s.puts("a=1 d=1");
  await s.alarm({ action: ACTIVATE, memberId: 1n, alarm: NOSPACE });
  const compare = [createCompare({ key: "a", target: 0, result: 1, version: 99 })];
  const cases: [string, Promise<unknown>, string][] = [
    ["put", s.put({ key: "a" }), NO_SPACE],
    ["put with a fault", s.put({}), "3 etcdserver: key is not provided"],
    ["lease grant", s.leaseGrant({ id: 8n, ttl: 10 }), NO_SPACE],
    ["txn with a put", s.txn({ success: [putOp] }), NO_SPACE],
    ["put on the path not taken", s.txn({ compare, success: [putOp], failure: [getOp] }), NO_SPACE],
    ["txn of a range and a delete", s.txn({ success: [getOp, deleteOp] }), "ok"],
    ["range", s.range({ key: "a" }), "ok"],
    ["delete", s.deleteRange({ key: "a" }), "ok"],
    ["revoke", s.leaseRevoke({ id: 7n }), "ok"],
    ["compact", s.compact({ revision: 2 }), "ok"],
  ];
  for (const [name, answer, expected] of cases) assert.equal(await outcome(answer), expected, name);
});

behaviour("CORRUPT stops every write, and wins over NOSPACE [M15]", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  await s.puts("a=1");
  await s.alarm({ action: ACTIVATE, memberId: 1n, alarm: NOSPACE });
  await s.alarm({ action: ACTIVATE, memberId: 1n, alarm: CORRUPTED });
  const nested = createRequestOp({
    requestTxn: { compare: [], success: [getOp], failure: [] },
  });
  const cases: [string, Promise<unknown>, string][] = [
    ["put", s.put({ key: "a" }), CORRUPT],
    ["delete", s.deleteRange({ key: "a" }), CORRUPT],
    ["txn", s.txn({ success: [putOp] }), CORRUPT],
    ["txn that only reads, through the log", s.txn({ success: [nested] }), CORRUPT],
    ["compact", s.compact({ revision: 2 }), CORRUPT],
    ["lease grant", s.leaseGrant({ id: 8n, ttl: 10 }), CORRUPT],
    ["lease revoke", s.leaseRevoke({ id: 7n }), CORRUPT],
    ["range", s.range({ key: "a" }), "ok"],
    ["serializable range", s.range({ key: "a", serializable: true }), "ok"],
    ["txn that only reads", s.txn({ success: [getOp] }), "ok"],
    ["time to live", s.timeToLive({ id: 7n }), "ok"],
    ["alarm", s.alarm({ action: GET }), "ok"],
  ];
  for (const [name, answer, expected] of cases) assert.equal(await outcome(answer), expected, name);
  assert.deepEqual(await s.keepAlive(7n), [{ header: "2", id: 7n, ttl: 100 }, "OK"]);
});

behaviour(
  "what does not fit the quota raises the member's alarm before it is refused [M10]",
  async (s) => {
    const memberId = await s.memberId();
    const value = "v".repeat(150_000);
    assert.equal(await s.put({ key: "a", value }), NO_SPACE);
    const alarms = [{ memberId, alarm: NOSPACE }];
    assert.deepEqual(await s.alarm({ action: GET }), { header: "1", alarms });
    assert.equal(await s.put({ key: "a", value: "small" }), NO_SPACE);
    await s.alarm({ action: DEACTIVATE, memberId, alarm: NOSPACE });
    assert.deepEqual(await s.put({ key: "a", value: "small" }), { header: "2" });
    // The quota is looked at before the request.
    assert.equal(await s.put({ value }), NO_SPACE);
  },
  { quotaBackendBytes: 140_000 },
);

behaviour("Status tells who leads, how far the log is, and what is wrong [M16]", async (s) => {
  const memberId = await s.memberId();
  await s.alarm({ action: ACTIVATE, memberId: 77n, alarm: NOSPACE });
  const status = await s.message(methods.status, createStatusRequest());
  assert.equal(status.header?.memberId, memberId);
  assert.equal(status.header?.revision, 1);
  assert.equal(status.version, "3.7.1");
  assert.equal(status.leader, memberId);
  assert.equal(status.raftTerm, status.header?.raftTerm);
  assert.equal(status.raftAppliedIndex, status.raftIndex);
  assert.ok(status.dbSize > 0 && status.dbSizeInUse > 0 && status.dbSizeInUse <= status.dbSize);
  assert.equal(status.dbSizeQuota, 2_147_483_648);
  assert.equal(status.isLearner, false);
  assert.deepEqual(status.downgradeInfo, { enabled: false, targetVersion: "" });
  const [error = "", ...others] = status.errors;
  assert.deepEqual(others, []);
  assert.match(error, /^memberID:77 {1,2}alarm:NOSPACE ?$/);
});

behaviour("a member alone knows itself, and Cluster answers have no revision [C10]", async (s) => {
  await s.puts("a=1");
  const memberId = await s.memberId();
  for (const linearizable of [false, true]) {
    const list = await s.message(methods.memberList, createMemberListRequest({ linearizable }));
    assert.equal(list.header?.memberId, memberId);
    assert.notEqual(list.header?.clusterId, 0n);
    assert.notEqual(list.header?.raftTerm, 0);
    assert.equal(list.header?.revision, 0);
    const [self, ...others] = list.members;
    assert.deepEqual(others, []);
    assert.deepEqual([self?.id, self?.name, self?.isLearner], [memberId, "default", false]);
    assert.equal(self?.peerUrls.length, 1);
    assert.equal(self?.clientUrls.length, 1);
  }
});

async function hashOf(server: TestServer, revision = 0): Promise<[number, number, number]> {
  const answer = await server.message(methods.hashKv, createHashKVRequest({ revision }));
  return [answer.hash, answer.compactRevision, answer.hashRevision];
}

behaviour(
  "HashKV is that of etcd, at every revision and after compaction [M1 M3 M4 M5]",
  async (s) => {
    assert.deepEqual(await hashOf(s), [1084519789, -1, 1]);
    await s.puts("foo=bar");
    assert.deepEqual(await hashOf(s), [3305255506, -1, 2]);
    await s.puts("foo=bar1");
    assert.deepEqual(await hashOf(s), [3324146857, -1, 3]);
    await s.deleteRange({ key: "foo" });
    assert.deepEqual(await hashOf(s), [4182110496, -1, 4]);
    assert.deepEqual(await hashOf(s, 4), [4182110496, -1, 4]);
    assert.deepEqual(await hashOf(s, 2), [3305255506, -1, 2]);
    const future = "11 etcdserver: mvcc: required revision is a future revision";
    assert.equal(await s.hashKv({ revision: 5 }), future);
    await s.compact({ revision: 3, physical: true });
    // The hash of a compaction is remembered as it was before.
    assert.deepEqual(await hashOf(s, 3), [3324146857, -1, 3]);
    assert.deepEqual(await hashOf(s), [434342510, 3, 4]);
    const compacted = "11 etcdserver: mvcc: required revision has been compacted";
    assert.equal(await s.hashKv({ revision: 2 }), compacted);
    await s.compact({ revision: 4, physical: true });
    // Both 0 and 4 mean the current revision, but only 4 names the compaction's.
    assert.deepEqual(await hashOf(s), [1084519789, 4, 4]);
    assert.deepEqual(await hashOf(s, 4), [2490713407, 3, 4]);
  },
);

behaviour("Hash is a number that stays while nothing is written [M7]", async (s) => {
  await s.puts("a=1");
  const first = await s.hash();
  assert.ok((first as { hash: number }).hash > 0);
  assert.deepEqual(await s.hash(), first);
});
