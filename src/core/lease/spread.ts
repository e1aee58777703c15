// Spreading of expiries after a leader change, when all leases are counted from the same instant and would end in one heap.

import { EXPIRIES_PER_SECOND_MAX, type Lease, SPREAD_FROM_COUNT } from "./lease.ts";

/**
 * Moves expiries later, and never earlier, so that no second sees more than `EXPIRIES_PER_SECOND_MAX` of them; `leases` is ascending
 * by `expiryMs` and stays so. Sets below `SPREAD_FROM_COUNT` are left alone. O(n).
 *
 * etcd bounds the rate by stretching windows of its own making; the direct form, "a second after the 750th before it", keeps the
 * same bound with the least delay:
 *
 *     expiry[i] = max(expiry[i], expiry[i - 750] + 1 s)
 */
export function spreadExpiries(leases: readonly Lease[]): void {
  if (leases.length < SPREAD_FROM_COUNT) return;
  for (let i = EXPIRIES_PER_SECOND_MAX; i < leases.length; i++) {
    const before = leases[i - EXPIRIES_PER_SECOND_MAX] as Lease;
    const lease = leases[i] as Lease;
    lease.expiryMs = Math.max(lease.expiryMs, before.expiryMs + 1000);
  }
}
