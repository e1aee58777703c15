// Goal: what we write of members and leases is what etcd 3.7.1 writes, byte for byte.
// Method: let a real etcd run, then look for our bytes in its files. In a bbolt page a key and its value lie next to each other, so a
// row is found as one piece of bytes, without reading the format.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EtcdClient } from "../../../src/client/index.ts";
import { encodeLeaseRow, leaseRowKey } from "../../../src/core/lease/index.ts";
import {
  CLUSTER_VERSION_KEY,
  clusterId,
  confChangeOf,
  confStateJson,
  decodeV2Store,
  encodeMemberRow,
  encodeV2Store,
  type Member,
  memberId,
  memberRowKey,
} from "../../../src/core/membership/index.ts";
import { decodeSnapSnapshot, decodeSnapshot, ProtoError } from "../../../src/proto/index.ts";
import { findReference, needsReference, startReferenceEtcd } from "../../reference/reference.ts";

const reference = await findReference();

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash("sha1").update(bytes).digest();
}

describe("the files of a real etcd", {
  skip: reference === undefined ? needsReference : false,
}, () => {
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-rows-"));
  const leases = [
    { id: 77n, ttlS: 9_000_000_000, remainingTtlS: 0 },
    { id: -3n, ttlS: 60, remainingTtlS: 0 },
  ];
  let member: Member;
  let answered: { memberId: bigint | undefined; clusterId: bigint | undefined };
  let db: Buffer;
  let wal: Buffer;
  let snap: Buffer;

  before(async () => {
    if (reference === undefined) return;
    const flags = ["--snapshot-count", "10", "--snapshot-catchup-entries", "1"];
    const server = await startReferenceEtcd({ reference, dir: join(dir, "data"), flags });
    const peerUrls = [`http://127.0.0.1:${server.peerPort}`];
    member = {
      id: memberId(sha1, peerUrls, "etcd-cluster"),
      peerUrls,
      isLearner: false,
      name: "default",
      clientUrls: [`http://${server.endpoint}`],
    };
    const client = new EtcdClient(server.endpoint);
    for (const { id, ttlS } of leases) await client.leases.grant(ttlS, { id });
    for (let i = 0; i < 40; i++) await client.kv.put("k", "v");
    const { header } = await client.maintenance.status();
    answered = { memberId: header?.memberId, clusterId: header?.clusterId };
    client.close();
    await server.stop();
    const folder = join(dir, "data", "member");
    db = readFileSync(join(folder, "snap", "db"));
    wal = readFileSync(join(folder, "wal", "0000000000000000-0000000000000000.wal"));
    const snaps = readdirSync(join(folder, "snap")).filter((file) => file.endsWith(".snap"));
    snap = readFileSync(join(folder, "snap", snaps.sort().at(-1) ?? ""));
  });
  after(() => rmSync(dir, { recursive: true }));

  test("the ids are those we compute", () => {
    assert.deepEqual(answered, {
      memberId: member.id,
      clusterId: clusterId(sha1, [member.id]),
    });
  });

  test("the first entry of the log has our ConfChange context", () => {
    const { context } = confChangeOf({ kind: "add", member: { ...member, clientUrls: [] } });
    assert.ok(wal.includes(Buffer.from(context)));
  });

  test("the database has our rows of members, configuration, version and leases", () => {
    const rows: [string, Uint8Array, Uint8Array][] = [
      ["member", memberRowKey(member.id), encodeMemberRow(member)],
      ["cluster version", CLUSTER_VERSION_KEY, Buffer.from("3.7.0")],
    ];
    const state = { learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const confState = confStateJson({ ...state, voters: [member.id] });
    rows.push(["configuration", Buffer.from("confState"), Buffer.from(confState)]);
    for (const row of leases) {
      rows.push([`lease ${row.id}`, leaseRowKey(row.id), encodeLeaseRow(row)]);
    }
    for (const [what, key, value] of rows)
      assert.ok(db.includes(Buffer.concat([key, value])), what);
  });

  test("the snapshot file has the membership we read and write", () => {
    const outer = decodeSnapSnapshot(snap, 0, snap.length);
    assert.ok(!(outer instanceof ProtoError));
    const inner = decodeSnapshot(outer.data, 0, outer.data.length);
    assert.ok(!(inner instanceof ProtoError));
    const state = decodeV2Store(inner.data);
    assert.deepEqual(state?.members, [member]);
    assert.equal(state.version, "3.7.0");
    // Go's nodes are ours but for indexes, and its document has more beside the root.
    const rootOf = (document: Uint8Array): string => {
      const text = Buffer.from(document)
        .toString()
        .replace(/,"(?:WatcherHub|CurrentIndex)".*$/s, "");
      return text.replace(/"(?:Created|Modified)Index":\d+/g, "");
    };
    assert.equal(rootOf(encodeV2Store(state)), rootOf(inner.data));
  });
});
