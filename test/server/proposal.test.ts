import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createClusterVersionSetRequest,
  createPutRequest,
  decodeInternalRaftRequest,
  encodeClusterVersionSetRequest,
  encodePutRequest,
  ProtoError,
} from "../../src/proto/index.ts";
import { Arm, EntryBuilder, entrySize } from "../../src/server/proposal.ts";
import { RequestIds } from "../../src/server/request-id.ts";

function builder(): EntryBuilder {
  return new EntryBuilder(new RequestIds(3n, 5));
}

test("an entry is an InternalRaftRequest with the client's bytes and a fresh id", () => {
  const put = encodePutRequest(createPutRequest({ key: "a", value: Buffer.from("1") }));
  const around = Buffer.concat([Buffer.from("xx"), put, Buffer.from("yy")]);
  const entries = builder();
  for (const id of [0x0003_0000000005_01n, 0x0003_0000000005_02n]) {
    const staged = entries.stage(Arm.put, around, 2, 2 + put.length);
    const bytes = staged.entryBytes ?? new Uint8Array(0);
    assert.deepEqual(Buffer.from(staged.buf.subarray(staged.start, staged.end)), Buffer.from(put));
    assert.equal(bytes.length, entrySize(Arm.put, put.length));
    const decoded = decodeInternalRaftRequest(bytes, 0, bytes.length);
    assert.ok(!(decoded instanceof ProtoError));
    assert.equal(decoded.header?.id, id);
    assert.equal(decoded.put?.key, "a");
    assert.deepEqual(Buffer.from(decoded.put?.value ?? []), Buffer.from("1"));
  }
});

test("fields stay in ascending order: the header precedes the arms above 100", () => {
  const request = encodeClusterVersionSetRequest(createClusterVersionSetRequest({ ver: "3.7.0" }));
  const bytes =
    builder().stage(Arm.clusterVersionSet, request, 0, request.length).entryBytes ??
    new Uint8Array(0);
  assert.deepEqual([bytes[0], bytes[1]], [0xa2, 0x06]);
  const decoded = decodeInternalRaftRequest(bytes, 0, bytes.length);
  assert.ok(!(decoded instanceof ProtoError));
  assert.equal(decoded.clusterVersionSet?.ver, "3.7.0");
});

test("entries of one chunk and entries larger than a chunk keep their own bytes", () => {
  const entries = builder();
  const built = [10, 1 << 21, 100, 600_000, 600_000].map((size, i) => {
    const value = Buffer.alloc(size, i);
    const put = encodePutRequest(createPutRequest({ key: `k${i}`, value }));
    return { value, bytes: entries.stage(Arm.put, put, 0, put.length).entryBytes ?? put };
  });
  for (const { value, bytes } of built) {
    const decoded = decodeInternalRaftRequest(bytes, 0, bytes.length);
    assert.ok(!(decoded instanceof ProtoError));
    assert.equal(Buffer.compare(Buffer.from(decoded.put?.value ?? []), value), 0);
  }
});
