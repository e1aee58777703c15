import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addId,
  countDifferingIds,
  describeIds,
  idSet,
  NO_IDS,
  removeId,
  unionIds,
} from "../../../../src/core/raft/quorum/id-set.ts";
import { allVoters, jointCommittedIndex } from "../../../../src/core/raft/quorum/joint.ts";
import {
  EVERYTHING_COMMITTED,
  majorityCommittedIndex,
  majorityVoteResult,
} from "../../../../src/core/raft/quorum/majority.ts";

const ids = fc.array(fc.bigInt({ min: 1n, max: 12n }), { maxLength: 9 }).map(idSet);
const indexes = fc.array(fc.nat({ max: 20 }), { minLength: 13, maxLength: 13 });

test("idSet keeps ids ascending and once; operations share what they do not change", () => {
  const set = idSet([3n, 1n, 3n, 0xffff_ffff_ffff_fff0n]);
  assert.deepEqual(set, [1n, 3n, 0xffff_ffff_ffff_fff0n]);
  assert.equal(addId(set, 3n), set);
  assert.equal(removeId(set, 2n), set);
  assert.deepEqual(addId(set, 2n), [1n, 2n, 3n, 0xffff_ffff_ffff_fff0n]);
  assert.deepEqual(removeId(set, 3n), [1n, 0xffff_ffff_ffff_fff0n]);
  assert.equal(unionIds(set, NO_IDS), set);
  assert.equal(countDifferingIds(idSet([1n, 2n]), idSet([2n, 3n, 4n])), 3);
  assert.equal(describeIds(set), "(1 3 fffffffffffffff0)");
});

test("majorityCommittedIndex() is the highest index that more than half have acknowledged", () => {
  fc.assert(
    fc.property(ids, indexes, (voters, acked) => {
      const indexer = { ackedIndex: (id: bigint): number => acked[Number(id)] as number };
      const result = majorityCommittedIndex(voters, indexer);
      if (voters.length === 0) return result === EVERYTHING_COMMITTED;
      const holds = (index: number): boolean =>
        voters.filter((id) => indexer.ackedIndex(id) >= index).length * 2 > voters.length;
      return holds(result) && !holds(result + 1);
    }),
  );
});

test("majorityVoteResult() is decided exactly when no missing vote can change it", () => {
  const votes = fc.array(fc.constantFrom(true, false, undefined), {
    minLength: 13,
    maxLength: 13,
  });
  fc.assert(
    fc.property(ids, votes, (voters, cast) => {
      const known = new Map<bigint, boolean>();
      for (const id of voters) {
        const vote = cast[Number(id)];
        if (vote !== undefined) known.set(id, vote);
      }
      const withMissing = (vote: boolean): Map<bigint, boolean> =>
        new Map(voters.map((id) => [id, known.get(id) ?? vote]));
      const best = majorityVoteResult(voters, withMissing(true));
      const worst = majorityVoteResult(voters, withMissing(false));
      const expected = best === worst ? best : "pending";
      return majorityVoteResult(voters, known) === expected;
    }),
  );
});

test("a joint quorum commits the lower of its halves, in either order", () => {
  fc.assert(
    fc.property(ids, ids, indexes, (incoming, outgoing, acked) => {
      const indexer = { ackedIndex: (id: bigint): number => acked[Number(id)] as number };
      const index = jointCommittedIndex({ incoming, outgoing }, indexer);
      const lower = Math.min(
        majorityCommittedIndex(incoming, indexer),
        majorityCommittedIndex(outgoing, indexer),
      );
      const swapped = jointCommittedIndex({ incoming: outgoing, outgoing: incoming }, indexer);
      return index === lower && swapped === lower;
    }),
  );
  assert.deepEqual(allVoters({ incoming: idSet([2n]), outgoing: idSet([1n, 2n]) }), [1n, 2n]);
});
