// Every document of membership, byte for byte as etcd writes it, and read back from what etcd and we write.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  byId,
  changeOf,
  confChangeOf,
  confStateJson,
  decodeMembershipRows,
  decodeV2Store,
  EMPTY_MEMBERSHIP,
  encodeDowngradeRow,
  encodeMemberRow,
  encodeV2Store,
  MEMBER_REMOVED_VALUE,
  type Member,
  type MembershipChange,
  type MembershipState,
  memberJson,
  memberRowKey,
  membersJson,
  parseConfState,
  parseMember,
} from "../../../src/core/membership/index.ts";

const first: Member = {
  id: 9937498699207301625n,
  peerUrls: ["http://127.0.0.1:12380"],
  isLearner: false,
  name: "n1",
  clientUrls: [],
};

const anyMember: fc.Arbitrary<Member> = fc
  .tuple(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    fc.array(fc.webUrl(), { maxLength: 3 }),
    fc.boolean(),
    fc.string({ unit: "grapheme" }),
    fc.array(fc.string(), { maxLength: 2 }),
  )
  .map(([id, peerUrls, isLearner, name, clientUrls]) => {
    return { id, peerUrls, isLearner, name, clientUrls };
  });

test("memberJson() of a first member is the context of a real log's first ConfChange entry", () => {
  const text = '{"id":9937498699207301625,"peerURLs":["http://127.0.0.1:12380"],"name":"n1"}';
  assert.equal(memberJson(first), text);
  assert.equal(text.length, 0x4c);
});

test("memberJson() names what there is, in Go's order", () => {
  const full = { ...first, isLearner: true, clientUrls: ["http://127.0.0.1:12379"] };
  assert.equal(
    membersJson([full]),
    '[{"id":9937498699207301625,"peerURLs":["http://127.0.0.1:12380"],"isLearner":true,"name":"n1","clientURLs":["http://127.0.0.1:12379"]}]',
  );
});

test("parseMember() reads every member back, ids to the last bit", () => {
  fc.assert(
    fc.property(anyMember, (member) => {
      assert.deepEqual(parseMember(memberJson(member)), member);
    }),
  );
});

test("parseMember() refuses what is not a member", () => {
  const refused = ["", "[]", "{}", '{"id":-1}', '{"id":18446744073709551616}', '{"id":1,"name":2}'];
  for (const text of refused) assert.equal(parseMember(text), undefined, text);
});

test("confStateJson() leaves out empty lists and always says auto_leave", () => {
  const state = {
    voters: [1n, 18446744073709551615n],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  assert.equal(confStateJson(state), '{"voters":[1,18446744073709551615],"auto_leave":false}');
  assert.deepEqual(parseConfState(confStateJson(state)), state);
  assert.deepEqual(parseConfState('{"learners":[2]}'), { ...state, voters: [], learners: [2n] });
  assert.equal(parseConfState('{"voters":["1"]}'), undefined);
});

test("confChangeOf() writes the contexts etcd writes", () => {
  const learner = { ...first, isLearner: true, name: "" };
  const cases: [MembershipChange, number, string][] = [
    [
      { kind: "add", member: learner },
      3,
      '{"id":9937498699207301625,"peerURLs":["http://127.0.0.1:12380"],"isLearner":true}',
    ],
    [{ kind: "promote", id: 5n }, 0, '{"id":5,"peerURLs":null,"isPromote":true}'],
    [{ kind: "update", id: 5n, peerUrls: ["http://a:1"] }, 2, '{"id":5,"peerURLs":["http://a:1"]}'],
    [{ kind: "remove", id: 5n }, 1, ""],
  ];
  for (const [change, type, context] of cases) {
    const fields = confChangeOf(change);
    assert.equal(fields.type, type);
    assert.equal(Buffer.from(fields.context).toString(), context);
    assert.deepEqual(changeOf(fields), change);
  }
});

test("changeOf() refuses a context that is damaged or names another member", () => {
  const context = Buffer.from('{"id":5,"peerURLs":[]}');
  assert.equal(changeOf({ type: 0, nodeId: 6n, context }), undefined);
  assert.equal(changeOf({ type: 0, nodeId: 5n, context: context.subarray(1) }), undefined);
  assert.equal(changeOf({ type: 9, nodeId: 5n, context }), undefined);
});

test("changeOf() reads the false isPromote of a plain add", () => {
  const context = Buffer.from('{"id":5,"peerURLs":["http://a:1"],"isPromote":false}');
  assert.equal(changeOf({ type: 0, nodeId: 5n, context })?.kind, "add");
});

test("encodeDowngradeRow() writes etcd's two forms", () => {
  const text = (enabled: boolean, targetVersion: string): string => {
    return encodeDowngradeRow({ enabled, targetVersion }).toString();
  };
  assert.equal(text(true, "3.6.0"), '{"target-version":"3.6.0","enabled":true}');
  assert.equal(text(false, ""), '{"target-version":"","enabled":false}');
});

test("decodeMembershipRows() reads the rows back and names a damaged one", () => {
  const members = [{ key: memberRowKey(first.id), value: encodeMemberRow(first) }];
  const membersRemoved = [{ key: memberRowKey(255n), value: MEMBER_REMOVED_VALUE }];
  const cluster = [
    { key: Buffer.from("clusterVersion"), value: Buffer.from("3.7.0") },
    {
      key: Buffer.from("downgrade"),
      value: encodeDowngradeRow({ enabled: true, targetVersion: "3.6.0" }),
    },
  ];
  assert.deepEqual(decodeMembershipRows({ members, membersRemoved, cluster }), {
    members: [first],
    removed: [255n],
    version: "3.7.0",
    downgrade: { enabled: true, targetVersion: "3.6.0" },
  });
  const misplaced = [{ key: memberRowKey(1n), value: encodeMemberRow(first) }];
  assert.equal(
    decodeMembershipRows({ members: misplaced, membersRemoved: [], cluster: [] }),
    "member row 1 is damaged",
  );
});

test("a v2 store holds the membership and nothing else", () => {
  const state: fc.Arbitrary<MembershipState> = fc
    .tuple(
      fc.uniqueArray(anyMember, { selector: (m) => m.id, maxLength: 4 }),
      fc.uniqueArray(fc.bigInt({ min: 1n, max: 99n }), { maxLength: 3 }),
      fc.constantFrom(undefined, "3.7.0"),
    )
    .map(([members, removed, version]) => ({ ...EMPTY_MEMBERSHIP, members, removed, version }));
  fc.assert(
    fc.property(state, (s) => {
      const members = byId(s.members, (member) => member.id);
      const removed = byId(s.removed, (id) => id);
      assert.deepEqual(decodeV2Store(encodeV2Store(s)), { ...s, members, removed });
    }),
  );
});

test("encodeV2Store() of a first member writes nodes as Go does", () => {
  const state = {
    ...EMPTY_MEMBERSHIP,
    members: [{ ...first, id: 1n, clientUrls: ["http://c:1"] }],
  };
  const node = (path: string, value: string, children: string): string => {
    return `{"Path":"${path}","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"${value}","Children":${children}}`;
  };
  const attributes = node(
    "/0/members/1/attributes",
    '{\\"name\\":\\"n1\\",\\"clientURLs\\":[\\"http://c:1\\"]}',
    "null",
  );
  const raft = node(
    "/0/members/1/raftAttributes",
    '{\\"peerURLs\\":[\\"http://127.0.0.1:12380\\"]}',
    "null",
  );
  const one = node("/0/members/1", "", `{"attributes":${attributes},"raftAttributes":${raft}}`);
  const zero = node("/0", "", `{"members":${node("/0/members", "", `{"1":${one}}`)}}`);
  const root = node("/", "", `{"0":${zero},"1":${node("/1", "", "{}")}}`);
  assert.equal(
    encodeV2Store(state).toString(),
    `{"Root":${root},"CurrentIndex":0,"CurrentVersion":2}`,
  );
});

test("decodeV2Store() reads Go's full form and refuses a damaged member", () => {
  const full = (id: string): Buffer => {
    return Buffer.from(
      `{"Root":{"Path":"/","Children":{"0":{"Path":"/0","Children":{"members":{"Children":{"${id}":{"Children":{` +
        '"raftAttributes":{"Value":"{\\"peerURLs\\":[\\"http://a:1\\"]}","Children":null}}}}}}}}},' +
        '"WatcherHub":{"EventHistory":{"Queue":{"Events":[null,null],"Size":0,"Front":0,"Back":0,"Capacity":1000}}},' +
        '"CurrentIndex":9,"Stats":{"getSuccess":1},"CurrentVersion":2}',
    );
  };
  const member = {
    id: 0xabn,
    peerUrls: ["http://a:1"],
    isLearner: false,
    name: "",
    clientUrls: [],
  };
  assert.deepEqual(decodeV2Store(full("ab"))?.members, [member]);
  assert.equal(decodeV2Store(full("xyz")), undefined);
  assert.equal(decodeV2Store(Buffer.from("{}")), undefined);
});
