import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EXPIRY_SCAN_MS,
  type LeaseRest,
  Lessor,
  REVOCATIONS_IN_FLIGHT_MAX,
} from "../../src/core/lease/index.ts";
import { LeaseKeeper } from "../../src/server/lease-keeper.ts";
import type { Waiter } from "../../src/server/proposal.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function setup(checkpoints = false) {
  const clock = new VirtualClock();
  const lessor = new Lessor({ minTtlS: 2, expiredRetryMs: 7000, checkpoints });
  const revoked: { id: bigint; waiter: Waiter }[] = [];
  const rests: LeaseRest[][] = [];
  const keeper = new LeaseKeeper(lessor, clock, {
    revoke: (id, waiter) => void revoked.push({ id, waiter }),
    checkpoint: (some) => void rests.push([...some]),
  });
  lessor.promote(clock.nowMs(), 0);
  keeper.start();
  return { clock, lessor, revoked, rests, keeper };
}

test("an expired lease is revoked by the scan after its end, never before it", () => {
  const s = setup();
  s.lessor.grant(1n, 2, s.clock.nowMs());
  s.clock.advance(1999);
  assert.equal(s.revoked.length, 0);
  s.clock.advance(EXPIRY_SCAN_MS);
  assert.deepEqual(
    s.revoked.map((r) => r.id),
    [1n],
  );
});

test("revocations in flight are limited; each answer lets the next one go", () => {
  const s = setup();
  for (let id = 1n; id <= 20n; id++) s.lessor.grant(id, 2, s.clock.nowMs());
  s.clock.advance(2500);
  assert.equal(s.revoked.length, REVOCATIONS_IN_FLIGHT_MAX);
  s.revoked[0]?.waiter.onApplied({});
  s.revoked[1]?.waiter.onRefused("timeout");
  assert.equal(s.revoked.length, REVOCATIONS_IN_FLIGHT_MAX + 2);
});

test("what was found expired before leadership was lost is not revoked after it came back", () => {
  const s = setup();
  for (let id = 1n; id <= 20n; id++) s.lessor.grant(id, 2, s.clock.nowMs());
  s.clock.advance(2500);
  s.lessor.demote();
  s.keeper.forget();
  s.lessor.promote(s.clock.nowMs(), 1000);
  for (const { waiter } of s.revoked.slice()) waiter.onRefused("timeout");
  assert.equal(s.revoked.length, REVOCATIONS_IN_FLIGHT_MAX);
});

test("remaining times of long leases are proposed while the gate is on, and not while it is off", () => {
  for (const on of [true, false]) {
    const s = setup(on);
    s.lessor.grant(7n, 1000, s.clock.nowMs());
    s.clock.advance(300_000 + EXPIRY_SCAN_MS);
    const expected = on ? [[7n, 700]] : [];
    assert.deepEqual(
      s.rests.flat().map((r) => [r.id, Math.round(r.remainingTtlS / 10) * 10]),
      expected,
    );
  }
});
