// Lease: ids, limits of the TTL, what a lease holds, and how its end is told.

import assert from "node:assert/strict";
import { methods } from "../../../src/client/index.ts";
import { createLeaseGrantRequest, createLeaseLeasesRequest } from "../../../src/proto/index.ts";
import { behaviour } from "./targets.ts";

const NOT_FOUND = "5 etcdserver: requested lease not found";
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

behaviour("a TTL is at least 2 seconds and at most 9,000,000,000 [L1 L4]", async (s) => {
  const cases: [number, number][] = [
    [1, 2],
    [0, 2],
    [-5, 2],
    [2, 2],
    [3, 3],
    [9_000_000_000, 9_000_000_000],
  ];
  for (const [i, [asked, granted]] of cases.entries()) {
    const id = BigInt(i + 1);
    assert.deepEqual(await s.leaseGrant({ id, ttl: asked }), { header: "1", id, ttl: granted });
  }
  const tooLarge = "11 etcdserver: too large lease TTL";
  assert.equal(await s.leaseGrant({ id: 100n, ttl: 9_000_000_001 }), tooLarge);
  assert.equal(await s.leaseGrant({ id: 1n, ttl: 9_000_000_001 }), tooLarge);
});

behaviour("an id is the client's or the server's, and never given twice [L2 L3]", async (s) => {
  for (const [i, id] of [7n, -1n, MAX_INT64, MIN_INT64].entries()) {
    const header = `${i + 1}`;
    assert.deepEqual(await s.leaseGrant({ id, ttl: 100 }), { header, id, ttl: 100 });
    assert.equal(await s.leaseGrant({ id, ttl: 5 }), "9 etcdserver: lease already exists");
    await s.put({ key: `k${id}`, lease: id });
    const renewed = await s.keepAlive(id);
    assert.equal((renewed[0] as { ttl: number }).ttl, 100);
  }
  assert.equal(
    await s.keys({ key: "k", rangeEnd: "l" }),
    `k-1 k${MIN_INT64} k7 k${MAX_INT64} of 4`,
  );
  const chosen = await s.message(methods.leaseGrant, createLeaseGrantRequest({ ttl: 60 }));
  assert.ok(chosen.id > 0n);
  const again = await s.message(methods.leaseGrant, createLeaseGrantRequest({ ttl: 60 }));
  assert.notEqual(again.id, chosen.id);
});

behaviour("revoking deletes the keys in one revision, in key order [L5]", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  await s.put({ key: "b", lease: 7n });
  await s.put({ key: "a", lease: 7n });
  const talk = s.watch();
  talk.create({ rangeEnd: "\0" });
  await talk.next();
  assert.deepEqual(await s.leaseRevoke({ id: 7n }), { header: "4" });
  assert.equal(await talk.events(), "0@4: -a@4 -b@4");
  assert.equal(await s.leaseRevoke({ id: 7n }), NOT_FOUND);
  assert.equal(await s.leaseRevoke({ id: 0n }), NOT_FOUND);
  await s.leaseGrant({ id: 8n, ttl: 100 });
  assert.deepEqual(await s.leaseRevoke({ id: 8n }), { header: "4" });
  talk.close();
});

behaviour("a lease that is not kept alive ends with its keys [L6 L10]", async (s) => {
  const talk = s.watch();
  talk.create({ key: "a" });
  await talk.next();
  await s.leaseGrant({ id: 7n, ttl: 2 });
  const grantedMs = Date.now();
  await s.put({ key: "a", lease: 7n });
  assert.equal(await talk.events(), "0@2: a=@2");
  assert.equal(await talk.events(), "0@3: -a@3");
  const tookMs = Date.now() - grantedMs;
  assert.ok(tookMs >= 1_900 && tookMs < 4_500, `${tookMs} ms`);
  assert.deepEqual(await s.timeToLive({ id: 7n, keys: true }), { header: "3", id: 7n, ttl: -1 });
  assert.deepEqual(await s.keepAlive(7n), [{ header: "3", id: 7n }, "OK"]);
  assert.equal(await s.leaseRevoke({ id: 7n }), NOT_FOUND);
  talk.close();
});

behaviour("keepalives are answered in order, an unknown lease with TTL 0 [L7 L20]", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  assert.deepEqual(await s.keepAlive(99n, 7n, 0n, 7n), [
    { header: "1", id: 99n },
    { header: "1", id: 7n, ttl: 100 },
    { header: "1" },
    { header: "1", id: 7n, ttl: 100 },
    "OK",
  ]);
  assert.deepEqual(await s.keepAlive(), ["OK"]);
});

behaviour("the time to live shows what is left, what was granted and the keys", async (s) => {
  await s.leaseGrant({ id: 7n, ttl: 100 });
  await s.put({ key: "b", lease: 7n });
  await s.put({ key: "a", lease: 7n });
  const shown = (await s.timeToLive({ id: 7n, keys: true })) as { ttl: number; keys: string[] };
  const { ttl, keys, ...rest } = shown;
  assert.deepEqual(rest, { header: "3", id: 7n, grantedTtl: 100 });
  assert.ok(ttl === 99 || ttl === 100, `${ttl}`);
  assert.deepEqual([...keys].sort(), ["a", "b"]);
  const without = (await s.timeToLive({ id: 7n })) as object;
  assert.ok(!("keys" in without));
  assert.deepEqual(await s.timeToLive({ id: 1n }), { header: "3", id: 1n, ttl: -1 });
  assert.deepEqual(await s.timeToLive({}), { header: "3", ttl: -1 });
});

behaviour(
  "leases are listed by the time they have left, equal ones as granted [L11]",
  async (s) => {
    assert.deepEqual(await s.leases(), { header: "1" });
    const grants: [bigint, number][] = [
      [5n, 300],
      [3n, 200],
      [9n, 300],
      [4n, 100],
    ];
    for (const [id, ttl] of grants) await s.leaseGrant({ id, ttl });
    const { leases } = await s.message(methods.leaseLeases, createLeaseLeasesRequest());
    assert.deepEqual(
      leases.map(({ id }) => id),
      [4n, 3n, 5n, 9n],
    );
  },
);

behaviour("a key belongs to the lease of its last put [L12 L13]", async (s) => {
  await s.leaseGrant({ id: 1n, ttl: 100 });
  await s.leaseGrant({ id: 2n, ttl: 100 });
  await s.put({ key: "moved", lease: 1n });
  await s.put({ key: "moved", lease: 2n });
  await s.put({ key: "freed", lease: 1n });
  await s.put({ key: "freed" });
  await s.put({ key: "gone", lease: 1n });
  await s.deleteRange({ key: "gone" });
  await s.puts("gone=again");
  await s.leaseRevoke({ id: 1n });
  assert.equal(await s.keys({ key: "\0", rangeEnd: "\0" }), "freed gone moved of 3");
  await s.leaseRevoke({ id: 2n });
  assert.equal(await s.keys({ key: "\0", rangeEnd: "\0" }), "freed gone of 2");
});
