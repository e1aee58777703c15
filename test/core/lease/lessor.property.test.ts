// Goal: the lessor with its heap, lazy wake times and queue behaves as a plain list scanned whole.
// Method: random sequences of every operation on a moving clock, on both; each answer compared, and the whole state after each step.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Lessor } from "../../../src/core/lease/index.ts";
import { NaiveLessor } from "./naive-lessor.ts";

type Step =
  | { op: "grant"; id: bigint; ttlS: number }
  | { op: "revoke" | "renew"; id: bigint }
  | { op: "attach" | "detach"; id: bigint; key: string }
  | { op: "checkpoint"; id: bigint; restS: number }
  | { op: "advance"; ms: number }
  | { op: "promote"; extendMs: number }
  | { op: "expired" | "demote" | "dueCheckpoints" }
  | { op: "restart" };

const id = fc.bigInt({ min: -4n, max: 8n });
const key = fc.constantFrom("a", "b", "\xff", "a\0", "b/c", "");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    op: fc.constant("grant" as const),
    id,
    ttlS: fc.oneof(fc.integer({ min: -5, max: 12 }), fc.constantFrom(299, 301, 700, 9e9, 9e9 + 1)),
  }),
  fc.record({ op: fc.constantFrom("revoke" as const, "renew" as const, "renew" as const), id }),
  fc.record({
    op: fc.constantFrom("attach" as const, "attach" as const, "detach" as const),
    id,
    key,
  }),
  fc.record({
    op: fc.constant("checkpoint" as const),
    id,
    restS: fc.constantFrom(0, 0, 3, 310, 500),
  }),
  fc.record({
    op: fc.constant("advance" as const),
    ms: fc.oneof(
      fc.double({ min: 0, max: 3000, noNaN: true }),
      fc.constantFrom(2000, 7000, 300_000),
    ),
  }),
  fc.record({ op: fc.constant("promote" as const), extendMs: fc.constantFrom(0, 1000) }),
  fc.record({
    op: fc.constantFrom("expired", "expired", "demote", "dueCheckpoints", "restart"),
  }) as fc.Arbitrary<Step>,
);

type LeaderStep =
  | Extract<Step, { op: "promote" }>
  | { op: "expired" | "demote" | "dueCheckpoints" };

class Pair {
  real: Lessor = new Lessor({ minTtlS: 2, expiredRetryMs: 7000, checkpoints: true });
  readonly naive: NaiveLessor = new NaiveLessor();
  nowMs = 1000.25;

  run(s: Step): void {
    const { real, naive, nowMs } = this;
    switch (s.op) {
      case "grant": {
        const row = real.grant(s.id, s.ttlS, nowMs);
        assert.equal(typeof row === "string" ? row : row.ttlS, naive.grant(s.id, s.ttlS, nowMs));
        break;
      }
      case "revoke":
        assert.deepEqual(real.revoke(s.id), naive.revoke(s.id));
        break;
      case "renew":
        assert.equal(real.renew(s.id, nowMs), naive.renew(s.id, nowMs));
        break;
      case "attach":
      case "detach":
        real[s.op](s.id, s.key);
        naive[s.op](s.id, s.key);
        break;
      case "checkpoint": {
        const row = real.checkpoint({ id: s.id, remainingTtlS: s.restS }, nowMs);
        assert.equal(row !== undefined, naive.checkpoint(s.id, s.restS, nowMs));
        break;
      }
      case "advance":
        this.nowMs += s.ms;
        break;
      case "restart":
        this.restart();
        break;
      default:
        this.lead(s);
    }
  }

  lead(s: LeaderStep): void {
    const { real, naive, nowMs } = this;
    switch (s.op) {
      case "promote":
        real.promote(nowMs, s.extendMs);
        naive.promote(nowMs, s.extendMs);
        break;
      case "demote":
        real.demote();
        naive.primary = false;
        break;
      case "expired":
        assert.deepEqual(real.expired(nowMs).sort(compare), naive.expired(nowMs).sort(compare));
        break;
      case "dueCheckpoints": {
        const due = real.dueCheckpoints(nowMs).map((rest) => `${rest.id}=${rest.remainingTtlS}`);
        assert.deepEqual(due.sort(), naive.dueCheckpoints(nowMs));
        break;
      }
    }
  }

  /** What a member does when it starts: rows from the backend, bindings from the keys, no leader yet. */
  restart(): void {
    this.real = new Lessor({ minTtlS: 2, expiredRetryMs: 7000, checkpoints: true });
    this.real.restore(
      this.naive.leases.map((l) => ({ id: l.id, ttlS: l.ttlS, remainingTtlS: l.restS })),
    );
    for (const lease of this.naive.leases) {
      for (const k of lease.keys) this.real.attach(lease.id, k);
    }
    this.naive.primary = false;
  }

  check(): void {
    const { real, naive, nowMs } = this;
    assert.equal(real.size, naive.leases.length);
    assert.deepEqual(real.leases(), naive.list());
    for (const lease of naive.leases) {
      assert.deepEqual([...real.keysOf(lease.id)].sort(), [...lease.keys].sort());
      for (const k of lease.keys) assert.equal(real.leaseOf(k), lease.id);
      const time = real.timeToLive(lease.id, nowMs);
      if (!naive.primary) assert.equal(time, "notPrimary");
      else {
        const remainingS = Math.trunc((lease.expiryMs - nowMs) / 1000) + 0;
        assert.deepEqual(time, { remainingS, grantedS: lease.ttlS });
      }
    }
    const bound = new Set(naive.leases.flatMap((l) => [...l.keys]));
    for (const k of ["a", "b", "\xff", "a\0", "b/c", ""]) {
      if (!bound.has(k)) assert.equal(real.leaseOf(k), 0n);
    }
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

test("Lessor answers every sequence of operations as a plain list of leases does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const pair = new Pair();
      for (const s of steps) {
        pair.run(s);
        pair.check();
      }
    }),
    { numRuns: 400 },
  );
});
