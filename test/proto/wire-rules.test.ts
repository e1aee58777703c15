// The rules of the wire where an oracle is lenient or silent: hand-made bytes, and what google.golang.org/protobuf (etcd 3.7) makes of
// them. The messages stand for all, since every decoder is printed from one template.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createRequestOp,
  createTxnRequest,
  decodeAuthenticateRequest,
  decodeCompare,
  decodeConfState,
  decodeEntry,
  decodeHashResponse,
  decodeInternalRaftRequest,
  decodeKeyValue,
  decodePutRequest,
  decodeRangeRequest,
  decodeRequestOp,
  decodeResponseHeader,
  decodeTxnRequest,
  decodeWatchCreateRequest,
  decodeWatchProgressRequest,
  encodeTxnRequest,
  MESSAGE_DEPTH_MAX,
  ProtoError,
  type TxnRequest,
} from "../../src/proto/index.ts";

type Decode<T> = (buf: Uint8Array, start: number, end: number) => T | ProtoError;

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

function decoded<T>(decode: Decode<T>, hex: string): T {
  const buf = bytes(hex);
  const result = decode(buf, 0, buf.length);
  if (result instanceof ProtoError) assert.fail(result.message);
  return result;
}

function refused(decode: Decode<unknown>, hex: string): string {
  const buf = bytes(hex);
  const result = decode(buf, 0, buf.length);
  assert.ok(result instanceof ProtoError, `${hex} was accepted`);
  assert.ok(result.offset >= 0 && result.offset <= buf.length);
  return result.message;
}

// -------------------------------------------------------------------------------------------------------------- numbers

test("counters are read up to +-(2^53 - 1) and refused beyond", () => {
  assert.equal(decoded(decodeKeyValue, "10 ffffffffffffff0f").createRevision, 2 ** 53 - 1);
  assert.equal(decoded(decodeKeyValue, "10 81808080808080f0ff01").createRevision, 1 - 2 ** 53);
  assert.equal(
    refused(decodeKeyValue, "10 8080808080808010"),
    "KeyValue.createRevision: integer is beyond 2^53 - 1",
  );
  refused(decodeKeyValue, "10 80808080808080f0ff01");
  refused(decodeKeyValue, "10 ffffffffffffffff7f");
  assert.equal(decoded(decodeEntry, "10 ffffffffffffff0f").term, 2 ** 53 - 1);
  refused(decodeEntry, "10 8080808080808010");
  refused(decodeEntry, "10 ffffffffffffffffff01");
});

test("counters of requests that are only compared become the nearest safe integer", () => {
  const max = "ffffffffffffffff7f";
  const min = "80808080808080808001";
  assert.equal(decoded(decodeRangeRequest, `20 ${max}`).revision, Number.MAX_SAFE_INTEGER);
  assert.equal(decoded(decodeRangeRequest, `18 ${min}`).limit, Number.MIN_SAFE_INTEGER);
  assert.equal(decoded(decodeCompare, `30 ${max}`).modRevision, Number.MAX_SAFE_INTEGER);
  assert.equal(decoded(decodeCompare, `30 ffffffffffffffffff01`).modRevision, -1);
});

test("ids keep all 64 bits, signed and unsigned", () => {
  assert.equal(decoded(decodePutRequest, "18 ffffffffffffffff7f").lease, 2n ** 63n - 1n);
  assert.equal(decoded(decodePutRequest, "18 80808080808080808001").lease, -(2n ** 63n));
  assert.equal(decoded(decodePutRequest, "18 ffffffffffffffffff01").lease, -1n);
  assert.equal(decoded(decodeResponseHeader, "08 ffffffffffffffffff01").clusterId, 2n ** 64n - 1n);
  assert.equal(decoded(decodeResponseHeader, "08 80808080808080808001").clusterId, 2n ** 63n);
  assert.equal(decoded(decodeResponseHeader, "08 8080808010").clusterId, 2n ** 32n);
});

test("enums keep the lower 32 bits as int32, uint32 unsigned, bool is any bit of 64", () => {
  assert.equal(decoded(decodeRangeRequest, "28 ffffffffffffffffff01").sortOrder, -1);
  assert.equal(decoded(decodeRangeRequest, "28 8180808010").sortOrder, 1);
  assert.equal(decoded(decodeHashResponse, "10 ffffffffffffffffff01").hash, 0xffff_ffff);
  assert.equal(decoded(decodePutRequest, "20 8080808010").prevKv, true);
  assert.equal(decoded(decodePutRequest, "20 02").prevKv, true);
  assert.equal(decoded(decodePutRequest, "20 8000").prevKv, false);
});

test("a varint may be longer than needed but not longer than ten bytes or 64 bits", () => {
  assert.equal(decoded(decodeKeyValue, "10 85808080808080808000").createRevision, 5);
  assert.equal(decoded(decodeKeyValue, "8a8000 8100 61").key, "a");
  assert.equal(
    refused(decodeKeyValue, "10 8080808080808080808000"),
    "KeyValue.createRevision: varint is longer than 64 bits",
  );
  refused(decodeKeyValue, "10 80808080808080808002");
  refused(decodeKeyValue, "10 80");
  refused(decodeKeyValue, "10");
});

// ------------------------------------------------------------------------------------------------- tags and unknown fields

test("field number 0 and tags beyond 32 bits are refused", () => {
  for (const tag of ["00", "02 00", "05 00000000", "8000 00", "8280808080808001 00"]) {
    refused(decodeKeyValue, tag);
    refused(decodeWatchProgressRequest, tag);
  }
  // 2^29 - 1 is the highest field number.
  assert.equal(decoded(decodeKeyValue, "f8ffffff0f 05").version, 0);
  refused(decodeKeyValue, "f8ffffff1f 05");
});

test("wire types 6 and 7 are refused", () => {
  assert.equal(refused(decodeKeyValue, "0e"), "KeyValue: wire type is unknown");
  refused(decodeKeyValue, "7f");
});

test("unknown fields of every wire type are skipped, known ones around them kept", () => {
  const unknown = "f807 05 | f907 0011223344556677 | fa07 03 ffffff | fd07 00112233".split("|");
  const group = "fb07 0801 1202 ffff f30f f40f fc07";
  const skipped = [...unknown, group].join("");
  const m = decoded(decodePutRequest, `0a0161 ${skipped} 120162 ${skipped}`);
  assert.equal(m.key, "a");
  assert.deepEqual(m.value, Uint8Array.of(0x62));
  decoded(decodeWatchProgressRequest, skipped);
  for (const cut of ["f807", "f907 00112233445566", "fa07 03 ffff", "fd07 001122", "fb07 0801"]) {
    refused(decodePutRequest, cut);
  }
});

test("a known field number with another wire type is skipped like an unknown field, as in Go", () => {
  const m = decoded(decodePutRequest, "0805 0a0161 1a0162 0d00000000");
  assert.equal(m.key, "a");
  assert.equal(m.lease, 0n);
});

test("groups end with their own number and nest only so deep", () => {
  refused(decodePutRequest, "fb07 fc06");
  refused(decodePutRequest, "fc07");
  const nested = (depth: number): string => "fb07".repeat(depth) + "fc07".repeat(depth);
  decoded(decodePutRequest, nested(MESSAGE_DEPTH_MAX));
  assert.equal(
    refused(decodePutRequest, nested(MESSAGE_DEPTH_MAX + 1)),
    `PutRequest: nested deeper than ${MESSAGE_DEPTH_MAX} messages`,
  );
  refused(decodePutRequest, "fb07".repeat(700_000));
});

// -------------------------------------------------------------------------------------------------------- length-delimited

test("a length never goes beyond the message, however large it claims to be", () => {
  for (const length of ["02", "ffffffff0f", "8080808010", "ffffffffffffffff7f"]) {
    assert.equal(
      refused(decodePutRequest, `0a ${length} 61`),
      "PutRequest.key: length goes beyond the message",
    );
    refused(decodeTxnRequest, `0a ${length} 61`);
    refused(decodeAuthenticateRequest, `0a ${length} 61`);
    refused(decodeConfState, `0a ${length} 01`);
  }
  // The inner length goes beyond the inner message, though not beyond the outer one.
  refused(decodeRequestOp, "12 02 0a03 616161");
});

test("keys are one char per byte, whatever the bytes", () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const m = decoded(decodeKeyValue, `0a 8002 ${all.toString("hex")}`);
  assert.equal(m.key, all.toString("latin1"));
});

test("byte values are views of the buffer, empty ones hold on to nothing", () => {
  const buf = bytes("0a0161 120162");
  const m = decodePutRequest(buf, 0, buf.length) as { value: Uint8Array };
  assert.equal(m.value.buffer, buf.buffer);
  buf[5] = 0x63;
  assert.deepEqual(m.value, Uint8Array.of(0x63));
  assert.equal(decoded(decodePutRequest, "1200").value.buffer.byteLength, 0);
});

test("strings must be valid UTF-8", () => {
  assert.equal(decoded(decodeAuthenticateRequest, "0a 07 61c3a9f09f9880").name, "aé😀");
  assert.equal(decoded(decodeAuthenticateRequest, "0a 04 efbbbf61").name, "\ufeffa");
  for (const bad of ["80", "c3", "c080", "eda080", "f4908080", "ff", "61c3"]) {
    const length = (bad.length / 2).toString(16).padStart(2, "0");
    assert.equal(
      refused(decodeAuthenticateRequest, `0a ${length} ${bad}`),
      "AuthenticateRequest.name: string is not valid UTF-8",
    );
  }
});

// -------------------------------------------------------------------------------------------------------------- repetition

test("the last value of a scalar wins, repeated sub-messages of one field merge", () => {
  const m = decoded(decodeInternalRaftRequest, "22 03 0a0161 22 06 120162 0a0163");
  assert.equal(m.put?.key, "c");
  assert.deepEqual(m.put?.value, Uint8Array.of(0x62));
});

test("the last member of a oneof wins and clears the others; of the same member, messages merge", () => {
  const op = decoded(decodeRequestOp, "0a 03 0a0161 12 03 0a0162");
  assert.equal(op.requestRange, undefined);
  assert.equal(op.requestPut?.key, "b");
  const merged = decoded(decodeRequestOp, "12 03 0a0161 12 03 120162");
  assert.equal(merged.requestPut?.key, "a");
  const compare = decoded(decodeCompare, "2005 3a0161 2807");
  assert.equal(compare.version, undefined);
  assert.equal(compare.value, undefined);
  assert.equal(compare.createRevision, 7);
  assert.equal(decoded(decodeCompare, "2000").version, 0);
});

test("repeated scalars are read packed and unpacked, even mixed", () => {
  assert.deepEqual(decoded(decodeConfState, "0801 0a 03 028003 0804").voters, [1n, 2n, 384n, 4n]);
  assert.deepEqual(decoded(decodeWatchCreateRequest, "2801 2a 02 0001").filters, [1, 0, 1]);
  assert.deepEqual(decoded(decodeConfState, "0a00").voters, []);
  // A varint may not run out of the packed value.
  refused(decodeConfState, "0a 02 0180 0804");
});

// ------------------------------------------------------------------------------------------------------------------- depth

/** A txn inside a txn, `levels` of them; each takes two levels of messages. */
function nestedTxn(levels: number): TxnRequest {
  let txn = createTxnRequest();
  for (let i = 0; i < levels; i++) {
    txn = createTxnRequest({ success: [createRequestOp({ requestTxn: txn })] });
  }
  return txn;
}

test("messages nest up to the limit and are refused beyond it", () => {
  const levels = MESSAGE_DEPTH_MAX / 2;
  const deepest = encodeTxnRequest(nestedTxn(levels));
  assert.ok(!(decodeTxnRequest(deepest, 0, deepest.length) instanceof ProtoError));
  const tooDeep = encodeTxnRequest(nestedTxn(levels + 1));
  const result = decodeTxnRequest(tooDeep, 0, tooDeep.length);
  assert.ok(result instanceof ProtoError);
  assert.equal(
    result.message,
    `TxnRequest.success: nested deeper than ${MESSAGE_DEPTH_MAX} messages`,
  );
});

test("the offset of an error counts from the beginning of the buffer", () => {
  const buf = bytes("ffffff 0a0161 18");
  const result = decodePutRequest(buf, 3, buf.length);
  assert.ok(result instanceof ProtoError);
  assert.equal(result.offset, 7);
  assert.equal(result.message, "PutRequest.lease: varint is cut off");
});
