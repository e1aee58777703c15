// One lease, the limits of all of them, and the interface through which mvcc binds keys to leases.
// Times are milliseconds on the caller's monotonic clock; TTLs are whole seconds as on the wire.
// Source: etcd server/lease/lease.go and lessor.go.

/** Largest TTL that may be asked for, in seconds; the bound keeps now + TTL exact in a double. */
export const LEASE_TTL_MAX_S = 9_000_000_000;
/** Leases handed out by one expiry scan at most; two scans a second make etcd's 1000 revocations per second. */
export const EXPIRED_PER_SCAN_MAX = 500;
/** Pause between two expiry scans. */
export const EXPIRY_SCAN_MS = 500;
/** Revocations the server keeps in flight at most. */
export const REVOCATIONS_IN_FLIGHT_MAX = 16;
/** A new leader lets at most this many leases expire within one second: less than it can revoke, so a pile never starves the rest. */
export const EXPIRIES_PER_SECOND_MAX = 750;
/** Below this many leases a new leader does not spread their expiries. */
export const SPREAD_FROM_COUNT = 1000;
/** A lease with more time left than this has that time replicated once per interval (only with checkpoints on). */
export const CHECKPOINT_INTERVAL_S = 300;
/** Leases named by one replicated checkpoint request at most. */
export const CHECKPOINTS_PER_ENTRY_MAX = 1000;
/** Checkpoint requests proposed by one scan at most. */
export const CHECKPOINT_ENTRIES_PER_SCAN_MAX = 500;

/** Why a lease request is refused; `api/v3rpc/errors.ts` has code and text. */
export type LeaseRefusal = "leaseNotFound" | "leaseExists" | "leaseTtlTooLarge";

/** A lease as the backend keeps it (leasepb.Lease). */
export interface LeaseRow {
  readonly id: bigint;
  /** Granted TTL in seconds. */
  readonly ttlS: number;
  /** Seconds left at the last checkpoint; 0 if there was none since the last renewal. */
  readonly remainingTtlS: number;
}

/** What mvcc needs of the lessor: a key has at most one lease, and a lease knows its keys. Keys are latin1 strings. */
export interface LeaseBook {
  /** True if a key may be put under lease `id`. */
  exists(id: bigint): boolean;
  /** Binds `key` to lease `id`, releasing it from any other; an unknown lease binds nothing. */
  attach(id: bigint, key: string): void;
  /** Releases `key` from lease `id`; nothing happens if it is not bound to it. */
  detach(id: bigint, key: string): void;
}

/** The lessor's record of one lease; only this folder sees it. */
export interface Lease {
  readonly id: bigint;
  ttlS: number;
  remainingTtlS: number;
  /** When it ends on the primary's clock; means nothing while the lessor is not primary. */
  expiryMs: number;
  /** Rises with every refresh: orders leases that end in the same instant. */
  refreshSeq: number;
  /** Attached keys; undefined until the first, as most leases of a large set have one key or none. */
  keys: Set<string> | undefined;
  /** When to look at it next; at or before `expiryMs`, except for a lease handed out and waiting for its revocation. */
  wakeMs: number;
  /** Place in the expiry heap; -1 if not in it. */
  heapIndex: number;
  /** Due time of its one valid place in the checkpoint queue; -1 for none. */
  checkpointDueMs: number;
}

/** A lease that is in no queue yet. */
export function newLease(id: bigint, ttlS: number, remainingTtlS: number): Lease {
  return {
    id,
    ttlS,
    remainingTtlS,
    expiryMs: Number.POSITIVE_INFINITY,
    refreshSeq: 0,
    keys: undefined,
    wakeMs: Number.POSITIVE_INFINITY,
    heapIndex: -1,
    checkpointDueMs: -1,
  };
}

/** Seconds the lease runs when refreshed now: the checkpointed rest if there is one, else the whole TTL. */
export function runningTtlS(lease: Lease): number {
  return lease.remainingTtlS > 0 ? lease.remainingTtlS : lease.ttlS;
}

/** The smallest TTL a member grants, in whole seconds: one and a half election timeouts, rounded up. */
export function minLeaseTtlS(electionTicks: number, tickMs: number): number {
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * tickMs) / 1000);
}
