// The programs of a user: a server as a process (ours, and the real etcd to prove what is expected) and etcdctl in two releases.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findReference, referenceCommand } from "../reference/reference.ts";
import {
  ownProgram,
  type ServerCommand,
  type ServerProcess,
  startServer,
} from "../support/server-process.ts";

/** What a command printed, and how it ended. */
export interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** One release of etcdctl; `skip` says what is missing where it is not there. */
export interface Etcdctl {
  readonly name: string;
  readonly program: string;
  /** `3.7` or `3.4`: what it prints differs a little. */
  readonly release: string;
  readonly skip: string | false;
}

/** Longest run of a command. */
const RUN_MS_MAX = 20_000;

const reference = await findReference();

/** An etcdctl of the system, such as Debian's etcd-client. */
function installedEtcdctl(): Etcdctl {
  const program = "etcdctl";
  const { stdout } = spawnSync(program, ["version"], { encoding: "utf8", env: environment("3.4") });
  const release = /version: (\d+\.\d+)/.exec(stdout ?? "")?.[1];
  const skip = release === undefined ? "needs etcdctl" : false;
  return { name: `the system's etcdctl ${release ?? ""}`, program, release: release ?? "", skip };
}

/** The releases tests are run with. */
export const etcdctls: readonly Etcdctl[] = [
  {
    name: "etcdctl 3.7",
    program: reference?.etcdctl ?? "",
    release: "3.7",
    skip: reference === undefined ? "needs etcdctl" : false,
  },
  installedEtcdctl(),
];

/** The servers tests are run on: ours, and the real one if it is there. */
export const servers: readonly ServerCommand[] = [
  ...[ownProgram()].filter((command) => command !== undefined),
  ...(reference === undefined ? [] : [referenceCommand(reference)]),
];

/** Variables of the caller's must not get in; Debian's etcdctl must be told the version of the API, 3.7 complains if it is. */
function environment(release: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("ETCD"));
  return { ...Object.fromEntries(own), ...(release === "3.4" ? { ETCDCTL_API: "3" } : {}) };
}

/** A running command, written to and read from as a person would. */
export class Conversation {
  readonly #child: ReturnType<typeof spawn>;
  readonly ended: Promise<Run>;
  #stdout = "";
  #stderr = "";
  #wake: () => void = () => {};

  constructor({ program, release }: Etcdctl, args: readonly string[]) {
    this.#child = spawn(program, args, { env: environment(release) });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), RUN_MS_MAX);
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString("latin1");
      this.#wake();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString("latin1");
    });
    // A command that does not read may end before it is written to.
    this.#child.stdin?.on("error", () => {});
    this.ended = new Promise((resolve) => {
      this.#child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ stdout: this.#stdout, stderr: this.#stderr, code });
        this.#wake();
      });
    });
  }

  /** Writes to its standard input. */
  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Closes its standard input. */
  end(text = ""): void {
    this.#child.stdin?.end(text);
  }

  /** Waits until it has printed `text`; all it has printed so far. */
  async until(text: string): Promise<string> {
    let isOver = false;
    void this.ended.then(() => {
      isOver = true;
    });
    while (!this.#stdout.includes(text)) {
      if (isOver) throw new Error(`${text} was not printed:\n${this.#stdout}${this.#stderr}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#stdout;
  }

  /** Ends it as Ctrl-C does. */
  interrupt(): void {
    this.#child.kill("SIGINT");
  }
}

/** A server process and an etcdctl that talks to it. */
export class Desk {
  readonly server: ServerProcess;
  readonly etcdctl: Etcdctl;
  readonly #dir: string;

  constructor(server: ServerProcess, etcdctl: Etcdctl, dir: string) {
    this.server = server;
    this.etcdctl = etcdctl;
    this.#dir = dir;
  }

  static async open(command: ServerCommand, etcdctl: Etcdctl): Promise<Desk> {
    const dir = mkdtempSync(join(tmpdir(), "etcd-ts-e2e-"));
    const server = await startServer({ command, dir: join(dir, "data") });
    return new Desk(server, etcdctl, dir);
  }

  /** Starts `etcdctl args`. */
  start(...args: string[]): Conversation {
    return new Conversation(this.etcdctl, ["--endpoints", this.server.endpoint, ...args]);
  }

  /** Runs `etcdctl args` with `input` on its standard input. */
  async run(args: readonly string[], input = ""): Promise<Run> {
    const conversation = this.start(...args);
    conversation.end(input);
    return await conversation.ended;
  }

  async close(): Promise<void> {
    await this.server.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
