// What the client makes of keys, ranges, endpoints and failures before anything is sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { codeOf, EtcdClient, EtcdError, op, parseEndpoint, when } from "../../src/client/index.ts";
import { wireKey, wireRange } from "../../src/client/key-value.ts";

test("wireKey() writes text as UTF-8 and bytes as they are", () => {
  assert.equal(wireKey("a/ü"), "a/\xc3\xbc");
  assert.equal(wireKey(Uint8Array.of(0, 0xff)), "\0\xff");
});

test("wireRange() of a prefix covers exactly the keys that start with it", () => {
  const bytes = fc.uint8Array({ maxLength: 4 });
  fc.assert(
    fc.property(bytes, bytes, (prefix, other) => {
      const { key, rangeEnd } = wireRange(prefix, { prefix: true });
      const candidate = wireKey(other);
      const covered = candidate >= key && (rangeEnd === "\0" || candidate < rangeEnd);
      // The empty key is no key.
      if (candidate !== "") assert.equal(covered, candidate.startsWith(wireKey(prefix)));
    }),
  );
});

test("wireRange() of one key, a bounded and an open range", () => {
  assert.deepEqual(wireRange("a", {}), { key: "a", rangeEnd: "" });
  assert.deepEqual(wireRange("a", { end: "c" }), { key: "a", rangeEnd: "c" });
  assert.deepEqual(wireRange("a", { onward: true }), { key: "a", rangeEnd: "\0" });
  assert.deepEqual(wireRange("", { prefix: true }), { key: "\0", rangeEnd: "\0" });
  assert.deepEqual(wireRange("\xff", { onward: true }), { key: "\xc3\xbf", rangeEnd: "\0" });
});

test("parseEndpoint() reads what people write", () => {
  const cases: [string, string, boolean][] = [
    ["http://127.0.0.1:2379", "127.0.0.1:2379", false],
    ["https://etcd.example:443/", "etcd.example:443", true],
    ["localhost:2379", "localhost:2379", false],
    ["http://[::1]:2379", "[::1]:2379", false],
    ["unix:///run/etcd.sock", "unix:/run/etcd.sock", false],
  ];
  for (const [text, target, secure] of cases) {
    assert.deepEqual(parseEndpoint(text), { text, target, secure });
  }
});

test("parseEndpoint() refuses what names no port, and a client needs an endpoint", () => {
  const refused = ["", "http://", "localhost", "ftp://a:1", "http://a:1/path", "::1:2379"];
  for (const text of refused) assert.throws(() => parseEndpoint(text), EtcdError, text);
  assert.throws(() => new EtcdClient([]), /no endpoint/);
});

test("when and op build the messages of a transaction", () => {
  const version = when.version("k", ">", 3);
  assert.deepEqual([version.target, version.result, version.version], [0, 1, 3]);
  const value = when.value("k", "!=", "v", { prefix: true });
  assert.deepEqual([value.target, value.result, value.rangeEnd], [3, 3, "l"]);
  assert.equal(Buffer.from(value.value ?? []).toString(), "v");
  assert.equal(when.lease("k", "=", 7n).lease, 7n);
  assert.equal(when.createRevision("k", "<", 0).createRevision, 0);
  const put = op.put("k", "v", { lease: 9n }).requestPut;
  assert.deepEqual([put?.key, put?.lease], ["k", 9n]);
  assert.equal(op.delete("k", { prefix: true }).requestDeleteRange?.rangeEnd, "l");
  assert.equal(op.range("k", { sort: { by: "mod", order: "descend" } }).requestRange?.sortOrder, 2);
});

test("an EtcdError names its code", () => {
  const error = new EtcdError(5, "gone");
  assert.equal(error.codeName, "NOT_FOUND");
  assert.equal(codeOf("NOT_FOUND"), 5);
  assert.equal(new EtcdError(99, "?").codeName, "UNKNOWN");
});
