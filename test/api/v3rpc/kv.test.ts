// KV: Put, Range, DeleteRange and Compact at their edges. The numbers in brackets are those of the reference's checklist.

import assert from "node:assert/strict";
import { createPutRequest, createRequestOp } from "../../../src/proto/index.ts";
import { behaviour } from "./targets.ts";
import { bytes, type TestServer } from "./test-server.ts";

const COMPACTED = "11 etcdserver: mvcc: required revision has been compacted";
const FUTURE = "11 etcdserver: mvcc: required revision is a future revision";
const NO_LEASE = "5 etcdserver: requested lease not found";
const NO_KEY = "3 etcdserver: key not found";
const EMPTY_KEY = "3 etcdserver: key is not provided";

const ALL = { key: "\0", rangeEnd: "\0" };

async function revisionOf(server: TestServer): Promise<unknown> {
  const answer = await server.range({ key: "nothing" });
  return (answer as { header: string }).header;
}

behaviour(
  "the first put of a store is revision 2, before it everything is revision 1 [K1]",
  async (s) => {
    assert.deepEqual(await s.range({ key: "a" }), { header: "1" });
    assert.deepEqual(await s.put({ key: "a", value: "1" }), { header: "2" });
  },
);

behaviour("a put shows the previous key-value when asked and there is one [K2 K8]", async (s) => {
  assert.deepEqual(await s.put({ key: "a", value: "1", prevKv: true }), { header: "2" });
  const before = { key: "a", createRevision: 2, modRevision: 2, version: 1, value: "1" };
  const overwritten = await s.put({ key: "a", value: "2", prevKv: true });
  assert.deepEqual(overwritten, { header: "3", prevKv: before });
  assert.deepEqual(await s.put({ key: "a", ignoreValue: true }), { header: "4" });
  assert.deepEqual(await s.put({ key: "a", ignoreLease: true, value: "3" }), { header: "5" });
});

behaviour("requests without a key are refused, a key of one zero byte is a key [K3]", async (s) => {
  assert.equal(await s.put({ value: "1" }), EMPTY_KEY);
  assert.equal(await s.range({ rangeEnd: "z" }), EMPTY_KEY);
  assert.equal(await s.deleteRange({ rangeEnd: "z" }), EMPTY_KEY);
  assert.deepEqual(await s.put({ key: "\0", value: "1" }), { header: "2" });
  assert.equal(await s.keys({ key: "\0" }), "\0 of 1");
});

behaviour(
  "what a put ignores must be there, and must not be given [K4 K5 K7 K9 K11]",
  async (s) => {
    const refused: [Parameters<TestServer["put"]>[0], string][] = [
      [{ key: "a", ignoreValue: true }, NO_KEY],
      [{ key: "a", ignoreLease: true, value: "1" }, NO_KEY],
      [{ key: "a", ignoreValue: true, value: "1" }, "3 etcdserver: value is provided"],
      [{ key: "a", ignoreLease: true, lease: 7n }, "3 etcdserver: lease is provided"],
      [{ key: "a", lease: 7n }, NO_LEASE],
      [{ key: "a", lease: 7n, ignoreValue: true }, NO_LEASE],
      [{ ignoreValue: true, value: "1" }, EMPTY_KEY],
    ];
    for (const [request, text] of refused) assert.equal(await s.put(request), text);
    assert.equal(await revisionOf(s), "1");
  },
);

behaviour(
  "a put that ignores the value detaches the lease unless it ignores that too [K6]",
  async (s) => {
    await s.leaseGrant({ id: 7n, ttl: 100 });
    await s.put({ key: "a", value: "1", lease: 7n });
    await s.put({ key: "a", ignoreValue: true, ignoreLease: true });
    const kv = { key: "a", createRevision: 2, modRevision: 3, version: 2, value: "1", lease: 7n };
    assert.deepEqual(await s.range({ key: "a" }), { header: "3", kvs: [kv], count: 1 });
    await s.put({ key: "a", ignoreValue: true });
    const { lease: _, ...detached } = { ...kv, modRevision: 4, version: 3 };
    assert.deepEqual(await s.range({ key: "a" }), { header: "4", kvs: [detached], count: 1 });
  },
);

behaviour("deleting nothing keeps the revision [K12 K13]", async (s) => {
  await s.puts("x=1");
  assert.deepEqual(await s.deleteRange({ key: "x", rangeEnd: "x" }), { header: "2" });
  assert.deepEqual(await s.deleteRange({ key: "y", rangeEnd: "x" }), { header: "2" });
  assert.deepEqual(await s.deleteRange({ key: "absent", prevKv: true }), { header: "2" });
  assert.equal(await revisionOf(s), "2");
});

behaviour(
  "a range is deleted in one revision and its previous key-values are in key order [K14 K15]",
  async (s) => {
    await s.puts("c=3 a=1 b=2");
    const answer = await s.deleteRange({ key: "a", rangeEnd: "c", prevKv: true });
    assert.deepEqual(answer, {
      header: "5",
      deleted: 2,
      prevKvs: [
        { key: "a", createRevision: 3, modRevision: 3, version: 1, value: "1" },
        { key: "b", createRevision: 4, modRevision: 4, version: 1, value: "2" },
      ],
    });
    assert.equal(await s.keys(ALL), "c of 1");
  },
);

behaviour(
  "ranges are half open, compared by bytes, and empty without an error [K16 K17]",
  async (s) => {
    await s.puts("a=1 b=2 c=3 d=4 \xff=5 \xff\xff=6");
    const cases: [string, string, string][] = [
      ["c", "c", " of 0"],
      ["d", "b", " of 0"],
      ["b", "d", "b c of 2"],
      ["c", "\0", "c d \xff \xff\xff of 4"],
      ["\0", "\0", "a b c d \xff \xff\xff of 6"],
      ["a", "\0\0", " of 0"],
      ["\xff", "\0", "\xff \xff\xff of 2"],
    ];
    for (const [key, rangeEnd, expected] of cases) {
      assert.equal(await s.keys({ key, rangeEnd }), expected, JSON.stringify([key, rangeEnd]));
    }
  },
);

behaviour(
  "limit and filters cut the key-values, never the count [K18 K19 K20 K21 K22]",
  async (s) => {
    await s.puts("a=1 b=2 c=3 d=4 b=5");
    const cases: [object, string][] = [
      [{ limit: 2 }, "a b … of 4"],
      [{ limit: 4 }, "a b c d of 4"],
      [{ limit: 0 }, "a b c d of 4"],
      [{ limit: -1 }, "a b c d of 4"],
      [{ countOnly: true, limit: 1 }, " of 4"],
      [{ countOnly: true, keysOnly: true, sortOrder: 2, sortTarget: 4 }, " of 4"],
      [{ minModRevision: 5 }, "b d of 4"],
      [{ maxModRevision: 4 }, "a c of 4"],
      [{ minCreateRevision: 3, maxCreateRevision: 4 }, "b c of 4"],
      [{ minModRevision: 5, limit: 1 }, "b … of 4"],
      [{ minModRevision: -9 }, "a b c d of 4"],
      [{ maxModRevision: -9 }, " of 4"],
      [{ minModRevision: 3, limit: 3 }, "b c d of 4"],
    ];
    for (const [options, expected] of cases) {
      assert.equal(await s.keys({ ...ALL, ...options }), expected, JSON.stringify(options));
    }
  },
);

behaviour(
  "key-values are sorted before they are cut, ties stay in key order [K23 K24 K25 K26]",
  async (s) => {
    await s.puts("d=1 c=1 a=2 b=1 a=1");
    const [ASCEND, DESCEND] = [1, 2];
    const [VERSION, CREATE, MOD, VALUE] = [1, 2, 3, 4];
    const cases: [object, string][] = [
      [{ sortOrder: DESCEND, limit: 2 }, "d c … of 4"],
      [{ sortTarget: CREATE }, "d c a b of 4"],
      [{ sortTarget: CREATE, limit: 2 }, "c a … of 4"],
      [{ sortTarget: CREATE, sortOrder: ASCEND, limit: 2 }, "d c … of 4"],
      [{ sortTarget: MOD, sortOrder: DESCEND }, "a b c d of 4"],
      [{ sortTarget: VERSION, sortOrder: DESCEND }, "a b c d of 4"],
      [{ sortTarget: VERSION, sortOrder: ASCEND }, "b c d a of 4"],
      [{ sortTarget: VALUE, sortOrder: DESCEND }, "a b c d of 4"],
      [{ sortTarget: VALUE, sortOrder: ASCEND, keysOnly: true }, "a b c d of 4"],
      [{ sortOrder: ASCEND, limit: 3 }, "a b c … of 4"],
    ];
    for (const [options, expected] of cases) {
      assert.equal(await s.keys({ ...ALL, ...options }), expected, JSON.stringify(options));
    }
  },
);

behaviour("sort options that do not exist are refused [K27]", async (s) => {
  const invalid = "3 etcdserver: invalid sort option";
  assert.equal(await s.range({ key: "a", sortOrder: 200 }), invalid);
  assert.equal(await s.range({ key: "a", sortTarget: 100 }), invalid);
  assert.equal(await s.range({ key: "a", sortOrder: -1 }), invalid);
  assert.equal(await s.range({ sortOrder: 200 }), EMPTY_KEY);
});

behaviour(
  "a range at an old revision shows the old state and the current revision [K28 K29 K30 K31]",
  async (s) => {
    await s.puts("a=1 a=2 a=3");
    assert.deepEqual(await s.range({ key: "a", revision: 3 }), {
      header: "4",
      kvs: [{ key: "a", createRevision: 2, modRevision: 3, version: 2, value: "2" }],
      count: 1,
    });
    assert.deepEqual(await s.range({ key: "a", revision: 1 }), { header: "4" });
    assert.equal(await s.keys({ key: "a", revision: -5 }), "a of 1");
    assert.equal(await s.range({ key: "a", revision: 5 }), FUTURE);
    assert.deepEqual(await s.compact({ revision: 3 }), { header: "4" });
    assert.equal(await s.keys({ key: "a", revision: 3 }), "a of 1");
    assert.equal(await s.range({ key: "a", revision: 2 }), COMPACTED);
    assert.equal(await s.range({ key: "a", revision: 2, serializable: true }), COMPACTED);
  },
);

behaviour("the latest state can be read after all history was compacted [K32 K33]", async (s) => {
  await s.puts("a=1 a=2");
  assert.deepEqual(await s.compact({ revision: 3, physical: true }), { header: "3" });
  assert.equal(await s.keys({ key: "a" }), "a of 1");
  assert.equal(await s.keys({ key: "a", serializable: true }), "a of 1");
  assert.equal(await s.compact({ revision: 3 }), COMPACTED);
  assert.equal(await s.compact({ revision: 3, physical: true }), COMPACTED);
  assert.equal(await s.compact({ revision: 4 }), FUTURE);
  assert.equal(await s.compact({ revision: -1 }), COMPACTED);
});

behaviour("a store that was never compacted can be compacted at 0, once [K34]", async (s) => {
  assert.equal(await s.compact({ revision: -1 }), COMPACTED);
  assert.deepEqual(await s.compact({ revision: 0 }), { header: "1" });
  assert.equal(await s.compact({ revision: 0 }), COMPACTED);
});

behaviour(
  "keys without values come without leases too, unless they are sorted by value [K36 K37]",
  async (s) => {
    await s.leaseGrant({ id: 7n, ttl: 100 });
    await s.put({ key: "a", value: "1", lease: 7n });
    const kv = { key: "a", createRevision: 2, modRevision: 2, version: 1 };
    const request = { key: "a", keysOnly: true };
    assert.deepEqual(await s.range(request), { header: "2", kvs: [kv], count: 1 });
    const byValue = await s.range({ ...request, sortTarget: 4 });
    assert.deepEqual(byValue, { header: "2", kvs: [{ ...kv, lease: 7n }], count: 1 });
  },
);

const TOO_LARGE = "3 etcdserver: request is too large";

behaviour(
  "what is too large for the log is refused, what is too large for gRPC earlier [K48 K49]",
  async (s) => {
    assert.deepEqual(await s.put({ key: "a", value: "x".repeat(100) }), { header: "2" });
    assert.equal(await s.put({ key: "a", value: "x".repeat(1024) }), TOO_LARGE);
    const requestPut = createPutRequest({ key: "b", value: bytes("x".repeat(1024)) });
    assert.equal(await s.txn({ success: [createRequestOp({ requestPut })] }), TOO_LARGE);
    // gRPC's limit is half a MiB above etcd's.
    const limit = 256 + 512 * 1024;
    const text = `8 grpc: received message larger than max (${limit + 7} vs. ${limit})`;
    assert.equal(await s.put({ key: "a", value: "x".repeat(limit) }), text);
    assert.equal(await revisionOf(s), "2");
  },
  { maxRequestBytes: 256 },
);

behaviour("the size limit is that of the whole entry, key and all [K47]", async (s) => {
  const limit = 1_572_864;
  assert.deepEqual(await s.put({ key: "a", value: "x".repeat(limit - 64) }), { header: "2" });
  assert.equal(await s.put({ key: "a", value: "x".repeat(limit) }), TOO_LARGE);
  assert.equal(await s.put({ key: "k".repeat(limit) }), TOO_LARGE);
});
