// Each attack of reliability.md D.3 that concerns the plain-text client port, on the byte machine: the connection ends with the right
// code and holds little. Attacks on sockets are in listener.test.ts, on flow control in flow-control.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  block,
  data,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  headers,
  message,
  ping,
  requestFields,
  rst,
  settings,
  uint32,
  windowUpdate,
} from "../support/frames.ts";
import { MemoryClient } from "../support/memory-client.ts";

const E = ErrorCode;
const nothing = Buffer.alloc(0);

/** Sends `make(i)` until the connection ends; the number of times, and the code. */
function flood(
  client: MemoryClient,
  most: number,
  make: (i: number) => Buffer,
): [times: number, code: number | undefined] {
  for (let i = 0; i < most; i++) {
    client.send(make(i));
    if (client.goaway !== undefined) return [i + 1, client.goaway];
    client.received.length = 0;
  }
  return [most, undefined];
}

test("rapid reset: GOAWAY after the burst; resets of old calls do not count", () => {
  const client = new MemoryClient();
  const open = (id: number): Buffer => headers(id, requestFields("/test.Echo/Hang"));
  const [times, code] = flood(client, 10_000, (i) =>
    Buffer.concat([open(i * 2 + 1), rst(i * 2 + 1)]),
  );
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times > 200 && times < 210);

  const patient = new MemoryClient();
  const ids = Array.from({ length: 1_000 }, (_, i) => i * 2 + 1);
  patient.send(...ids.map(open));
  patient.advance(2_000);
  patient.send(...ids.map((id) => rst(id)));
  assert.equal(patient.goaway, undefined);
});

test("resets provoked from the server count as well", () => {
  const client = new MemoryClient();
  const [times, code] = flood(client, 10_000, (i) =>
    Buffer.concat([
      headers(i * 2 + 1, requestFields("/test.Echo/Hang")),
      windowUpdate(i * 2 + 1, 0),
    ]),
  );
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times < 210);
});

test("CONTINUATION flood: ended within the header block's limits", () => {
  const client = new MemoryClient();
  client.send(frame(FrameType.headers, 0, 1, nothing));
  const [times, code] = flood(client, 10_000, () =>
    frame(FrameType.continuation, 0, 1, Buffer.alloc(100)),
  );
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times <= 17);
  const large = new MemoryClient();
  large.send(frame(FrameType.headers, 0, 1, nothing));
  const [frames] = flood(large, 10_000, () =>
    frame(FrameType.continuation, 0, 1, Buffer.alloc(16_384)),
  );
  assert.equal(frames, 5);
  const empty = new MemoryClient();
  empty.send(frame(FrameType.headers, 0, 1, nothing), frame(FrameType.continuation, 0, 1, nothing));
  assert.equal(empty.goaway, E.enhanceYourCalm);
});

test("HPACK bomb: the handler never runs, the connection goes on", () => {
  const client = new MemoryClient();
  const seed = block([["x-bomb", "b".repeat(3_900)]], 0x40);
  const bomb = Buffer.concat([block(requestFields()), seed, Buffer.alloc(3_000, 0xbe)]);
  client.send(frame(FrameType.headers, Flag.endHeaders, 1, bomb));
  assert.equal(client.rstCode(1), E.enhanceYourCalm);
  assert.equal(client.log.calls.length, 0);
  client.send(headers(3), data(3, message(nothing), true));
  assert.equal(client.status(3)?.code, 0);
});

test("PING flood: too_many_pings after the strikes, pings among messages are free", () => {
  const client = new MemoryClient();
  const [times, code] = flood(client, 200, () => ping());
  assert.equal(code, E.enhanceYourCalm);
  assert.equal(times, 4);

  const measuring = new MemoryClient();
  for (let i = 0; i < 500; i++) {
    measuring.send(headers(i * 2 + 1), data(i * 2 + 1, message(nothing), true), ping());
  }
  assert.equal(measuring.goaway, undefined);
});

test("PING: the debug text names the rule, and keepalive of a client with a call is in order every 5 s", () => {
  const client = new MemoryClient();
  client.send(headers(1, requestFields("/test.Echo/Hang")));
  for (let i = 0; i < 20; i++) {
    client.send(ping());
    client.advance(5_000);
  }
  assert.equal(client.goaway, undefined);
  for (let i = 0; i < 4; i++) client.send(ping());
  const goaway = client.received.find((f) => f.type === FrameType.goaway);
  assert.equal(goaway?.payload.subarray(8).toString("latin1"), "too_many_pings");
});

test("PING: with the rule off only a flood is stopped", () => {
  const client = new MemoryClient({ limits: { keepaliveMinTimeMs: 0 } });
  const [times, code] = flood(client, 1_000, () => ping());
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times > 90 && times < 110);
});

test("SETTINGS flood", () => {
  const [times, code] = flood(new MemoryClient(), 1_000, () => settings());
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times <= 100);
});

test("empty DATA flood", () => {
  const client = new MemoryClient();
  client.send(headers(1));
  const [times, code] = flood(client, 5_000, () => data(1, nothing));
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times <= 2_000);
});

test("floods of frames without work: WINDOW_UPDATE, PRIORITY, unknown types, late DATA", () => {
  const priority = frame(FrameType.priority, 0, 1, Buffer.concat([uint32(3), Buffer.from([0])]));
  for (const junk of [windowUpdate(0, 1), priority, frame(0x77, 0, 0, nothing)]) {
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => junk));
    const [times, code] = flood(new MemoryClient(), 100, () => many);
    assert.equal(code, E.enhanceYourCalm);
    assert.ok(times <= 11);
  }
  const client = new MemoryClient();
  client.send(headers(1, requestFields("/none/none")));
  const late = Buffer.concat(Array.from({ length: 1_000 }, () => data(1, Buffer.from("x"))));
  assert.equal(flood(client, 100, () => late)[1], E.enhanceYourCalm);
});

test("frames without work are counted per second: a client within the rate goes on for ever", () => {
  const client = new MemoryClient();
  const some = Buffer.concat(Array.from({ length: 5_000 }, () => windowUpdate(0, 1)));
  for (let i = 0; i < 20; i++) {
    client.send(some);
    client.advance(1_000);
  }
  assert.equal(client.goaway, undefined);
});

test("1-byte DATA frames: one buffer of the message's size, then an end", () => {
  const client = new MemoryClient();
  client.send(headers(1));
  client.send(data(1, message(Buffer.alloc(1_572_864)).subarray(0, 5)));
  const some = Buffer.concat(Array.from({ length: 1_000 }, () => data(1, Buffer.from("x"))));
  const [times, code] = flood(client, 1_573, () => some);
  assert.equal(code, E.enhanceYourCalm);
  assert.ok(times <= 11);
  assert.equal(client.connection.pendingRequestBytes, 0);
});

test("announced but unsent messages cost nothing; too many unfinished ones are refused", () => {
  const client = new MemoryClient();
  const prefix = message(Buffer.alloc(2_097_152)).subarray(0, 5);
  for (let id = 1; id < 2_001; id += 2)
    client.send(headers(id), data(id, Buffer.concat([prefix, Buffer.alloc(20)])));
  assert.ok(client.connection.pendingRequestBytes <= 1_000 * 16_384);
  let refused = false;
  for (let round = 0; round < 10 && !refused; round++) {
    for (let id = 1; id < 2_001 && !refused; id += 2) {
      client.send(data(id, Buffer.alloc(16_384)));
      refused = client.status(id)?.code === 8;
      client.received.length = 0;
    }
  }
  assert.ok(refused);
  assert.ok(client.connection.pendingRequestBytes < 70_000_000);
});

test("dribble: slow header blocks, frames and messages end", () => {
  const slowHeaders = new MemoryClient();
  slowHeaders.send(frame(FrameType.headers, 0, 1, block(requestFields())));
  slowHeaders.advance(11_000);
  assert.equal(slowHeaders.goaway, E.enhanceYourCalm);

  const slowFrame = new MemoryClient();
  slowFrame.send(headers(1).subarray(0, 12));
  slowFrame.advance(31_000);
  assert.equal(slowFrame.goaway, E.enhanceYourCalm);

  const slowMessage = new MemoryClient();
  slowMessage.send(headers(1), data(1, message(Buffer.alloc(10_240)).subarray(0, 100)));
  slowMessage.advance(39_000);
  assert.equal(slowMessage.rstCode(1), undefined);
  slowMessage.advance(2_000);
  assert.equal(slowMessage.rstCode(1), E.enhanceYourCalm);
});

test("stalled handshake: no preface, no SETTINGS, no acknowledgement", () => {
  const silent = new MemoryClient({ isSilent: true });
  silent.advance(9_000);
  assert.equal(silent.goaway, undefined);
  silent.advance(2_000);
  assert.equal(silent.goaway, E.settingsTimeout);

  const unacknowledged = new MemoryClient({ isSilent: true });
  unacknowledged.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings());
  unacknowledged.advance(11_000);
  assert.equal(unacknowledged.goaway, E.settingsTimeout);
});

test("concurrent streams: the excess is refused, not queued", () => {
  const client = new MemoryClient({ limits: { streamsMax: 10 } });
  const ids = Array.from({ length: 12 }, (_, i) => i * 2 + 1);
  client.send(...ids.map((id) => headers(id, requestFields("/test.Echo/Hang"))));
  assert.deepEqual(
    ids.map((id) => client.rstCode(id)),
    [...Array.from({ length: 10 }, () => undefined), E.refusedStream, E.refusedStream],
  );
  assert.equal(client.connection.streams.size, 10);
});

test("compressed message bomb: inflated no further than the limit", () => {
  const client = new MemoryClient();
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const body = message(bomb, 1);
  client.send(headers(1, requestFields(undefined, [["grpc-encoding", "gzip"]])));
  for (let pos = 0; pos < body.length; pos += 16_000)
    client.send(data(1, body.subarray(pos, pos + 16_000)));
  assert.deepEqual(client.status(1), {
    code: 8,
    text: "grpc: received message after decompression larger than max 2097152",
  });
  assert.equal(client.log.calls.length, 0);
});

test("gzip: what exceeds a turn's share is inflated in later turns, in order", () => {
  const client = new MemoryClient();
  const body = message(gzipSync(Buffer.alloc(1_500_000)), 1);
  client.send(headers(1, requestFields("/test.Echo/Bidi", [["grpc-encoding", "gzip"]])));
  client.send(windowUpdate(0, 1 << 25), windowUpdate(1, 1 << 25));
  client.send(data(1, Buffer.concat([body, body, body, body, message(Buffer.from("end"))]), true));
  assert.equal(client.log.events.length, 2);
  client.clock.turn();
  client.flush();
  assert.equal(client.log.events.length, 6);
  assert.deepEqual(client.log.events.slice(4), ["0:message 3", "0:half-close"]);
  assert.equal(client.status(1)?.code, 0);
});

test("gzip: many small messages held back are released without recursion", () => {
  const client = new MemoryClient();
  const gzip: [string, string][] = [["grpc-encoding", "gzip"]];
  const small = message(gzipSync(Buffer.from("x")), 1);
  const large = message(gzipSync(Buffer.alloc(2_000_000)), 1);
  client.send(headers(1, requestFields("/test.Echo/Bidi", gzip)));
  client.send(windowUpdate(0, 1 << 25), windowUpdate(1, 1 << 25));
  client.send(data(1, Buffer.concat([large, large])));
  const many = Buffer.concat(Array.from({ length: 400 }, () => small));
  for (let i = 0; i < 50; i++) client.send(data(1, many));
  let turns = 0;
  for (; client.log.events.length < 20_002 && turns < 1_000; turns++) client.clock.turn();
  assert.ok(turns > 70 && turns < 100, "each turn takes its share");
});

test(":path tricks name no method", () => {
  for (const path of [
    "test.Echo/Unary",
    "/test.Echo/unary",
    "/test.echo/Unary",
    "/test.Echo%2fUnary",
    "/test.Echo/%55nary",
    "/test.Echo/Unary/",
    "//test.Echo/Unary",
    "/test.Echo/Unary?x=1",
    "*",
  ]) {
    const client = new MemoryClient();
    client.send(headers(1, requestFields(path)), data(1, message(nothing), true));
    assert.equal(client.status(1)?.code, 12, path);
    assert.equal(client.log.calls.length, 0);
  }
});

test("random bytes after the preface never throw and never reach a handler twice", () => {
  let seed = 1;
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
  for (let round = 0; round < 300; round++) {
    const client = new MemoryClient();
    const valid = Buffer.concat([
      headers(1),
      data(1, message(Buffer.from("abc")), true),
      ping(),
      settings([4, 9]),
    ]);
    for (let i = 0; i < 1 + (round % 5); i++)
      valid[Math.floor(random() * valid.length)] = Math.floor(random() * 256);
    client.send(valid);
    client.send(valid);
    client.advance(60_000);
    assert.ok(client.connection.streams.size <= 2);
  }
});
