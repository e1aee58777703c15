// The listener on real sockets: who gets which connection, and attacks that need a socket.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { HeldPort } from "../../src/net/index.ts";
import {
  data,
  ErrorCode,
  FrameReader,
  FrameType,
  headers,
  message,
  PREFACE,
  type Received,
  requestFields,
  settings,
  settingsAck,
  windowUpdate,
} from "./support/frames.ts";
import { serveEcho } from "./support/serve-echo.ts";
import { until } from "./support/until.ts";

const run = promisify(execFile);
const hello = Buffer.from("hello");
const handshake = Buffer.concat([PREFACE, settings(), settingsAck]);

async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Reads frames until one satisfies `isLast` or the socket ends. */
async function readFrames(
  socket: Socket,
  isLast: (frame: Received) => boolean,
): Promise<Received[]> {
  const reader = new FrameReader();
  const frames: Received[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    frames.push(...reader.read(chunk as Buffer));
    if (frames.some(isLast)) break;
  }
  return frames;
}

const isEnd = (frame: Received): boolean =>
  frame.type === FrameType.headers && (frame.flags & 1) !== 0;
const isGoaway = (frame: Received): boolean => frame.type === FrameType.goaway;

async function hasProgram(name: string): Promise<boolean> {
  return run("which", [name]).then(
    () => true,
    () => false,
  );
}

/** An HTTP/1 server that answers with what it got. */
function newHttp(t: TestContext): ReturnType<typeof createServer> {
  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () =>
      response.end(`${request.method} ${request.url} ${Buffer.concat(parts).toString()}`),
    );
  });
  t.after(() => http.closeAllConnections());
  return http;
}

test("HTTP/1 on the same port goes to the http server: GET, POST with body, keep-alive", async (t) => {
  const { port } = await serveEcho(t, { http: newHttp(t) });
  const socket = await dial(t, port);
  socket.write("POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  const [first] = (await once(socket, "data")) as [Buffer];
  assert.match(first.toString(), /^HTTP\/1.1 200 OK[^]*POST \/v3\/kv\/put body$/);
  socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  const [second] = (await once(socket, "data")) as [Buffer];
  assert.match(second.toString(), /GET \/health $/);
});

test("HTTP/1 requests in pieces of any size are not lost", async (t) => {
  const { port } = await serveEcho(t, { http: newHttp(t) });
  for (const method of ["PUT", "PATCH", "PROPFIND", "POST", "GET"]) {
    const text = `${method} /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc`;
    for (const step of [1, 2, 7, 60]) {
      const socket = await dial(t, port);
      const answer = once(socket, "data") as Promise<[Buffer]>;
      for (let pos = 0; pos < text.length; pos += step) {
        socket.write(text.slice(pos, pos + step));
        if (pos < 12) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.match((await answer)[0].toString(), new RegExp(`${method} /x abc$`));
      socket.destroy();
    }
  }
});

test("HTTP/1 through node's own client, many at once", async (t) => {
  const { port } = await serveEcho(t, { http: newHttp(t) });
  const bodies = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const [response] = await once(get({ port, host: "127.0.0.1", path: `/${i}` }), "response");
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      return Buffer.concat(parts).toString();
    }),
  );
  assert.deepEqual(
    bodies,
    Array.from({ length: 50 }, (_, i) => `GET /${i} `),
  );
});

test("HTTP/1 without an http server: the socket is closed", async (t) => {
  const { port } = await serveEcho(t);
  const socket = await dial(t, port);
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await once(socket, "close");
});

test("the preface in pieces is recognised", async (t) => {
  const { port } = await serveEcho(t);
  const socket = await dial(t, port);
  for (const byte of Buffer.concat([handshake, headers(1), data(1, message(hello), true)])) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const frames = await readFrames(socket, isEnd);
  assert.equal(frames.findLast(isEnd)?.fields.get("grpc-status"), "0");
});

test("Upgrade: h2c with a gRPC request: 101, then its answer on stream 1, then further calls", async (t) => {
  const { port } = await serveEcho(t, { http: newHttp(t) });
  const socket = await dial(t, port);
  const body = message(hello);
  const head =
    "POST /test.Echo/Unary HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
    `HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.write(head);
  await new Promise((resolve) => setImmediate(resolve));
  socket.write(Buffer.concat([body, handshake, headers(3), data(3, message(hello), true)]));
  let bytes = Buffer.alloc(0);
  let frames: Received[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    const end = bytes.indexOf("\r\n\r\n");
    frames = new FrameReader().read(bytes.subarray(end + 4));
    if (frames.filter(isEnd).length === 2) break;
  }
  assert.match(bytes.toString("latin1"), /^HTTP\/1.1 101 Switching Protocols\r\n/);
  assert.equal(frames[0]?.type, FrameType.settings);
  assert.deepEqual(
    frames.filter((f) => f.type === FrameType.data).map((f) => [f.id, f.payload]),
    [
      [1, body],
      [3, body],
    ],
  );
});

test("Upgrade: h2c of anything else is ignored, HTTP/1 answers", async (t) => {
  const { port } = await serveEcho(t, { http: newHttp(t) });
  const socket = await dial(t, port);
  socket.write(
    "GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
  );
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 200 OK/);
});

test("curl: HTTP/1.1, --http2 upgrade and --http2-prior-knowledge", async (t) => {
  if (!(await hasProgram("curl"))) {
    t.skip("skipped: needs curl");
    return;
  }
  const { port } = await serveEcho(t, { http: newHttp(t) });
  const url = `http://127.0.0.1:${port}`;
  const curl = async (...args: string[]): Promise<string> =>
    (await run("curl", ["-s", "-S", "-m", "5", ...args])).stdout;
  assert.equal(await curl(`${url}/health`), "GET /health ");
  assert.equal(await curl("--http2", `${url}/health`), "GET /health ");
  assert.match(
    await curl("--http2-prior-knowledge", "-D", "-", "-o", "/dev/null", `${url}/health`),
    /^HTTP\/2 415[^]*grpc-status: 3/,
  );
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-net-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "request");
  writeFileSync(file, message(hello));
  const post = [
    "-D",
    "-",
    "-H",
    "content-type: application/grpc",
    "-H",
    "te: trailers",
    "--data-binary",
    `@${file}`,
    `${url}/test.Echo/Unary`,
  ];
  for (const how of ["--http2", "--http2-prior-knowledge"]) {
    const output = await curl(how, ...post);
    assert.match(output, /HTTP\/2 200/, how);
    assert.match(output, /hello/, how);
    assert.match(output, /grpc-status: 0/, how);
  }
});

test("h2load: every request of many connections and streams succeeds", async (t) => {
  if (!(await hasProgram("h2load"))) {
    t.skip("skipped: needs h2load");
    return;
  }
  const { port, log } = await serveEcho(t);
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-net-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "request");
  writeFileSync(file, message(hello));
  const { stdout } = await run("h2load", [
    "-n",
    "20000",
    "-c",
    "10",
    "-m",
    "50",
    "-d",
    file,
    "-H",
    "content-type: application/grpc",
    "-H",
    "te: trailers",
    `http://127.0.0.1:${port}/test.Echo/Unary`,
  ]);
  assert.match(stdout, /20000 succeeded, 0 failed, 0 errored, 0 timeout/);
  assert.equal(log.calls.length, 20_000);
});

test("stalled sockets: closed in time, and a new client is served at once", async (t) => {
  const { port } = await serveEcho(t, { limits: { prefaceTimeoutMs: 300, sweepIntervalMs: 50 } });
  const stalled = await Promise.all(Array.from({ length: 1_100 }, () => dial(t, port)));
  const socket = await dial(t, port);
  socket.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  const frames = await readFrames(socket, isEnd);
  assert.equal(frames.findLast(isEnd)?.fields.get("grpc-status"), "0");
  await Promise.all(stalled.filter((s) => !s.closed).map((s) => once(s.resume(), "close")));
});

test("a preface without SETTINGS is closed in time with SETTINGS_TIMEOUT", async (t) => {
  const { port } = await serveEcho(t, { limits: { prefaceTimeoutMs: 200, sweepIntervalMs: 50 } });
  const socket = await dial(t, port);
  socket.write(PREFACE);
  const frames = await readFrames(socket, () => false);
  assert.equal(frames.find(isGoaway)?.payload.readUInt32BE(4), ErrorCode.settingsTimeout);
});

test("connections beyond the limit are closed, those within go on", async (t) => {
  const { port } = await serveEcho(t, { connectionsMax: 2 });
  const [first] = await Promise.all([dial(t, port), dial(t, port)]);
  const third = await dial(t, port);
  await once(third.resume(), "close");
  first.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  assert.ok((await readFrames(first, isEnd)).some(isEnd));
});

test("after an error GOAWAY arrives, then the connection is closed", async (t) => {
  const { port, reasons } = await serveEcho(t);
  const socket = await dial(t, port);
  socket.write(Buffer.concat([handshake, data(0, hello)]));
  const frames = await readFrames(socket, () => false);
  assert.equal(frames.find(isGoaway)?.payload.readUInt32BE(4), ErrorCode.protocolError);
  await until(() => reasons.length > 0);
  assert.deepEqual(reasons, ["DATA on stream 0"]);
});

test("a reader that stops: memory stays bounded, others are served, the connection ends", async (t) => {
  const { port, listener, log } = await serveEcho(t, {
    limits: { stallTimeoutMs: 500, sweepIntervalMs: 100 },
  });
  const slow = await dial(t, port);
  slow.pause();
  const window = Buffer.concat([windowUpdate(0, 0x7000_0000), settings([4, 0x7000_0000])]);
  const list = (id: number): Buffer =>
    Buffer.concat([
      headers(id, requestFields("/test.Echo/Source")),
      data(id, message(Buffer.from("300000000")), true),
    ]);
  slow.write(Buffer.concat([handshake, window, ...[1, 3, 5, 7].map(list)]));
  await until(() => log.sources.length === 4);
  const quick = await dial(t, port);
  quick.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  assert.ok((await readFrames(quick, isEnd)).some(isEnd));
  await until(() => log.sources.every((source) => source.isAborted));
  const given = log.sources.reduce((sum, source) => sum + source.given, 0);
  assert.ok(given < 40_000_000, `made only what the sockets' buffers took, ${given}`);
  await until(() => listener.connections <= 1);
});

test("a client that sends requests but reads nothing is no longer read", async (t) => {
  const { port, log } = await serveEcho(t);
  const slow = await dial(t, port);
  slow.pause();
  const body = message(Buffer.alloc(16_000, 1));
  slow.write(Buffer.concat([handshake, windowUpdate(0, 0x7000_0000)]));
  for (let id = 1; id < 20_000; id += 2)
    slow.write(Buffer.concat([headers(id), data(id, body, true)]));
  let seen = -1;
  while (seen !== log.calls.length) {
    seen = log.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(seen > 10 && seen < 5_000, `${seen} of 10000 requests taken`);
  slow.resume();
  await until(() => log.calls.length === 10_000);
});

test("connections that hold too much together: the largest is ended", async (t) => {
  const { port, reasons } = await serveEcho(t, {
    limits: { sweepIntervalMs: 100, heldBytesTotalMax: 20_000_000 },
  });
  const body = message(Buffer.alloc(2_000_000));
  // Each connection leaves 8 MB of answers behind a closed window.
  const zeroWindow = Buffer.concat([PREFACE, settings([4, 0]), settingsAck]);
  const dials = Array.from({ length: 4 }, async () => {
    const socket = await dial(t, port);
    socket.write(zeroWindow);
    for (let id = 1; id < 8; id += 2) {
      socket.write(headers(id));
      for (let pos = 0; pos < body.length; pos += 16_384) {
        socket.write(data(id, body.subarray(pos, pos + 16_384), pos + 16_384 >= body.length));
      }
    }
    socket.resume();
  });
  await Promise.all(dials);
  await until(() => reasons.includes("too much memory held"));
});

test("a held port: early connections wait and are served in order once a listener takes it", async (t) => {
  const { listener } = await serveEcho(t);
  const held = await HeldPort.bind({ host: "127.0.0.1", port: 0 });
  const early = await dial(t, held.port);
  early.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  const gone = await dial(t, held.port);
  gone.destroy();
  const answer = readFrames(early, isEnd);
  listener.adopt(held);
  assert.ok((await answer).some(isEnd));
  const late = await dial(t, held.port);
  late.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  assert.ok((await readFrames(late, isEnd)).some(isEnd));
});

test("a port in use is the system's error", async (t) => {
  const { port, listener } = await serveEcho(t);
  await assert.rejects(listener.listen("127.0.0.1", port), { code: "EADDRINUSE" });
});

test("a unix socket serves too", async (t) => {
  const { listener } = await serveEcho(t);
  const dir = mkdtempSync(join(tmpdir(), "etcd-ts-net-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "client.sock");
  await listener.listenPath(path);
  const socket = connect(path);
  t.after(() => socket.destroy());
  socket.write(Buffer.concat([handshake, headers(1), data(1, message(hello), true)]));
  assert.ok((await readFrames(socket, isEnd)).some(isEnd));
});
