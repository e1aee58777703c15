// The WAL and the snapshot files of a real etcd 3.7.1, taken apart down to the requests and put together again to the same bytes.
// Goal: nothing etcd writes is lost or changed by reading it, and what we write is what etcd would have written.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  type Codec,
  ConfChangeCodec,
  type Entry,
  EntryCodec,
  EntryType,
  HardStateCodec,
  InternalRaftRequestCodec,
  ProtoError,
  SnapSnapshotCodec,
  SnapshotCodec,
  WalMetadataCodec,
  type WalRecord,
  WalRecordCodec,
  WalSnapshotCodec,
} from "../../src/proto/index.ts";
import { findReference, needsReference, startReferenceEtcd } from "../reference/reference.ts";

const reference = await findReference();
const skip = reference === undefined ? needsReference : false;

/** Decodes, encodes, compares with the bytes given. */
function sameBytes<T>(codec: Codec<T>, encoded: Uint8Array, what: string): T {
  const message = codec.decode(encoded, 0, encoded.length);
  if (message instanceof ProtoError) assert.fail(`${what}: ${message.message}`);
  const again = Buffer.alloc(codec.size(message));
  codec.write(message, again, 0);
  assert.equal(again.toString("hex"), Buffer.from(encoded).toString("hex"), what);
  return message;
}

/** The records' bytes of one segment: 8 bytes of length and padding, the record, zeros to a multiple of 8. */
function* recordsOf(segment: Buffer): Generator<Buffer> {
  let pos = 0;
  while (pos + 8 <= segment.length) {
    const field = segment.readBigUInt64LE(pos);
    if (field === 0n) return;
    const length = Number(BigInt.asUintN(56, field));
    const padding = field >> 63n === 1n ? Number((field >> 56n) & 7n) : 0;
    yield segment.subarray(pos + 8, pos + 8 + length);
    pos += 8 + length + padding;
  }
}

function checkEntry(entry: Entry, seen: Set<string>): void {
  if (entry.type === EntryType.EntryConfChange) {
    sameBytes(ConfChangeCodec, entry.data, `conf change ${entry.index}`);
    seen.add("confChange");
  } else if (entry.data.length > 0) {
    const request = sameBytes(InternalRaftRequestCodec, entry.data, `request ${entry.index}`);
    for (const [arm, value] of Object.entries(request)) if (value !== undefined) seen.add(arm);
  }
}

function checkRecord(record: WalRecord, seen: Set<string>): void {
  seen.add(`record ${record.type}`);
  if (record.type === 1) sameBytes(WalMetadataCodec, record.data, "metadata");
  if (record.type === 2) checkEntry(sameBytes(EntryCodec, record.data, "entry"), seen);
  if (record.type === 3) sameBytes(HardStateCodec, record.data, "hard state");
  if (record.type === 5) sameBytes(WalSnapshotCodec, record.data, "snapshot record");
}

/** What a real member is asked to do before its files are read: every kind of request etcdctl can put into the log. */
const commands: readonly (readonly [args: string, input?: string])[] = [
  ["put a 1"],
  ["put --prev-kv a 2"],
  ["put --ignore-value a"],
  ["txn", 'mod("a") > "0"\nval("a") = "2"\n\nput b 3\nget a --prefix\n\ndel a\n\n'],
  ["lease grant 1000"],
  ["put b", "from standard input"],
  ["del a z --prev-kv"],
  ["compaction 3"],
  ["alarm disarm"],
  ["role add reader"],
  ["role grant-permission reader read a b"],
  ["role revoke-permission reader a b"],
  ["user add root:x"],
  ["user add guest --no-password"],
  ["user grant-role guest reader"],
  ["user revoke-role guest reader"],
  ["user delete guest"],
  ["role delete reader"],
  ["member add other --learner --peer-urls=http://127.0.0.1:1"],
];

test("a real etcd's log and snapshots are read and written to the same bytes", {
  skip,
}, async () => {
  assert.ok(reference !== undefined);
  const parent = mkdtempSync(join(tmpdir(), "etcd-ts-proto-"));
  try {
    const flags = ["--snapshot-count=8"];
    const server = await startReferenceEtcd({ reference, dir: join(parent, "data"), flags });
    try {
      for (const [args, input] of commands) {
        const argv = [`--endpoints=${server.endpoint}`, ...args.split(" ")];
        execFileSync(reference.etcdctl, argv, { input, stdio: ["pipe", "pipe", "pipe"] });
      }
    } finally {
      await server.stop();
    }
    const seen = new Set<string>();
    const walDir = join(server.dir, "member", "wal");
    for (const name of readdirSync(walDir).filter((file) => file.endsWith(".wal"))) {
      for (const encoded of recordsOf(readFileSync(join(walDir, name)))) {
        checkRecord(sameBytes(WalRecordCodec, encoded, name), seen);
      }
    }
    const snapDir = join(server.dir, "member", "snap");
    for (const name of readdirSync(snapDir).filter((file) => file.endsWith(".snap"))) {
      const envelope = sameBytes(SnapSnapshotCodec, readFileSync(join(snapDir, name)), name);
      sameBytes(SnapshotCodec, envelope.data, name);
      seen.add("snap file");
    }
    const wanted = ["put", "txn", "deleteRange", "compaction", "leaseGrant", "alarm", "header"];
    const cluster = ["clusterVersionSet", "clusterMemberAttrSet", "confChange", "snap file"];
    const auth = ["authRoleAdd", "authRoleGrantPermission", "authUserAdd", "authUserGrantRole"];
    const records = [1, 2, 3, 4, 5].map((type) => `record ${type}`);
    for (const what of [...wanted, ...cluster, ...auth, ...records]) {
      assert.ok(seen.has(what), `${what} did not occur in ${[...seen].join(", ")}`);
    }
  } finally {
    rmSync(parent, { recursive: true });
  }
});
