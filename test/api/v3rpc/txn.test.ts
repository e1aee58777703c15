// KV.Txn: limits, overlaps, compares, nesting, and what a refusal leaves behind.

import assert from "node:assert/strict";
import {
  type Compare,
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { behaviour } from "./targets.ts";
import { bytes, type TestServer } from "./test-server.ts";

const TOO_MANY = "3 etcdserver: too many operations in txn request";
const DUPLICATE = "3 etcdserver: duplicate key given in txn request";
const COMPACTED = "11 etcdserver: mvcc: required revision has been compacted";
const FUTURE = "11 etcdserver: mvcc: required revision is a future revision";
const NO_KEY = "3 etcdserver: key not found";

const [EQUAL, GREATER, LESS, NOT_EQUAL] = [0, 1, 2, 3] as const;
const [VERSION, CREATE, MOD, VALUE, LEASE] = [0, 1, 2, 3, 4] as const;

function put(key: string, value = "", more: object = {}): RequestOp {
  const requestPut = createPutRequest({ key, value: bytes(value), ...more });
  return createRequestOp({ requestPut });
}
function del(key: string, rangeEnd = ""): RequestOp {
  return createRequestOp({ requestDeleteRange: createDeleteRangeRequest({ key, rangeEnd }) });
}
function get(key: string, more: Partial<RangeRequest> = {}): RequestOp {
  return createRequestOp({ requestRange: createRangeRequest({ key, ...more }) });
}
function nested(
  success: RequestOp[],
  failure: RequestOp[] = [],
  compare: Compare[] = [],
): RequestOp {
  return createRequestOp({ requestTxn: createTxnRequest({ compare, success, failure }) });
}
function when(key: string, target: number, result: number, more: object): Compare {
  return createCompare({ key, target: target, result: result, ...more });
}
const never: Compare = when("absent", VERSION, GREATER, { version: 0 });

/** The answer's refusal, or `ok`. */
async function outcome(server: TestServer, request: Partial<TxnRequest>): Promise<string> {
  const answer = await server.txn(request);
  return typeof answer === "string" ? answer : "ok";
}

async function revisionOf(server: TestServer): Promise<unknown> {
  return ((await server.range({ key: "nothing" })) as { header: string }).header;
}

behaviour(
  "a level holds 128 compares or ops of a branch, and nested ones what is left [T1 T2]",
  async (s) => {
    const compares = (n: number): Compare[] =>
      Array.from({ length: n }, () => createCompare(never));
    const gets = (n: number): RequestOp[] => Array.from({ length: n }, () => get("a"));
    assert.equal(await outcome(s, { compare: compares(129) }), TOO_MANY);
    assert.equal(await outcome(s, { success: gets(129) }), TOO_MANY);
    assert.equal(await outcome(s, { failure: gets(129) }), TOO_MANY);
    const full = { compare: compares(128), success: gets(128), failure: gets(128) };
    assert.equal(await outcome(s, full), "ok");
    const inner = Array.from({ length: 128 }, () => nested([get("a")]));
    assert.equal(await outcome(s, { success: inner }), TOO_MANY);
    assert.equal(await outcome(s, { success: [nested(gets(127))] }), "ok");
    assert.equal(await outcome(s, { success: [nested(gets(128))] }), TOO_MANY);
    const siblings = [nested(gets(126)), nested(gets(126))];
    assert.equal(await outcome(s, { success: siblings }), "ok");
  },
);

behaviour(
  "the limit of ops is a setting",
  async (s) => {
    assert.equal(await outcome(s, { success: [get("a"), get("b"), get("c")] }), TOO_MANY);
    assert.equal(await outcome(s, { success: [get("a"), get("b")] }), "ok");
  },
  { maxTxnOps: 2 },
);

behaviour("puts that meet another write on one path are refused [T3 T4 T5 T6 T7]", async (s) => {
  const cases: [string, RequestOp[], string][] = [
    ["put twice", [put("a"), put("a")], DUPLICATE],
    ["put in a deleted range", [put("abc"), del("a", "b")], DUPLICATE],
    ["deleted before the put", [del("a", "b"), put("abc")], DUPLICATE],
    ["end of the range is not in it", [put("abc"), del("abb", "abc")], "ok"],
    ["deletes overlap", [del("a", "c"), del("b", "d")], "ok"],
    ["outer put, nested delete", [put("a"), nested([del("a")])], DUPLICATE],
    ["outer delete, nested put", [del("a"), nested([put("a")])], DUPLICATE],
    ["outer put, nested put", [put("a"), nested([], [put("a")])], DUPLICATE],
    ["siblings put", [nested([put("a")]), nested([], [put("a")])], DUPLICATE],
    ["both branches of one", [nested([put("a")], [put("a")])], "ok"],
    ["nested delete, then nested put", [nested([del("a")]), nested([put("a")])], DUPLICATE],
    ["nested put, then nested delete", [nested([put("a")]), nested([del("a")])], "ok"],
    ["a range beside a put", [get("a"), put("a"), get("a")], "ok"],
  ];
  for (const [name, success, expected] of cases) {
    assert.equal(await outcome(s, { success }), expected, name);
    assert.equal(await outcome(s, { compare: [never], failure: success }), expected, name);
  }
});

behaviour("a delete from a key on meets no put and runs in order [T8]", async (s) => {
  await s.puts("a=1 b=2");
  const answer = await s.txn({ success: [put("b", "3"), del("a", "\0"), put("c", "4")] });
  assert.deepEqual(answer, {
    header: "4",
    succeeded: true,
    responses: [
      { responsePut: { header: "only 4" } },
      { responseDeleteRange: { header: "only 4", deleted: 2 } },
      { responsePut: { header: "only 4" } },
    ],
  });
  assert.equal(await s.keys({ key: "\0", rangeEnd: "\0" }), "c of 1");
  // Deleted and put again in one revision: a new life.
  await s.txn({ success: [del("\0", "\0"), put("c", "5")] });
  const kv = { key: "c", createRevision: 5, modRevision: 5, version: 1, value: "5" };
  assert.deepEqual(await s.range({ key: "c" }), { header: "5", kvs: [kv], count: 1 });
});

behaviour(
  "however much it writes it takes one revision, and none if it writes nothing [T9 T10]",
  async (s) => {
    await s.puts("a=1");
    assert.deepEqual(await s.txn({ success: [get("a", { countOnly: true })] }), {
      header: "2",
      succeeded: true,
      responses: [{ responseRange: { header: "only 2", count: 1 } }],
    });
    assert.deepEqual(await s.txn({ success: [del("x"), del("y")] }), {
      header: "2",
      succeeded: true,
      responses: [
        { responseDeleteRange: { header: "only 2" } },
        { responseDeleteRange: { header: "only 2" } },
      ],
    });
    await s.txn({ success: [put("b"), put("c"), del("a")] });
    assert.equal(await revisionOf(s), "3");
    assert.deepEqual(await s.txn({}), { header: "3", succeeded: true });
    assert.deepEqual(await s.txn({ compare: [never] }), { header: "3" });
  },
);

behaviour("compares read 0 from a missing key, and no value at all [T11 T12 T15]", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  await s.puts("a=1");
  await s.put({ key: "leased", lease: 7n });
  const cases: [Compare, boolean][] = [
    [when("no", VERSION, EQUAL, { version: 0 }), true],
    [when("no", CREATE, EQUAL, { createRevision: 0 }), true],
    [when("no", MOD, LESS, { modRevision: 1 }), true],
    [when("no", LEASE, EQUAL, { lease: 0n }), true],
    [when("no", VALUE, EQUAL, { value: bytes("") }), false],
    [when("no", VALUE, NOT_EQUAL, { value: bytes("x") }), false],
    [when("x", VALUE, LESS, { value: bytes("x"), rangeEnd: "z" }), false],
    [when("a", LEASE, GREATER, { lease: 0n }), false],
    [when("a", LEASE, EQUAL, { lease: 0n }), true],
    [when("leased", LEASE, EQUAL, { lease: 7n }), true],
    [when("a", VALUE, EQUAL, { value: bytes("1") }), true],
    [when("a", VALUE, LESS, { value: bytes("10") }), true],
    [when("a", VERSION, NOT_EQUAL, { version: 2 }), true],
    // Without an operand the compare is with 0, or with nothing.
    [when("a", MOD, GREATER, {}), true],
    [when("a", VALUE, GREATER, {}), true],
    // What does not exist is equal (a target), or holds (a result).
    [when("a", 99, EQUAL, {}), true],
    [when("a", 99, GREATER, {}), false],
    [when("a", VERSION, 99, { version: 77 }), true],
  ];
  for (const [compare, expected] of cases) {
    const answer = (await s.txn({ compare: [compare] })) as { succeeded?: boolean };
    assert.equal(answer.succeeded ?? false, expected, JSON.stringify(compare, String));
  }
});

behaviour("a compare over a range must hold for every key in it [T13 T14]", async (s) => {
  await s.puts("a1=1 a2=1 a3=2 b=9");
  const cases: [Compare, boolean][] = [
    [when("a1", VALUE, EQUAL, { value: bytes("1"), rangeEnd: "a3" }), true],
    [when("a1", VALUE, EQUAL, { value: bytes("1"), rangeEnd: "a4" }), false],
    [when("a1", VALUE, LESS, { value: bytes("3"), rangeEnd: "\0" }), false],
    [when("a1", VERSION, EQUAL, { version: 1, rangeEnd: "\0" }), true],
    [when("z", VERSION, EQUAL, { version: 0, rangeEnd: "\0" }), true],
  ];
  for (const [compare, expected] of cases) {
    const answer = (await s.txn({ compare: [compare] })) as { succeeded?: boolean };
    assert.equal(answer.succeeded ?? false, expected, JSON.stringify(compare, String));
  }
});

behaviour(
  "a nested txn decides on the state before all, and has an empty header [T16 T17]",
  async (s) => {
    const success = [
      put("a", "1"),
      nested([put("b", "yes")], [put("b", "no")], [when("a", VERSION, EQUAL, { version: 1 })]),
      nested([nested([get("a")])]),
    ];
    const a = { key: "a", createRevision: 2, modRevision: 2, version: 1, value: "1" };
    const inner = { responseRange: { header: "only 2", kvs: [a], count: 1 } };
    assert.deepEqual(await s.txn({ success }), {
      header: "2",
      succeeded: true,
      responses: [
        { responsePut: { header: "only 2" } },
        { responseTxn: { header: "empty", responses: [{ responsePut: { header: "only 2" } }] } },
        {
          responseTxn: {
            header: "empty",
            succeeded: true,
            responses: [{ responseTxn: { header: "empty", succeeded: true, responses: [inner] } }],
          },
        },
      ],
    });
  },
);

behaviour("a range sees the writes before it, and its header says so [T18]", async (s) => {
  await s.puts("a=1");
  const kv = { key: "a", createRevision: 2, version: 1, modRevision: 2, value: "1" };
  const success = [get("a"), put("a", "2", { prevKv: true }), get("a"), del("a"), get("a")];
  assert.deepEqual(await s.txn({ success: success.slice(0, 3) }), {
    header: "3",
    succeeded: true,
    responses: [
      { responseRange: { header: "only 2", kvs: [kv], count: 1 } },
      { responsePut: { header: "only 3", prevKv: kv } },
      {
        responseRange: {
          header: "only 3",
          kvs: [{ ...kv, modRevision: 3, version: 2, value: "2" }],
          count: 1,
        },
      },
    ],
  });
});

behaviour("a path that cannot run leaves no trace [T19 T21 T22 T23 T24 K10]", async (s) => {
  await s.puts("a=1 a=2 a=3");
  await s.compact({ revision: 3 });
  const noLease = "5 etcdserver: requested lease not found";
  const cases: [string, Partial<TxnRequest>, string][] = [
    ["future", { success: [put("x"), get("a", { revision: 9 })] }, FUTURE],
    ["the revision being written", { success: [put("x"), get("a", { revision: 5 })] }, FUTURE],
    ["compacted", { success: [put("x"), get("a", { revision: 2 })] }, COMPACTED],
    ["negative", { success: [put("x"), get("a", { revision: -1 })] }, COMPACTED],
    ["nested", { success: [put("x"), nested([get("a", { revision: 2 })])] }, COMPACTED],
    ["unknown lease", { success: [put("x"), put("y", "", { lease: 7n })] }, noLease],
    ["missing key", { success: [put("x"), put("y", "", { ignoreValue: true })] }, NO_KEY],
    [
      "key of an earlier op",
      { success: [put("x"), nested([put("y", "", { ignoreLease: true })])] },
      NO_KEY,
    ],
    ["unset op", { success: [put("x"), createRequestOp()] }, NO_KEY],
    ["unset op, not taken", { success: [put("x")], failure: [createRequestOp()] }, NO_KEY],
    ["empty key, not taken", { failure: [put("")] }, "3 etcdserver: key is not provided"],
    ["compare of no key", { compare: [createCompare()] }, "3 etcdserver: key is not provided"],
    ["read only, compacted", { success: [get("a", { revision: 2 })] }, COMPACTED],
    ["read only, future", { success: [get("a", { revision: 9 })] }, FUTURE],
  ];
  for (const [name, request, expected] of cases) {
    assert.equal(await outcome(s, request), expected, name);
  }
  assert.equal(await revisionOf(s), "4");
  const notTaken = [get("a", { revision: 99 }), put("y", "", { lease: 7n })];
  assert.equal(await outcome(s, { success: [put("x")], failure: notTaken }), "ok");
  assert.equal(await outcome(s, { success: [nested([put("x")], notTaken)] }), "ok");
});

behaviour("a negative revision is fine in a txn until the store is compacted [T23]", async (s) => {
  await s.puts("a=1");
  assert.equal(await outcome(s, { success: [put("x"), get("a", { revision: -1 })] }), "ok");
  assert.equal(await outcome(s, { success: [get("a", { revision: -1 })] }), "ok");
});

behaviour("serializable reads are answered like others on a member alone [T25 T28]", async (s) => {
  await s.puts("a=1");
  const success = [get("a", { serializable: true, keysOnly: true })];
  const kv = { key: "a", createRevision: 2, modRevision: 2, version: 1 };
  assert.deepEqual(await s.txn({ success }), {
    header: "2",
    succeeded: true,
    responses: [{ responseRange: { header: "only 2", kvs: [kv], count: 1 } }],
  });
});
