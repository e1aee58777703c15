// One of the two servers of a benchmark: a process with a data directory, and what is measured from outside of it.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { GrpcClient } from "../support/grpc-client.ts";
import {
  type ServerCommand,
  type ServerProcess,
  spawnServer,
  startServer,
} from "../support/server-process.ts";
import { intOf, messageOf, wireSchema } from "../support/wire-schema.ts";
import type { LoadGenerator, LoadGroup, LoadResult } from "./loadgen.ts";

/** Room for every data set of the benchmark. */
const flags = ["--quota-backend-bytes", String(8 * 1024 ** 3)];

/** How long a server may take from its start to its first answer. */
const startSecondsMax = 120;

function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** A server under load. */
export class Contender {
  readonly name: string;
  readonly #command: ServerCommand;
  readonly #generator: LoadGenerator;
  readonly #dir: string;
  #server: ServerProcess | undefined;
  #fresh = 0;

  constructor(command: ServerCommand, generator: LoadGenerator, dir: string) {
    this.name = command.name;
    this.#command = command;
    this.#generator = generator;
    this.#dir = dir;
  }

  get #running(): ServerProcess {
    if (this.#server === undefined) throw new Error(`${this.name} is not running`);
    return this.#server;
  }

  /** Starts the server whose data the benchmark keeps. */
  async start(): Promise<void> {
    const dir = join(this.#dir, "data");
    this.#server = await startServer({ command: this.#command, dir, flags });
  }

  /** Ends the server; its data stays. */
  async stop(): Promise<void> {
    await this.#server?.stop(120_000);
    this.#server = undefined;
  }

  /** Puts `groups` on the server; an error in a reply is an error of the run. */
  async load(groups: readonly LoadGroup[], seconds?: number): Promise<LoadResult> {
    const { clientPort: port, pid } = this.#running;
    const load = seconds === undefined ? { port, pid, groups } : { port, pid, groups, seconds };
    const result = await this.#generator(load);
    const failed = result.groups.find((g) => g.errors > 0);
    if (failed !== undefined) {
      throw new Error(`${this.name}: ${failed.errors} of ${failed.done} ${failed.op} failed`);
    }
    const unmeasured = result.groups.find((g) => g.op !== "watch" && !(g.perSecond > 0));
    if (unmeasured !== undefined) throw new Error(`${this.name}: ${unmeasured.op} took no time`);
    return result;
  }

  /** Starts a server in `dir` and says how many milliseconds it took until it answered a linearizable read. */
  async #timedStart(dir: string): Promise<{ server: ServerProcess; ms: number }> {
    const startedAt = monotonicSeconds();
    const server = await spawnServer({ command: this.#command, dir, flags });
    const { lastReplyS } = await this.#generator({
      port: server.clientPort,
      wait: startSecondsMax,
      groups: [{ op: "get", total: 1, keys: 1 }],
    });
    return { server, ms: (lastReplyS - startedAt) * 1_000 };
  }

  /** Milliseconds from the start of an empty member to its first answer. */
  async emptyStartMs(): Promise<number> {
    const { server, ms } = await this.#timedStart(join(this.#dir, `empty-${this.#fresh++}`));
    await server.kill();
    return ms;
  }

  /** Ends the server and starts it on its data again; milliseconds to the first answer. */
  async restartMs(): Promise<number> {
    await this.stop();
    const { server, ms } = await this.#timedStart(join(this.#dir, "data"));
    this.#server = server;
    return ms;
  }

  /** Resident memory in MiB. */
  rssMib(): number {
    const status = readFileSync(`/proc/${this.#running.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }

  /** Compacts everything up to now and waits until the rows are gone. */
  async compact(): Promise<void> {
    const client = new GrpcClient(this.#running.endpoint);
    const schema = wireSchema();
    const settings = { deadlineMs: 300_000 };
    const read = await client.unary(
      "/etcdserverpb.KV/Range",
      schema.encode("etcdserverpb.RangeRequest", { key: Buffer.from("none") }),
    );
    const [message] = read.messages;
    if (message === undefined) throw new Error(`${this.name} does not answer: ${read.details}`);
    const header = messageOf(schema.decode("etcdserverpb.RangeResponse", message), "header");
    const revision = String(intOf(header, "revision"));
    const request = schema.encode("etcdserverpb.CompactionRequest", { revision, physical: true });
    const outcome = await client.unary("/etcdserverpb.KV/Compact", request, settings);
    client.close();
    if (outcome.code !== 0) throw new Error(`${this.name} does not compact: ${outcome.details}`);
  }

  /** The server's process id. */
  get pid(): number {
    return this.#running.pid;
  }

  /** True when a file of the write-ahead log is open with O_DSYNC or O_SYNC: each write is a sync by itself. */
  hasSyncedWal(): boolean {
    const proc = `/proc/${this.#running.pid}`;
    return readdirSync(`${proc}/fd`).some((fd) => {
      try {
        if (!/\/wal\/[^/]+\.wal$/.test(readlinkSync(`${proc}/fd/${fd}`))) return false;
        const info = readFileSync(`${proc}/fdinfo/${fd}`, "utf8");
        // O_DSYNC is 0o10000 on Linux; O_SYNC includes it.
        return (Number.parseInt(/flags:\s+(\d+)/.exec(info)?.[1] ?? "0", 8) & 0o10000) !== 0;
      } catch {
        return false;
      }
    });
  }
}
