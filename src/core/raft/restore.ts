// A follower replacing its whole state by a snapshot from the leader. Source: Raft thesis, section 5.1; etcd raft, raft.go.

import { assert, must } from "../../base/index.ts";
import type { ConfState, Snapshot } from "../../proto/index.ts";
import { hex, type Raft } from "./raft.ts";
import { restoreConfState } from "./reconfigure.ts";

/** Takes `snapshot` over; false when there is nothing to gain from it or it is not for this node. */
export function restoreSnapshot(r: Raft, snapshot: Snapshot): boolean {
  const { index, term, confState } = must(snapshot.metadata, "a snapshot has metadata");
  const members = must(confState, "a snapshot names its members");
  if (index <= r.log.committed) return false;
  assert(r.role === "follower", "only a follower takes a snapshot");
  if (!isMember(members, r.id)) {
    r.logger.warn?.(`${hex(r.id)} ignores a snapshot at index ${index} that it is no member in`);
    return false;
  }
  if (r.log.matchesTerm(index, term)) {
    // The log has it all, so the snapshot only tells how far it is committed.
    r.log.commitTo(index);
    return false;
  }
  r.log.restore(snapshot);
  restoreConfState(r, members);
  r.logger.info?.(`${hex(r.id)} restored the snapshot at index ${index}, term ${term}`);
  return true;
}

function isMember(state: ConfState, id: bigint): boolean {
  return (
    state.voters.includes(id) || state.learners.includes(id) || state.votersOutgoing.includes(id)
  );
}
