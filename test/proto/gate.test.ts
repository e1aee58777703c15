// The 64-bit gate and UTF-8 validity against what the platform says.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AssertionFailure } from "../../src/base/index.ts";
import * as gate from "../../src/proto/gate.ts";
import { isUtf8 } from "../../src/proto/utf8.ts";
import { sizeBigint, sizeInt53, writeBigint, writeInt53 } from "../../src/proto/writer.ts";

const halves = fc.oneof(fc.constantFrom(0, 1, 0x1f_ffff, 0x20_0000, 0x7fff_ffff), fc.nat());
const word = fc.tuple(halves, fc.boolean()).map(([half, upper]) => (upper ? ~half >>> 0 : half));

function whole(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

test("64-bit words become the number or bigint they stand for, NaN beyond the safe integers", () => {
  const property = fc.property(word, word, (high, low) => {
    const unsigned = whole(high, low);
    const signed = BigInt.asIntN(64, unsigned);
    const isSafe = (v: bigint): boolean => Number.isSafeInteger(Number(v));
    assert.equal(gate.int64ToBigint(high, low), signed);
    assert.equal(gate.uint64ToBigint(high, low), unsigned);
    assert.equal(gate.int64ToNumber(high, low), isSafe(signed) ? Number(signed) : Number.NaN);
    assert.equal(gate.uint64ToNumber(high, low), isSafe(unsigned) ? Number(unsigned) : Number.NaN);
    const limit = signed < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
    assert.equal(gate.int64Clamped(high, low), isSafe(signed) ? Number(signed) : limit);
  });
  fc.assert(property, { numRuns: 2000 });
});

/** Varint of a 64-bit word, the slow and plain way. */
function varint(word64: bigint): number[] {
  const bytes: number[] = [];
  let rest = word64;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

test("counters and ids are written as the plain varint of their two's complement", () => {
  const buf = new Uint8Array(16);
  const written = (end: number): number[] => [...buf.subarray(1, end)];
  const property = fc.property(word, word, (high, low) => {
    const unsigned = whole(high, low);
    for (const id of [unsigned, BigInt.asIntN(64, unsigned)]) {
      const end = writeBigint(buf, 1, id);
      assert.deepEqual(written(end), varint(unsigned));
      assert.equal(end - 1, sizeBigint(id));
    }
    const counter = gate.int64Clamped(high, low);
    const end = writeInt53(buf, 1, counter);
    assert.deepEqual(written(end), varint(BigInt.asUintN(64, BigInt(counter))));
    assert.equal(end - 1, sizeInt53(counter));
  });
  fc.assert(property, { numRuns: 2000 });
});

test("every length of a varint is sized right at both of its ends", () => {
  const buf = new Uint8Array(16);
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits, -(2 ** bits)].filter(Number.isSafeInteger)) {
      assert.equal(writeInt53(buf, 0, value), sizeInt53(value), String(value));
    }
  }
  for (let bits = 0n; bits <= 64n; bits++) {
    for (const value of [2n ** bits - 1n, BigInt.asUintN(64, 2n ** bits), -(2n ** bits) / 2n]) {
      assert.equal(writeBigint(buf, 0, value), sizeBigint(value), String(value));
    }
  }
});

test("a number that is no safe integer is a broken invariant", () => {
  for (const value of [2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY, 2 ** 30 + 0.5]) {
    assert.throws(() => writeInt53(new Uint8Array(16), 0, value), AssertionFailure);
  }
});

test("isUtf8 agrees with the platform's strict decoder", () => {
  const strict = new TextDecoder("utf-8", { fatal: true });
  const leads = fc.constantFrom(0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1);
  const more = fc.constantFrom(0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff);
  const bytes = fc.oneof(
    fc.array(fc.oneof(leads, more), { maxLength: 8 }),
    fc.string({ unit: "binary" }).map((text) => [...Buffer.from(text)]),
  );
  const property = fc.property(bytes, fc.nat(3), (middle, cut) => {
    // Bytes around that would complete a cut sequence must not count.
    const buf = Uint8Array.from([0xf0, ...middle, 0x80, 0x80]);
    const end = Math.max(1, 1 + middle.length - cut);
    let expected = true;
    try {
      strict.decode(buf.subarray(1, end));
    } catch {
      expected = false;
    }
    assert.equal(isUtf8(buf, 1, end), expected);
  });
  fc.assert(property, { numRuns: 5000 });
});
