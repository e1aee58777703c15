import assert from "node:assert/strict";
import { test } from "node:test";
import {
  block,
  data,
  ErrorCode,
  type Fields,
  Flag,
  FrameType,
  frame,
  headers,
  message,
  PREFACE,
  ping,
  requestFields,
  rst,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from "../support/frames.ts";
import { MemoryClient } from "../support/memory-client.ts";

const E = ErrorCode;
const T = FrameType;
const nothing = Buffer.alloc(0);
const ask = headers(1, requestFields("/test.Echo/Hang"));
const done = Buffer.concat([headers(1), data(1, message(nothing), true)]);
const self = (id: number): Buffer => Buffer.concat([uint32(id), Buffer.from([16])]);
const without = (name: string): Fields => requestFields().filter((f) => f[0] !== name);
const padded = (padding: number, payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(Math.min(padding, 20))]);

// Connection errors: the GOAWAY must carry the code. h2spec's malformed frames, and a few it does not know.
const connectionCases: [what: string, input: Buffer, code: number][] = [
  ["DATA on stream 0", data(0, nothing), E.protocolError],
  ["DATA on an idle stream", data(5, nothing), E.protocolError],
  ["DATA on an even stream", data(2, nothing), E.protocolError],
  [
    "DATA padded beyond its length",
    Buffer.concat([ask, frame(T.data, Flag.padded, 1, Buffer.from([9, 0]))]),
    E.protocolError,
  ],
  [
    "DATA padded without length",
    Buffer.concat([ask, frame(T.data, Flag.padded, 1, nothing)]),
    E.frameSizeError,
  ],
  ["frame larger than 16384", frame(T.data, 0, 1, Buffer.alloc(16_385)), E.frameSizeError],
  ["HEADERS on stream 0", headers(0), E.protocolError],
  ["HEADERS on an even stream", headers(2), E.protocolError],
  ["HEADERS on a skipped smaller id", Buffer.concat([headers(5), headers(3)]), E.protocolError],
  ["HEADERS on a closed stream", Buffer.concat([done, headers(1)]), E.streamClosed],
  [
    "HEADERS padded beyond its length",
    frame(T.headers, Flag.padded | Flag.endHeaders, 1, padded(200, nothing)),
    E.protocolError,
  ],
  [
    "HEADERS too short for its priority",
    frame(T.headers, Flag.priority | Flag.endHeaders, 1, nothing),
    E.frameSizeError,
  ],
  ["PRIORITY on stream 0", frame(T.priority, 0, 0, self(1)), E.protocolError],
  ["RST_STREAM on stream 0", rst(0), E.protocolError],
  ["RST_STREAM on an idle stream", rst(1), E.protocolError],
  [
    "RST_STREAM of 3 bytes",
    Buffer.concat([ask, frame(T.rstStream, 0, 1, Buffer.alloc(3))]),
    E.frameSizeError,
  ],
  ["SETTINGS on a stream", frame(T.settings, 0, 1, nothing), E.protocolError],
  ["SETTINGS of 3 bytes", frame(T.settings, 0, 0, Buffer.alloc(3)), E.frameSizeError],
  ["SETTINGS ack with payload", frame(T.settings, Flag.ack, 0, Buffer.alloc(6)), E.frameSizeError],
  ["ENABLE_PUSH 2", settings([2, 2]), E.protocolError],
  ["INITIAL_WINDOW_SIZE 2^31", settings([4, 0x8000_0000]), E.flowControlError],
  ["MAX_FRAME_SIZE 16383", settings([5, 16_383]), E.protocolError],
  ["MAX_FRAME_SIZE 2^24", settings([5, 0x100_0000]), E.protocolError],
  ["PUSH_PROMISE", frame(T.pushPromise, Flag.endHeaders, 1, uint32(2)), E.protocolError],
  ["PING on a stream", frame(T.ping, 0, 1, Buffer.alloc(8)), E.protocolError],
  ["PING of 6 bytes", frame(T.ping, 0, 0, Buffer.alloc(6)), E.frameSizeError],
  ["GOAWAY on a stream", frame(T.goaway, 0, 1, Buffer.alloc(8)), E.protocolError],
  ["GOAWAY of 4 bytes", frame(T.goaway, 0, 0, Buffer.alloc(4)), E.frameSizeError],
  ["WINDOW_UPDATE of 0", windowUpdate(0, 0), E.protocolError],
  ["WINDOW_UPDATE of 3 bytes", frame(T.windowUpdate, 0, 0, Buffer.alloc(3)), E.frameSizeError],
  ["WINDOW_UPDATE on an idle stream", windowUpdate(1, 1), E.protocolError],
  ["connection window above 2^31-1", windowUpdate(0, 0x7fff_ffff), E.flowControlError],
  [
    "CONTINUATION without HEADERS",
    frame(T.continuation, Flag.endHeaders, 1, nothing),
    E.protocolError,
  ],
  [
    "header block interrupted by another type",
    Buffer.concat([frame(T.headers, 0, 1, nothing), ping()]),
    E.protocolError,
  ],
  [
    "header block interrupted by another stream",
    Buffer.concat([frame(T.headers, 0, 1, nothing), frame(T.continuation, 0, 3, nothing)]),
    E.protocolError,
  ],
  [
    "header block interrupted by an unknown type",
    Buffer.concat([frame(T.headers, 0, 1, nothing), frame(0x16, 0, 0, nothing)]),
    E.protocolError,
  ],
  [
    "bad HPACK index",
    frame(T.headers, Flag.endHeaders, 1, Buffer.from([0x80])),
    E.compressionError,
  ],
  [
    "bad HPACK in trailers",
    Buffer.concat([
      ask,
      frame(T.headers, Flag.endHeaders | Flag.endStream, 1, Buffer.from([0x80])),
    ]),
    E.compressionError,
  ],
];

test("malformed frames end the connection with the right code", () => {
  for (const [what, input, code] of connectionCases) {
    const client = new MemoryClient();
    client.send(input);
    assert.equal(client.goaway, code, what);
    assert.ok(client.connection.isClosed, what);
    assert.equal(client.connection.streams.size, 0, what);
  }
});

// Stream errors: RST_STREAM with the code, the connection goes on.
const streamCases: [what: string, input: Buffer, code: number][] = [
  ["uppercase name", headers(1, requestFields(undefined, [["X-Upper", "1"]])), E.protocolError],
  ["name with a space", headers(1, requestFields(undefined, [["x y", "1"]])), E.protocolError],
  ["empty name", headers(1, requestFields(undefined, [["", "1"]])), E.protocolError],
  [
    "value with a line feed",
    headers(1, requestFields(undefined, [["x", "a\nb"]])),
    E.protocolError,
  ],
  ["value with NUL", headers(1, requestFields(undefined, [["x", "a\0b"]])), E.protocolError],
  ["unknown pseudo-header", headers(1, [[":test", "1"], ...requestFields()]), E.protocolError],
  [":status in a request", headers(1, [[":status", "200"], ...requestFields()]), E.protocolError],
  [
    "pseudo-header after a field",
    headers(1, [...without(":path"), [":path", "/"]]),
    E.protocolError,
  ],
  [
    "connection field",
    headers(1, requestFields(undefined, [["connection", "close"]])),
    E.protocolError,
  ],
  [
    "transfer-encoding",
    headers(1, requestFields(undefined, [["transfer-encoding", "chunked"]])),
    E.protocolError,
  ],
  [
    "te other than trailers",
    headers(1, requestFields(undefined, [["te", "gzip"]])),
    E.protocolError,
  ],
  ["empty :path", headers(1, requestFields("")), E.protocolError],
  ["no :method", headers(1, without(":method")), E.protocolError],
  ["no :scheme", headers(1, without(":scheme")), E.protocolError],
  ["no :path", headers(1, without(":path")), E.protocolError],
  ["two :path", headers(1, [[":path", "/"], ...requestFields()]), E.protocolError],
  ["two :authority", headers(1, [[":authority", "a"], ...requestFields()]), E.protocolError],
  [
    "content-length not a number",
    headers(1, requestFields(undefined, [["content-length", "-1"]])),
    E.protocolError,
  ],
  [
    "content-length without body",
    headers(1, requestFields(undefined, [["content-length", "1"]]), true),
    E.protocolError,
  ],
  [
    "body longer than content-length",
    Buffer.concat([
      headers(1, requestFields("/test.Echo/Bidi", [["content-length", "6"]])),
      data(1, Buffer.alloc(7)),
    ]),
    E.protocolError,
  ],
  [
    "body shorter than content-length",
    Buffer.concat([
      headers(1, requestFields("/test.Echo/Bidi", [["content-length", "9"]])),
      data(1, Buffer.alloc(5), true),
    ]),
    E.protocolError,
  ],
  ["trailers without END_STREAM", Buffer.concat([ask, headers(1, [["x", "1"]])]), E.protocolError],
  [
    "pseudo-header in trailers",
    Buffer.concat([ask, headers(1, [[":path", "/"]], true)]),
    E.protocolError,
  ],
  [
    "HEADERS that depend on themselves",
    frame(
      T.headers,
      Flag.priority | Flag.endHeaders,
      1,
      Buffer.concat([self(1), block(requestFields())]),
    ),
    E.protocolError,
  ],
  [
    "PRIORITY that depends on itself",
    Buffer.concat([ask, frame(T.priority, 0, 1, self(1))]),
    E.protocolError,
  ],
  [
    "PRIORITY of 4 bytes",
    Buffer.concat([ask, frame(T.priority, 0, 1, Buffer.alloc(4))]),
    E.frameSizeError,
  ],
  [
    "DATA after END_STREAM",
    Buffer.concat([ask, data(1, message(nothing), true), data(1, nothing)]),
    E.streamClosed,
  ],
  [
    "HEADERS after END_STREAM",
    Buffer.concat([ask, data(1, message(nothing), true), headers(1, [["x", "1"]], true)]),
    E.streamClosed,
  ],
  ["WINDOW_UPDATE of 0 on a stream", Buffer.concat([ask, windowUpdate(1, 0)]), E.protocolError],
  [
    "stream window above 2^31-1",
    Buffer.concat([ask, windowUpdate(1, 0x7fff_ffff)]),
    E.flowControlError,
  ],
  [
    "header list beyond its limit",
    headers(
      1,
      requestFields(undefined, [
        ["x", "y".repeat(10_000)],
        ["z", "y".repeat(7_000)],
      ]),
    ),
    E.enhanceYourCalm,
  ],
];

test("malformed requests end their stream with the right code, the connection goes on", () => {
  for (const [what, input, code] of streamCases) {
    const client = new MemoryClient();
    if (input.length > 16_393) {
      client.send(...split(input));
    } else {
      client.send(input);
    }
    assert.equal(client.rstCode(1), code, what);
    assert.equal(client.goaway, undefined, what);
    client.send(headers(3), data(3, message(nothing), true));
    assert.deepEqual(client.status(3), { code: 0, text: "" }, what);
  }
});

/** A HEADERS frame that is too large, as HEADERS and CONTINUATION. */
function split(input: Buffer): Buffer[] {
  const payload = input.subarray(9);
  return [
    frame(T.headers, 0, 1, payload.subarray(0, 16_000)),
    frame(T.continuation, Flag.endHeaders, 1, payload.subarray(16_000)),
  ];
}

test("what a server must tolerate: unknown frames, settings, flags, padding, trailers, late frames, priority", () => {
  const client = new MemoryClient();
  const body = message(Buffer.from("hi"));
  client.send(
    frame(0xfa, 0xff, 0, Buffer.from("?")),
    settings([0xf0, 1], [3, 0], [6, 1]),
    frame(T.priority, 0, 9, self(3)),
    frame(
      T.headers,
      Flag.priority | Flag.padded | Flag.endHeaders | 0xc2,
      1,
      padded(3, Buffer.concat([self(7), block(requestFields())])),
    ),
    frame(T.data, Flag.padded, 1, padded(2, body)),
    headers(1, [["x-trailer", "1"]], true),
    windowUpdate(1, 1),
    rst(1),
    frame(T.priority, 0, 1, self(0)),
    frame(T.goaway, 0, 0, Buffer.concat([uint32(0), uint32(77), Buffer.from("bye")])),
  );
  assert.equal(client.goaway, undefined);
  assert.deepEqual(client.body(1), body);
  assert.deepEqual(client.status(1), { code: 0, text: "" });
});

test("frames under way for a stream we have ended are ignored", () => {
  const client = new MemoryClient();
  client.send(headers(1, requestFields("/test.Echo/Unknown")));
  assert.equal(client.status(1)?.code, 12);
  assert.equal(client.rstCode(1), E.noError);
  client.take();
  client.send(
    data(1, Buffer.alloc(100)),
    headers(1, [["x", "1"]], true),
    windowUpdate(1, 5),
    rst(1),
  );
  assert.deepEqual(client.take(), []);
});

test("DATA on a stream that ended on both sides is STREAM_CLOSED, and still counts for the connection's window", () => {
  const client = new MemoryClient();
  client.send(done);
  client.take();
  client.send(data(1, Buffer.alloc(100)));
  assert.equal(client.rstCode(1), E.streamClosed);
  for (let sent = 0; sent < 2_200_000; sent += 16_000) client.send(data(1, Buffer.alloc(16_000)));
  const updates = client.received.filter((f) => f.type === T.windowUpdate && f.id === 0);
  assert.equal(updates.length, 1);
});

test("the first bytes must be the preface, the first frame SETTINGS", () => {
  for (const first of [
    Buffer.from("PRI * HTTP/1.0\r\n\r\n"),
    Buffer.concat([PREFACE, ping()]),
    Buffer.concat([PREFACE, settingsAck]),
  ]) {
    const client = new MemoryClient({ isSilent: true });
    client.send(first);
    assert.equal(client.goaway, E.protocolError);
  }
});

test("a header block may be cut into CONTINUATION frames anywhere, in the table as well", () => {
  const whole = block(requestFields(), 0x40);
  for (let cut = 1; cut < whole.length; cut += 3) {
    const client = new MemoryClient();
    client.send(
      frame(T.headers, 0, 1, whole.subarray(0, cut)),
      frame(T.continuation, 0, 1, whole.subarray(cut, cut + 1)),
      frame(T.continuation, Flag.endHeaders, 1, whole.subarray(cut + 1)),
      data(1, message(nothing), true),
    );
    assert.equal(client.status(1)?.code, 0);
  }
});

test("block cache: a block means something else after the table has changed", () => {
  const client = new MemoryClient();
  const dynamic = (path: string): Buffer => block([[":path", path]], 0x40);
  const rest = Buffer.concat([
    Buffer.from([0x83, 0x86]),
    block([["content-type", "application/grpc"]]),
  ]);
  // Newest entry (index 62) is the path; static indexes say POST and http.
  const byIndex = Buffer.concat([
    Buffer.from([0x83, 0x86, 0xbe]),
    block([["content-type", "application/grpc"]]),
  ]);
  const send = (id: number, bytes: Buffer): void =>
    client.send(frame(T.headers, Flag.endHeaders, id, bytes), data(id, message(nothing), true));
  send(1, Buffer.concat([rest.subarray(0, 2), dynamic("/test.Echo/Unary"), rest.subarray(2)]));
  send(3, byIndex);
  send(5, byIndex);
  send(7, Buffer.concat([rest.subarray(0, 2), dynamic("/test.Echo/Fail"), rest.subarray(2)]));
  send(9, byIndex);
  assert.deepEqual(
    [1, 3, 5, 7, 9].map((id) => client.status(id)?.code),
    [0, 0, 0, 9, 9],
  );
});
