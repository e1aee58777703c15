// The two wire forms of a membership change as one, and what a change asks for: one step, entering a joint configuration or leaving it.
//
// Source: Raft thesis, sections 4.1-4.3; etcd raft, raftpb/confchange.go.

import {
  type ConfChange,
  ConfChangeTransition,
  type ConfChangeV2,
  createEntry,
  decodeConfChange,
  decodeConfChangeV2,
  type Entry,
  EntryType,
  encodeConfChange,
  encodeConfChangeV2,
  ProtoError,
} from "../../../proto/index.ts";

/** A membership change in either form. */
export type AnyConfChange = ConfChange | ConfChangeV2;

/** The newer form of `change`; the same object when it has that form already. */
export function toConfChangeV2(change: AnyConfChange): ConfChangeV2 {
  if ("changes" in change) return change;
  return {
    transition: ConfChangeTransition.ConfChangeTransitionAuto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** True for a change that leaves the joint configuration; its context does not matter. */
export function wantsLeaveJoint(change: ConfChangeV2): boolean {
  return (
    change.transition === ConfChangeTransition.ConfChangeTransitionAuto &&
    change.changes.length === 0
  );
}

/** True for a change that goes through a joint configuration: it was asked to, or it has more than one part. */
export function wantsEnterJoint(change: ConfChangeV2): boolean {
  return (
    change.transition !== ConfChangeTransition.ConfChangeTransitionAuto || change.changes.length > 1
  );
}

/** True when the leader shall leave the joint configuration by itself. */
export function wantsAutoLeave(change: ConfChangeV2): boolean {
  return change.transition !== ConfChangeTransition.ConfChangeTransitionJointExplicit;
}

/** An entry, without term and index, that carries `change`. */
export function toConfChangeEntry(change: AnyConfChange): Entry {
  if ("changes" in change) {
    return createEntry({
      type: EntryType.EntryConfChangeV2,
      data: encodeConfChangeV2(change),
    });
  }
  return createEntry({ type: EntryType.EntryConfChange, data: encodeConfChange(change) });
}

/** An entry that leaves the joint configuration. Without data it counts nothing against the uncommitted limit, so it is never refused. */
export function leaveJointEntry(): Entry {
  return createEntry({ type: EntryType.EntryConfChangeV2 });
}

/** The change in `entry`; undefined for a normal entry, a ProtoError for data that is not a change. */
export function confChangeOf(entry: Entry): ConfChangeV2 | ProtoError | undefined {
  switch (entry.type) {
    case EntryType.EntryConfChange: {
      const change = decodeConfChange(entry.data, 0, entry.data.length);
      return change instanceof ProtoError ? change : toConfChangeV2(change);
    }
    case EntryType.EntryConfChangeV2:
      return decodeConfChangeV2(entry.data, 0, entry.data.length);
    default:
      return undefined;
  }
}
