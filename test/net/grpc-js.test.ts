// @grpc/grpc-js as independent witness: what a real client sees of our server.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { RpcMethod } from "../../src/server/ports.ts";
import { bytesEncoder, CountingSource } from "./support/echo-service.ts";
import { type EchoServer, serveEcho } from "./support/serve-echo.ts";
import { until } from "./support/until.ts";

const PROTO = `syntax = "proto3";
package test;
message Blob { bytes body = 1; }
service Echo {
  rpc Unary(Blob) returns (Blob);
  rpc Fail(Blob) returns (Blob);
  rpc Hang(Blob) returns (Blob);
  rpc Missing(Blob) returns (Blob);
  rpc Many(Blob) returns (stream Blob);
  rpc Collect(stream Blob) returns (Blob);
  rpc Bidi(stream Blob) returns (stream Blob);
  rpc List(Blob) returns (Blob);
}
service Absent { rpc Unary(Blob) returns (Blob); }`;

interface Blob {
  readonly body: Buffer;
}

function loadProto(): grpc.GrpcObject {
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-net-"));
  const file = join(dir, "echo.proto");
  writeFileSync(file, PROTO);
  const loaded = grpc.loadPackageDefinition(loadSync(file));
  rmSync(dir, { recursive: true });
  return loaded["test"] as grpc.GrpcObject;
}

const proto = loadProto();

function connect(
  t: TestContext,
  port: number,
  options: grpc.ChannelOptions = {},
  service = "Echo",
): EchoClient {
  const Service = proto[service] as grpc.ServiceClientConstructor;
  const client = new Service(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    ...options,
  }) as unknown as EchoClient;
  t.after(() => client.close());
  return client;
}

type Unary = (
  request: Blob,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, reply: Blob) => void,
) => grpc.ClientUnaryCall;

type UnaryName = "Unary" | "Fail" | "Hang" | "Missing" | "List";

/** The methods the client is given at run time. */
interface EchoClient extends grpc.Client, Record<UnaryName, Unary> {
  Many(request: Blob): grpc.ClientReadableStream<Blob>;
  Collect(callback: (error: Error | null, reply: Blob) => void): grpc.ClientWritableStream<Blob>;
  Bidi(): grpc.ClientDuplexStream<Blob, Blob>;
}

function unary(
  client: EchoClient,
  name: UnaryName,
  body: Buffer,
  options: grpc.CallOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client[name]({ body }, new grpc.Metadata(), options, (error, reply) => {
      if (error !== null) reject(error);
      else resolve(reply.body);
    });
  });
}

async function failure(promise: Promise<unknown>): Promise<{ code: number; details: string }> {
  try {
    await promise;
  } catch (error) {
    const { code, details } = error as grpc.ServiceError;
    return { code, details };
  }
  throw new Error("did not fail");
}

function serve(t: TestContext, methods?: readonly RpcMethod[]): Promise<EchoServer> {
  return serveEcho(t, methods === undefined ? {} : { methods });
}

test("unary: empty, short, and larger than window and frame, both ways", async (t) => {
  const { port, listener } = await serve(t);
  const client = connect(t, port);
  for (const size of [0, 1, 1_000, 16_378, 16_379, 70_000, 1_048_576, 2_097_140]) {
    const body = Buffer.alloc(size, size);
    assert.deepEqual(await unary(client, "Unary", body), body, `${size} bytes`);
  }
  assert.equal(listener.connections, 1);
  assert.equal(listener.bytesReceived, listener.bytesSent);
});

test("unary: a thousand calls at once", async (t) => {
  const { port } = await serve(t);
  const client = connect(t, port);
  const bodies = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`body ${i}`));
  assert.deepEqual(await Promise.all(bodies.map((body) => unary(client, "Unary", body))), bodies);
});

test("errors: code and text arrive, unknown names are UNIMPLEMENTED", async (t) => {
  const { port } = await serve(t);
  const client = connect(t, port);
  assert.deepEqual(await failure(unary(client, "Fail", Buffer.alloc(0))), {
    code: 9,
    details: "\n\0",
  });
  assert.deepEqual(await failure(unary(client, "Missing", Buffer.alloc(0))), {
    code: 12,
    details: "unknown method Missing for service test.Echo",
  });
  assert.deepEqual(await failure(unary(connect(t, port, {}, "Absent"), "Unary", Buffer.alloc(0))), {
    code: 12,
    details: "unknown service test.Absent",
  });
  const text = "h\u00e9llo 100% \u20ac";
  // The request's protobuf frame is in the text as well; the client decodes it as we encoded it.
  const { details } = await failure(unary(client, "Fail", Buffer.from(text)));
  assert.ok(details.endsWith(text));
});

test("a request above the limit is RESOURCE_EXHAUSTED with both numbers, the connection goes on", async (t) => {
  const { port } = await serve(t);
  const client = connect(t, port);
  const { code, details } = await failure(unary(client, "Unary", Buffer.alloc(5_000_000)));
  assert.equal(code, 8);
  assert.equal(details, "grpc: received message larger than max (5000005 vs. 2097152)");
  assert.equal((await unary(client, "Unary", Buffer.from("x"))).length, 1);
});

test("gzip: compressed requests are understood", async (t) => {
  const { port } = await serve(t);
  const client = connect(t, port, {
    "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
  });
  const body = Buffer.alloc(500_000, "abc");
  assert.deepEqual(await unary(client, "Unary", body), body);
});

test("deadline: the client and the handler both learn of it", async (t) => {
  const { port, log } = await serve(t);
  const client = connect(t, port);
  const { code } = await failure(
    unary(client, "Hang", Buffer.alloc(0), { deadline: Date.now() + 100 }),
  );
  assert.equal(code, grpc.status.DEADLINE_EXCEEDED);
  await until(() => log.events.length > 0);
  assert.match(log.events[0] ?? "", /^0:cancel (deadline|cancelled)$/);
});

test("cancel reaches the handler", async (t) => {
  const { port, log } = await serve(t);
  const client = connect(t, port);
  const call = client.Hang({ body: Buffer.alloc(0) }, new grpc.Metadata(), {}, () => undefined);
  await until(() => log.calls.length > 0);
  call.cancel();
  await until(() => log.events.length > 0);
  assert.deepEqual(log.events, ["0:cancel cancelled"]);
});

test("streams: server, client and both sides", async (t) => {
  const { port } = await serve(t);
  const client = connect(t, port);
  // The service takes the first byte of the message: the tag of its field, 10.
  const received: Blob[] = [];
  for await (const blob of client.Many({ body: Buffer.from("abc") })) received.push(blob as Blob);
  assert.equal(received.length, 10);

  const collected = await new Promise<Blob>((resolve, reject) => {
    const call = client.Collect((error, reply) =>
      error === null ? resolve(reply) : reject(error),
    );
    for (let i = 0; i < 5; i++) call.write({ body: Buffer.alloc(100_000, i) });
    call.end();
  });
  // Joined protobuf messages decode to the last value of the field.
  assert.deepEqual(collected.body, Buffer.alloc(100_000, 4));

  const bidi = client.Bidi();
  const echoes: number[] = [];
  bidi.on("data", (blob: Blob) => {
    echoes.push(blob.body.length);
    if (echoes.length === 3) bidi.end();
  });
  const ended = new Promise((resolve) => bidi.on("end", resolve));
  for (const size of [0, 10, 200_000]) bidi.write({ body: Buffer.alloc(size) });
  await ended;
  assert.deepEqual(echoes, [0, 10, 200_000]);
});

function listMethod(sizeBytes: number): RpcMethod {
  return {
    path: "/test.Echo/List",
    kind: "unary",
    open: (call) => {
      // A protobuf message of one field that fills it: tag, length, bytes.
      const head = Buffer.from([10, ...varint(sizeBytes)]);
      const source = new CountingSource(sizeBytes);
      let isHeadGiven = false;
      call.replyFrom({
        sizeBytes: head.length + sizeBytes,
        next: (buf, pos, end) => {
          if (isHeadGiven) return source.next(buf, pos, end);
          isHeadGiven = true;
          buf.set(head, pos);
          return pos + head.length;
        },
        abort: () => source.abort(),
      });
    },
  };
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push(0x80 | (rest & 0x7f));
    rest >>>= 7;
  }
  return [...bytes, rest];
}

test("large lists in parallel arrive whole while small calls pass", async (t) => {
  const size = 20_000_000;
  const { port } = await serve(t, [
    listMethod(size),
    {
      path: "/test.Echo/Unary",
      kind: "unary",
      open: (call, buf, start, end) => call.reply(bytesEncoder, buf.subarray(start, end)),
    },
  ]);
  const client = connect(t, port);
  const lists = Promise.all([1, 2, 3, 4].map(() => unary(client, "List", Buffer.alloc(0))));
  for (let i = 0; i < 20; i++) await unary(client, "Unary", Buffer.from("small"));
  const expected = Buffer.alloc(size);
  new CountingSource(size).next(expected, 0, size);
  for (const list of await lists) assert.ok(expected.equals(list));
});

test("keepalive of the client is answered", async (t) => {
  const { port } = await serveEcho(t, { limits: { keepaliveMinTimeMs: 10 } });
  const client = connect(t, port, {
    "grpc.keepalive_time_ms": 30,
    "grpc.keepalive_timeout_ms": 200,
  });
  const { code } = await failure(
    unary(client, "Hang", Buffer.alloc(0), { deadline: Date.now() + 400 }),
  );
  assert.equal(code, grpc.status.DEADLINE_EXCEEDED);
  assert.equal((await unary(client, "Unary", Buffer.from("x"))).length, 1);
});

test("the client's pings come too fast: too_many_pings", async (t) => {
  const { port, reasons } = await serve(t);
  const client = connect(t, port, { "grpc.keepalive_time_ms": 20 });
  await failure(unary(client, "Hang", Buffer.alloc(0), { deadline: Date.now() + 1_000 }));
  await until(() => reasons.includes("too_many_pings"));
});

test("graceful close: calls that run finish, the client goes elsewhere, then everything is closed", async (t) => {
  const { port, listener, log } = await serve(t);
  const client = connect(t, port);
  const bidi = client.Bidi();
  bidi.on("error", () => undefined);
  bidi.write({ body: Buffer.from("1") });
  await new Promise((resolve) => bidi.once("data", resolve));
  const closed = listener.closeGracefully(5_000);
  bidi.write({ body: Buffer.from("2") });
  const second = await new Promise<Blob>((resolve) => bidi.once("data", resolve));
  assert.equal(second.body.toString(), "2");
  bidi.end();
  await closed;
  assert.equal(listener.connections, 0);
  assert.deepEqual(log.events, ["0:message 3", "0:message 3", "0:half-close"]);
});

test("graceful close: calls that do not end are ended with shutdown at the limit", async (t) => {
  const { port, listener, log } = await serve(t);
  const client = connect(t, port);
  const hanging = failure(unary(client, "Hang", Buffer.alloc(0)));
  await until(() => log.calls.length > 0);
  await listener.closeGracefully(100);
  assert.deepEqual(log.events, ["0:cancel shutdown"]);
  assert.equal((await hanging).code, grpc.status.UNAVAILABLE);
});
