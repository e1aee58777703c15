// crc32c against the vectors of RFC 3720 B.4 and against a bit-by-bit computation; joining against hashing the whole.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c, crc32cJoin } from "../../src/base/crc32c.ts";

function slowCrc32c(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  }
  return ~c >>> 0;
}

test("crc32c() gives the values of RFC 3720 B.4", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(Buffer.from("123456789", "latin1")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test("crc32c() equals the bit-by-bit computation at every length and offset", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(50), (bytes, from) => {
      const start = Math.min(from, bytes.length);
      assert.equal(crc32c(bytes, start), slowCrc32c(bytes.subarray(start)));
    }),
  );
});

test("crc32c() continues from a seed and crc32cJoin() needs no bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 3000 }), (a, b) => {
      const whole = crc32c(Buffer.concat([a, b]));
      assert.equal(crc32c(b, 0, b.length, crc32c(a)), whole);
      assert.equal(crc32cJoin(crc32c(a), crc32c(b), b.length), whole);
    }),
  );
});
