// What a call may meet besides success: refusals with grpc-go's codes and texts, deadlines, cancels, shutdown, counters.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { encodeStatusText, goQuote } from "../../../src/net/grpc/status.ts";
import { parseTimeout } from "../../../src/net/grpc/timeout.ts";
import type { ServerCall } from "../../../src/server/ports.ts";
import { bytesEncoder } from "../support/echo-service.ts";
import {
  data,
  ErrorCode,
  type Fields,
  Flag,
  FrameType,
  frame,
  headers,
  message,
  ping,
  type Received,
  requestFields,
  rst,
  settings,
  uint32,
} from "../support/frames.ts";
import { MemoryClient } from "../support/memory-client.ts";

const nothing = Buffer.alloc(0);
const hello = Buffer.from("hello");

interface Refused {
  readonly what: string;
  readonly fields: Fields;
  readonly http?: string;
  readonly code: number;
  readonly text: string;
}

function contentType(value: string): Fields {
  return requestFields().map((f) => (f[0] === "content-type" ? [f[0], value] : f));
}

const refusals: Refused[] = [
  {
    what: "unknown service",
    fields: requestFields("/other.Echo/Unary"),
    code: 12,
    text: "unknown service other.Echo",
  },
  {
    what: "unknown method",
    fields: requestFields("/test.Echo/Other"),
    code: 12,
    text: "unknown method Other for service test.Echo",
  },
  {
    what: "no leading slash",
    fields: requestFields("test.Echo/Unary"),
    code: 12,
    text: 'malformed method name: "test.Echo/Unary"',
  },
  {
    what: "one part",
    fields: requestFields("/Unary"),
    code: 12,
    text: 'malformed method name: "/Unary"',
  },
  {
    what: "no content-type",
    fields: requestFields().filter((f) => f[0] !== "content-type"),
    http: "415",
    code: 3,
    text: 'invalid gRPC request content-type ""',
  },
  {
    what: "other content-type",
    fields: contentType("application/json"),
    http: "415",
    code: 3,
    text: 'invalid gRPC request content-type "application/json"',
  },
  {
    what: "longer word",
    fields: contentType("application/grpcx"),
    http: "415",
    code: 3,
    text: 'invalid gRPC request content-type "application/grpcx"',
  },
  {
    what: "GET",
    fields: requestFields().map((f) => (f[0] === ":method" ? [f[0], "GET"] : f)),
    http: "405",
    code: 13,
    text: 'Received a HEADERS frame with :method "GET" which should be POST',
  },
  {
    what: "two hosts",
    fields: requestFields(undefined, [
      ["host", "a"],
      ["host", "b"],
    ]),
    http: "400",
    code: 13,
    text: "num values of :authority: 1, num values of host: 2, both must only have 1 value as per HTTP/2 spec",
  },
  {
    what: "bad timeout",
    fields: requestFields(undefined, [["grpc-timeout", "5x"]]),
    http: "400",
    code: 13,
    text: 'malformed grpc-timeout: transport: timeout unit is not recognized: "5x"',
  },
  {
    what: "timeout 0",
    fields: requestFields(undefined, [["grpc-timeout", "0m"]]),
    code: 4,
    text: "context deadline exceeded",
  },
  {
    what: "bad binary metadata",
    fields: requestFields(undefined, [["x-bin", "a"]]),
    http: "400",
    code: 13,
    text: 'malformed binary metadata "a" in header "x-bin": illegal base64 data',
  },
  {
    what: "unknown encoding",
    fields: requestFields(undefined, [["grpc-encoding", "snappy"]]),
    code: 12,
    text: 'grpc: Decompressor is not installed for grpc-encoding "snappy"',
  },
];

test("requests that are not calls are refused with grpc-go's codes and texts", () => {
  for (const { what, fields, http, code, text } of refusals) {
    const client = new MemoryClient();
    client.send(headers(1, fields, true));
    assert.deepEqual(client.status(1), { code, text }, what);
    const [head] = client.take();
    assert.equal(head?.fields.get(":status"), http ?? "200", what);
    assert.equal(head?.flags, Flag.endHeaders | Flag.endStream, what);
    assert.equal(head?.fields.get("content-type"), "application/grpc", what);
    assert.equal(client.log.calls.length, 0, what);
  }
});

test("content types with subtype or parameters are gRPC", () => {
  for (const type of [
    "application/grpc+proto",
    "application/grpc;charset=utf-8",
    "application/grpc+anything",
  ]) {
    const client = new MemoryClient();
    client.send(headers(1, contentType(type)), data(1, message(hello), true));
    assert.equal(client.status(1)?.code, 0, type);
  }
});

const bodies: [
  what: string,
  path: string,
  body: Buffer,
  extra: Fields,
  code: number,
  text: string,
][] = [
  ["unary without message", "Unary", nothing, [], 2, "EOF"],
  ["unary cut in its prefix", "Unary", message(hello).subarray(0, 3), [], 2, "unexpected EOF"],
  ["unary cut in its message", "Unary", message(hello).subarray(0, 8), [], 2, "unexpected EOF"],
  [
    "server stream without message",
    "Many",
    nothing,
    [],
    13,
    "cardinality violation: received no request message from non-client-streaming RPC",
  ],
  [
    "server stream with two messages",
    "Many",
    Buffer.concat([message(hello), message(hello)]),
    [],
    13,
    "cardinality violation: received multiple request messages for non-client-streaming RPC",
  ],
  ["server stream cut", "Many", message(hello).subarray(0, 8), [], 13, "unexpected EOF"],
  ["bidi cut", "Bidi", message(hello).subarray(0, 8), [], 13, "unexpected EOF"],
  ["flag 2", "Unary", message(hello, 2), [], 13, "grpc: received unexpected payload format 2"],
  [
    "flag 1 without encoding",
    "Unary",
    message(hello, 1),
    [],
    13,
    "grpc: compressed flag set with identity or empty encoding",
  ],
  [
    "flag 1 with identity",
    "Unary",
    message(hello, 1),
    [["grpc-encoding", "identity"]],
    13,
    "grpc: compressed flag set with identity or empty encoding",
  ],
  [
    "too large",
    "Unary",
    Buffer.concat([Buffer.from([0]), uint32(2_097_153)]),
    [],
    8,
    "grpc: received message larger than max (2097153 vs. 2097152)",
  ],
  [
    "much too large",
    "Unary",
    Buffer.concat([Buffer.from([0]), uint32(0xffff_ffff)]),
    [],
    8,
    "grpc: received message larger than max (4294967295 vs. 2097152)",
  ],
  [
    "gzip cut",
    "Unary",
    message(gzipSync(hello).subarray(0, 15), 1),
    [["grpc-encoding", "gzip"]],
    13,
    "grpc: failed to read decompressed data: unexpected EOF",
  ],
];

test("bodies that are not one message are refused with grpc-go's codes and texts", () => {
  for (const [what, method, body, extra, code, text] of bodies) {
    const client = new MemoryClient();
    client.send(headers(1, requestFields(`/test.Echo/${method}`, extra)), data(1, body, true));
    assert.deepEqual(client.status(1), { code, text }, what);
    assert.equal(client.connection.streams.size, 0, what);
  }
});

test("gzip: a deflated and a plain message of one call, and a gzip stream that is none", () => {
  const client = new MemoryClient();
  const gzip: Fields = [["grpc-encoding", "gzip"]];
  client.send(
    headers(1, requestFields("/test.Echo/Bidi", gzip)),
    data(1, Buffer.concat([message(gzipSync(hello), 1), message(Buffer.from("plain"))]), true),
  );
  assert.deepEqual(client.body(1), Buffer.concat([message(hello), message(Buffer.from("plain"))]));
  client.send(headers(3, requestFields(undefined, gzip)), data(3, message(hello, 1), true));
  assert.equal(client.status(3)?.code, 13);
  assert.match(client.status(3)?.text ?? "", /^grpc: failed to decompress the message: /);
});

test("errors: trailers only, percent encoded, cut at their limit", () => {
  const client = new MemoryClient();
  const text = 'caf\u00e9 "100%" \n';
  client.send(
    headers(1, requestFields("/test.Echo/Fail")),
    data(1, message(Buffer.from(text)), true),
  );
  assert.deepEqual(client.status(1), { code: 9, text });
  assert.equal(client.received[0]?.fields.get("grpc-message"), 'caf%C3%A9 "100%25" %0A');
  assert.equal(client.received.length, 1);
  assert.ok(encodeStatusText("\u00e9".repeat(10_000)).length <= 4_096);
  assert.ok(encodeStatusText("x".repeat(10_000)).length <= 4_096);
});

test("unary: the handler runs when the message is complete, further messages are ignored, the client is told to stop", () => {
  const client = new MemoryClient();
  client.send(headers(1), data(1, Buffer.concat([message(hello), message(hello)])));
  assert.deepEqual(client.body(1), message(hello));
  assert.equal(client.rstCode(1), ErrorCode.noError);
  const hanging = new MemoryClient();
  hanging.send(
    headers(1, requestFields("/test.Echo/Hang")),
    data(1, message(hello)),
    data(1, message(hello)),
    data(1, Buffer.alloc(2), true),
  );
  assert.equal(hanging.log.calls.length, 1);
  assert.equal(hanging.status(1), undefined);
});

test("deadline: DEADLINE_EXCEEDED at its time, the handler is told, later replies do nothing", () => {
  const client = new MemoryClient();
  client.send(
    headers(1, requestFields("/test.Echo/Hang", [["grpc-timeout", "250m"]])),
    data(1, message(hello), true),
  );
  const [call] = client.log.calls as [ServerCall];
  assert.equal(call.deadlineMs, client.clock.nowMs() + 250);
  client.advance(249);
  assert.equal(client.status(1), undefined);
  client.advance(10);
  assert.deepEqual(client.status(1), { code: 4, text: "context deadline exceeded" });
  assert.deepEqual(client.log.events, ["0:cancel deadline"]);
  assert.ok(call.ended);
  client.take();
  call.reply(bytesEncoder, hello);
  call.fail(13, "late");
  client.flush();
  assert.deepEqual(client.take(), []);
});

test("deadlines: any number, near and far, each at its own time", () => {
  const client = new MemoryClient();
  const timeouts = [1, 3, 50, 4_000, 4_096, 5_000, 9_999, 100_000];
  timeouts.forEach((ms, i) => {
    client.send(headers(i * 2 + 1, requestFields("/test.Echo/Hang", [["grpc-timeout", `${ms}m`]])));
  });
  const startMs = client.clock.nowMs();
  const firedMs = new Map<number, number>();
  while (firedMs.size < timeouts.length && client.clock.nowMs() < startMs + 200_000) {
    client.clock.advance(1);
    client.flush();
    for (const f of client.take())
      if (f.fields.has("grpc-status")) firedMs.set((f.id - 1) / 2, client.clock.nowMs() - startMs);
  }
  timeouts.forEach((ms, i) => {
    const late = (firedMs.get(i) as number) - ms;
    assert.ok(late >= 0 && late <= 8, `${ms} ms fired ${late} ms late`);
  });
  assert.equal(client.server.deadlines.count, 0);
  assert.equal(client.clock.timers, 0);
});

test("deadlines of answered calls leave nothing behind", () => {
  const client = new MemoryClient();
  for (let i = 0; i < 100; i++) {
    client.send(
      headers(i * 2 + 1, requestFields(undefined, [["grpc-timeout", "5S"]])),
      data(i * 2 + 1, message(hello), true),
    );
  }
  assert.equal(client.server.deadlines.count, 0);
  client.advance(10_000);
  assert.equal(client.clock.timers, 0);
});

test("cancel reaches the handler once; a lost connection tells every call", () => {
  const client = new MemoryClient();
  const hang = (id: number): Buffer => headers(id, requestFields("/test.Echo/Bidi"));
  client.send(hang(1), hang(3), hang(5), rst(1), rst(1));
  assert.deepEqual(client.log.events, ["0:cancel cancelled"]);
  client.connection.loseAll("connection-lost");
  assert.deepEqual(client.log.events.slice(1), [
    "1:cancel connection-lost",
    "2:cancel connection-lost",
  ]);
  assert.equal(client.connection.streams.size, 0);
});

test("a streaming call that fails after messages sends them first", () => {
  const client = new MemoryClient({ settings: [[4, 3]] });
  client.send(headers(1, requestFields("/test.Echo/Bidi")), data(1, message(hello)));
  const [call] = client.log.calls as [ServerCall];
  call.fail(10, "later");
  assert.equal(client.status(1), undefined);
  client.send(settings([4, 1_000]));
  assert.deepEqual(client.body(1), message(hello));
  assert.deepEqual(client.status(1), { code: 10, text: "later" });
  assert.equal(client.rstCode(1), ErrorCode.noError);
});

test("metadata: first value wins, binary left in base64, latin1", () => {
  const client = new MemoryClient();
  const extra: Fields = [
    ["token", "a"],
    ["token", "b"],
    ["k-bin", "AAE="],
    ["hasleader", "true"],
  ];
  client.send(headers(1, requestFields("/test.Echo/Hang", extra)), data(1, message(hello), true));
  const metadata = client.log.calls[0]?.metadata;
  assert.equal(metadata?.get("token"), "a");
  assert.equal(metadata?.get("k-bin"), "AAE=");
  assert.equal(metadata?.get("hasleader"), "true");
  assert.equal(metadata?.get("absent"), undefined);
  assert.equal(client.log.calls[0]?.peer, "127.0.0.1:1");
});

test("counters: every call that was started is handled once, whatever ended it", () => {
  const client = new MemoryClient();
  const of = (
    name: string,
  ): { started: number; handled: number[]; received: number; sent: number } => {
    const route = client.server.methods.routes.find((r) => r.method.path.endsWith(name));
    const c = route?.counters;
    return {
      started: c?.started ?? -1,
      handled: [...(c?.handled ?? [])],
      received: c?.received ?? -1,
      sent: c?.sent ?? -1,
    };
  };
  client.send(headers(1), data(1, message(hello), true));
  client.send(headers(3, requestFields("/test.Echo/Fail")), data(3, message(hello), true));
  client.send(headers(5, requestFields("/test.Echo/Hang")), data(5, message(hello), true), rst(5));
  client.send(
    headers(7, requestFields("/test.Echo/Hang", [["grpc-timeout", "1m"]])),
    data(7, message(hello), true),
  );
  client.send(headers(9, requestFields("/test.Echo/Hang")), data(9, nothing, true));
  client.advance(20);
  assert.deepEqual(
    [of("Unary").started, of("Unary").handled[0], of("Unary").received, of("Unary").sent],
    [1, 1, 1, 1],
  );
  assert.deepEqual([of("Fail").started, of("Fail").handled[9], of("Fail").sent], [1, 1, 0]);
  assert.deepEqual([of("Hang").started, of("Hang").handled[1], of("Hang").handled[4]], [2, 1, 1]);
  assert.equal(client.server.bytesReceived, 4 * hello.length);
  assert.equal(client.server.bytesSent, hello.length);
});

test("graceful end: first GOAWAY lets calls in, the ping's answer closes the door, the last call closes the connection", () => {
  const client = new MemoryClient();
  client.send(headers(1, requestFields("/test.Echo/Bidi")));
  client.connection.drain("graceful_stop");
  client.flush();
  const [first, probe] = client.take() as [Received, Received];
  assert.deepEqual([first.type, first.payload.readUInt32BE(0)], [FrameType.goaway, 0x7fff_ffff]);
  assert.equal(probe.type, FrameType.ping);
  client.send(headers(3), data(3, message(hello), true));
  assert.equal(client.status(3)?.code, 0);
  client.send(frame(FrameType.ping, Flag.ack, 0, probe.payload));
  const last = client.take().find((f) => f.type === FrameType.goaway);
  assert.equal(last?.payload.readUInt32BE(0), 3);
  client.send(headers(5), data(5, message(hello), true));
  assert.deepEqual(client.take(), []);
  assert.ok(!client.connection.isClosed);
  client.send(data(1, nothing, true));
  assert.equal(client.status(1)?.code, 0);
  assert.ok(client.connection.isClosed);
});

test("server keepalive: a ping after silence, the connection is given up without an answer", () => {
  const limits = { keepaliveIntervalMs: 10_000, keepaliveTimeoutMs: 3_000 };
  const client = new MemoryClient({ limits });
  client.advance(11_000);
  const probe = client.take().find((f) => f.type === FrameType.ping);
  client.send(frame(FrameType.ping, Flag.ack, 0, probe?.payload as Buffer));
  client.advance(11_000);
  assert.equal(client.take().filter((f) => f.type === FrameType.ping).length, 1);
  assert.equal(client.connection.sweep(client.clock.nowMs() + 3_000), true);
  assert.ok(client.connection.isClosed);
});

test("parseTimeout() reads every unit and refuses the rest", () => {
  assert.deepEqual(
    ["1H", "1M", "1S", "1m", "1u", "1n", "99999999H"].map(parseTimeout),
    [3_600_000, 60_000, 1_000, 1, 1e-3, 1e-6, 9_223_372_036_854],
  );
  assert.equal(parseTimeout("S"), 'transport: timeout string is too short: "S"');
  assert.equal(parseTimeout("123456789S"), 'transport: timeout string is too long: "123456789S"');
  assert.equal(parseTimeout("-1S"), 'strconv.ParseUint: parsing "-1": invalid syntax');
});

test("goQuote() quotes as Go does", () => {
  assert.equal(goQuote('a"b\\c\n'), '"a\\"b\\\\c\\n"');
  assert.equal(goQuote("\u0001\u007f"), '"\\x01\\x7f"');
  assert.equal(goQuote("\u00ff"), '"\\xff"');
  assert.equal(goQuote("\u00c3\u00a9"), '"\u00e9"');
});

test("ping is answered with its own bytes", () => {
  const client = new MemoryClient();
  client.send(ping());
  const [answer] = client.take();
  assert.deepEqual(
    [answer?.type, answer?.flags, answer?.payload.toString()],
    [FrameType.ping, Flag.ack, "12345678"],
  );
});
