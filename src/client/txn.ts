// A transaction as a program writes it: comparisons, what to do if all hold, what to do otherwise.
//
//     { compare: [when.version("k", "=", 0)], success: [op.put("k", "v")], failure: [op.range("k")] }

import {
  type Compare,
  CompareResult,
  CompareTarget,
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type RequestOp,
  type TxnRequest,
} from "../proto/index.ts";
import { bytesOf, type Key, type KeyRange, type Value, wireKey, wireRange } from "./key-value.ts";
import { type DeleteOptions, type PutOptions, type RangeOptions, rangeFields } from "./options.ts";

/** How the two sides of a comparison must stand. */
export type Relation = "=" | "!=" | "<" | ">";

/** A transaction to be done. */
export interface Txn {
  /** All must hold for `success`; none at all always holds. */
  readonly compare?: readonly Compare[];
  readonly success?: readonly RequestOp[];
  readonly failure?: readonly RequestOp[];
}

const relations: Record<Relation, number> = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  "<": CompareResult.LESS,
  ">": CompareResult.GREATER,
};

function compare(key: Key, range: KeyRange, relation: Relation, side: Partial<Compare>): Compare {
  return createCompare({ ...wireRange(key, range), result: relations[relation], ...side });
}

/** Comparisons: the key's side stands before the relation. Over a range it must hold for every key. A missing key has 0 everywhere. */
export const when = {
  version(key: Key, relation: Relation, version: number, range: KeyRange = {}): Compare {
    return compare(key, range, relation, { target: CompareTarget.VERSION, version });
  },
  createRevision(key: Key, relation: Relation, revision: number, range: KeyRange = {}): Compare {
    const side = { target: CompareTarget.CREATE, createRevision: revision };
    return compare(key, range, relation, side);
  },
  modRevision(key: Key, relation: Relation, revision: number, range: KeyRange = {}): Compare {
    return compare(key, range, relation, { target: CompareTarget.MOD, modRevision: revision });
  },
  value(key: Key, relation: Relation, value: Value, range: KeyRange = {}): Compare {
    return compare(key, range, relation, { target: CompareTarget.VALUE, value: bytesOf(value) });
  },
  lease(key: Key, relation: Relation, lease: bigint, range: KeyRange = {}): Compare {
    return compare(key, range, relation, { target: CompareTarget.LEASE, lease });
  },
};

/** Operations of a transaction. */
export const op = {
  range(key: Key, options: RangeOptions = {}): RequestOp {
    return createRequestOp({ requestRange: createRangeRequest(rangeFields(key, options)) });
  },
  put(key: Key, value: Value, options: PutOptions = {}): RequestOp {
    const request = createPutRequest({ key: wireKey(key), value: bytesOf(value), ...options });
    return createRequestOp({ requestPut: request });
  },
  delete(key: Key, options: DeleteOptions = {}): RequestOp {
    const prevKv = options.prevKv ?? false;
    const request = createDeleteRangeRequest({ ...wireRange(key, options), prevKv });
    return createRequestOp({ requestDeleteRange: request });
  },
  txn(txn: Txn): RequestOp {
    return createRequestOp({ requestTxn: txnRequest(txn) });
  },
};

/** The request of a transaction. */
export function txnRequest(txn: Txn): TxnRequest {
  return createTxnRequest({
    compare: [...(txn.compare ?? [])],
    success: [...(txn.success ?? [])],
    failure: [...(txn.failure ?? [])],
  });
}
