import assert from "node:assert/strict";
import { test } from "node:test";
import { intOf, messageOf, renderWire, wireSchema } from "./wire-schema.ts";

const schema = wireSchema();

void test("decode keeps the difference between an absent and an empty sub-message", () => {
  const empty = schema.decode("etcdserverpb.PutResponse", Uint8Array.of(0x0a, 0x00));
  const absent = schema.decode("etcdserverpb.PutResponse", new Uint8Array(0));
  assert.equal(renderWire(empty), "{header{}}");
  assert.equal(renderWire(absent), "{}");
});

void test("decode names nested fields, keeps signs, order and unknown fields", () => {
  const bytes = schema.encode("etcdserverpb.TxnRequest", {
    compare: [{ key: Buffer.from("a"), lease: "-5", target: 4 }],
    success: [{ request_put: { key: Buffer.from("\0\xff", "latin1"), lease: "-1" } }],
  });
  const message = schema.decode("etcdserverpb.TxnRequest", bytes);
  assert.equal(
    renderWire(message),
    '{compare{target:4 key:"a" lease:-5} success{request_put{key:"\\x00\\xff" lease:-1}}}',
  );
  assert.equal(intOf(messageOf(message, "compare"), "lease"), -5n);
  const unknown = Uint8Array.of(0xa0, 0x06, 0x07);
  assert.equal(renderWire(schema.decode("etcdserverpb.PutResponse", unknown)), "{#100:7}");
});
