// Checks of KV requests before they are proposed: client-api.md 4.2-4.6, rules K3-K7, K27, K46, T1-T8, T24-T26.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkRangeStreamRequest,
  checkTxnRequest,
  isTxnReadOnly,
  isTxnSerializable,
} from "../../../src/core/mvcc/index.ts";
import { IntervalSet } from "../../../src/core/mvcc/interval-set.ts";
import {
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type RequestOp,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { bytes } from "./memory.ts";

const put = (key: string): RequestOp => createRequestOp({ requestPut: createPutRequest({ key }) });
const del = (key: string, rangeEnd = ""): RequestOp =>
  createRequestOp({ requestDeleteRange: createDeleteRangeRequest({ key, rangeEnd }) });
const range = (key: string, serializable = false): RequestOp =>
  createRequestOp({ requestRange: createRangeRequest({ key, serializable }) });
const nest = (success: RequestOp[], failure: RequestOp[] = []): RequestOp =>
  createRequestOp({ requestTxn: createTxnRequest({ success, failure }) });
const txn = (...success: RequestOp[]): TxnRequest => createTxnRequest({ success });

test("K3, K5, K7, K27: keys, kept values and leases, sort options", () => {
  assert.equal(checkPutRequest(createPutRequest()), "emptyKey");
  assert.equal(checkPutRequest(createPutRequest({ key: "\0" })), undefined);
  const value = bytes("v");
  assert.equal(
    checkPutRequest(createPutRequest({ key: "a", ignoreValue: true, value })),
    "valueProvided",
  );
  assert.equal(
    checkPutRequest(createPutRequest({ key: "a", ignoreLease: true, lease: -1n })),
    "leaseProvided",
  );
  assert.equal(checkDeleteRangeRequest(createDeleteRangeRequest({ rangeEnd: "z" })), "emptyKey");
  assert.equal(checkRangeRequest(createRangeRequest({ rangeEnd: "z", sortOrder: 9 })), "emptyKey");
  for (const wrong of [{ sortOrder: 200 }, { sortTarget: 100 }, { sortOrder: -1 }]) {
    assert.equal(
      checkRangeRequest(createRangeRequest({ key: "a", ...wrong })),
      "invalidSortOption",
    );
  }
});

test("K46: RangeStream refuses orders and filters, after the checks of a Range", () => {
  const check = (fields: Parameters<typeof createRangeRequest>[0]): string | undefined =>
    checkRangeStreamRequest(createRangeRequest({ key: "a", ...fields }));
  assert.equal(check({ sortOrder: 2 }), "rangeStreamSort");
  assert.equal(check({ sortOrder: 1, sortTarget: 2 }), "rangeStreamSort");
  assert.equal(check({ sortOrder: 1 }), undefined);
  assert.equal(check({ sortTarget: 2 }), undefined);
  assert.equal(check({ minModRevision: 1 }), "rangeStreamFilters");
  assert.equal(check({ key: "", sortOrder: 2 }), "emptyKey");
});

test("T1, T2: the budget of operations shrinks with every level", () => {
  const compare = (count: number): TxnRequest =>
    createTxnRequest({ compare: Array.from({ length: count }, () => createCompare({ key: "a" })) });
  assert.equal(checkTxnRequest(compare(128)), undefined);
  assert.equal(checkTxnRequest(compare(129)), "tooManyOps");
  const ranges = (count: number): RequestOp[] => Array.from({ length: count }, () => range("a"));
  assert.equal(checkTxnRequest(createTxnRequest({ success: ranges(129) })), "tooManyOps");
  assert.equal(checkTxnRequest(createTxnRequest({ failure: ranges(129) })), "tooManyOps");
  const nested = (count: number, inner: number): TxnRequest =>
    txn(...Array.from({ length: count }, () => nest(ranges(inner))));
  assert.equal(checkTxnRequest(nested(128, 1)), "tooManyOps");
  assert.equal(checkTxnRequest(nested(64, 64)), undefined, "siblings each get the rest");
  assert.equal(checkTxnRequest(nested(64, 65)), "tooManyOps");
  assert.equal(
    checkTxnRequest(ranges(3).length === 3 ? txn(...ranges(3)) : txn(), 2),
    "tooManyOps",
  );
});

test("T3-T8: writes that meet in one run are refused, others are not", () => {
  const cases: [string, TxnRequest, "duplicateKey" | undefined][] = [
    ["T3 put twice", txn(put("a"), put("a")), "duplicateKey"],
    ["T3 put under a delete", txn(put("abc"), del("a", "b")), "duplicateKey"],
    [
      "T3 in the failure branch",
      createTxnRequest({ failure: [put("a"), put("a")] }),
      "duplicateKey",
    ],
    ["T4 the end is exclusive", txn(put("abc"), del("abb", "abc")), undefined],
    ["T5 deletes may overlap", txn(del("a", "c"), del("b", "d"), del("b")), undefined],
    ["T6 outer put, nested delete", txn(put("a"), nest([del("a", "b")])), "duplicateKey"],
    ["T6 outer delete, nested put", txn(del("a", "b"), nest([], [put("a")])), "duplicateKey"],
    ["T7 siblings put the same", txn(nest([put("a")]), nest([], [put("a")])), "duplicateKey"],
    ["T7 both branches of one", txn(nest([put("a")], [put("a")])), undefined],
    ["T7 and then outside", txn(nest([put("a")], [put("a")]), put("a")), "duplicateKey"],
    ["T8 from-key delete", txn(del("a", "\0"), put("b")), undefined],
    ["range_end below key", txn(del("c", "a"), put("b")), undefined],
    ["nested put, later nested delete", txn(nest([put("a")]), nest([del("a")])), undefined],
    ["nested delete, later nested put", txn(nest([del("a")]), nest([put("a")])), "duplicateKey"],
    ["ranges never conflict", txn(range("a"), put("a"), range("a")), undefined],
    [
      "branches are apart",
      createTxnRequest({ success: [put("a")], failure: [put("a")] }),
      undefined,
    ],
  ];
  for (const [name, request, wanted] of cases) {
    assert.equal(checkTxnRequest(request), wanted, name);
  }
});

test("T24: an operation that is not set, and the checks of each operation", () => {
  assert.equal(checkTxnRequest(txn(createRequestOp())), "keyNotFound");
  assert.equal(checkTxnRequest(txn(range(""))), "emptyKey");
  assert.equal(checkTxnRequest(txn(nest([put("")]))), "emptyKey");
  assert.equal(
    checkTxnRequest(createTxnRequest({ compare: [createCompare()] })),
    "emptyKey",
    "a compare needs a key",
  );
});

test("T25, T26: what needs no proposal, and what no quorum", () => {
  assert.ok(isTxnReadOnly(txn()) && isTxnSerializable(txn()));
  assert.ok(isTxnReadOnly(txn(range("a"))) && !isTxnSerializable(txn(range("a"))));
  assert.ok(isTxnSerializable(txn(range("a", true))));
  assert.ok(!isTxnReadOnly(txn(nest([range("a")]))));
  assert.ok(!isTxnReadOnly(createTxnRequest({ failure: [put("a")] })));
});

test("an interval set holds a key exactly if one of its intervals does", () => {
  const point = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 3 });
  const interval = fc.tuple(point, fc.option(point, { nil: undefined }));
  fc.assert(
    fc.property(fc.array(interval), fc.array(interval), fc.array(point), (first, second, keys) => {
      const set = new IntervalSet();
      for (const [from, to] of first) set.add(from, to);
      const other = new IntervalSet();
      for (const [from, to] of second) other.add(from, to);
      set.addAll(other);
      for (const key of keys) {
        const wanted = [...first, ...second].some(
          ([from, to]) => key >= from && (to === undefined || key < to),
        );
        assert.equal(set.has(key), wanted);
      }
    }),
  );
});
