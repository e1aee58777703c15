// Face of the lessor.
export {
  CHECKPOINT_ENTRIES_PER_SCAN_MAX,
  CHECKPOINT_INTERVAL_S,
  CHECKPOINTS_PER_ENTRY_MAX,
  EXPIRED_PER_SCAN_MAX,
  EXPIRIES_PER_SECOND_MAX,
  EXPIRY_SCAN_MS,
  LEASE_TTL_MAX_S,
  type LeaseBook,
  type LeaseRefusal,
  type LeaseRow,
  minLeaseTtlS,
  REVOCATIONS_IN_FLIGHT_MAX,
  SPREAD_FROM_COUNT,
} from "./lease.ts";
export { decodeLeaseRow, encodeLeaseRow, leaseRowKey } from "./lease-row.ts";
export {
  type LeaseRest,
  type LeaseTime,
  Lessor,
  type LessorOptions,
  type RenewOutcome,
} from "./lessor.ts";
