// What can be asked of a read, a put and a delete, beside the key.

import { type RangeRequest, SortOrder, SortTarget } from "../proto/index.ts";
import { type Key, type KeyRange, wireRange } from "./key-value.ts";

/** What pairs are ordered by. */
export type SortBy = "key" | "version" | "create" | "mod" | "value";

/** How to read. */
export interface RangeOptions extends KeyRange {
  /** Pairs at most; 0 for all. */
  readonly limit?: number;
  /** As of this revision; 0 for now. */
  readonly revision?: number;
  readonly sort?: { readonly by: SortBy; readonly order: "ascend" | "descend" };
  /** From the member asked, as it stands: fast, and possibly behind. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

/** How to put. */
export interface PutOptions {
  /** Lease to bind the key to; without it the key is bound to none. */
  readonly lease?: bigint;
  /** Answer with the pair before. */
  readonly prevKv?: boolean;
  /** Keep the value, which must be given as empty. */
  readonly ignoreValue?: boolean;
  /** Keep the lease. */
  readonly ignoreLease?: boolean;
}

/** How to delete. */
export interface DeleteOptions extends KeyRange {
  /** Answer with the pairs deleted. */
  readonly prevKv?: boolean;
}

const targets: Record<SortBy, number> = {
  key: SortTarget.KEY,
  version: SortTarget.VERSION,
  create: SortTarget.CREATE,
  mod: SortTarget.MOD,
  value: SortTarget.VALUE,
};

/** The fields of a read. */
export function rangeFields(key: Key, options: RangeOptions): Partial<RangeRequest> {
  const { prefix: _prefix, end: _end, onward: _onward, sort, ...rest } = options;
  const fields: Partial<RangeRequest> = { ...rest, ...wireRange(key, options) };
  if (sort !== undefined) {
    fields.sortTarget = targets[sort.by];
    fields.sortOrder = sort.order === "ascend" ? SortOrder.ASCEND : SortOrder.DESCEND;
  }
  return fields;
}
