// Making a membership configuration the active one, with what follows from it at once.
//
// Source: Raft thesis, chapter 4; etcd raft, raft.go.

import { assert } from "../../base/index.ts";
import type { ConfChangeV2, ConfState } from "../../proto/index.ts";
import {
  type ChangedGroup,
  enterJoint,
  leaveJoint,
  type NewMemberTerms,
  simpleChange,
} from "./confchange/changer.ts";
import { wantsAutoLeave, wantsEnterJoint, wantsLeaveJoint } from "./confchange/conf-change.ts";
import { restoreGroup } from "./confchange/restore.ts";
import { isVoter } from "./quorum/joint.ts";
import { hex, type Raft } from "./raft.ts";
import { releaseConfirmedReads, releaseEarlyReads } from "./reads.ts";
import { broadcastAppend, maybeCommit, maybeSendAppend } from "./replicate.ts";
import { becomeFollower } from "./roles.ts";
import { describeConfig, isEquivalentConfState, toConfState } from "./tracker/config.ts";
import { NO_NODE } from "./types.ts";

function newMemberTerms(r: Raft): NewMemberTerms {
  return { lastIndex: r.log.lastIndex(), limits: r.tracker.limits };
}

/** Makes a committed change the active configuration and returns it. A change that does not fit stops the node: it would have to be undone. */
export function applyConfChange(r: Raft, change: ConfChangeV2): ConfState {
  const from = { config: r.tracker.config, progress: r.tracker.progress };
  const changed = wantsLeaveJoint(change)
    ? leaveJoint(from)
    : wantsEnterJoint(change)
      ? enterJoint(from, wantsAutoLeave(change), change.changes, newMemberTerms(r))
      : simpleChange(from, change.changes, newMemberTerms(r));
  assert(changed.ok, `a committed membership change fits: ${changed.ok ? "" : changed.reason}`);
  return switchTo(r, changed);
}

/** Makes the configuration of a snapshot, or of storage at start, the active one; every member's progress starts anew. */
export function restoreConfState(r: Raft, state: ConfState): void {
  const restored = restoreGroup(state, newMemberTerms(r));
  assert(restored.ok, `a stored configuration is valid: ${restored.ok ? "" : restored.reason}`);
  assert(
    isEquivalentConfState(state, switchTo(r, restored)),
    "a restored configuration is the stored one",
  );
}

function switchTo(r: Raft, group: ChangedGroup): ConfState {
  r.tracker.adopt(group.config, group.progress);
  r.logger.info?.(`${hex(r.id)} switched to configuration ${describeConfig(group.config)}`);
  const self = r.tracker.progress.get(r.id);
  r.isLearner = self !== undefined && self.isLearner;
  if (r.role === "leader") {
    if (self === undefined || self.isLearner) {
      if (r.options.stepDownOnRemoval) becomeFollower(r, r.term, NO_NODE);
    } else {
      continueAsLeader(r);
    }
  }
  return toConfState(group.config);
}

function continueAsLeader(r: Raft): void {
  if (maybeCommit(r)) {
    // The new quorum may be satisfied where the old one was not.
    releaseEarlyReads(r);
    broadcastAppend(r);
  } else {
    // New members need not wait for a heartbeat.
    for (const pr of r.tracker.ordered) if (pr.id !== r.id) maybeSendAppend(r, pr, false);
  }
  releaseConfirmedReads(r);
  if (!isVoter(r.tracker.config.voters, r.leadTransferee)) r.leadTransferee = NO_NODE;
}
