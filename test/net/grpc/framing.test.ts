import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  data,
  FrameType,
  headers,
  message,
  requestFields,
  windowUpdate,
} from "../support/frames.ts";
import { MemoryClient } from "../support/memory-client.ts";

const hello = Buffer.from("hello");

test("unary: one frame, split message, split prefix, END_STREAM on an empty DATA give the same answer", () => {
  const whole = message(hello);
  const cuts: Buffer[][] = [
    [data(1, whole, true)],
    [data(1, whole), data(1, Buffer.alloc(0), true)],
    [data(1, whole.subarray(0, 7)), data(1, whole.subarray(7), true)],
    [data(1, whole.subarray(0, 3)), data(1, whole.subarray(3), true)],
    [data(1, whole.subarray(0, 5)), data(1, whole.subarray(5), true)],
    [
      data(1, whole.subarray(0, 1)),
      data(1, whole.subarray(1, 2)),
      data(1, whole.subarray(2), true),
    ],
  ];
  for (const frames of cuts) {
    const client = new MemoryClient();
    client.send(headers(1), ...frames);
    assert.deepEqual(client.body(1), whole);
    assert.deepEqual(client.status(1), { code: 0, text: "" });
    assert.equal(client.connection.streams.size, 0);
  }
});

test("input cut at every byte gives the same output", () => {
  const requests = Buffer.concat([
    headers(1),
    data(1, message(hello), true),
    headers(3, requestFields("/test.Echo/Bidi")),
    data(3, Buffer.concat([message(hello), message(Buffer.alloc(0)), message(Buffer.from("x"))])),
    data(3, Buffer.alloc(0), true),
    headers(5, requestFields("/test.Echo/Fail")),
    data(5, message(hello), true),
  ]);
  const expected = new MemoryClient();
  expected.send(requests);
  for (let cut = 1; cut < requests.length; cut++) {
    const client = new MemoryClient();
    client.send(requests.subarray(0, cut));
    client.send(requests.subarray(cut));
    assert.deepEqual(client.received, expected.received, `cut at ${cut}`);
  }
  const bytewise = new MemoryClient();
  for (const byte of requests) bytewise.send(Buffer.from([byte]));
  assert.deepEqual(bytewise.received, expected.received);
});

test("streams: any cut of any messages into DATA frames is delivered in order", () => {
  const sizes = fc.array(fc.constantFrom(0, 1, 4, 5, 6, 100, 17_000, 40_000), { maxLength: 6 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 16, max: 16_384 }), (lengths, step) => {
      const bodies = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      const stream = Buffer.concat(bodies.map((body) => message(body)));
      const client = new MemoryClient();
      client.send(
        headers(1, requestFields("/test.Echo/Bidi")),
        windowUpdate(0, 1 << 20),
        windowUpdate(1, 1 << 20),
      );
      for (let pos = 0; pos < stream.length; pos += step) {
        client.send(data(1, stream.subarray(pos, pos + step)));
      }
      client.send(data(1, Buffer.alloc(0), true));
      assert.deepEqual(client.body(1), stream);
      assert.deepEqual(client.status(1), { code: 0, text: "" });
    }),
    { numRuns: 60 },
  );
});

test("unary: the steady state answer is a head of 11 bytes, the message, trailers of 10 bytes", () => {
  const client = new MemoryClient();
  client.send(headers(1), data(1, message(hello), true));
  client.take();
  client.send(headers(3), data(3, message(hello), true));
  const [head, body, trailers] = client.take();
  assert.equal(head?.type, FrameType.headers);
  assert.equal(head?.payload.length, 2);
  assert.deepEqual(
    [...(head?.fields ?? [])],
    [
      [":status", "200"],
      ["content-type", "application/grpc"],
    ],
  );
  assert.deepEqual(body?.payload, message(hello));
  assert.equal(trailers?.payload.length, 1);
  assert.deepEqual([...(trailers?.fields ?? [])], [["grpc-status", "0"]]);
});
