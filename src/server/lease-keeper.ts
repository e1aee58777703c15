// Lets leases end: on the leader, scans for expired ones and revokes them through the log, a limited number at a time.
// Source: etcd server/lease/lessor.go runLoop, server/etcdserver/server.go revokeExpiredLeases.

import {
  EXPIRED_PER_SCAN_MAX,
  EXPIRY_SCAN_MS,
  type Lessor,
  REVOCATIONS_IN_FLIGHT_MAX,
} from "../core/lease/index.ts";
import type { Cancel, Clock } from "./ports.ts";
import type { Waiter } from "./proposal.ts";

/** Revokes expired leases while this member leads. */
export class LeaseKeeper {
  readonly #lessor: Lessor;
  readonly #clock: Clock;
  readonly #revoke: (id: bigint, waiter: Waiter) => void;
  #cancel: Cancel | undefined;
  #inFlight = 0;
  #expired: bigint[] = [];

  /** `revoke` proposes the revocation of one lease. */
  constructor(lessor: Lessor, clock: Clock, revoke: (id: bigint, waiter: Waiter) => void) {
    this.#lessor = lessor;
    this.#clock = clock;
    this.#revoke = revoke;
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
    if (this.#expired.length >= EXPIRED_PER_SCAN_MAX) return;
    this.#expired.push(...this.#lessor.expired(this.#clock.nowMs()));
    this.#revokeNext();
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
      this.#revoke(id, { onApplied: done, onRefused: done });
    }
  }
}
