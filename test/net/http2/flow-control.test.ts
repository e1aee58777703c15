import assert from "node:assert/strict";
import { test } from "node:test";
import { QUEUED_BYTES_MAX, QUEUED_REFUSE_BYTES } from "../../../src/net/limits.ts";
import type { RpcMethod, ServerCall } from "../../../src/server/ports.ts";
import { bytesEncoder, CountingSource } from "../support/echo-service.ts";
import {
  data,
  ErrorCode,
  FrameType,
  headers,
  message,
  requestFields,
  rst,
  settings,
  windowUpdate,
} from "../support/frames.ts";
import { MemoryClient } from "../support/memory-client.ts";

const ask = (id: number, path: string, body: string | Buffer): Buffer =>
  Buffer.concat([headers(id, requestFields(path)), data(id, message(Buffer.from(body)), true)]);

function expected(sizeBytes: number): Buffer {
  const source = new CountingSource(sizeBytes);
  const bytes = Buffer.alloc(sizeBytes);
  source.next(bytes, 0, sizeBytes);
  return message(bytes);
}

test("answers obey the stream's window, the connection's window and changes of the initial window", () => {
  const client = new MemoryClient({ settings: [[4, 10]] });
  client.send(ask(1, "/test.Echo/Source", "100"));
  assert.equal(client.body(1).length, 10);
  client.send(windowUpdate(1, 5));
  assert.equal(client.body(1).length, 15);
  client.send(settings([4, 30]));
  assert.equal(client.body(1).length, 35);
  client.send(settings([4, 0]));
  client.send(windowUpdate(1, 20));
  assert.equal(client.body(1).length, 35, "the window was -30 and is -10");
  client.send(windowUpdate(1, 1_000));
  assert.deepEqual(client.body(1), expected(100));
  assert.deepEqual(client.status(1), { code: 0, text: "" });
});

test("a reply that does not fit the window waits and is complete in the end", () => {
  const client = new MemoryClient({ settings: [[4, 0]] });
  const body = Buffer.alloc(40_000, 7);
  client.send(
    headers(1),
    data(1, message(body).subarray(0, 16_000)),
    data(1, message(body).subarray(16_000, 32_000)),
    data(1, message(body).subarray(32_000), true),
  );
  assert.equal(client.body(1).length, 0);
  assert.equal(client.connection.heldBytes, 40_005);
  for (let i = 0; i < 5; i++) client.send(windowUpdate(1, 10_000));
  assert.deepEqual(client.body(1), message(body));
  assert.equal(client.connection.heldBytes, 0);
  assert.equal(client.status(1)?.code, 0);
});

test("lists take turns: a short one is not behind a long one", () => {
  const client = new MemoryClient({ settings: [[4, 1 << 24]] });
  client.send(ask(1, "/test.Echo/Source", "1000000"), ask(3, "/test.Echo/Source", "20000"));
  client.send(windowUpdate(0, 1 << 24));
  const order = client.received.filter((f) => f.type === FrameType.data).map((f) => f.id);
  assert.ok(order.lastIndexOf(3) < 6, "the short list is done within a few frames");
  assert.deepEqual(client.body(1), expected(1_000_000));
  assert.deepEqual(client.body(3), expected(20_000));
});

test("lists are made only as windows allow", () => {
  const client = new MemoryClient();
  client.send(ask(1, "/test.Echo/Source", "50000000"));
  assert.equal(client.log.sources[0]?.given, 65_535 - 5);
  client.send(rst(1));
  assert.equal(client.log.sources[0]?.isAborted, true);
  assert.equal(client.connection.streams.size, 0);
});

test("small answers pass while a list waits for its window", () => {
  const client = new MemoryClient({ settings: [[4, 1_000]] });
  client.send(ask(1, "/test.Echo/Source", "100000"), ask(3, "/test.Echo/Unary", "quick"));
  assert.equal(client.status(3)?.code, 0);
  assert.equal(client.status(1), undefined);
});

test("receive windows are given back by halves, none for a short request", () => {
  const client = new MemoryClient();
  const updates = (id: number): number =>
    client.received.filter((f) => f.type === FrameType.windowUpdate && f.id === id).length;
  client.send(ask(1, "/test.Echo/Unary", "short"));
  assert.equal(updates(1) + updates(0), 0);
  const body = message(Buffer.alloc(2_000_000));
  client.send(headers(3));
  for (let pos = 0; pos < body.length; pos += 16_384) {
    client.send(data(3, body.subarray(pos, pos + 16_384), pos + 16_384 >= body.length));
  }
  assert.equal(updates(3), 3);
  client.send(windowUpdate(0, 1 << 22), windowUpdate(3, 1 << 22));
  assert.equal(client.body(3).length, body.length);
});

test("more DATA than the stream's window is FLOW_CONTROL_ERROR", () => {
  const client = new MemoryClient({ methods: () => [paused] });
  client.send(headers(1, requestFields("/test.Echo/Paused")));
  const frames = Buffer.concat([data(1, message(Buffer.alloc(16_000)))]);
  for (let i = 0; i < 66; i++) client.send(frames);
  assert.equal(client.rstCode(1), ErrorCode.flowControlError);
});

let pausedCall: ServerCall | undefined;
const pausedMessages: number[] = [];
const paused: RpcMethod = {
  path: "/test.Echo/Paused",
  kind: "bidi",
  open: (call) => {
    pausedCall = call;
    pausedMessages.length = 0;
    call.pauseMessages(true);
    call.onMessage = (buf, start) => pausedMessages.push(buf[start] as number);
    call.onHalfClose = () => call.finish();
  },
};

test("paused messages wait in order, give no window back, and come when resumed", () => {
  const client = new MemoryClient({ methods: () => [paused] });
  client.send(headers(1, requestFields("/test.Echo/Paused")));
  for (let i = 0; i < 60; i++) client.send(data(1, message(Buffer.alloc(16_000, i))));
  client.send(data(1, Buffer.alloc(0), true));
  assert.deepEqual(pausedMessages, []);
  assert.equal(client.received.filter((f) => f.type === FrameType.windowUpdate).length, 0);
  assert.ok(client.connection.pendingRequestBytes >= 960_000);
  pausedCall?.pauseMessages(false);
  client.flush();
  assert.deepEqual(
    pausedMessages,
    Array.from({ length: 60 }, (_, i) => i),
  );
  assert.equal(client.connection.pendingRequestBytes, 0);
  assert.deepEqual(client.status(1), { code: 0, text: "" });
});

test("resuming gives the window back", () => {
  const client = new MemoryClient({ methods: () => [paused] });
  client.send(headers(1, requestFields("/test.Echo/Paused")));
  for (let i = 0; i < 60; i++) client.send(data(1, message(Buffer.alloc(16_000, i))));
  pausedCall?.pauseMessages(false);
  client.flush();
  assert.equal(
    client.received.filter((f) => f.type === FrameType.windowUpdate && f.id === 1).length,
    1,
  );
});

test("bufferedBytes counts what waits, onDrain tells when it is gone and may send more", () => {
  let call: ServerCall | undefined;
  let drains = 0;
  const method: RpcMethod = {
    path: "/test.Echo/Stream",
    kind: "bidi",
    open: (opened) => {
      call = opened;
      opened.onDrain = () => {
        if (++drains === 1) opened.send(bytesEncoder, Buffer.alloc(500));
      };
    },
  };
  const client = new MemoryClient({ methods: () => [method], settings: [[4, 100]] });
  client.send(headers(1, requestFields("/test.Echo/Stream")));
  call?.send(bytesEncoder, Buffer.alloc(95));
  assert.equal(call?.bufferedBytes, 0);
  call?.send(bytesEncoder, Buffer.alloc(300));
  assert.equal(call?.bufferedBytes, 305);
  client.flush();
  client.send(windowUpdate(1, 305));
  assert.equal(drains, 1);
  assert.equal(call?.bufferedBytes, 505);
  client.send(windowUpdate(1, 505));
  assert.equal(drains, 2);
  assert.equal(client.body(1).length, 100 + 305 + 505);
});

test("a zero-window reader: memory is bounded, streams that wait too long are reset", () => {
  const client = new MemoryClient({ settings: [[4, 0]] });
  const body = message(Buffer.alloc(1_000_000));
  let id = 1;
  let refused = 0;
  for (; id < 300; id += 2) {
    client.send(headers(id));
    if (client.rstCode(id) === ErrorCode.refusedStream) {
      refused++;
      continue;
    }
    for (let pos = 0; pos < body.length; pos += 16_384) {
      client.send(data(id, body.subarray(pos, pos + 16_384), pos + 16_384 >= body.length));
    }
  }
  assert.ok(refused > 100);
  assert.ok(client.connection.heldBytes < QUEUED_REFUSE_BYTES + 2_000_000);
  client.advance(31_000);
  assert.equal(client.rstCode(1), ErrorCode.internalError);
  assert.equal(client.connection.heldBytes, 0);
  assert.equal(client.connection.streams.size, 0);
});

test("a stream that waits for its turn is not stalled while others move; one whose own window is shut is", () => {
  const client = new MemoryClient({ settings: [[4, 1 << 20]] });
  client.send(ask(1, "/test.Echo/Source", "500000"), ask(3, "/test.Echo/Source", "500000"));
  client.send(settings([4, 0]), windowUpdate(1, 1 << 20));
  for (let i = 0; i < 4; i++) {
    client.advance(10_000);
    client.send(windowUpdate(0, 10_000));
  }
  assert.equal(client.rstCode(1), undefined);
  assert.equal(client.rstCode(3), ErrorCode.internalError);
});

test("one stream that queues without end is reset at the connection's limit, and its handler is told", () => {
  let call: ServerCall | undefined;
  let reason = "";
  const method: RpcMethod = {
    path: "/test.Echo/Stream",
    kind: "bidi",
    open: (opened) => {
      call = opened;
      opened.onCancel = (why) => {
        reason = why;
      };
    },
  };
  const client = new MemoryClient({ methods: () => [method], settings: [[4, 0]] });
  client.send(headers(1, requestFields("/test.Echo/Stream")));
  const piece = Buffer.alloc(1 << 20);
  for (let i = 0; i < 70; i++) call?.send(bytesEncoder, piece);
  client.flush();
  assert.equal(reason, "cancelled");
  assert.equal(client.rstCode(1), ErrorCode.enhanceYourCalm);
  assert.ok(QUEUED_BYTES_MAX > client.connection.heldBytes);
  assert.equal(client.connection.heldBytes, 0);
});
