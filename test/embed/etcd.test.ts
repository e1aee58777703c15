// The library's face: a member inside this process, in memory and on disk, from its start to its end.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EtcdClient, EtcdError } from "../../src/client/index.ts";
import { type Endpoint, Etcd, type EtcdOptions } from "../../src/embed/index.ts";
import { GrpcClient } from "../support/grpc-client.ts";

function listenOn(port: number): Endpoint {
  return { scheme: "http", host: "127.0.0.1", port, path: "", url: `http://127.0.0.1:${port}` };
}
const anyPort: readonly Endpoint[] = [listenOn(0)];

let root = "";
let directories = 0;
/** A data directory of its own, which does not exist yet. */
function freshDir(): string {
  return join(root, `d${directories++}`);
}
before(async () => {
  root = await mkdtemp(join(tmpdir(), "etcd-ts-embed-"));
});
after(() => rm(root, { recursive: true, force: true }));

/** Runs `body` on a member with a client; both are ended afterwards. */
async function serving(
  options: EtcdOptions,
  body: (etcd: Etcd, client: EtcdClient) => Promise<void>,
): Promise<void> {
  const etcd = await Etcd.start({ listenClientUrls: anyPort, ...options });
  const client = new EtcdClient([...etcd.clientUrls]);
  try {
    await body(etcd, client);
  } finally {
    client.close();
    await etcd.stop();
  }
}

async function text(client: EtcdClient, key: string): Promise<string | undefined> {
  const { pairs } = await client.kv.range(key);
  return pairs[0]?.value.toString();
}

/** The message a start is refused with. */
async function refusal(options: EtcdOptions): Promise<string> {
  try {
    const etcd = await Etcd.start(options);
    await etcd.stop();
    return "it started";
  } catch (error) {
    return String(error);
  }
}

/** A port somebody else listens on. */
async function takenPort(): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, server };
}

for (const mode of ["in memory", "on disk"] as const) {
  const options = (): EtcdOptions =>
    mode === "in memory" ? { memory: true } : { dataDir: freshDir() };

  describe(`a member ${mode}`, () => {
    test("starts on a port of the system's choice, serves, and stops", async () => {
      const etcd = await Etcd.start({ ...options(), listenClientUrls: anyPort });
      const [url = ""] = etcd.clientUrls;
      assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
      assert.deepEqual(etcd.endpoints, [url.slice("http://".length)]);
      assert.match(etcd.memberId, /^[0-9a-f]+$/);
      const client = new EtcdClient(url);
      await client.kv.put("a", "1");
      assert.equal(await text(client, "a"), "1");
      const version = await fetch(`${url}/version`);
      const { etcdserver } = (await version.json()) as { etcdserver: string };
      assert.equal(etcdserver, "3.7.1");
      client.close();
      await etcd.stop();
      await etcd.stop();
      await assert.rejects(fetch(`${url}/version`));
    });

    test("serves on several ports", async () => {
      await serving(
        { ...options(), listenClientUrls: [listenOn(0), listenOn(0)] },
        async (etcd) => {
          const [first = "", second = ""] = etcd.clientUrls;
          assert.notEqual(first, second);
          const [one, two] = [new EtcdClient(first), new EtcdClient(second)];
          await one.kv.put("a", "1");
          assert.equal(await text(two, "a"), "1");
          one.close();
          two.close();
        },
      );
    });

    test("stops within a second while calls are in flight", async () => {
      const etcd = await Etcd.start({ ...options(), listenClientUrls: anyPort });
      const client = new GrpcClient(etcd.endpoints[0] as string);
      const watch = client.bidi("/etcdserverpb.Watch/Watch");
      // WatchRequest{create_request{key: "a"}}
      watch.send(Buffer.from("0a030a0161", "hex"));
      await new Promise<void>((resolve) => {
        watch.onMessage = () => resolve();
      });
      const keepAlive = client.bidi("/etcdserverpb.Lease/LeaseKeepAlive");
      const put = Buffer.from("0a01611201ff", "hex");
      const writing = { on: true };
      const codes = new Set<number>();
      const writer = async (): Promise<void> => {
        while (writing.on) codes.add((await client.unary("/etcdserverpb.KV/Put", put)).code);
      };
      const writers = Array.from({ length: 20 }, writer);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const idle = connect(Number(etcd.endpoints[0]?.split(":")[1]), "127.0.0.1");
      await once(idle, "connect");
      const startMs = performance.now();
      await etcd.stop();
      const tookMs = performance.now() - startMs;
      writing.on = false;
      await Promise.all(writers);
      assert.ok(tookMs < 1000, `${tookMs} ms`);
      assert.deepEqual([(await watch.outcome()).code, (await keepAlive.outcome()).code], [14, 14]);
      for (const code of codes) assert.ok(code === 0 || code === 14, `code ${code}`);
      idle.destroy();
      client.close();
    });

    test("starts again with the same client while old data is gone only in memory", async () => {
      const again = options();
      await serving(again, (_, client) => client.kv.put("a", "1").then(() => undefined));
      await serving(again, async (_, client) => {
        assert.equal(await text(client, "a"), mode === "in memory" ? undefined : "1");
      });
    });
  });
}

test("a restart keeps data, revisions, history, leases, their keys, and alarms", async () => {
  const dataDir = freshDir();
  let memberId = "";
  await serving({ dataDir }, async (etcd, client) => {
    memberId = etcd.memberId;
    await client.kv.put("a", "1");
    await client.kv.put("a", "2");
    await client.kv.delete("a");
    for (const id of [7n, -1n, -(2n ** 63n)]) await client.leases.grant(1000, { id });
    await client.kv.put("leased", "x", { lease: -1n });
    await client.kv.put("freed", "x", { lease: 7n });
    await client.kv.put("freed", "y");
    await client.maintenance.alarm({ action: 1, memberId: 77n, alarm: 1 });
  });
  await serving({ dataDir }, async (etcd, client) => {
    assert.equal(etcd.memberId, memberId);
    const { header } = await client.kv.range("a");
    assert.equal(header?.revision, 7);
    const watcher = client.watch("a", { startRevision: 2 });
    const seen: string[] = [];
    for await (const { events } of watcher) {
      seen.push(
        ...events.map(({ type, kv }) => `${type} ${kv.value.toString()}@${kv.modRevision}`),
      );
      if (seen.length >= 3) break;
    }
    assert.deepEqual(seen, ["put 1@2", "put 2@3", "delete @4"]);
    const { keys, grantedS } = await client.leases.timeToLive(-1n, { keys: true });
    assert.deepEqual([keys.map(String), grantedS], [["leased"], 1000]);
    await client.leases.revoke(7n);
    await client.leases.revoke(-(2n ** 63n));
    assert.equal(await text(client, "freed"), "y");
    await client.leases.revoke(-1n);
    assert.equal(await text(client, "leased"), undefined);
    assert.deepEqual(await client.maintenance.alarms(), [{ memberId: 77n, alarm: 1 }]);
    await assert.rejects(client.kv.put("a", "1"), /database space exceeded/);
  });
});

describe("a start that cannot be", () => {
  test("names the port that is in use, and has written nothing", async () => {
    const { port, server } = await takenPort();
    const dataDir = freshDir();
    const listenClientUrls = [listenOn(0), listenOn(port)];
    const message = await refusal({ dataDir, listenClientUrls });
    assert.match(message, /EADDRINUSE/);
    assert.ok(message.includes(String(port)), message);
    assert.equal(existsSync(dataDir), false);
    server.close();
  });

  test("names the directory that cannot be written", async () => {
    const file = join(root, "a-file");
    await writeFile(file, "");
    const below = await refusal({ dataDir: join(file, "data"), listenClientUrls: anyPort });
    assert.ok(below.includes(file), below);
    const readOnly = await mkdtemp(join(root, "ro-"));
    await chmod(readOnly, 0o500);
    // Root may write everywhere.
    if (process.getuid?.() !== 0) {
      const message = await refusal({ dataDir: readOnly, listenClientUrls: anyPort });
      assert.ok(message.includes(readOnly), message);
    }
  });

  test("names the directory another member has open, which goes on", async () => {
    const dataDir = freshDir();
    await serving({ dataDir }, async (_, client) => {
      const message = await refusal({ dataDir, listenClientUrls: anyPort });
      assert.ok(message.includes(dataDir), message);
      const main = fileURLToPath(new URL("../../src/cli/etcd/main.js", import.meta.url));
      const url = "http://127.0.0.1:0";
      const args = [main, "--data-dir", dataDir, "--listen-client-urls", url];
      args.push("--advertise-client-urls", url);
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
      let log = "";
      child.stderr.on("data", (chunk: Buffer) => {
        log += chunk.toString();
      });
      const [code] = (await once(child, "exit")) as [number];
      assert.equal(code, 1);
      assert.ok(log.includes(dataDir), log);
      await client.kv.put("a", "1");
      assert.equal(await text(client, "a"), "1");
    });
  });

  test("names the scheme it cannot listen on", async () => {
    const endpoint: Endpoint = { ...listenOn(0), scheme: "https", url: "https://127.0.0.1:0" };
    const message = await refusal({ memory: true, listenClientUrls: [endpoint] });
    assert.match(message, /https:\/\/127\.0\.0\.1:0: etcd-ts cannot listen on https yet/);
  });

  test("gives the port back", async () => {
    const { port, server } = await takenPort();
    server.close();
    await once(server, "close");
    const file = join(root, "another-file");
    await writeFile(file, "");
    const listenClientUrls = [listenOn(port)];
    assert.notEqual(await refusal({ dataDir: file, listenClientUrls }), "it started");
    await serving({ memory: true, listenClientUrls }, async (_, client) => {
      await client.kv.put("a", "1");
    });
  });
});

test("connections made while it starts wait and are served", async () => {
  const { port, server } = await takenPort();
  server.close();
  await once(server, "close");
  const starting = Etcd.start({ dataDir: freshDir(), listenClientUrls: [listenOn(port)] });
  const early = await reach(port);
  early.write("GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const chunks: Buffer[] = [];
  early.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(early, "end");
  assert.match(Buffer.concat(chunks).toString(), /"etcdserver":"3\.7\.1"/);
  await (await starting).stop();
});

/** A connection to `port` as soon as somebody listens there. */
async function reach(port: number): Promise<ReturnType<typeof connect>> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (connected) return socket;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("what breaks for good settles `fatal`, ends the calls, and can be stopped", async () => {
  const dataDir = freshDir();
  const options = { dataDir, listenClientUrls: anyPort, snapshotCount: 10 };
  const etcd = await Etcd.start(options);
  const client = new EtcdClient([...etcd.clientUrls]);
  await client.kv.put("a", "1");
  // The next Raft snapshot finds no directory to be written to.
  await rm(join(dataDir, "member", "snap"), { recursive: true });
  const writes = Array.from({ length: 50 }, (_, i) =>
    client.kv.put(`k${i}`, "1", { timeoutMs: 5_000 }).catch((error: unknown) => error),
  );
  const error = await etcd.fatal;
  assert.ok(error.message.includes(dataDir), error.message);
  await etcd.stop();
  for (const outcome of await Promise.all(writes)) {
    assert.ok(!(outcome instanceof Error) || outcome instanceof EtcdError, String(outcome));
  }
  client.close();
});

test("a program that stops its member ends by itself", async () => {
  const library = new URL("../../src/embed/index.js", import.meta.url).href;
  const listenClientUrls = JSON.stringify(anyPort);
  const program = `
    const { Etcd } = await import(${JSON.stringify(library)});
    const options = { dataDir: ${JSON.stringify(freshDir())}, listenClientUrls: ${listenClientUrls} };
    const etcd = await Etcd.start(options);
    await etcd.stop();
    console.log("stopped");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const startMs = performance.now();
  const [code] = (await once(child, "exit")) as [number];
  assert.deepEqual([code, output], [0, "stopped\n"]);
  assert.ok(performance.now() - startMs < 10_000);
});

test("members in memory need no settings, advertise what they listen on, and any number runs at once", async () => {
  const etcds = await Promise.all([1, 2, 3].map(() => Etcd.start({ memory: true })));
  assert.equal(new Set(etcds.flatMap((etcd) => etcd.clientUrls)).size, 3);
  for (const etcd of etcds) {
    const client = new EtcdClient(etcd.endpoints);
    const { members } = await client.cluster.memberList();
    assert.deepEqual(members[0]?.clientUrls, etcd.clientUrls);
    client.close();
    await etcd.stop();
  }
});
