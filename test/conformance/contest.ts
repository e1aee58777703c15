// Two servers started afresh for one run, and taken down after it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcClient } from "../support/grpc-client.ts";
import { type ServerCommand, type ServerProcess, startServer } from "../support/server-process.ts";
import type { Pair } from "./judge.ts";
import { Side } from "./side.ts";

/** A server to be started, or the address of one that runs already. */
export type Contestant = ServerCommand | { readonly name: string; readonly endpoint: string };

/** Two servers ready to be compared. */
export interface Contest {
  readonly pair: Pair;
  /** Closes the connections and ends the processes that were started. */
  close(): Promise<void>;
}

/** Gives two fresh servers; called once per attempt. */
export type OpenContest = () => Promise<Contest>;

/** Connects to the subject; tests of this suite itself put a faulty connection here. */
export type Connect = (endpoint: string) => GrpcClient;

/** True when both can be started afresh, so that a difference can be shrunk. */
export function isRepeatable(subject: Contestant, reference: Contestant): boolean {
  return "argv" in subject && "argv" in reference;
}

async function start(contestant: Contestant, dir: string): Promise<ServerProcess | undefined> {
  return "argv" in contestant ? await startServer({ command: contestant, dir }) : undefined;
}

/** Starts both (where they are commands), connects, and checks that both stand at the same revision. */
export async function openContest(
  subject: Contestant,
  reference: Contestant,
  connect: Connect = (endpoint) => new GrpcClient(endpoint),
): Promise<Contest> {
  const parent = await mkdtemp(join(tmpdir(), "etcd-ts-conformance-"));
  const servers = await Promise.all([
    start(subject, join(parent, "subject")),
    start(reference, join(parent, "reference")),
  ]);
  const endpoints = [subject, reference].map((c, i) =>
    "endpoint" in c ? c.endpoint : (servers[i]?.endpoint ?? ""),
  );
  const pair = {
    subject: new Side(subject.name, connect(endpoints[0] ?? "")),
    reference: new Side(reference.name, new GrpcClient(endpoints[1] ?? "")),
  };
  const close = async (): Promise<void> => {
    pair.subject.close();
    pair.reference.close();
    await Promise.all(servers.map((s) => s?.kill() ?? Promise.resolve()));
    await rm(parent, { recursive: true, force: true });
  };
  await Promise.all([pair.subject.greet(), pair.reference.greet()]);
  const [a, b] = [pair.subject.standing.current, pair.reference.standing.current];
  if (a === b && a > 0) return { pair, close };
  const tails = servers.map((s) => s?.logTail() ?? "").join("\n");
  await close();
  throw new Error(`revisions ${a} and ${b} at the start; both servers must be fresh\n${tails}`);
}
