import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ChangedGroup,
  type ChangeRefusal,
  enterJoint,
  leaveJoint,
  simpleChange,
} from "../../../../src/core/raft/confchange/changer.ts";
import {
  confChangeOf,
  leaveJointEntry,
  toConfChangeEntry,
  toConfChangeV2,
  wantsAutoLeave,
  wantsEnterJoint,
  wantsLeaveJoint,
} from "../../../../src/core/raft/confchange/conf-change.ts";
import { restoreGroup } from "../../../../src/core/raft/confchange/restore.ts";
import { EMPTY_CONFIG, toConfState } from "../../../../src/core/raft/tracker/config.ts";
import {
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  createConfChange,
  createConfChangeV2,
  createEntry,
  EntryType,
  ProtoError,
} from "../../../../src/proto/index.ts";

const TERMS = {
  lastIndex: 10,
  limits: { messagesMax: 1, bytesMax: Number.POSITIVE_INFINITY },
};
const EMPTY: ChangedGroup = { ok: true, config: EMPTY_CONFIG, progress: new Map() };

const single: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(...Object.values(ConfChangeType)),
  nodeId: fc.bigInt({ min: 0n, max: 5n }),
});
const changes = fc.array(single, { maxLength: 4 });

function accepted(result: ChangedGroup | ChangeRefusal): ChangedGroup {
  assert.ok(result.ok);
  return result;
}

test("one joint change gives the same members as its parts one by one", () => {
  fc.assert(
    fc.property(changes, (parts) => {
      // Voter 9 keeps the group from losing all its voters.
      const first = accepted(
        simpleChange(EMPTY, [{ type: ConfChangeType.ConfChangeAddNode, nodeId: 9n }], TERMS),
      );
      let oneByOne = first;
      for (const part of parts) oneByOne = accepted(simpleChange(oneByOne, [part], TERMS));
      const joint = accepted(enterJoint(first, false, parts, TERMS));
      assert.equal(joint.progress.has(9n), true);
      assert.deepEqual(accepted(leaveJoint(joint)).config, oneByOne.config);
    }),
  );
});

test("a configuration restored from its ConfState is the same, joint or not", () => {
  fc.assert(
    fc.property(changes, changes, fc.boolean(), (before, parts, autoLeave) => {
      let group = accepted(
        simpleChange(EMPTY, [{ type: ConfChangeType.ConfChangeAddNode, nodeId: 9n }], TERMS),
      );
      for (const part of before) group = accepted(simpleChange(group, [part], TERMS));
      const joint = accepted(enterJoint(group, autoLeave, parts, TERMS));
      for (const { config } of [group, joint]) {
        assert.deepEqual(accepted(restoreGroup(toConfState(config), TERMS)).config, config);
      }
    }),
  );
});

test("a refused change leaves everything as it was; members that stay keep their progress", () => {
  const add = (nodeId: bigint): ConfChangeSingle => ({
    type: ConfChangeType.ConfChangeAddNode,
    nodeId,
  });
  const one = accepted(simpleChange(EMPTY, [add(1n)], TERMS));
  const self = one.progress.get(1n);
  const refused = simpleChange(one, [add(2n), add(3n)], TERMS);
  assert.deepEqual(refused, {
    ok: false,
    reason: "more than one voter changed without entering joint config",
  });
  assert.equal(one.progress.size, 1);
  const two = accepted(simpleChange(one, [add(2n)], TERMS));
  assert.equal(two.progress.get(1n), self);
  assert.equal(two.progress.get(2n)?.next, 10);
  assert.equal(two.progress.get(2n)?.recentActive, true);
});

test("a change says by its transition and parts how it is to be made", () => {
  const { ConfChangeTransitionAuto, ConfChangeTransitionJointExplicit } = ConfChangeTransition;
  const part = { type: ConfChangeType.ConfChangeAddNode, nodeId: 2n };
  const one = createConfChangeV2({ changes: [part] });
  assert.deepEqual([wantsEnterJoint(one), wantsLeaveJoint(one)], [false, false]);
  const two = createConfChangeV2({ changes: [part, part] });
  assert.deepEqual([wantsEnterJoint(two), wantsAutoLeave(two)], [true, true]);
  const explicit = createConfChangeV2({
    transition: ConfChangeTransitionJointExplicit,
    changes: [part],
  });
  assert.deepEqual([wantsEnterJoint(explicit), wantsAutoLeave(explicit)], [true, false]);
  const leave = createConfChangeV2({
    transition: ConfChangeTransitionAuto,
    context: Buffer.from("x"),
  });
  assert.equal(wantsLeaveJoint(leave), true);
});

test("entries carry changes of both forms, and damaged ones are told apart", () => {
  const v1 = createConfChange({
    type: ConfChangeType.ConfChangeRemoveNode,
    nodeId: 0xffff_0000_0000_0001n,
    context: Buffer.from("member"),
  });
  const entry = toConfChangeEntry(v1);
  assert.equal(entry.type, EntryType.EntryConfChange);
  const decoded = confChangeOf(entry);
  assert.ok(decoded !== undefined && !(decoded instanceof ProtoError));
  assert.deepEqual(decoded.changes, toConfChangeV2(v1).changes);
  assert.equal(Buffer.from(decoded.context).toString(), "member");

  assert.equal(confChangeOf(createEntry({ data: Buffer.from("payload") })), undefined);
  const left = confChangeOf(leaveJointEntry());
  assert.ok(left !== undefined && !(left instanceof ProtoError) && wantsLeaveJoint(left));
  const damaged = createEntry({ type: EntryType.EntryConfChangeV2, data: Buffer.from([0x12, 9]) });
  assert.ok(confChangeOf(damaged) instanceof ProtoError);
});
