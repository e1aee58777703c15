// The stored form of a lease, against bytes written out by hand from the .proto and against random rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeLeaseRow, encodeLeaseRow, leaseRowKey } from "../../../src/core/lease/index.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("encodeLeaseRow() writes leasepb.Lease with zero fields left out", () => {
  assert.equal(hex(encodeLeaseRow({ id: 1n, ttlS: 300, remainingTtlS: 0 })), "080110ac02");
  assert.equal(
    hex(encodeLeaseRow({ id: -1n, ttlS: 2, remainingTtlS: 1 })),
    "08ffffffffffffffffff0110021801",
  );
});

test("leaseRowKey() is the id as eight big-endian bytes", () => {
  assert.equal(hex(leaseRowKey(-2n)), "fffffffffffffffe");
  assert.equal(hex(leaseRowKey(0x694d7f0000000001n)), "694d7f0000000001");
});

test("decodeLeaseRow() reads back every row and skips fields it does not know", () => {
  const row = fc.record({
    id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ttlS: fc.integer({ min: 0, max: 9e9 }),
    remainingTtlS: fc.integer({ min: 0, max: 9e9 }),
  });
  fc.assert(
    fc.property(row, (r) => {
      const extra = Buffer.from("207f29000000000000000032020102", "hex");
      assert.deepEqual(decodeLeaseRow(Buffer.concat([extra, encodeLeaseRow(r)])), { ...r });
    }),
  );
});

test("decodeLeaseRow() refuses every cut row and never reads past the end", () => {
  const whole = encodeLeaseRow({ id: -1n, ttlS: 9e9, remainingTtlS: 12 });
  for (let end = 1; end < whole.length; end++) {
    const cut = decodeLeaseRow(whole.subarray(0, end));
    // A cut between two fields is a shorter row, not a damaged one.
    if (cut !== undefined) assert.ok([11, 17].includes(end), `cut at ${end}`);
  }
  assert.equal(decodeLeaseRow(Buffer.from("0b", "hex")), undefined);
  assert.equal(decodeLeaseRow(Buffer.from("3205", "hex")), undefined);
});
