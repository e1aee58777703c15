// The four roles and the moves between them.
//
//                 timeout               pre-vote won              vote won
//   follower ───────────────► preCandidate ─────────► candidate ───────────► leader
//      ▲  └─ timeout without pre-vote, or leader's demand ──►┘                 │
//      └── leader or higher term seen, vote lost, quorum lost, removed ────────┘

import { assert, must } from "../../base/index.ts";
import { createEntry } from "../../proto/index.ts";
import { hex, type Raft, resetTerm } from "./raft.ts";
import { appendEntries } from "./replicate.ts";
import { NO_NODE } from "./types.ts";

/** Follows `leader` (NO_NODE: nobody yet) in `term`. */
export function becomeFollower(r: Raft, term: number, leader: bigint): void {
  resetTerm(r, term);
  r.leader = leader;
  r.role = "follower";
  r.logger.info?.(`${hex(r.id)} became follower at term ${r.term}`);
}

/** Asks whether an election could be won. Neither term nor vote change. */
export function becomePreCandidate(r: Raft): void {
  assert(r.role !== "leader", "a leader does not campaign");
  r.tracker.resetVotes();
  r.leader = NO_NODE;
  r.role = "preCandidate";
  r.logger.info?.(`${hex(r.id)} became pre-candidate at term ${r.term}`);
}

/** Enters the next term and votes for itself. */
export function becomeCandidate(r: Raft): void {
  assert(r.role !== "leader", "a leader does not campaign");
  resetTerm(r, r.term + 1);
  r.vote = r.id;
  r.role = "candidate";
  r.logger.info?.(`${hex(r.id)} became candidate at term ${r.term}`);
}

/** Takes the lead in the current term and appends an empty entry: with it, everything before commits (thesis, section 3.6.2). */
export function becomeLeader(r: Raft): void {
  assert(r.role !== "follower", "only a candidate takes the lead");
  resetTerm(r, r.term);
  r.leader = r.id;
  r.role = "leader";
  const self = must(r.tracker.progress.get(r.id), "a leader is a member");
  self.becomeReplicate();
  self.recentActive = true;
  // The tail may hold a membership change; waiting for all of it is cheaper than looking.
  r.pendingConfIndex = r.log.lastIndex();
  assert(appendEntries(r, [createEntry()]), "a leader's first entry is never refused");
  r.logger.info?.(`${hex(r.id)} became leader at term ${r.term}`);
}
