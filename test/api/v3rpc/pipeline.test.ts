// What every call passes: methods that do not exist or are not built, bytes that are no message, metadata, health.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaderMonitor } from "../../../src/api/v3rpc/leader-monitor.ts";
import {
  createHealthCheckRequest,
  decodeHealthCheckResponse,
  decodeHealthListResponse,
  encodeHealthCheckRequest,
  rpcTable,
} from "../../../src/proto/index.ts";
import type { ServerCall } from "../../../src/server/index.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { show } from "./show.ts";
import { behaviour, ownBehaviour } from "./targets.ts";

const KV = "/etcdserverpb.KV";
const HEALTH = "/grpc.health.v1.Health";
const rangeOfA: Buffer = Buffer.from("0a0161", "hex");
const nothing: Buffer = Buffer.alloc(0);

behaviour(
  "methods and services that do not exist are UNIMPLEMENTED in grpc-go's words",
  async (s) => {
    const cases: [string, string][] = [
      [`${KV}/Nope`, "12 unknown method Nope for service etcdserverpb.KV"],
      [`${KV}/put`, "12 unknown method put for service etcdserverpb.KV"],
      ["/etcdserverpb.kv/Put", "12 unknown service etcdserverpb.kv"],
      ["/foo", '12 malformed method name: "/foo"'],
    ];
    for (const [path, expected] of cases) assert.equal(await s.raw(path, rangeOfA), expected);
  },
);

ownBehaviour("methods that are not built yet say so, unary and streaming", async (s) => {
  const built = /\.(KV|Watch|Lease|Health)\/|Cluster\/MemberList|Maintenance\/(Alarm|Status|Hash)/;
  const missing = rpcTable.filter((row) => !built.test(row.path));
  assert.ok(missing.length > 20);
  for (const { path, responseStream } of missing) {
    const { code, details } = responseStream
      ? await s.client.serverStream(path, nothing)
      : await s.client.unary(path, nothing);
    const expected = `etcd-ts does not implement ${path.slice(1)} yet`;
    assert.deepEqual([code, details], [12, expected]);
  }
});

behaviour(
  "bytes that are no message are refused in grpc-go's words, and the others go on",
  async (s) => {
    const unary = "13 grpc: error unmarshalling request: ";
    const wire = `${unary}proto: cannot parse invalid wire-format data`;
    const utf8 = `${unary}string field contains invalid UTF-8`;
    const cases: [string, string, string][] = [
      [`${KV}/Put`, "0a7f", wire],
      [`${KV}/Range`, "ffffffffffffffffffffff", wire],
      [`${KV}/Txn`, "00", wire],
      [`${KV}/DeleteRange`, "0b", wire],
      [`${KV}/Compact`, "0c", wire],
      ["/etcdserverpb.Lease/LeaseGrant", "08", wire],
      ["/etcdserverpb.Lease/LeaseRevoke", "08", wire],
      ["/etcdserverpb.Lease/LeaseTimeToLive", "08", wire],
      ["/etcdserverpb.Lease/LeaseLeases", "0a7f", wire],
      ["/etcdserverpb.Cluster/MemberList", "0a7f", wire],
      ["/etcdserverpb.Maintenance/Status", "0a7f", wire],
      ["/etcdserverpb.Maintenance/Alarm", "0a7f", wire],
      ["/etcdserverpb.Maintenance/Hash", "0a7f", wire],
      ["/etcdserverpb.Maintenance/HashKV", "0a7f", wire],
      [`${HEALTH}/Check`, "0a02ffff", utf8],
      [`${HEALTH}/List`, "0a7f", wire],
      [`${KV}/Range`, "0a0161", "OK"],
    ];
    for (const [path, hex, expected] of cases) {
      assert.equal(await s.raw(path, Buffer.from(hex, "hex")), expected, path);
    }
    const stream = await s.client.serverStream(`${KV}/RangeStream`, Buffer.from("0a7f", "hex"));
    assert.equal(stream.code, 13);
    assert.match(stream.details, /^grpc: failed to unmarshal the received message: proto:/);
    const keepAlive = s.client.bidi("/etcdserverpb.Lease/LeaseKeepAlive");
    keepAlive.send(Buffer.from("0a7f", "hex"));
    assert.equal((await keepAlive.outcome()).code, 13);
  },
);

behaviour("fields nobody knows are passed over", async (s) => {
  const unknown = Buffer.from("0a0161f83f01fa3f03616263", "hex");
  assert.equal(await s.raw(`${KV}/Put`, unknown), "OK");
  assert.equal(await s.keys({ key: "a" }), "a of 1");
});

behaviour("a leader is asked for, and there is one [X6]", async (s) => {
  for (const hasleader of ["true", "false", "TRUE"]) {
    assert.equal(await s.raw(`${KV}/Range`, rangeOfA, { metadata: { hasleader } }), "OK");
  }
  const talk = s.watch({ metadata: { hasleader: "true" } });
  talk.create({ key: "a" });
  assert.deepEqual(await talk.next(), { header: "1", created: true });
  talk.close();
});

behaviour("metadata of clients and of auth do not matter while auth is off", async (s) => {
  for (const metadata of [
    { "client-api-version": "3.7.1" },
    { "client-api-version": "" },
    { token: "nonsense" },
    { authorization: "Bearer nonsense" },
  ]) {
    assert.equal(await s.raw(`${KV}/Range`, rangeOfA, { metadata }), "OK");
  }
});

behaviour("health is known for the whole server only", async (s) => {
  assert.equal(await s.raw(`${HEALTH}/Check`, nothing), "OK");
  const other = encodeHealthCheckRequest(createHealthCheckRequest({ service: "etcdserverpb.KV" }));
  assert.equal(await s.raw(`${HEALTH}/Check`, other), "5 unknown service");
  const list = await s.client.unary(`${HEALTH}/List`, nothing);
  const bytes = list.messages[0] ?? nothing;
  const shown = show(decodeHealthListResponse(bytes, 0, bytes.length));
  assert.deepEqual(shown, { statuses: [{ value: { status: 1 } }] });
  for (const [request, status] of [
    [nothing, 1],
    [other, 3],
  ] as const) {
    const call = s.client.bidi(`${HEALTH}/Watch`);
    const first = new Promise<Uint8Array>((resolve) => {
      call.onMessage = resolve;
    });
    call.send(request);
    call.end();
    const message = await first;
    assert.deepEqual(show(decodeHealthCheckResponse(message, 0, message.length)), { status });
    assert.equal(call.ended, undefined);
    call.cancel();
  }
});

/** A call as far as the monitor sees it. */
class FakeCall {
  ended = false;
  status = "";
  released = false;
  onCancel: (() => void) | undefined = () => {
    this.released = true;
  };

  fail(code: number, message: string): void {
    this.ended = true;
    this.status = `${code} ${message}`;
  }
}

test("streams that want a leader end after three looks without one [W35]", () => {
  const clock = new VirtualClock();
  let leader = true;
  const monitor = new LeaderMonitor(clock, () => leader, 1000);
  const [call, gone] = [new FakeCall(), new FakeCall()];
  monitor.add(call as unknown as ServerCall);
  monitor.add(gone as unknown as ServerCall);
  clock.advance(5000);
  assert.equal(call.ended, false);
  leader = false;
  clock.advance(2000);
  leader = true;
  clock.advance(1000);
  leader = false;
  gone.ended = true;
  clock.advance(2999);
  assert.equal(call.ended, false);
  clock.advance(1);
  assert.equal(call.status, "14 etcdserver: no leader");
  assert.ok(call.released);
  assert.equal(gone.status, "");
});
