import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createRequestHeader,
  decodeRequestHeader,
  encodeRequestHeader,
  ProtoError,
} from "../../src/proto/index.ts";
import { ID_VARINT_BYTES, RequestIds } from "../../src/server/request-id.ts";

test("an id is the member's low 16 bits, the start time's low 40 bits and a counter from 1", () => {
  const ids = new RequestIds(0x89e9166a722859f9n, 0x01_8b_cf_e5_68_00);
  assert.equal(ids.next(), 0x59f9_8bcfe56800_01n);
  assert.equal(ids.next(), 0x59f9_8bcfe56800_02n);
});

test("the counter carries into the time", () => {
  const ids = new RequestIds(1n, 0);
  for (let i = 0; i < 255; i++) ids.next();
  assert.equal(ids.next(), 0x0001_0000000001_00n);
});

test("a chosen lease id has no sign bit and is not 0", () => {
  const ids = new RequestIds(0xffffn, 7);
  assert.equal(ids.nextLeaseId(), 0x7fff_0000000007_01n);
});

test("a written id is a ten-byte varint that decodes to the next id", () => {
  fc.assert(
    fc.property(
      fc.bigInt(1n, 2n ** 64n - 1n),
      fc.integer({ min: 0, max: 2 ** 45 }),
      (member, ms) => {
        const expected = new RequestIds(member, ms).next();
        const buf = new Uint8Array(1 + ID_VARINT_BYTES);
        buf[0] = 0x08;
        assert.equal(new RequestIds(member, ms).writeNext(buf, 1), 1 + ID_VARINT_BYTES);
        const header = decodeRequestHeader(buf, 0, buf.length);
        assert.ok(!(header instanceof ProtoError));
        assert.equal(header.id, expected);
        const canonical = encodeRequestHeader(createRequestHeader({ id: expected }));
        assert.ok(canonical.length <= buf.length);
      },
    ),
  );
});
