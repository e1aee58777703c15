// The replicated set of alarms as it is applied and restored, and the cost of requests that decides about NOSPACE.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AlarmType,
  createAlarmRequest,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type RequestOp,
} from "../../../src/proto/index.ts";
import { Alarms } from "../../../src/server/apply/alarms.ts";
import { putCostBytes, txnCostBytes } from "../../../src/server/apply/quota.ts";
import { type BackendBatch, Bucket } from "../../../src/server/ports.ts";

const [GET, ACTIVATE, DEACTIVATE] = [0, 1, 2] as const;

/** A batch that keeps what is written, as text. */
class Rows implements BackendBatch {
  readonly rows: Map<string, Uint8Array> = new Map();
  readonly buffer: Buffer = Buffer.alloc(0);
  readonly sizeBytes = 0;

  put(bucket: Bucket, key: Uint8Array): void {
    assert.equal(bucket, Bucket.alarm);
    this.rows.set(Buffer.from(key).toString("hex"), key);
  }

  reserve(): number {
    throw new Error("alarms are not large");
  }

  delete(bucket: Bucket, key: Uint8Array): void {
    assert.equal(bucket, Bucket.alarm);
    assert.ok(this.rows.delete(Buffer.from(key).toString("hex")), "only what is there is deleted");
  }
}

test("alarms stop writes while any member's is active, and are found again in the rows", () => {
  const alarms = new Alarms();
  const batch = new Rows();
  const apply = (action: number, memberId: bigint, alarm: number): number =>
    alarms.apply(createAlarmRequest({ action, memberId, alarm }), batch).length;

  assert.equal(apply(ACTIVATE, 1n, AlarmType.NONE), 0);
  assert.equal(apply(ACTIVATE, 1n, AlarmType.NOSPACE), 1);
  assert.equal(apply(ACTIVATE, 2n, AlarmType.NOSPACE), 1);
  assert.equal(apply(ACTIVATE, 2n, AlarmType.NOSPACE), 1);
  assert.equal(apply(ACTIVATE, 0n, AlarmType.CORRUPT), 1);
  assert.equal(apply(GET, 0n, AlarmType.NONE), 3);
  assert.equal(apply(GET, 1n, AlarmType.NOSPACE), 2);
  assert.ok(alarms.noSpace && alarms.corrupt);
  assert.ok(alarms.has(AlarmType.NOSPACE, 2n) && !alarms.has(AlarmType.CORRUPT, 2n));

  assert.equal(apply(DEACTIVATE, 1n, AlarmType.NOSPACE), 1);
  assert.equal(apply(DEACTIVATE, 1n, AlarmType.NOSPACE), 0);
  assert.ok(alarms.noSpace);

  const restored = new Alarms();
  for (const key of batch.rows.values()) assert.ok(restored.restore(key));
  assert.deepEqual(restored.list(), alarms.list());
  assert.ok(restored.noSpace && restored.corrupt);
  assert.equal(restored.restore(Buffer.from("0aff", "hex")), false);

  assert.equal(apply(DEACTIVATE, 2n, AlarmType.NOSPACE), 1);
  assert.ok(!alarms.noSpace && alarms.corrupt);
});

test("a txn costs what its dearer branch puts, nested ones included", () => {
  const request = createPutRequest({ key: "abc", value: Buffer.from("defg") });
  assert.equal(putCostBytes(request), 256 + 3 + 4);
  const put: RequestOp = createRequestOp({ requestPut: request });
  const get = createRequestOp({ requestRange: createRangeRequest({ key: "a" }) });
  const del = createRequestOp({ requestDeleteRange: createDeleteRangeRequest({ key: "a" }) });
  const nested = createRequestOp({
    requestTxn: createTxnRequest({ success: [put], failure: [put, put] }),
  });
  const cost = 263;
  const cases: [RequestOp[], RequestOp[], number][] = [
    [[], [], 0],
    [[get, del], [get], 0],
    [[put], [], cost],
    [[], [put, put], 2 * cost],
    [[put, nested], [put], 3 * cost],
  ];
  for (const [success, failure, expected] of cases) {
    assert.equal(txnCostBytes(createTxnRequest({ success, failure })), expected);
  }
});
