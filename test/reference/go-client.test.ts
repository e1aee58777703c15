// etcd's own Go client against the server: keepalive, cancel, watch and lock, and all of it across a restart of the server.
// The same program runs against a real etcd, which proves that what it expects is right.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { repoRoot } from "../support/repo.ts";
import { ownProgram, type ServerCommand, startServer } from "../support/server-process.ts";
import { findReference, needsReference } from "./reference.ts";

const reference = await findReference();
const own = ownProgram();

async function build(dir: string): Promise<string> {
  const program = join(dir, "goclient");
  const cwd = join(repoRoot, "test", "reference");
  await promisify(execFile)("go", ["build", "-o", program, "./goclient"], { cwd });
  return program;
}

/** Runs the client program against a server of `command`, restarting the server when it asks; returns what it printed. */
async function talk(program: string, command: ServerCommand, dir: string): Promise<string[]> {
  let server = await startServer({ command, dir });
  const { clientPort, peerPort } = server;
  const child = spawn(program, [server.endpoint], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (line !== "RESTART") continue;
    await server.kill();
    server = await startServer({ command, dir, clientPort, peerPort });
    child.stdin.write("\n");
  }
  await ended;
  await server.stop();
  return lines;
}

describe("etcd's Go client", { skip: reference === undefined ? needsReference : false }, () => {
  let dir = "";
  let program = "";
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "etcd-ts-goclient-"));
    program = await build(dir);
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const servers: ServerCommand[] = [];
  if (own !== undefined) servers.push(own);
  if (reference !== undefined) servers.push({ name: "etcd", argv: [reference.etcd] });
  for (const command of servers) {
    test(`keepalive, cancel and reconnect work against ${command.name}`, async () => {
      const lines = await talk(program, command, join(dir, command.name));
      assert.deepEqual(
        lines.filter((line) => !line.startsWith("ok ")),
        ["RESTART"],
      );
      assert.equal(lines.length, 14);
    });
  }
});
