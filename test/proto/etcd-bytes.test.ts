// Records and messages as a real etcd 3.7.1 writes them to its WAL and to its peers (observed; some ids and payloads shortened), decoded
// and encoded again to the same bytes. They hold us to the zeros etcd writes and the ones it leaves out.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Codec,
  ConfChangeCodec,
  ConfChangeType,
  ConfStateCodec,
  createConfState,
  createHardState,
  createWalSnapshot,
  EntryCodec,
  EntryType,
  encodeConfState,
  encodeHardState,
  encodeWalSnapshot,
  InternalRaftRequestCodec,
  MessageCodec,
  MessageType,
  ProtoError,
  WalMetadataCodec,
  WalRecordCodec,
  WalSnapshotCodec,
} from "../../src/proto/index.ts";

const LEADER = "f9b3a191a7cdc5f48901";
const PEER = "d6f7e8d0a4c3edefa901";

/** Decodes `hex`, checks that encoding gives `hex` again, and returns the message. */
function roundTrip<T>(codec: Codec<T>, hex: string): T {
  const encoded = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const message = codec.decode(encoded, 0, encoded.length);
  if (message instanceof ProtoError) assert.fail(message.message);
  const again = Buffer.alloc(codec.size(message));
  assert.equal(codec.write(message, again, 0), again.length);
  assert.equal(again.toString("hex"), encoded.toString("hex"));
  return message;
}

test("WAL records of a fresh member", () => {
  assert.deepEqual(roundTrip(WalRecordCodec, "0804 1000"), {
    type: 4,
    crc: 0,
    data: new Uint8Array(0),
  });
  const metadata = `08 ${LEADER} 10 c99e82eee297f3d98f01`;
  const record = roundTrip(WalRecordCodec, `0801 10feca85b20d 1a16 ${metadata}`);
  assert.equal(Buffer.from(record.data).toString("hex"), metadata.replaceAll(" ", ""));
  assert.deepEqual(roundTrip(WalMetadataCodec, metadata), {
    nodeId: 0x89e9166a722859f9n,
    clusterId: 0x8fb3ccbe2dc08f49n,
  });
  assert.deepEqual(roundTrip(WalSnapshotCodec, "0800 1000"), createWalSnapshot());
});

test("entries and what is in them", () => {
  const put = "22 08 0a 02 7131 12 02 7631 a206 0a 08 8cb4d8a6acf0a7de32";
  const entry = roundTrip(EntryCodec, `10 02 18 13 22 17 ${put}`);
  assert.equal(entry.type, EntryType.EntryNormal);
  assert.equal(entry.index, 19);
  const request = roundTrip(InternalRaftRequestCodec, put);
  assert.equal(request.put?.key, "q1");
  assert.equal(request.header?.id, 3655972381514930700n);
  roundTrip(EntryCodec, "10 02 18 02");
  const change = roundTrip(ConfChangeCodec, `10 00 18 ${LEADER} 22 02 7b7d`);
  assert.equal(change.type, ConfChangeType.ConfChangeAddNode);
  assert.equal(change.nodeId, 0x89e9166a722859f9n);
});

test("messages between peers", () => {
  const ids = `10 ${PEER} 18 ${LEADER}`;
  const heartbeat = roundTrip(MessageCodec, `08 08 ${ids} 20 02 40 11`);
  assert.equal(heartbeat.type, MessageType.MsgHeartbeat);
  assert.equal(heartbeat.commit, 17);
  roundTrip(MessageCodec, `08 08 ${ids} 20 02 40 9d01 62 08 0100000000000000`);
  roundTrip(MessageCodec, `08 04 ${ids} 20 02 30 11`);
  const read = roundTrip(MessageCodec, `08 0f ${ids} 3a 0a 22 08 0100000000000000`);
  assert.equal(read.entries.length, 1);
  roundTrip(MessageCodec, "08 08");
  // Entries stand before commit.
  roundTrip(MessageCodec, `08 03 ${ids} 20 02 28 02 30 10 3a 04 10 02 18 11 40 11`);
});

test("messages of 3.6, with every zero written, read the same", () => {
  const decode = (hex: string): unknown => {
    const encoded = Buffer.from(hex.replaceAll(" ", ""), "hex");
    return MessageCodec.decode(encoded, 0, encoded.length);
  };
  const ids = `10 ${PEER} 18 ${LEADER}`;
  const older = decode(`08 08 ${ids} 20 02 28 00 30 00 40 11 50 00 58 00 68 00`);
  assert.deepEqual(older, decode(`08 08 ${ids} 20 02 40 11`));
});

test("zeros that are always written", () => {
  const hex = (encoded: Uint8Array): string => Buffer.from(encoded).toString("hex");
  assert.equal(hex(encodeHardState(createHardState())), "080010001800");
  assert.equal(hex(encodeWalSnapshot(createWalSnapshot())), "08001000");
  assert.equal(hex(encodeConfState(createConfState({ voters: [1n, 2n] }))), "080108022800");
  roundTrip(ConfStateCodec, "0801 1002 1803 2004 2801");
});
