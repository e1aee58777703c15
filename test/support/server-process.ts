// Starts an etcd server (ours or the reference) as a process of its own on free ports, waits until it answers, and ends it.
//
// One process per ServerProcess. The log goes to a file beside the data directory, so a test that fails can show its end.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GrpcClient } from "./grpc-client.ts";

/** What is started: `argv[0]` is the program, flags are appended. `name` is shown in reports. */
export interface ServerCommand {
  readonly name: string;
  readonly argv: readonly string[];
}

/** How a server is started. Ports not given are asked of the operating system. */
export interface StartOptions {
  readonly command: ServerCommand;
  /** The data directory; its parent must exist. */
  readonly dir: string;
  readonly flags?: readonly string[] | undefined;
  readonly clientPort?: number | undefined;
  readonly peerPort?: number | undefined;
  /** How long the first answer may take, default 60 s. */
  readonly readyMs?: number | undefined;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Where the program of this checkout lies, beside the running tests; undefined when it is not built. */
export function ownProgram(): ServerCommand | undefined {
  const main = fileURLToPath(new URL("../../src/cli/etcd/main.js", import.meta.url));
  return existsSync(main) ? { name: "etcd-ts", argv: [process.execPath, main] } : undefined;
}

/** A free TCP port on 127.0.0.1, as far as one can know. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}

// Servers of a test run that fails in the middle must not outlive it.
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A running server. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly command: ServerCommand;
  readonly dir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  constructor(
    child: ChildProcess,
    log: string,
    options: StartOptions,
    ports: { client: number; peer: number },
  ) {
    this.#child = child;
    this.#log = log;
    this.command = options.command;
    this.dir = options.dir;
    this.clientPort = ports.client;
    this.peerPort = ports.peer;
    running.add(child);
    this.exited = new Promise((resolve) => {
      child.on("error", () => this.#ended(resolve, { code: -1, signal: null }));
      child.on("exit", (code, signal) => this.#ended(resolve, { code, signal }));
    });
  }

  #ended(resolve: (exit: Exit) => void, exit: Exit): void {
    running.delete(this.#child);
    this.#exit = exit;
    resolve(exit);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** `host:port` of the client listener. */
  get endpoint(): string {
    return `127.0.0.1:${this.clientPort}`;
  }

  /** How it ended, undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The last lines of its log. */
  logTail(lines = 20): string {
    if (!existsSync(this.#log)) return "";
    return readFileSync(this.#log, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Ends it with SIGKILL and waits for the end. */
  async kill(): Promise<Exit> {
    if (this.#exit === undefined) this.#child.kill("SIGKILL");
    return await this.exited;
  }

  /** Ends it with SIGTERM; after `graceMs` with SIGKILL. */
  async stop(graceMs = 15_000): Promise<Exit> {
    if (this.#exit !== undefined) return this.#exit;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

/** Starts a server without waiting for it to answer. */
export async function spawnServer(options: StartOptions): Promise<ServerProcess> {
  const client = options.clientPort ?? (await freePort());
  const peer = options.peerPort ?? (await freePort());
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const log = `${options.dir}.log`;
  mkdirSync(dirname(log), { recursive: true });
  const fd = openSync(log, "a");
  const [program, ...args] = options.command.argv;
  if (program === undefined) throw new Error("an empty server command");
  const flags = ["--data-dir", options.dir, "--listen-client-urls", clientUrl];
  flags.push("--advertise-client-urls", clientUrl, "--listen-peer-urls", peerUrl);
  flags.push("--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`);
  // Variables of the caller's environment (ETCD_*) are flags to etcd and must not leak in.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("ETCD")),
  );
  const child = spawn(program, [...args, ...flags, ...(options.flags ?? [])], {
    stdio: ["ignore", fd, fd],
    env,
  });
  closeSync(fd);
  return new ServerProcess(child, log, options, { client, peer });
}

// RangeRequest{key: "\0"}: the smallest linearizable read; it answers once the member serves.
const probe: Uint8Array = Uint8Array.of(0x0a, 0x01, 0x00);

/** Waits until `server` answers a linearizable read; rejects with the end of its log when it ends or takes too long. */
export async function untilReady(server: ServerProcess, readyMs = 60_000): Promise<void> {
  const until = Date.now() + readyMs;
  const client = new GrpcClient(server.endpoint);
  try {
    for (;;) {
      const outcome = await client.unary("/etcdserverpb.KV/Range", probe, { deadlineMs: 1_000 });
      if (outcome.code === 0) return;
      if (server.exit !== undefined || Date.now() > until) {
        const how = server.exit === undefined ? `no answer in ${readyMs} ms` : "it ended";
        throw new Error(`${server.command.name} did not start: ${how}\n${server.logTail()}`);
      }
      await sleep(10);
    }
  } finally {
    client.close();
  }
}

/** Starts a server and waits until it answers. */
export async function startServer(options: StartOptions): Promise<ServerProcess> {
  const server = await spawnServer(options);
  try {
    await untilReady(server, options.readyMs);
  } catch (error) {
    await server.kill();
    throw error;
  }
  return server;
}
