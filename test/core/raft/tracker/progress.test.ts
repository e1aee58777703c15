import assert from "node:assert/strict";
import { test } from "node:test";
import { idSet, NO_IDS } from "../../../../src/core/raft/quorum/id-set.ts";
import { EMPTY_CONFIG, type GroupConfig } from "../../../../src/core/raft/tracker/config.ts";
import { Progress } from "../../../../src/core/raft/tracker/progress.ts";
import { Tracker } from "../../../../src/core/raft/tracker/tracker.ts";

const LIMITS = { messagesMax: 2, bytesMax: Number.POSITIVE_INFINITY };

function progressAt(match: number, next: number): Progress {
  const pr = new Progress(2n, next, false, LIMITS);
  pr.match = match;
  return pr;
}

test("a probe sends one append with entries, then waits", () => {
  const pr = progressAt(0, 5);
  pr.sentEntries(0, 0);
  assert.equal(pr.isPaused, false);
  pr.sentEntries(3, 30);
  assert.deepEqual([pr.isPaused, pr.next], [true, 5]);
  assert.equal(pr.maybeUpdate(4), true);
  assert.deepEqual([pr.isPaused, pr.match, pr.next], [false, 4, 5]);
});

test("a replicating follower is sent ahead until its window is full", () => {
  const pr = progressAt(4, 9);
  pr.becomeReplicate();
  assert.equal(pr.next, 5);
  pr.sentEntries(2, 20);
  assert.deepEqual([pr.isPaused, pr.next], [false, 7]);
  pr.sentEntries(1, 10);
  assert.deepEqual([pr.isPaused, pr.next, pr.inflights.count], [true, 8, 2]);
});

test("an acknowledgement that is not news changes nothing", () => {
  const pr = progressAt(4, 9);
  assert.equal(pr.maybeUpdate(4), false);
  assert.equal(pr.maybeUpdate(3), false);
  assert.deepEqual([pr.match, pr.next], [4, 9]);
  assert.equal(pr.maybeUpdate(12), true);
  assert.deepEqual([pr.match, pr.next], [12, 13]);
});

test("maybeDecreaseTo() ignores rejections that are out of date", () => {
  const replicating = progressAt(5, 10);
  replicating.becomeReplicate();
  replicating.next = 10;
  assert.equal(replicating.maybeDecreaseTo(5, 5), false);
  assert.equal(replicating.maybeDecreaseTo(9, 9), true);
  assert.equal(replicating.next, 6);

  const probing = progressAt(0, 10);
  probing.flowPaused = true;
  assert.equal(probing.maybeDecreaseTo(5, 5), false);
  assert.equal(probing.maybeDecreaseTo(9, 2), true);
  assert.deepEqual([probing.next, probing.flowPaused], [3, false]);
  assert.equal(probing.maybeDecreaseTo(2, 99), true);
  assert.equal(probing.next, 2, "a hint never moves it forward");
});

test("after a snapshot probing goes on behind it, after its failure behind the match", () => {
  const sent = progressAt(3, 4);
  sent.becomeSnapshot(10);
  assert.deepEqual([sent.next, sent.isPaused, sent.pendingSnapshot], [11, true, 10]);
  sent.becomeProbe();
  assert.deepEqual([sent.next, sent.isPaused, sent.pendingSnapshot], [11, false, 0]);

  const failed = progressAt(3, 4);
  failed.becomeSnapshot(10);
  failed.pendingSnapshot = 0;
  failed.becomeProbe();
  assert.equal(failed.next, 4);
});

test("the commit index is sent once for as long as nothing tells that it was lost", () => {
  const pr = progressAt(4, 8);
  assert.equal(pr.canBumpCommit(6), true);
  pr.sentCommit = 7;
  assert.equal(pr.canBumpCommit(9), false, "next - 1 is on its way already");
  pr.becomeProbe();
  assert.deepEqual([pr.next, pr.sentCommit], [5, 4]);
  assert.equal(pr.canBumpCommit(9), false);
});

test("a tracker counts only voters, and each voter's first vote", () => {
  const config: GroupConfig = {
    ...EMPTY_CONFIG,
    voters: { incoming: idSet([1n, 2n, 3n]), outgoing: NO_IDS },
    learners: idSet([4n]),
  };
  const tracker = new Tracker(LIMITS);
  const members = [3n, 1n, 4n, 2n].map((id) => new Progress(id, 1, false, LIMITS));
  tracker.adopt(config, new Map(members.map((pr) => [pr.id, pr])));
  assert.deepEqual(
    tracker.ordered.map((pr) => [pr.id, pr.isLearner]),
    [
      [1n, false],
      [2n, false],
      [3n, false],
      [4n, true],
    ],
  );
  tracker.recordVote(1n, true);
  tracker.recordVote(4n, true);
  tracker.recordVote(2n, false);
  tracker.recordVote(2n, true);
  assert.deepEqual(tracker.tallyVotes(), { granted: 1, rejected: 1, result: "pending" });
  tracker.recordVote(3n, true);
  assert.deepEqual(tracker.tallyVotes(), { granted: 2, rejected: 1, result: "won" });

  for (const pr of tracker.ordered) pr.recentActive = pr.id === 1n || pr.id === 4n;
  assert.equal(tracker.isQuorumActive, false);
  for (const pr of tracker.ordered) pr.match = Number(pr.id) * 10;
  assert.equal(tracker.quorumIndex, 20);
});
