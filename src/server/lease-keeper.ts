// Lets leases end: on the leader, scans for expired ones and revokes them through the log, a limited number at a time; with the gate
// LeaseCheckpoint, also replicates the remaining time of long ones.
// Source: etcd server/lease/lessor.go runLoop, server/etcdserver/server.go revokeExpiredLeases.

import {
  CHECKPOINT_ENTRIES_PER_SCAN_MAX,
  EXPIRED_PER_SCAN_MAX,
  EXPIRY_SCAN_MS,
  type LeaseRest,
  type Lessor,
  REVOCATIONS_IN_FLIGHT_MAX,
} from "../core/lease/index.ts";
import type { Cancel, Clock } from "./ports.ts";
import type { Waiter } from "./proposal.ts";

/** What the keeper proposes. */
export interface LeaseProposals {
  /** The revocation of one lease. */
  revoke(id: bigint, waiter: Waiter): void;
  /** Remaining times of leases, as one entry. */
  checkpoint(rests: readonly LeaseRest[]): void;
}

/** Looks after leases while this member leads. */
export class LeaseKeeper {
  readonly #lessor: Lessor;
  readonly #clock: Clock;
  readonly #proposals: LeaseProposals;
  #cancel: Cancel | undefined;
  #inFlight = 0;
  #expired: bigint[] = [];

  constructor(lessor: Lessor, clock: Clock, proposals: LeaseProposals) {
    this.#lessor = lessor;
    this.#clock = clock;
    this.#proposals = proposals;
  }

  start(): void {
    this.#cancel = this.#clock.after(EXPIRY_SCAN_MS, () => {
      this.#scan();
      this.start();
    });
  }

  /** This member began or ceased to lead: what was found expired before says nothing any more. */
  forget(): void {
    this.#expired = [];
  }

  stop(): void {
    this.#cancel?.();
    this.#expired = [];
  }

  #scan(): void {
    if (!this.#lessor.isPrimary) {
      this.#expired = [];
      return;
    }
    this.#checkpoint();
    if (this.#expired.length >= EXPIRED_PER_SCAN_MAX) return;
    this.#expired.push(...this.#lessor.expired(this.#clock.nowMs()));
    this.#revokeNext();
  }

  #checkpoint(): void {
    const nowMs = this.#clock.nowMs();
    for (let entry = 0; entry < CHECKPOINT_ENTRIES_PER_SCAN_MAX; entry++) {
      const rests = this.#lessor.dueCheckpoints(nowMs);
      if (rests.length === 0) return;
      this.#proposals.checkpoint(rests);
    }
  }

  #revokeNext(): void {
    while (this.#inFlight < REVOCATIONS_IN_FLIGHT_MAX) {
      const id = this.#expired.shift();
      if (id === undefined) return;
      this.#inFlight++;
      const done = (): void => {
        this.#inFlight--;
        this.#revokeNext();
      };
      // A refused revocation comes again: the lessor hands the lease out anew after a while.
      this.#proposals.revoke(id, { onApplied: done, onRefused: done });
    }
  }
}
