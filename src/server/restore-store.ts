// The store at start: from the index checkpoint and the rows after it where there is one that belongs to the backend, else from all rows.
//
// A checkpoint is used only if all of this holds; any doubt, and all rows are read:
//   - the file is whole, every block of it in order, and its stamp is this member's
//   - the backend names it (checkpoint-file.ts): the backend holds everything the file was made from
//   - no compaction was ordered beyond its revision: such a one may have removed tombstones of which the file knows nothing
//   - the compaction it shows is one the backend knows as finished
// Values of its rows are read when they are asked for, and brought to memory in the background (value-fill.ts).

import type { LeaseBook } from "../core/lease/index.ts";
import {
  type MvccStore,
  readRevision,
  revisionBytes,
  StoreBuilder,
  type StoreOptions,
} from "../core/mvcc/index.ts";
import { FINISHED_COMPACT_KEY, SCHEDULED_COMPACT_KEY } from "./apply/applier.ts";
import { BootstrapError } from "./bootstrap.ts";
import {
  CHECKPOINT_FILE,
  CHECKPOINT_KEY,
  type CheckpointStamp,
  decodeStamp,
  framesOf,
  namesStamp,
} from "./checkpoint-file.ts";
import { type Backend, Bucket, type SideFiles } from "./ports.ts";

/** Sizes of the store's parts; the store has a default for each. */
export type StoreSizes = Pick<StoreOptions, "valueChunkBytes" | "rowChunkBits" | "leafKeysMax">;

/** What the store is built from. */
export interface StorePlan {
  readonly backend: Backend;
  readonly sideFiles: SideFiles;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** With all leases, no keys attached. */
  readonly lessor: LeaseBook;
  /** Values kept in memory; beyond it, reads of old ones go to the backend. */
  readonly valueBytesMax: number;
  readonly storeSizes?: StoreSizes;
  /** Why a checkpoint that is there was not used. */
  readonly onWarning: (message: string) => void;
}

/** A store, and the checkpoint it was built from if there was a good one. */
export interface RestoredStore {
  readonly store: MvccStore;
  readonly checkpoint: CheckpointStamp | undefined;
}

interface LoadedCheckpoint {
  readonly builder: StoreBuilder;
  readonly stamp: CheckpointStamp;
}

/** Builds the store and binds keys to leases. Throws BootstrapError if a row of the backend is damaged. */
export async function restoreStore(plan: StorePlan): Promise<RestoredStore> {
  const { backend } = plan;
  const compactions = {
    scheduled: revisionAt(backend, SCHEDULED_COMPACT_KEY),
    finished: revisionAt(backend, FINISHED_COMPACT_KEY),
  };
  const named = backend.get(Bucket.local, CHECKPOINT_KEY);
  const loaded = named === undefined ? undefined : await loadCheckpoint(plan, named, compactions);
  const builder = loaded?.builder ?? newBuilder(plan);
  const from = loaded === undefined ? undefined : revisionBytes(loaded.stamp.revision + 1, 0);
  for await (const rows of backend.scan(Bucket.key, from)) {
    for (const { key, value } of rows) {
      const revision = readRevision(key);
      if (
        revision === undefined ||
        !builder.row(revision.main, revision.sub, revision.tombstone, value)
      ) {
        throw damaged("key", key);
      }
    }
  }
  return { store: builder.finish(compactions), checkpoint: loaded?.stamp };
}

function newBuilder({ backend, lessor, valueBytesMax, storeSizes }: StorePlan): StoreBuilder {
  return new StoreBuilder({
    leases: lessor,
    valueBytesMax,
    ...storeSizes,
    loadValue: (main, sub) => {
      const row = backend.get(Bucket.key, revisionBytes(main, sub));
      if (row === undefined)
        throw new BootstrapError(`the backend has lost revision ${main}_${sub}`);
      return row;
    },
  });
}

/** The checkpoint on disk, if it may be used. */
async function loadCheckpoint(
  plan: StorePlan,
  named: Uint8Array,
  compactions: { readonly scheduled: number; readonly finished: number },
): Promise<LoadedCheckpoint | undefined> {
  const ordered = Math.max(compactions.scheduled, compactions.finished);
  let doubt: string | undefined;
  const builder = newBuilder(plan);
  let stamp: CheckpointStamp | undefined;
  try {
    const pieces = await plan.sideFiles.load(CHECKPOINT_FILE);
    if (pieces === undefined) return undefined;
    for await (const bytes of framesOf(pieces)) {
      if (stamp === undefined) {
        stamp = decodeStamp(bytes);
        doubt = doubtOf(plan, named, stamp, ordered);
      } else if (!builder.checkpointBlock(bytes)) {
        doubt = "a block of it is damaged";
      }
      if (doubt !== undefined) break;
    }
  } catch (error) {
    doubt = error instanceof Error ? error.message : String(error);
  }
  if (doubt === undefined && stamp !== undefined) {
    if (builder.checkpointRevision === stamp.revision) {
      if (builder.checkpointCompactRevision <= compactions.finished) return { builder, stamp };
      doubt = "it shows a compaction the backend has not finished";
    } else doubt = "it is not whole";
  }
  plan.onWarning(`the checkpoint of the index is not used: ${doubt ?? "it is empty"}`);
  return undefined;
}

/** Why the checkpoint must not be used; undefined if nothing is against it. */
function doubtOf(
  plan: StorePlan,
  named: Uint8Array,
  stamp: CheckpointStamp | undefined,
  compacted: number,
): string | undefined {
  if (stamp === undefined) return "it is of another version";
  if (stamp.clusterId !== plan.clusterId || stamp.memberId !== plan.memberId) {
    return "it is another member's";
  }
  if (!namesStamp(named, stamp)) return "it does not belong to the backend";
  if (stamp.index > plan.backend.opened.index) return "it is ahead of the backend";
  if (compacted > stamp.revision) return `it is older than the compaction at ${compacted}`;
  return undefined;
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
