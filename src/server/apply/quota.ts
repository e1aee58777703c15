// What a request may cost in backend bytes, for the quota and for the NOSPACE alarm. Source: etcd server/storage/quota.go.

import type { PutRequest, RequestOp, TxnRequest } from "../../proto/index.ts";

/** etcd's estimate of what a revision takes besides key and value. */
const PUT_OVERHEAD_BYTES = 256;

/** What a lease grant costs. */
export const LEASE_QUOTA_COST_BYTES = 64;

/** etcd's quota where none is configured. */
export const QUOTA_BYTES_DEFAULT: number = 2 * 1024 * 1024 * 1024;

/** Cost of a put. */
export function putCostBytes(request: PutRequest): number {
  return PUT_OVERHEAD_BYTES + request.key.length + request.value.length;
}

/** Cost of a txn: that of its dearer branch. Zero if neither branch can put anything. */
export function txnCostBytes(request: TxnRequest): number {
  return Math.max(branchCostBytes(request.success), branchCostBytes(request.failure));
}

function branchCostBytes(ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.requestPut !== undefined) bytes += putCostBytes(op.requestPut);
    else if (op.requestTxn !== undefined) bytes += txnCostBytes(op.requestTxn);
  }
  return bytes;
}
