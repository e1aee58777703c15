// The lessor: which leases exist, which keys hang on them, and, on the leader only (the *primary*), when they end.
//
// Pure: time is an argument, rows to persist and leases to revoke are results. Grant, revoke, checkpoint, attach and detach follow
// the Raft log and are the same on every member; expiry, renewal and remaining time exist on the primary alone.
// Invariants: a key is bound to at most one lease; no lease is handed out as expired before its whole TTL since the last refresh has
// passed; on the primary every lease is in the expiry heap with wakeMs <= expiryMs, unless it was handed out already.
// Source: etcd server/lease/lessor.go.

import { CheckpointQueue } from "./checkpoint-queue.ts";
import { ExpiryHeap } from "./expiry-heap.ts";
import {
  CHECKPOINT_INTERVAL_S,
  CHECKPOINTS_PER_ENTRY_MAX,
  EXPIRED_PER_SCAN_MAX,
  LEASE_TTL_MAX_S,
  type Lease,
  type LeaseBook,
  type LeaseRefusal,
  type LeaseRow,
  newLease,
  runningTtlS,
} from "./lease.ts";
import { spreadExpiries } from "./spread.ts";

/** What a lessor is built with. */
export interface LessorOptions {
  /** Grants below this are raised to it; see `minLeaseTtlS`. */
  readonly minTtlS: number;
  /** A lease handed out as expired and still not revoked after this is handed out again. etcd: the request timeout. */
  readonly expiredRetryMs: number;
  /** Feature gate LeaseCheckpoint. */
  readonly checkpoints: boolean;
}

/** What `renew` decided; `number` is the granted TTL in seconds. */
export type RenewOutcome =
  | number
  | "leaseNotFound"
  /** This member is not the leader: forward. */
  | "notPrimary"
  /** The TTL has passed but the revocation is not applied: answer only after that, with TTL 0. */
  | "expired"
  /** A shorter remaining time is replicated: replicate {id, 0} first, then renew again. */
  | "checkpointed";

/** Remaining time of a lease on the primary. */
export interface LeaseTime {
  /** Whole seconds, truncated toward zero; may be 0 or less shortly before the revocation is applied. */
  readonly remainingS: number;
  readonly grantedS: number;
}

/** Remaining time of one lease as it is replicated. */
export interface LeaseRest {
  readonly id: bigint;
  readonly remainingTtlS: number;
}

/** All leases of one member. */
export class Lessor implements LeaseBook {
  readonly #options: LessorOptions;
  /** In order of grant. */
  readonly #leases: Map<bigint, Lease> = new Map();
  readonly #leaseOfKey: Map<string, Lease> = new Map();
  readonly #heap: ExpiryHeap = new ExpiryHeap();
  readonly #checkpoints: CheckpointQueue = new CheckpointQueue();
  #refreshSeq = 0;
  #primary = false;

  constructor(options: LessorOptions) {
    this.#options = options;
  }

  /** Number of leases. */
  get size(): number {
    return this.#leases.size;
  }

  /** True between `promote` and `demote`. */
  get isPrimary(): boolean {
    return this.#primary;
  }

  // -------------------------------------------------------------------------------------------------- following the log

  /** Creates lease `id` with `ttlS` raised to the minimum. The row returned is to be persisted with the entry. */
  grant(id: bigint, ttlS: number, nowMs: number): LeaseRow | LeaseRefusal {
    if (id === 0n) return "leaseNotFound";
    if (ttlS > LEASE_TTL_MAX_S) return "leaseTtlTooLarge";
    if (this.#leases.has(id)) return "leaseExists";
    const lease = newLease(id, Math.max(ttlS, this.#options.minTtlS), 0);
    this.#leases.set(id, lease);
    if (this.#primary) {
      this.#refresh(lease, nowMs);
      this.#scheduleCheckpoint(lease, nowMs);
    }
    return rowOf(lease);
  }

  /** Ends lease `id` and returns the keys it held, in byte order, to be deleted in one revision together with its row. */
  revoke(id: bigint): string[] | "leaseNotFound" {
    const lease = this.#leases.get(id);
    if (lease === undefined) return "leaseNotFound";
    this.#leases.delete(id);
    this.#heap.remove(lease);
    lease.checkpointDueMs = -1;
    if (lease.keys === undefined) return [];
    for (const key of lease.keys) this.#leaseOfKey.delete(key);
    return [...lease.keys].sort();
  }

  /**
   * Notes the remaining time of a lease (0: the whole TTL again) for the next promotion. The row returned is to be persisted if the
   * cluster version is at least 3.6; undefined for an unknown lease.
   */
  checkpoint(rest: LeaseRest, nowMs: number): LeaseRow | undefined {
    const lease = this.#leases.get(rest.id);
    if (lease === undefined) return undefined;
    lease.remainingTtlS = rest.remainingTtlS;
    if (this.#primary) this.#scheduleCheckpoint(lease, nowMs);
    return rowOf(lease);
  }

  exists(id: bigint): boolean {
    return this.#leases.has(id);
  }

  attach(id: bigint, key: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    const old = this.#leaseOfKey.get(key);
    if (old === lease) return;
    old?.keys?.delete(key);
    lease.keys ??= new Set();
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
  }

  detach(id: bigint, key: string): void {
    const lease = this.#leaseOfKey.get(key);
    if (lease === undefined || lease.id !== id) return;
    lease.keys?.delete(key);
    this.#leaseOfKey.delete(key);
  }

  /** The lease `key` is bound to; 0n for none. */
  leaseOf(key: string): bigint {
    return this.#leaseOfKey.get(key)?.id ?? 0n;
  }

  /** The keys bound to lease `id`, in no particular order; a view, valid until the next change. */
  keysOf(id: bigint): Iterable<string> {
    return this.#leases.get(id)?.keys ?? [];
  }

  /** Forgets everything and takes `rows` from the backend, below-minimum TTLs raised. Keys are attached by mvcc's own restore. */
  restore(rows: Iterable<LeaseRow>): void {
    this.demote();
    this.#leases.clear();
    this.#leaseOfKey.clear();
    for (const { id, ttlS, remainingTtlS } of rows) {
      this.#leases.set(id, newLease(id, Math.max(ttlS, this.#options.minTtlS), remainingTtlS));
    }
  }

  // ------------------------------------------------------------------------------------------------------------ the primary

  /**
   * Makes this member the one that ends leases: each runs its checkpointed rest, or whole TTL, plus `extendMs` from now (etcd: the
   * election timeout, in which the old leader may still have renewed). Large sets are spread, see `spreadExpiries`. O(n).
   */
  promote(nowMs: number, extendMs: number): void {
    this.#primary = true;
    this.#checkpoints.clear();
    const byTtl = new Map<number, Lease[]>();
    for (const lease of this.#leases.values()) {
      const ttlS = runningTtlS(lease);
      const same = byTtl.get(ttlS);
      if (same === undefined) byTtl.set(ttlS, [lease]);
      else same.push(lease);
    }
    const ordered: Lease[] = [];
    for (const ttlS of [...byTtl.keys()].sort((a, b) => a - b)) {
      for (const lease of byTtl.get(ttlS) ?? []) {
        lease.expiryMs = nowMs + ttlS * 1000 + extendMs;
        ordered.push(lease);
      }
    }
    spreadExpiries(ordered);
    for (const lease of ordered) {
      lease.wakeMs = lease.expiryMs;
      lease.refreshSeq = ++this.#refreshSeq;
      this.#scheduleCheckpoint(lease, nowMs);
    }
    this.#heap.reset(ordered);
  }

  /** Stops expiry and checkpoints; from here on every lease lasts for ever, until a promotion. */
  demote(): void {
    this.#primary = false;
    this.#heap.reset([]);
    this.#checkpoints.clear();
  }

  /** A keepalive: gives the lease its whole TTL again. */
  renew(id: bigint, nowMs: number): RenewOutcome {
    if (!this.#primary) return "notPrimary";
    const lease = this.#leases.get(id);
    if (lease === undefined) return "leaseNotFound";
    if (nowMs >= lease.expiryMs) return "expired";
    if (lease.remainingTtlS > 0) return "checkpointed";
    this.#refresh(lease, nowMs);
    return lease.ttlS;
  }

  /** How long lease `id` has to live. */
  timeToLive(id: bigint, nowMs: number): LeaseTime | "leaseNotFound" | "notPrimary" {
    if (!this.#primary) return "notPrimary";
    const lease = this.#leases.get(id);
    if (lease === undefined) return "leaseNotFound";
    // The sum turns the -0 of a lease just past its end into 0.
    const remainingS = Math.trunc((lease.expiryMs - nowMs) / 1000) + 0;
    return { remainingS, grantedS: lease.ttlS };
  }

  /** All ids: on the primary the one that ends first comes first, elsewhere in order of grant. O(n log n) on the primary. */
  leases(): bigint[] {
    if (!this.#primary) return [...this.#leases.keys()];
    const ordered = [...this.#leases.values()];
    ordered.sort((a, b) => a.expiryMs - b.expiryMs || a.refreshSeq - b.refreshSeq);
    return ordered.map((lease) => lease.id);
  }

  /**
   * Hands out up to `limit` leases whose time has passed, longest overdue first, to be revoked through the log. Each comes again after
   * `expiredRetryMs` if it still exists then. Empty unless primary.
   */
  expired(nowMs: number, limit: number = EXPIRED_PER_SCAN_MAX): bigint[] {
    const ids: bigint[] = [];
    while (ids.length < limit) {
      const lease = this.#heap.peek();
      if (lease === undefined || lease.wakeMs > nowMs) break;
      if (lease.expiryMs > nowMs) {
        this.#heap.put(lease, lease.expiryMs);
        continue;
      }
      this.#heap.put(lease, nowMs + this.#options.expiredRetryMs);
      ids.push(lease.id);
    }
    return ids;
  }

  /** When the next scan can find something: at or before the earliest end; undefined if there is nothing to wait for. O(1). */
  nextWakeMs(): number | undefined {
    return this.#heap.peek()?.wakeMs;
  }

  /** Takes up to `limit` leases whose remaining time (rounded up to seconds) is due to be replicated, to go into one entry. */
  dueCheckpoints(nowMs: number, limit: number = CHECKPOINTS_PER_ENTRY_MAX): LeaseRest[] {
    const due: LeaseRest[] = [];
    while (due.length < limit) {
      const lease = this.#checkpoints.shift(nowMs);
      if (lease === undefined) break;
      const remainingTtlS = Math.ceil((lease.expiryMs - nowMs) / 1000);
      // Past its end it is about to be revoked; at its whole TTL there is nothing to tell.
      if (remainingTtlS <= 0 || remainingTtlS >= lease.ttlS) continue;
      due.push({ id: lease.id, remainingTtlS });
    }
    return due;
  }

  #refresh(lease: Lease, nowMs: number): void {
    lease.expiryMs = nowMs + runningTtlS(lease) * 1000;
    lease.refreshSeq = ++this.#refreshSeq;
    if (lease.heapIndex < 0 || lease.expiryMs < lease.wakeMs) this.#heap.put(lease, lease.expiryMs);
  }

  #scheduleCheckpoint(lease: Lease, nowMs: number): void {
    if (!this.#options.checkpoints || runningTtlS(lease) <= CHECKPOINT_INTERVAL_S) return;
    this.#checkpoints.push(lease, nowMs + CHECKPOINT_INTERVAL_S * 1000);
  }
}

function rowOf(lease: Lease): LeaseRow {
  return { id: lease.id, ttlS: lease.ttlS, remainingTtlS: lease.remainingTtlS };
}
