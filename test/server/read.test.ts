import assert from "node:assert/strict";
import { test } from "node:test";
import { LinearizableReads } from "../../src/server/read.ts";
import { RequestIds } from "../../src/server/request-id.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function setup() {
  const clock = new VirtualClock();
  const asked: Uint8Array[] = [];
  const answers: string[] = [];
  const source = {
    now: false,
    applied: 5,
    canReadNow: () => source.now,
    appliedIndex: () => source.applied,
    requestReadIndex: (context: Uint8Array) => void asked.push(context),
  };
  const reads = new LinearizableReads(source, clock, new RequestIds(1n, 0), 7000);
  const wait = (name: string): void =>
    reads.wait({
      onReadable: () => void answers.push(name),
      onRefused: (refusal) => void answers.push(`${name}: ${refusal}`),
    });
  return { clock, asked, answers, source, reads, wait };
}

test("a member that may answer from its applied state answers in the turn", () => {
  const s = setup();
  s.source.now = true;
  s.wait("a");
  assert.deepEqual(s.answers, ["a"]);
  assert.equal(s.asked.length, 0);
});

test("readers of a turn share one round and go on when the index is applied", () => {
  const s = setup();
  s.wait("a");
  s.wait("b");
  s.clock.turn();
  assert.equal(s.asked.length, 1);
  s.reads.onReadState(7, s.asked[0] as Uint8Array);
  assert.deepEqual(s.answers, []);
  s.source.applied = 7;
  s.reads.onApplied(7);
  assert.deepEqual(s.answers, ["a", "b"]);
});

test("readers that come during a round wait for the next one", () => {
  const s = setup();
  s.wait("a");
  s.clock.turn();
  s.wait("b");
  s.clock.turn();
  assert.equal(s.asked.length, 1);
  s.reads.onReadState(5, s.asked[0] as Uint8Array);
  assert.deepEqual(s.answers, ["a"]);
  s.clock.turn();
  assert.equal(s.asked.length, 2);
});

test("an unanswered round is asked again with a new id, and any of its ids answers it", () => {
  const s = setup();
  s.wait("a");
  s.clock.turn();
  s.clock.advance(500);
  s.reads.tick(s.clock.nowMs());
  assert.equal(s.asked.length, 2);
  assert.notDeepEqual(s.asked[0], s.asked[1]);
  s.reads.onReadState(5, Buffer.alloc(8));
  assert.deepEqual(s.answers, []);
  s.reads.onReadState(5, s.asked[0] as Uint8Array);
  assert.deepEqual(s.answers, ["a"]);
});

test("a change of leader ends the round, not the readers that wait for the next", () => {
  const s = setup();
  s.wait("a");
  s.clock.turn();
  s.wait("b");
  s.reads.onLeaderChange();
  assert.deepEqual(s.answers, ["a: leaderChanged"]);
  s.clock.turn();
  s.reads.onReadState(5, s.asked[1] as Uint8Array);
  assert.deepEqual(s.answers, ["a: leaderChanged", "b"]);
});

test("a round without an answer times out; stopping refuses the rest", () => {
  const s = setup();
  s.wait("a");
  s.clock.turn();
  s.clock.advance(7000);
  s.reads.tick(s.clock.nowMs());
  assert.deepEqual(s.answers, ["a: timeout"]);
  s.wait("b");
  s.reads.stop();
  assert.deepEqual(s.answers, ["a: timeout", "b: stopped"]);
});
