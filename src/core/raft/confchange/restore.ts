// Rebuilds a configuration from the ConfState of a snapshot, through the same operations that make it live.
//
// Example: voters (1 2 3), outgoing (1 2 4 6), learners (5), learnersNext (4). First 1, 2, 4, 6 are added one by one; then one joint
// change removes them all, adds 1, 2, 3 as voters and 5, 4 as learners, which stages 4 because it is an outgoing voter.

import { type ConfChangeSingle, ConfChangeType, type ConfState } from "../../../proto/index.ts";
import { EMPTY_CONFIG } from "../tracker/config.ts";
import {
  type ChangedGroup,
  type ChangeRefusal,
  enterJoint,
  type NewMemberTerms,
  simpleChange,
} from "./changer.ts";

function singles(type: ConfChangeType, ids: readonly bigint[]): ConfChangeSingle[] {
  return ids.map((nodeId) => ({ type, nodeId }));
}

/** The group that `state` describes, every member with a new progress. An empty state gives the empty configuration. */
export function restoreGroup(
  state: ConfState,
  terms: NewMemberTerms,
): ChangedGroup | ChangeRefusal {
  const incoming = [
    ...singles(ConfChangeType.ConfChangeAddNode, state.voters),
    ...singles(ConfChangeType.ConfChangeAddLearnerNode, state.learners),
    ...singles(ConfChangeType.ConfChangeAddLearnerNode, state.learnersNext),
  ];
  const outgoing = singles(ConfChangeType.ConfChangeAddNode, state.votersOutgoing);
  let group: ChangedGroup = { ok: true, config: EMPTY_CONFIG, progress: new Map() };

  for (const change of outgoing.length === 0 ? incoming : outgoing) {
    const next = simpleChange(group, [change], terms);
    if (!next.ok) return next;
    group = next;
  }
  if (outgoing.length === 0) return group;
  const left = singles(ConfChangeType.ConfChangeRemoveNode, state.votersOutgoing);
  return enterJoint(group, state.autoLeave, [...left, ...incoming], terms);
}
