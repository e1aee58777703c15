// Other implementations as witnesses of the protocol layer: node:http2 (nghttp2) and h2spec.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import { test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { PlainApp } from "../support/plain-app.ts";
import { servePlain } from "../support/plain-server.ts";

const run = promisify(execFile);

test("node:http2: random fields of many requests arrive as sent, through Huffman and table", async (t) => {
  const app = new PlainApp();
  const { server, port } = await servePlain(app);
  const session = connect(`http://127.0.0.1:${port}`);
  t.after(() => {
    session.destroy();
    server.close();
  });
  const name = fc.stringMatching(/^x-[a-z0-9-]{0,12}$/);
  const value = fc.stringMatching(/^([!-~]([ -~]{0,60}[!-~])?)?$/);
  const fields = fc.dictionary(name, value, { maxKeys: 12 });
  await fc.assert(
    fc.asyncProperty(fields, async (sent) => {
      app.heads.length = 0;
      const stream = session.request({ ":path": "/x", ...sent });
      const [response] = await once(stream, "response");
      assert.equal(response[":status"], 200);
      stream.resume();
      await once(stream, "end");
      const got = Object.fromEntries(
        (app.heads[0]?.fields ?? [])
          .filter((f) => f.name.startsWith("x-"))
          .map((f) => [f.name, f.value]),
      );
      assert.deepEqual(got, { ...sent });
    }),
    { numRuns: 300 },
  );
});

test("node:http2: header table sizes of the client, with and without room for our fields", async (t) => {
  for (const headerTableSize of [0, 64, 4_096, 65_536]) {
    const { server, port } = await servePlain(new PlainApp());
    const session = connect(`http://127.0.0.1:${port}`, { settings: { headerTableSize } });
    t.after(() => {
      session.destroy();
      server.close();
    });
    for (let i = 0; i < 3; i++) {
      const stream = session.request({ ":path": "/" });
      const [response] = await once(stream, "response");
      assert.equal(response[":status"], 200);
      let body = "";
      for await (const part of stream) body += String(part);
      assert.equal(body, "hello, h2spec\n");
    }
  }
});

test("h2spec, strict", async (t) => {
  const found = await run("which", ["h2spec"]).then(
    () => true,
    () => false,
  );
  if (!found) {
    t.skip("skipped: needs h2spec");
    return;
  }
  const { server, port } = await servePlain(new PlainApp());
  t.after(() => server.close());
  const { stdout } = await run("h2spec", [
    "-h",
    "127.0.0.1",
    "-p",
    String(port),
    "-o",
    "2",
    "--strict",
  ]);
  assert.match(stdout, /146 tests, 146 passed, 0 skipped, 0 failed/);
});
