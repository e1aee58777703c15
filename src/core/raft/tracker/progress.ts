// What a leader knows about one follower's log, and how it may send to it.
//
//             rejected append, unreachable
//        ┌───────────────────────────────────┐
//        ▼         acknowledged append       │
//     probe ──────────────────────────► replicate
//        │ ▲                                 │
//        │ └── snapshot reported (ok, failed)│ needed entries are compacted
//        ▼                                   │
//     snapshot ◄─────────────────────────────┘   and back to replicate when an ack reconnects the logs
//
// Invariants: 0 <= match < next; entries in (match, next) are in flight; in state snapshot next = pendingSnapshot + 1.
// Source: Raft thesis, sections 3.5 and 10.2.1; etcd raft, tracker/progress.go.

import { assert } from "../../../base/index.ts";
import { type InflightLimits, Inflights } from "./inflights.ts";

/**
 * How a leader sends to a follower. `probe`: its last index is unknown, one append per heartbeat interval. `replicate`: appends are
 * pipelined up to the inflight limits. `snapshot`: the needed entries are gone, nothing is sent until the snapshot's fate is known.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: bigint;
  /** Highest index at which the follower's log is known to equal the leader's. */
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  /** Highest commit index in flight to the follower; falls back when it may have been lost. */
  sentCommit = 0;
  state: ProgressState = "probe";
  /** State snapshot only: index of the snapshot being sent, else 0. */
  pendingSnapshot = 0;
  /** The follower was heard from in the current check-quorum interval. */
  recentActive: boolean;
  /** No append may be sent until the next heartbeat response, acknowledgement or rejection. */
  flowPaused = false;
  isLearner: boolean;
  readonly inflights: Inflights;

  /** A new member counts as recently active, or check-quorum could depose the leader before the member has had a chance to answer. */
  constructor(id: bigint, next: number, isLearner: boolean, limits: InflightLimits) {
    this.id = id;
    this.next = next;
    this.isLearner = isLearner;
    this.recentActive = true;
    this.inflights = new Inflights(limits);
  }

  /** Forgets everything but the role, for a new term. */
  reset(match: number, next: number): void {
    this.#enter("probe");
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.recentActive = false;
  }

  /** Probes from after the match, or from after the snapshot that was pending. */
  becomeProbe(): void {
    const afterSnapshot = this.state === "snapshot" ? this.pendingSnapshot + 1 : 0;
    this.#enter("probe");
    this.next = Math.max(this.match + 1, afterSnapshot);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  /** True while no append may be sent. */
  get isPaused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }

  /** Records an append with `count` entries from `next` on, of `bytes` payload. A message that fills the window is the last one. */
  sentEntries(count: number, bytes: number): void {
    assert(this.state !== "snapshot", "no entries are sent while a snapshot is pending");
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.flowPaused = this.inflights.isFull;
    } else if (count > 0) {
      this.flowPaused = true;
    }
  }

  /** True when sending `commit` could move the follower's commit index: none up to next - 1 is in flight yet. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Takes an acknowledgement of everything up to `index`; false when it says nothing new. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * Takes a rejection of the append after `rejected`, with the follower's guess `hint` of where the logs agree. False when it is out of
   * date: the follower has acknowledged that index since, or the append was not the last probe.
   */
  maybeDecreaseTo(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.flowPaused = false;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }
}
