// The servers a behaviour is tested on: ours, in memory inside the test's process, and the real etcd where there is one, so that an
// expectation is never only our own opinion. Every test gets a server of its own with an empty store: revisions in it are exact.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Endpoint, Etcd } from "../../../src/embed/index.ts";
import { findReference, needsReference, startReferenceEtcd } from "../../reference/reference.ts";
import { TestServer } from "./test-server.ts";

/** Settings a test may change, with the names of etcd's flags; the defaults are etcd's. */
export interface ServerSettings {
  readonly maxTxnOps?: number;
  readonly maxRequestBytes?: number;
  readonly quotaBackendBytes?: number;
  readonly watchProgressNotifyIntervalMs?: number;
}

/** What is done with a server; it is stopped afterwards. */
export type Body = (server: TestServer) => Promise<void>;

/** A listen address on a port that the system chooses. */
export const anyPort: Endpoint = {
  scheme: "http",
  host: "127.0.0.1",
  port: 0,
  path: "",
  url: "http://127.0.0.1:0",
};

/** Runs `body` on our server. */
export async function onOurs(settings: ServerSettings, body: Body): Promise<void> {
  const etcd = await Etcd.start({ memory: true, listenClientUrls: [anyPort], ...settings });
  const server = new TestServer(etcd.endpoints[0] as string);
  try {
    await body(server);
  } finally {
    server.close();
    await etcd.stop();
  }
}

function flagsOf(settings: ServerSettings): string[] {
  const flags = ["--unsafe-no-fsync"];
  if (settings.maxTxnOps !== undefined) flags.push(`--max-txn-ops=${settings.maxTxnOps}`);
  if (settings.maxRequestBytes !== undefined)
    flags.push(`--max-request-bytes=${settings.maxRequestBytes}`);
  if (settings.quotaBackendBytes !== undefined)
    flags.push(`--quota-backend-bytes=${settings.quotaBackendBytes}`);
  if (settings.watchProgressNotifyIntervalMs !== undefined)
    flags.push(`--watch-progress-notify-interval=${settings.watchProgressNotifyIntervalMs}ms`);
  return flags;
}

const reference = await findReference();

async function onReal(settings: ServerSettings, body: Body): Promise<void> {
  if (reference === undefined) return;
  const dir = await mkdtemp(join(tmpdir(), "etcd-ts-v3rpc-"));
  const flags = flagsOf(settings);
  const process = await startReferenceEtcd({ reference, dir: join(dir, "data"), flags });
  const server = new TestServer(process.endpoint);
  try {
    await body(server);
  } finally {
    server.close();
    await process.kill();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Registers a test of a behaviour: once on our server, once on the real etcd to prove that the expectation is right. */
export function behaviour(name: string, body: Body, settings: ServerSettings = {}): void {
  void test(name, () => onOurs(settings, body));
  const skip = reference === undefined ? needsReference : false;
  void test(`${name} (as the real etcd does)`, { skip }, () => onReal(settings, body));
}

/** Registers a test of a behaviour in which we differ from etcd, or which etcd cannot show. */
export function ownBehaviour(name: string, body: Body, settings: ServerSettings = {}): void {
  void test(name, () => onOurs(settings, body));
}
