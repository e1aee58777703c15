// Loads the state of a member from its backend at start: leases, then rows (which attach keys to leases), alarms, membership.
// A row that cannot be read stops the start; nothing is ever served from a state that was read in part.

import { decodeLeaseRow, type LeaseRow, type Lessor } from "../core/lease/index.ts";
import {
  decodeMembershipRows,
  type MembershipRow,
  type MembershipState,
} from "../core/membership/index.ts";
import { type MvccStore, readRevision, revisionBytes, StoreBuilder } from "../core/mvcc/index.ts";
import type { Alarms } from "./apply/alarms.ts";
import { FINISHED_COMPACT_KEY, SCHEDULED_COMPACT_KEY } from "./apply/applier.ts";
import { BootstrapError } from "./bootstrap.ts";
import { type Backend, Bucket, type MemberStorage } from "./ports.ts";

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

/** The store, from all rows of the backend; binds keys to the leases in `lessor`. */
export async function restoreStore(
  storage: MemberStorage,
  lessor: Lessor,
  valueBytesMax: number,
): Promise<MvccStore> {
  const { backend } = storage;
  const builder = new StoreBuilder({
    leases: lessor,
    valueBytesMax,
    loadValue: (main, sub) => {
      const row = backend.get(Bucket.key, revisionBytes(main, sub));
      if (row === undefined)
        throw new BootstrapError(`the backend has lost revision ${main}_${sub}`);
      return row;
    },
  });
  for await (const rows of backend.scan(Bucket.key)) {
    for (const { key, value } of rows) {
      const revision = readRevision(key);
      if (
        revision === undefined ||
        !builder.row(revision.main, revision.sub, revision.tombstone, value)
      ) {
        const hex = Buffer.from(key).toString("hex");
        throw new BootstrapError(`the backend cannot be read: key row ${hex} is damaged`);
      }
    }
  }
  return builder.finish(storedCompactions(backend));
}

/** Revisions of the last compaction that was ordered and of the last one that ended; -1 for none. */
function storedCompactions(backend: Backend): { scheduled: number; finished: number } {
  return {
    scheduled: revisionAt(backend, SCHEDULED_COMPACT_KEY),
    finished: revisionAt(backend, FINISHED_COMPACT_KEY),
  };
}

function revisionAt(backend: Backend, key: Uint8Array): number {
  const bytes = backend.get(Bucket.meta, key);
  if (bytes === undefined) return -1;
  const revision = readRevision(bytes);
  if (revision === undefined) throw damaged("meta", key);
  return revision.main;
}

function damaged(bucket: string, key: Uint8Array): BootstrapError {
  return new BootstrapError(
    `the backend cannot be read: ${bucket} row ${Buffer.from(key).toString("hex")} is damaged`,
  );
}
