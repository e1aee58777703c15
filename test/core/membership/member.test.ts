// Ids against values a real etcd computed, URLs at the gate, and which members count as started.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  clusterId,
  idText,
  isStarted,
  memberId,
  parsePeerUrls,
} from "../../../src/core/membership/index.ts";

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash("sha1").update(bytes).digest();
}

test("memberId() and clusterId() give the ids a real etcd gave for the same URL and token", () => {
  const id = memberId(sha1, ["http://127.0.0.1:12380"], "tok1");
  assert.equal(id, 9937498699207301625n);
  assert.equal(idText(id), "89e9166a722859f9");
  assert.equal(idText(clusterId(sha1, [id])), "8fb3ccbe2dc08f49");
});

test("memberId() does not depend on the order of the URLs, but on token and time", () => {
  const urls = ["http://b:2380", "http://a:2380"];
  const id = memberId(sha1, urls, "t");
  assert.equal(memberId(sha1, [...urls].reverse(), "t"), id);
  assert.notEqual(memberId(sha1, urls, "u"), id);
  assert.notEqual(memberId(sha1, urls, "", 1_700_000_000), memberId(sha1, urls, "", 1_700_000_001));
  const digest = sha1(Buffer.from("http://a:2380http://b:23801700000000"));
  assert.equal(memberId(sha1, urls, "", 1_700_000_000), Buffer.from(digest).readBigUInt64BE(0));
});

test("clusterId() does not depend on the order of the members, also above 2^63", () => {
  const ids = [2n ** 64n - 1n, 1n, 2n ** 63n];
  assert.equal(clusterId(sha1, ids), clusterId(sha1, [...ids].reverse()));
});

test("idText() writes no leading zeros", () => {
  assert.equal(idText(0xabcn), "abc");
});

test("a member counts as started once it has a name", () => {
  const member = { id: 1n, peerUrls: [], isLearner: false, name: "", clientUrls: [] };
  assert.equal(isStarted(member), false);
  assert.equal(isStarted({ ...member, name: "n" }), true);
});

test("parsePeerUrls() trims and sorts what etcd accepts", () => {
  const accepted = [
    " https://b:2380",
    "HTTP://a:2380",
    "unix:///tmp/s",
    "unixs://x:1",
    "http://[::1]:80",
  ];
  assert.deepEqual(parsePeerUrls(accepted), [
    "http://[::1]:80",
    "http://a:2380",
    "https://b:2380",
    "unix:///tmp/s",
    "unixs://x:1",
  ]);
});

test("parsePeerUrls() refuses a missing scheme, host:port or port, a path, another scheme, and an empty list", () => {
  const refused = [
    "localhost:2380",
    "127.0.0.1:2380",
    "http://a",
    "http://a:2380/",
    "http://a:2380/x",
    "http://a:x",
    "http://::1:2380",
    "ftp://a:2380",
    "http://",
    "",
  ];
  for (const url of refused) assert.equal(parsePeerUrls([url]), "memberBadUrls", url);
  assert.equal(parsePeerUrls(["http://a:1", "bad"]), "memberBadUrls");
  assert.equal(parsePeerUrls([]), "memberBadUrls");
});
