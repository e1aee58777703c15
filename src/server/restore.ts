// Loads the state of a member from its backend at start: leases, alarms, membership; restore-store.ts then loads the keys.
// A row that cannot be read stops the start; nothing is ever served from a state that was read in part.

import { decodeLeaseRow, type LeaseRow, type Lessor } from "../core/lease/index.ts";
import {
  decodeMembershipRows,
  type MembershipRow,
  type MembershipState,
} from "../core/membership/index.ts";
import type { Alarms } from "./apply/alarms.ts";
import { BootstrapError } from "./bootstrap.ts";
import { type Backend, Bucket } from "./ports.ts";

async function rowsOf(backend: Backend, bucket: Bucket): Promise<MembershipRow[]> {
  const rows: MembershipRow[] = [];
  for await (const chunk of backend.scan(bucket)) rows.push(...chunk);
  return rows;
}

/** The membership as stored. */
export async function restoreMembership(backend: Backend): Promise<MembershipState> {
  const state = decodeMembershipRows({
    members: await rowsOf(backend, Bucket.members),
    membersRemoved: await rowsOf(backend, Bucket.membersRemoved),
    cluster: await rowsOf(backend, Bucket.cluster),
  });
  if (typeof state === "string") throw new BootstrapError(`the backend cannot be read: ${state}`);
  return state;
}

/** Fills the lessor with the stored leases, no keys attached yet. */
export async function restoreLeases(backend: Backend, lessor: Lessor): Promise<void> {
  const leases: LeaseRow[] = [];
  for await (const chunk of backend.scan(Bucket.lease)) {
    for (const { key, value } of chunk) {
      const row = decodeLeaseRow(value);
      if (row === undefined) throw damaged("lease", key);
      leases.push(row);
    }
  }
  lessor.restore(leases);
}

/** Fills the alarm set. */
export async function restoreAlarms(backend: Backend, alarms: Alarms): Promise<void> {
  for await (const chunk of backend.scan(Bucket.alarm)) {
    for (const { key } of chunk) if (!alarms.restore(key)) throw damaged("alarm", key);
  }
}

function damaged(bucket: string, key: Uint8Array): BootstrapError {
  return new BootstrapError(
    `the backend cannot be read: ${bucket} row ${Buffer.from(key).toString("hex")} is damaged`,
  );
}
