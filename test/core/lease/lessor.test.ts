// What a client and a cluster can rely on of leases, one claim per test; the broad check is the property test beside this file.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CHECKPOINTS_PER_ENTRY_MAX,
  EXPIRED_PER_SCAN_MAX,
  EXPIRIES_PER_SECOND_MAX,
  Lessor,
  minLeaseTtlS,
} from "../../../src/core/lease/index.ts";

function lessor(checkpoints = false): Lessor {
  return new Lessor({ minTtlS: 2, expiredRetryMs: 7000, checkpoints });
}

function leader(checkpoints = false): Lessor {
  const made = lessor(checkpoints);
  made.promote(0, 1000);
  return made;
}

test("minLeaseTtlS() is one and a half election timeouts, rounded up to seconds", () => {
  assert.equal(minLeaseTtlS(10, 100), 2);
  assert.equal(minLeaseTtlS(5, 100), 1);
  assert.equal(minLeaseTtlS(50, 100), 8);
});

test("grant() raises a TTL below the minimum, zero and negative included", () => {
  for (const ttlS of [1, 0, -5]) {
    assert.deepEqual(leader().grant(7n, ttlS, 0), { id: 7n, ttlS: 2, remainingTtlS: 0 });
  }
});

test("grant() refuses id 0, then a TTL that is too large, then an id in use", () => {
  const l = leader();
  assert.equal(l.grant(0n, 9e9 + 1, 0), "leaseNotFound");
  assert.equal(typeof l.grant(1n, 9e9, 0), "object");
  assert.equal(l.grant(1n, 9e9 + 1, 0), "leaseTtlTooLarge");
  assert.equal(l.grant(1n, 10, 0), "leaseExists");
});

test("grant() takes every other id, negative ones included", () => {
  const l = leader();
  for (const id of [-1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    assert.equal(typeof l.grant(id, 10, 0), "object");
    assert.equal(l.renew(id, 0), 10);
    assert.deepEqual(l.revoke(id), []);
  }
});

test("expired() hands out a lease at its end and not a moment before", () => {
  const l = leader();
  l.grant(1n, 10, 5);
  assert.deepEqual(l.expired(10_004.999), []);
  assert.deepEqual(l.expired(10_005), [1n]);
});

test("expired() hands out a lease again only after the retry time, while it exists", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  assert.deepEqual(l.expired(10_000), [1n]);
  assert.deepEqual(l.expired(16_999), []);
  assert.deepEqual(l.expired(17_000), [1n]);
  l.revoke(1n);
  assert.deepEqual(l.expired(99_000), []);
});

test("expired() hands out at most one scan's worth, the longest overdue first", () => {
  const l = leader();
  for (let i = 1; i <= 700; i++) l.grant(BigInt(i), 10, i);
  const first = l.expired(60_000);
  assert.equal(first.length, EXPIRED_PER_SCAN_MAX);
  assert.equal(first[0], 1n);
  assert.equal(l.expired(60_000).length, 200);
});

test("renew() gives the whole TTL again, and the old end passes unnoticed", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  assert.equal(l.renew(1n, 9_999), 10);
  assert.deepEqual(l.expired(19_998), []);
  assert.deepEqual(l.expired(19_999), [1n]);
});

test("renew() of a lease past its end says so until the revocation is applied", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  assert.equal(l.renew(1n, 10_000), "expired");
  l.revoke(1n);
  assert.equal(l.renew(1n, 10_000), "leaseNotFound");
});

test("a member that does not lead neither renews nor expires", () => {
  const l = lessor();
  l.grant(1n, 2, 0);
  assert.equal(l.renew(1n, 0), "notPrimary");
  assert.equal(l.timeToLive(1n, 0), "notPrimary");
  assert.deepEqual(l.expired(1e9), []);
  l.promote(1e9, 1000);
  l.demote();
  assert.deepEqual(l.expired(2e9), []);
});

test("promote() restarts every lease with its whole TTL plus the extension", () => {
  const l = lessor();
  l.grant(1n, 10, 0);
  l.promote(50_000, 1000);
  assert.deepEqual(l.expired(60_999), []);
  assert.deepEqual(l.expired(61_000), [1n]);
});

test("promote() uses the checkpointed rest where there is one", () => {
  const l = lessor(true);
  l.grant(1n, 1000, 0);
  assert.deepEqual(l.checkpoint({ id: 1n, remainingTtlS: 40 }, 0), {
    id: 1n,
    ttlS: 1000,
    remainingTtlS: 40,
  });
  l.promote(0, 1000);
  assert.deepEqual(l.timeToLive(1n, 0), { remainingS: 41, grantedS: 1000 });
  assert.equal(l.renew(1n, 0), "checkpointed");
  l.checkpoint({ id: 1n, remainingTtlS: 0 }, 0);
  assert.equal(l.renew(1n, 0), 1000);
});

test("promote() lets no second see more expiries than the limit, and ends no lease early", () => {
  const l = lessor();
  for (let i = 1; i <= 4000; i++) l.grant(BigInt(i), 10 + (i % 3), 0);
  l.promote(0, 1000);
  const ends: number[] = [];
  for (let now = 0; now <= 40_000; now += 100) {
    for (const id of l.expired(now, 10_000)) {
      assert.ok(now >= 11_000 + 1000 * (Number(id) % 3));
      ends.push(now);
      l.revoke(id);
    }
  }
  assert.equal(ends.length, 4000);
  for (let i = EXPIRIES_PER_SECOND_MAX; i < ends.length; i++) {
    assert.ok((ends[i] as number) - (ends[i - EXPIRIES_PER_SECOND_MAX] as number) >= 1000);
  }
});

test("promote() leaves fewer than a thousand leases as they are", () => {
  const l = lessor();
  for (let i = 1; i <= 999; i++) l.grant(BigInt(i), 10, 0);
  l.promote(0, 0);
  assert.equal(l.expired(10_000, 5000).length, 999);
});

test("revoke() returns the keys bound now, in byte order", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  l.grant(2n, 10, 0);
  for (const k of ["b", "\xff", "a", "moved"]) l.attach(1n, k);
  l.attach(2n, "moved");
  l.detach(1n, "b");
  l.detach(2n, "a");
  assert.deepEqual(l.revoke(1n), ["a", "\xff"]);
  assert.deepEqual(l.revoke(1n), "leaseNotFound");
  assert.equal(l.leaseOf("moved"), 2n);
  l.detach(1n, "a");
  assert.deepEqual(l.revoke(2n), ["moved"]);
});

test("timeToLive() truncates toward zero and goes below it until the revocation", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  assert.deepEqual(l.timeToLive(1n, 1), { remainingS: 9, grantedS: 10 });
  assert.deepEqual(l.timeToLive(1n, 10_400), { remainingS: 0, grantedS: 10 });
  assert.deepEqual(l.timeToLive(1n, 11_400), { remainingS: -1, grantedS: 10 });
  assert.equal(l.timeToLive(2n, 0), "leaseNotFound");
});

test("leases() lists what ends first first, equal ends in order of grant", () => {
  const l = leader();
  for (const id of [3n, 1n, 2n]) l.grant(id, 10, 0);
  l.grant(9n, 5, 0);
  assert.deepEqual(l.leases(), [9n, 3n, 1n, 2n]);
  l.renew(3n, 0);
  assert.deepEqual(l.leases(), [9n, 1n, 2n, 3n]);
});

test("dueCheckpoints() tells the rest of long leases once per interval, rounded up", () => {
  const l = leader(true);
  l.grant(1n, 700, 0.5);
  l.grant(2n, 300, 0);
  assert.deepEqual(l.dueCheckpoints(300_000), []);
  assert.deepEqual(l.dueCheckpoints(300_001), [{ id: 1n, remainingTtlS: 400 }]);
  assert.deepEqual(l.dueCheckpoints(300_001), []);
  l.checkpoint({ id: 1n, remainingTtlS: 400 }, 300_001);
  assert.deepEqual(l.dueCheckpoints(600_001), [{ id: 1n, remainingTtlS: 100 }]);
  l.checkpoint({ id: 1n, remainingTtlS: 100 }, 600_001);
  assert.deepEqual(l.dueCheckpoints(699_000), []);
});

test("dueCheckpoints() fills one entry at a time and says nothing with the gate off", () => {
  const on = leader(true);
  const off = leader(false);
  for (let i = 1; i <= CHECKPOINTS_PER_ENTRY_MAX + 5; i++) {
    on.grant(BigInt(i), 700, 0);
    off.grant(BigInt(i), 700, 0);
  }
  assert.equal(on.dueCheckpoints(300_000).length, CHECKPOINTS_PER_ENTRY_MAX);
  assert.equal(on.dueCheckpoints(300_000).length, 5);
  assert.deepEqual(off.dueCheckpoints(300_000), []);
});

test("restore() replaces what was there and waits for a promotion", () => {
  const l = leader();
  l.grant(1n, 10, 0);
  l.attach(1n, "k");
  l.restore([{ id: -5n, ttlS: 1, remainingTtlS: 0 }]);
  assert.equal(l.isPrimary, false);
  assert.deepEqual(l.leases(), [-5n]);
  assert.equal(l.leaseOf("k"), 0n);
  l.promote(0, 0);
  assert.deepEqual(l.timeToLive(-5n, 0), { remainingS: 2, grantedS: 2 });
});

test("a million leases are granted, renewed, promoted and ended in a few seconds", () => {
  const l = leader();
  const startMs = performance.now();
  const count = 1_000_000;
  for (let i = 1; i <= count; i++) l.grant(BigInt(i), 60 + (i % 600), i / 1000);
  for (let i = 1; i <= count; i++) l.renew(BigInt(i), 2000);
  l.promote(3000, 1000);
  let ended = 0;
  for (let now = 3000; ended < count && now < 4e6; now += 500) {
    for (const id of l.expired(now)) {
      l.revoke(id);
      ended++;
    }
  }
  assert.equal(ended, count);
  assert.equal(l.nextWakeMs(), undefined);
  // A bound against quadratic costs, not a benchmark: it takes about 3 s alone on a slow machine.
  assert.ok(performance.now() - startMs < 60_000);
});
