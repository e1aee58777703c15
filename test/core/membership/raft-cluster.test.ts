// Which changes of the membership are refused, in etcd's order, and what the others leave behind.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  EMPTY_MEMBERSHIP,
  type Member,
  type MembershipChange,
  RaftCluster,
  type ReconfigView,
  reconfigRefusal,
} from "../../../src/core/membership/index.ts";

function member(id: bigint, rest: Partial<Member> = {}): Member {
  const peerUrls = [`http://m${id}:2380`];
  return { id, peerUrls, isLearner: false, name: `n${id}`, clientUrls: [], ...rest };
}

function cluster(...members: Member[]): RaftCluster {
  return new RaftCluster(77n, 1, { ...EMPTY_MEMBERSHIP, members });
}

test("an added member is refused for a removed id, a known id, a peer URL in use, then one learner too many", () => {
  const c = cluster(member(1n), member(2n), member(3n, { isLearner: true }));
  c.apply({ kind: "remove", id: 2n });
  const learner = { isLearner: true };
  assert.equal(c.refusalOf({ kind: "add", member: member(2n) }), "memberRemoved");
  assert.equal(c.refusalOf({ kind: "add", member: member(1n, learner) }), "memberExists");
  const taken = member(4n, { ...learner, peerUrls: ["http://x:1", "http://m1:2380"] });
  assert.equal(c.refusalOf({ kind: "add", member: taken }), "peerUrlExists");
  assert.equal(c.refusalOf({ kind: "add", member: member(4n, learner) }), "tooManyLearners");
  assert.equal(c.refusalOf({ kind: "add", member: member(4n) }), undefined);
});

test("a promotion is refused for a removed, an unknown and a voting member", () => {
  const c = cluster(member(1n), member(2n), member(3n, { isLearner: true }));
  c.apply({ kind: "remove", id: 2n });
  assert.equal(c.refusalOf({ kind: "promote", id: 2n }), "memberRemoved");
  assert.equal(c.refusalOf({ kind: "promote", id: 9n }), "memberNotFound");
  assert.equal(c.refusalOf({ kind: "promote", id: 1n }), "memberNotLearner");
  c.apply({ kind: "promote", id: 3n });
  assert.deepEqual(c.confState().voters, [1n, 3n]);
});

test("an update changes the peer URLs alone and may repeat the member's own", () => {
  const c = cluster(member(1n), member(2n, { isLearner: true, clientUrls: ["http://c:1"] }));
  const urls = ["http://m2:2380", "http://new:1"];
  assert.equal(
    c.refusalOf({ kind: "update", id: 2n, peerUrls: ["http://m1:2380"] }),
    "peerUrlExists",
  );
  assert.equal(c.refusalOf({ kind: "update", id: 3n, peerUrls: urls }), "memberNotFound");
  c.apply({ kind: "update", id: 2n, peerUrls: urls });
  assert.deepEqual(
    c.member(2n),
    member(2n, { isLearner: true, clientUrls: ["http://c:1"], peerUrls: urls }),
  );
});

test("a removed id stays removed and its publications are ignored", () => {
  const c = cluster(member(1n), member(2n));
  assert.equal(c.apply({ kind: "remove", id: 2n }), undefined);
  assert.equal(c.refusalOf({ kind: "remove", id: 2n }), "memberRemoved");
  assert.equal(c.isRemoved(2n), true);
  assert.equal(c.setAttributes(2n, { name: "x", clientUrls: [] }), undefined);
  assert.throws(
    () => c.setAttributes(9n, { name: "x", clientUrls: [] }),
    /member 9 is in the cluster/,
  );
});

test("setAttributes() starts a member", () => {
  const c = cluster(member(1n, { name: "" }));
  const attributes = { name: "a", clientUrls: ["http://127.0.0.1:2379"] };
  assert.deepEqual(c.setAttributes(1n, attributes), member(1n, attributes));
});

test("list() is ascending by id as unsigned numbers", () => {
  const c = cluster(member(2n ** 63n), member(5n), member(1n));
  assert.deepEqual(
    c.list().map((m) => m.id),
    [1n, 5n, 2n ** 63n],
  );
});

test("setVersion() takes X.Y.Z alone", () => {
  const c = cluster(member(1n));
  c.setVersion("3.7.0");
  assert.equal(c.version, "3.7.0");
  assert.throws(() => c.setVersion("3.7"));
});

test("after any changes no two members share a peer URL and state() restores the same cluster", () => {
  const id = fc.bigInt({ min: 1n, max: 6n });
  const urls = fc.uniqueArray(fc.constantFrom("http://a:1", "http://b:1", "http://c:1"), {
    minLength: 1,
  });
  const change: fc.Arbitrary<MembershipChange> = fc.oneof(
    fc.tuple(id, urls, fc.boolean()).map(([i, peerUrls, isLearner]) => {
      return { kind: "add" as const, member: member(i, { peerUrls, isLearner }) };
    }),
    id.map((i) => ({ kind: "promote" as const, id: i })),
    id.map((i) => ({ kind: "remove" as const, id: i })),
    fc.tuple(id, urls).map(([i, peerUrls]) => ({ kind: "update" as const, id: i, peerUrls })),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const c = cluster();
      for (const one of changes) {
        if (c.refusalOf(one) === undefined) c.apply(one);
        const all = c.list().flatMap((m) => m.peerUrls);
        assert.equal(new Set(all).size, all.length);
        assert.ok(c.confState().learners.length <= 1);
      }
      assert.deepEqual(new RaftCluster(77n, 1, c.state()).state(), c.state());
    }),
  );
});

function view(members: Member[], connected: bigint[] = members.map((m) => m.id)): ReconfigView {
  return { members, isConnected: (id) => connected.includes(id) };
}

function unstarted(id: bigint): Member {
  return member(id, { name: "" });
}

test("the strict check lets one started member be joined by a second, and by a third only when that has started", () => {
  const add: MembershipChange = { kind: "add", member: member(9n) };
  assert.equal(reconfigRefusal(add, view([member(1n)])), undefined);
  assert.equal(reconfigRefusal(add, view([member(1n), unstarted(2n)])), "memberNotEnoughStarted");
  assert.equal(reconfigRefusal(add, view([member(1n), member(2n)])), undefined);
  assert.equal(reconfigRefusal(add, view([unstarted(1n)])), "memberNotEnoughStarted");
});

test("the strict check asks for a connected majority before a voter or learner is added", () => {
  const three = [member(1n), member(2n), member(3n)];
  for (const isLearner of [true, false]) {
    const add: MembershipChange = { kind: "add", member: member(9n, { isLearner }) };
    assert.equal(reconfigRefusal(add, view(three, [1n, 2n])), "unhealthy");
    assert.equal(reconfigRefusal(add, view(three)), undefined);
  }
});

test("the strict check never removes the only voter, always a learner, and a dead voter while a majority lives", () => {
  const learner = member(5n, { isLearner: true });
  const three = [member(1n), member(2n), member(3n), learner];
  assert.equal(
    reconfigRefusal({ kind: "remove", id: 1n }, view([member(1n)])),
    "memberNotEnoughStarted",
  );
  assert.equal(reconfigRefusal({ kind: "remove", id: 5n }, view(three, [1n])), undefined);
  assert.equal(reconfigRefusal({ kind: "remove", id: 3n }, view(three, [1n, 2n])), undefined);
  assert.equal(reconfigRefusal({ kind: "remove", id: 2n }, view(three, [1n, 2n])), "unhealthy");
});

test("the strict check promotes into a cluster whose majority has started", () => {
  const promote: MembershipChange = { kind: "promote", id: 9n };
  assert.equal(reconfigRefusal(promote, view([member(1n)])), undefined);
  assert.equal(
    reconfigRefusal(promote, view([unstarted(1n), unstarted(2n), member(3n)])),
    "memberNotEnoughStarted",
  );
});
