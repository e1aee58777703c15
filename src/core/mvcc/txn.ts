// Txn at apply: compares on the state before, checks on the path that will run, then execution in order. After the checks nothing can
// fail. Nested transactions take their branches up front, on the state before the outermost.
// Source: etcd server/etcdserver/txn/txn.go.

import { assert } from "../../base/index.ts";
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from "../../proto/index.ts";
import { ALL_FIELDS, leaseOf } from "./key-value.ts";
import { KvList } from "./kv-list.ts";
import { eachVisible, keyRange, readRange } from "./range.ts";
import { DeleteResult, type OpResult, PutResult, TxnResult } from "./results.ts";
import { NO_ROW } from "./rows.ts";
import type { MvccState } from "./state.ts";
import type { MvccRefusal } from "./types.ts";
import type { WriteTxn } from "./write.ts";

/** Branch taken by a Txn and by the nested ones of that branch, in order. */
interface Path {
  readonly succeeded: boolean;
  readonly nested: readonly Path[];
}

function choosePath(state: MvccState, request: TxnRequest): Path {
  const succeeded = request.compare.every((compare) => holds(state, compare));
  const nested: Path[] = [];
  for (const op of succeeded ? request.success : request.failure) {
    if (op.requestTxn !== undefined) nested.push(choosePath(state, op.requestTxn));
  }
  return { succeeded, nested };
}

function holds(state: MvccState, compare: Compare): boolean {
  const keys = keyRange(compare.key, compare.rangeEnd);
  const main = state.revision;
  if (keys.point) {
    const id = state.keys.get(compare.key);
    const row = id === undefined ? NO_ROW : state.visibleAt(id, main);
    return row === NO_ROW ? holdsForNone(compare) : holdsForRow(state, compare, row);
  }
  let found = false;
  let all = true;
  eachVisible(state, keys, keys.from, main, Number.POSITIVE_INFINITY, (row) => {
    found = true;
    all = holdsForRow(state, compare, row);
    return all;
  });
  return found ? all : holdsForNone(compare);
}

/** No key: a value compare is false whatever its operator, all others compare with 0. */
function holdsForNone(compare: Compare): boolean {
  if (compare.target === CompareTarget.VALUE) return false;
  return resultHolds(compare.result, differenceOf(compare, 0, 0, 0, 0n));
}

function holdsForRow(state: MvccState, compare: Compare, row: number): boolean {
  const chunk = state.rows.chunkOf(row);
  const slot = chunk.slotOf(row);
  if (compare.target === CompareTarget.VALUE) {
    const wanted = compare.value ?? NO_BYTES;
    return resultHolds(compare.result, Buffer.compare(state.valueOf(chunk, slot), wanted));
  }
  const lease = compare.target === CompareTarget.LEASE ? leaseOf(chunk, slot) : 0n;
  return resultHolds(
    compare.result,
    differenceOf(compare, chunk.version(slot), chunk.create(slot), chunk.main(slot), lease),
  );
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Sign of actual - wanted; an absent or other member of the union counts as 0, an unknown target as equal. */
function differenceOf(
  compare: Compare,
  version: number,
  create: number,
  mod: number,
  lease: bigint,
): number {
  switch (compare.target) {
    case CompareTarget.VERSION:
      return version - (compare.version ?? 0);
    case CompareTarget.CREATE:
      return create - (compare.createRevision ?? 0);
    case CompareTarget.MOD:
      return mod - (compare.modRevision ?? 0);
    case CompareTarget.LEASE: {
      const wanted = compare.lease ?? 0n;
      return lease === wanted ? 0 : lease < wanted ? -1 : 1;
    }
    default:
      return 0;
  }
}

function resultHolds(result: number, difference: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return difference === 0;
    case CompareResult.NOT_EQUAL:
      return difference !== 0;
    case CompareResult.GREATER:
      return difference > 0;
    case CompareResult.LESS:
      return difference < 0;
    default:
      return true;
  }
}

/** Refusal of a put at apply: lease first, then the key it wants to keep something of. */
export function checkPut(state: MvccState, request: PutRequest): MvccRefusal | undefined {
  if (request.lease !== 0n && !state.leases.exists(request.lease)) return "leaseNotFound";
  if (request.ignoreValue || request.ignoreLease) {
    const id = state.keys.get(request.key);
    if (id === undefined || !state.isLiveKey(id)) return "keyNotFound";
  }
  return undefined;
}

function checkPath(state: MvccState, request: TxnRequest, path: Path): MvccRefusal | undefined {
  let nested = 0;
  for (const op of path.succeeded ? request.success : request.failure) {
    let refusal: MvccRefusal | undefined;
    if (op.requestPut !== undefined) {
      refusal = checkPut(state, op.requestPut);
    } else if (op.requestRange !== undefined) {
      // Negative revisions are taken literally here, unlike in a plain Range.
      const { revision } = op.requestRange;
      if (revision > state.revision) refusal = "futureRev";
      else if (revision !== 0 && revision < state.compactRevision) refusal = "compacted";
    } else if (op.requestTxn !== undefined) {
      refusal = checkPath(state, op.requestTxn, path.nested[nested++] as Path);
    }
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** Runs a put that passed its checks. */
export function executePut(state: MvccState, txn: WriteTxn, request: PutRequest): PutResult {
  const replaced = txn.put(request);
  if (!request.prevKv || replaced === NO_ROW) return new PutResult(txn.main, undefined);
  const prevKv = new KvList(state, ALL_FIELDS);
  prevKv.rows.push(replaced);
  return new PutResult(txn.main, prevKv);
}

/** Runs a delete. */
export function executeDelete(
  state: MvccState,
  txn: WriteTxn,
  request: DeleteRangeRequest,
): DeleteResult {
  const prevKvs = request.prevKv ? new KvList(state, ALL_FIELDS) : undefined;
  const deleted = txn.deleteRange(keyRange(request.key, request.rangeEnd), prevKvs?.rows);
  return new DeleteResult(txn.readRevision, deleted, prevKvs);
}

/** `txn` undefined: a read-only transaction. */
function executeOp(state: MvccState, txn: WriteTxn | undefined, op: RequestOp): OpResult {
  if (op.requestRange !== undefined) {
    const current = txn === undefined ? state.revision : txn.readRevision;
    const result = readRange(state, op.requestRange, current);
    assert(typeof result !== "string", "a range of a transaction was checked before it ran");
    return result;
  }
  assert(txn !== undefined, "a read-only transaction holds only ranges");
  if (op.requestPut !== undefined) return executePut(state, txn, op.requestPut);
  assert(op.requestDeleteRange !== undefined, "an operation of a transaction is set");
  return executeDelete(state, txn, op.requestDeleteRange);
}

function executePath(
  state: MvccState,
  txn: WriteTxn | undefined,
  request: TxnRequest,
  path: Path,
): OpResult[] {
  let nested = 0;
  const responses: OpResult[] = [];
  for (const op of path.succeeded ? request.success : request.failure) {
    if (op.requestTxn === undefined) {
      responses.push(executeOp(state, txn, op));
      continue;
    }
    const inner = path.nested[nested++] as Path;
    const results = executePath(state, txn, op.requestTxn, inner);
    responses.push(new TxnResult(0, inner.succeeded, results));
  }
  return responses;
}

/** A whole Txn: the outcome or, without any effect, a refusal. `txn` is undefined for a read-only one served outside the log. */
export function executeTxn(
  state: MvccState,
  txn: WriteTxn | undefined,
  request: TxnRequest,
): TxnResult | MvccRefusal {
  const path = choosePath(state, request);
  const refusal = checkPath(state, request, path);
  if (refusal !== undefined) return refusal;
  const responses = executePath(state, txn, request, path);
  const revision = txn === undefined ? state.revision : txn.end();
  return new TxnResult(revision, path.succeeded, responses);
}
