import assert from "node:assert/strict";
import { test } from "node:test";
import { Arm, Proposal } from "../../src/server/proposal.ts";
import type { Refusal } from "../../src/server/refusal.ts";
import { BATCH_PROPOSALS_MAX, QUEUE_PROPOSALS_MAX, Turn } from "../../src/server/turn.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

interface Setup {
  readonly clock: VirtualClock;
  readonly turn: Turn;
  readonly batches: (readonly Proposal[])[];
  readonly refused: Refusal[];
  propose(): Proposal;
  hasLeader: boolean;
  blocked: boolean;
  term: number;
}

function setup(): Setup {
  const clock = new VirtualClock();
  const batches: (readonly Proposal[])[] = [];
  const refused: Refusal[] = [];
  let nextIndex = 1;
  const sink = {
    accept(batch: readonly Proposal[]) {
      if (!state.hasLeader) return "noLeader" as const;
      batches.push(batch);
      const index = nextIndex;
      nextIndex += batch.length;
      return { index, term: state.term };
    },
    isBlocked: () => state.blocked,
  };
  const turn: Turn = new Turn(clock, sink, 7000, () => turn.handOver());
  const state: Setup = {
    clock,
    turn,
    batches,
    refused,
    hasLeader: true,
    blocked: false,
    term: 2,
    propose() {
      const waiter = {
        onApplied() {},
        onRefused: (refusal: Refusal) => void refused.push(refusal),
      };
      const proposal = new Proposal(Arm.put, {}, new Uint8Array(10), waiter, clock.nowMs());
      const refusal = turn.submit(proposal);
      if (refusal !== undefined) refused.push(refusal);
      return proposal;
    },
  };
  return state;
}

test("proposals of one turn go to the log together, at its end", () => {
  const s = setup();
  const all = [s.propose(), s.propose(), s.propose()];
  assert.equal(s.batches.length, 0);
  s.clock.turn();
  assert.deepEqual(s.batches, [all]);
  assert.deepEqual(
    all.map((p) => p.index),
    [1, 2, 3],
  );
});

test("the applier finds each proposal at its place, once, and nothing at a foreign place", () => {
  const s = setup();
  const [a, b] = [s.propose(), s.propose()];
  s.clock.turn();
  assert.equal(s.turn.takeAt(1, 2), a);
  assert.equal(s.turn.takeAt(1, 2), undefined);
  assert.equal(s.turn.takeAt(2, 2), b);
  assert.equal(s.turn.takeAt(3, 2), undefined);
});

test("a proposal whose place went to another leader's entry is answered by the timeout only", () => {
  const s = setup();
  s.propose();
  s.clock.turn();
  assert.equal(s.turn.takeAt(1, 3), undefined);
  s.turn.tick(s.clock.nowMs() + 6999);
  assert.deepEqual(s.refused, []);
  s.turn.tick(s.clock.nowMs() + 7000);
  assert.deepEqual(s.refused, ["timeout"]);
});

test("without a leader proposals wait, and are refused with the deadline's text when the timeout passes", () => {
  const s = setup();
  s.hasLeader = false;
  s.propose();
  s.clock.turn();
  s.turn.tick(s.clock.nowMs() + 7000);
  assert.deepEqual(s.refused, ["contextDeadline"]);
  s.hasLeader = true;
  s.turn.handOver();
  assert.equal(s.batches.length, 0);
});

test("a proposal that timed out in the log keeps its place, but nobody is told twice", () => {
  const s = setup();
  const late = s.propose();
  s.clock.turn();
  s.turn.tick(s.clock.nowMs() + 7000);
  s.turn.tick(s.clock.nowMs() + 7100);
  assert.deepEqual(s.refused, ["timeout"]);
  assert.equal(s.turn.takeAt(1, 2), late);
});

test("a batch is bounded, the rest follows in the next", () => {
  const s = setup();
  for (let i = 0; i < BATCH_PROPOSALS_MAX + 5; i++) s.propose();
  s.clock.turn();
  assert.deepEqual(
    s.batches.map((b) => b.length),
    [BATCH_PROPOSALS_MAX, 5],
  );
});

test("the queue is bounded: beyond it clients are refused at once", () => {
  const s = setup();
  s.blocked = true;
  for (let i = 0; i < QUEUE_PROPOSALS_MAX; i++) s.propose();
  assert.deepEqual(s.refused, []);
  s.propose();
  assert.deepEqual(s.refused, ["tooManyRequests"]);
});

test("stopping refuses everybody, wherever they wait, and all who come later", () => {
  const s = setup();
  s.propose();
  s.clock.turn();
  s.propose();
  s.turn.stop();
  s.propose();
  assert.deepEqual(s.refused, ["stopped", "stopped", "stopped"]);
});
