// Random requests over few keys, so that they meet; hostile bytes included.

import fc from "fast-check";
import {
  type Compare,
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../../src/proto/index.ts";

const KEYS = [
  "a",
  "a\0",
  "aa",
  "ab",
  "b",
  "b\xff",
  "c",
  "\0",
  "\xff\xff",
  "k1",
  "k2",
  "k3",
  "k4",
  "k5",
  "k6",
];
export const LEASES: readonly bigint[] = [1n, -9n, 0x7fff_ffff_ffff_ffffn, -0x8000_0000_0000_0000n];

export const key: fc.Arbitrary<string> = fc.constantFrom(...KEYS);
const rangeEnd = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 2, arbitrary: fc.constant("\0") },
  { weight: 3, arbitrary: key },
);
const value = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 30, maxLength: 200 }) },
);
const revision = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: -2, max: 40 }) },
);
/** 0 seldom filters. */
const bound = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -1, max: 20 }));

export const rangeRequest: fc.Arbitrary<RangeRequest> = fc
  .record({
    key,
    rangeEnd,
    limit: fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 5 })),
    revision,
    sortOrder: fc.integer({ min: 0, max: 2 }),
    sortTarget: fc.integer({ min: 0, max: 4 }),
    keysOnly: fc.boolean(),
    countOnly: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    minModRevision: bound,
    maxModRevision: bound,
    minCreateRevision: bound,
    maxCreateRevision: bound,
  })
  .map((fields) => createRangeRequest(fields));

export const putRequest: fc.Arbitrary<PutRequest> = fc
  .record({
    key,
    value,
    lease: fc.oneof(
      { weight: 3, arbitrary: fc.constant(0n) },
      fc.constantFrom(...LEASES),
      fc.constant(77n),
    ),
    prevKv: fc.boolean(),
    keep: fc.integer({ min: 0, max: 9 }),
  })
  .map(({ keep, ...fields }) =>
    createPutRequest({
      ...fields,
      ignoreValue: keep === 0 || keep === 1,
      ignoreLease: keep === 1 || keep === 2,
      value: keep < 2 ? new Uint8Array(0) : fields.value,
      lease: keep === 1 || keep === 2 ? 0n : fields.lease,
    }),
  );

export const deleteRequest: fc.Arbitrary<DeleteRangeRequest> = fc
  .record({ key, rangeEnd, prevKv: fc.boolean() })
  .map((fields) => createDeleteRangeRequest(fields));

const compare: fc.Arbitrary<Compare> = fc
  .record({
    key,
    rangeEnd,
    result: fc.integer({ min: 0, max: 4 }),
    target: fc.integer({ min: 0, max: 5 }),
    union: fc.constantFrom("version", "createRevision", "modRevision", "value", "lease", "none"),
    number: fc.integer({ min: -1, max: 6 }),
    bytes: fc.uint8Array({ maxLength: 3 }),
  })
  .map(({ union, number, bytes, ...fields }) =>
    createCompare({
      ...fields,
      version: union === "version" ? number : undefined,
      createRevision: union === "createRevision" ? number : undefined,
      modRevision: union === "modRevision" ? number : undefined,
      value: union === "value" ? bytes : undefined,
      lease: union === "lease" ? BigInt(number) : undefined,
    }),
  );

/** Transactions as they may stand in the log: overlapping writes included. */
export function txnRequest(depth: number): fc.Arbitrary<TxnRequest> {
  const ops: fc.Arbitrary<RequestOp>[] = [
    rangeRequest.map((requestRange) => createRequestOp({ requestRange })),
    putRequest.map((requestPut) => createRequestOp({ requestPut })),
    deleteRequest.map((requestDeleteRange) => createRequestOp({ requestDeleteRange })),
  ];
  if (depth > 0) {
    ops.push(txnRequest(depth - 1).map((requestTxn) => createRequestOp({ requestTxn })));
  }
  const list = fc.array(fc.oneof(...ops), { maxLength: 3 });
  return fc
    .record({ compare: fc.array(compare, { maxLength: 2 }), success: list, failure: list })
    .map((fields) => createTxnRequest(fields));
}
