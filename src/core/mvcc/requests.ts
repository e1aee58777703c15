// What is checked of a KV request before it is proposed: the API layer calls these, replicas never do (a request in the log is
// applied as it is). Order of checks and their quirks are etcd's. Source: etcd server/etcdserver/api/v3rpc/key.go.

import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from "../../proto/index.ts";
import { IntervalSet } from "./interval-set.ts";
import type { MvccRefusal, RangeStreamRefusal } from "./types.ts";

/** Operations of a Txn by default (`--max-txn-ops`). */
export const TXN_OPS_MAX = 128;

/** Refusal of a Range, undefined if it is well formed. */
export function checkRangeRequest(request: RangeRequest): MvccRefusal | undefined {
  if (request.key.length === 0) return "emptyKey";
  if (request.sortOrder < 0 || request.sortOrder > SortOrder.DESCEND) return "invalidSortOption";
  if (request.sortTarget < 0 || request.sortTarget > SortTarget.VALUE) return "invalidSortOption";
  return undefined;
}

/** Refusal of a RangeStream, undefined if it is well formed. */
export function checkRangeStreamRequest(request: RangeRequest): RangeStreamRefusal | undefined {
  const refusal = checkRangeRequest(request);
  if (refusal !== undefined) return refusal;
  const keyAscending =
    request.sortOrder === SortOrder.ASCEND && request.sortTarget === SortTarget.KEY;
  if (request.sortOrder !== SortOrder.NONE && !keyAscending) return "rangeStreamSort";
  if (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  ) {
    return "rangeStreamFilters";
  }
  return undefined;
}

/** Refusal of a Put, undefined if it is well formed. */
export function checkPutRequest(request: PutRequest): MvccRefusal | undefined {
  if (request.key.length === 0) return "emptyKey";
  if (request.ignoreValue && request.value.length !== 0) return "valueProvided";
  if (request.ignoreLease && request.lease !== 0n) return "leaseProvided";
  return undefined;
}

/** Refusal of a DeleteRange, undefined if it is well formed. */
export function checkDeleteRangeRequest(request: DeleteRangeRequest): MvccRefusal | undefined {
  return request.key.length === 0 ? "emptyKey" : undefined;
}

/** Refusal of a Txn, undefined if it is well formed: budget of operations, every operation, then overlaps of writes. */
export function checkTxnRequest(
  request: TxnRequest,
  opsMax: number = TXN_OPS_MAX,
): MvccRefusal | undefined {
  return checkOps(request, opsMax) ?? checkOverlap(request);
}

function checkOps(request: TxnRequest, opsMax: number): MvccRefusal | undefined {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (count > opsMax) return "tooManyOps";
  for (const compare of request.compare) if (compare.key.length === 0) return "emptyKey";
  for (const ops of [request.success, request.failure]) {
    for (const op of ops) {
      const refusal = checkOp(op, opsMax - count);
      if (refusal !== undefined) return refusal;
    }
  }
  return undefined;
}

function checkOp(op: RequestOp, opsMax: number): MvccRefusal | undefined {
  if (op.requestRange !== undefined) return checkRangeRequest(op.requestRange);
  if (op.requestPut !== undefined) return checkPutRequest(op.requestPut);
  if (op.requestDeleteRange !== undefined) return checkDeleteRangeRequest(op.requestDeleteRange);
  if (op.requestTxn !== undefined) return checkOps(op.requestTxn, opsMax);
  return "keyNotFound";
}

function checkOverlap(request: TxnRequest): MvccRefusal | undefined {
  const ok = writesOf(request.success) !== undefined && writesOf(request.failure) !== undefined;
  return ok ? undefined : "duplicateKey";
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: IntervalSet;
}

/** The keys a list of operations may put and delete; undefined if two of its writes fall on one key in one run. */
function writesOf(ops: readonly RequestOp[]): Writes | undefined {
  const puts = new Set<string>();
  const deletes = new IntervalSet();
  for (const op of ops) {
    const request = op.requestDeleteRange;
    // A from-key delete is taken literally here, an empty interval, and so never conflicts.
    if (request !== undefined) {
      deletes.add(request.key, request.rangeEnd === "" ? `${request.key}\0` : request.rangeEnd);
    }
  }
  for (const op of ops) {
    if (op.requestTxn === undefined) continue;
    const success = writesOf(op.requestTxn.success);
    const failure = success === undefined ? undefined : writesOf(op.requestTxn.failure);
    if (success === undefined || failure === undefined) return undefined;
    for (const key of success.puts) {
      if (puts.has(key) || deletes.has(key)) return undefined;
      puts.add(key);
    }
    for (const key of failure.puts) {
      // The two branches of one Txn never run together.
      if ((puts.has(key) && !success.puts.has(key)) || deletes.has(key)) return undefined;
      puts.add(key);
    }
    deletes.addAll(success.deletes);
    deletes.addAll(failure.deletes);
  }
  for (const op of ops) {
    const request = op.requestPut;
    if (request === undefined) continue;
    if (puts.has(request.key) || deletes.has(request.key)) return undefined;
    puts.add(request.key);
  }
  return { puts, deletes };
}

/** True if the Txn needs no proposal: every operation of both branches is a Range. A nested Txn makes it a write. */
export function isTxnReadOnly(request: TxnRequest): boolean {
  return request.success.every(isRange) && request.failure.every(isRange);
}

/** True if a read-only Txn may be served locally without a quorum. */
export function isTxnSerializable(request: TxnRequest): boolean {
  return request.success.every(isSerializable) && request.failure.every(isSerializable);
}

function isRange(op: RequestOp): boolean {
  return op.requestRange !== undefined;
}

function isSerializable(op: RequestOp): boolean {
  return op.requestRange?.serializable === true;
}
