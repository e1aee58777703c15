// Clients that ask a server for mixed work until it is killed, and keep what became of each operation.

import type { Prng } from "../../src/base/index.ts";
import { GrpcClient } from "../support/grpc-client.ts";
import type { Evidence } from "./ledger.ts";
import { Listener } from "./listener.ts";
import type { Action, Operation } from "./ops.ts";
import { type LoadSize, Requests, type Standing } from "./requests.ts";
import { send } from "./wire.ts";

/** How much is asked at once. */
export interface LoadShape {
  readonly connections: number;
  /** Open calls on each connection at most. */
  readonly streams: number;
  readonly size: LoadSize;
}

/** What goes on from round to round on one data directory. */
export interface LoadState {
  /** Id of the next operation. */
  nextId: number;
  /** Reading of the counter that orders sendings and answers. */
  moment: number;
  /** Highest revision any answer has shown. */
  seen: number;
  readonly standing: Standing;
}

/** The state of a new data directory. */
export function newLoadState(): LoadState {
  const standing = { toldRevision: 1, leases: [], mods: new Map<string, number>() };
  return { nextId: 1, moment: 0, seen: 1, standing };
}

/** A running load. */
export class Load {
  readonly #state: LoadState;
  readonly #clients: GrpcClient[];
  readonly #listener: Listener;
  readonly #workers: Promise<void>[] = [];
  readonly #operations: Operation[] = [];
  readonly #problems: string[] = [];
  #isEnding = false;

  /** Starts at once, on the server at `endpoint`. */
  constructor(endpoint: string, state: LoadState, shape: LoadShape, prng: Prng) {
    this.#state = state;
    this.#clients = Array.from({ length: shape.connections + 1 }, () => new GrpcClient(endpoint));
    const [watching, ...working] = this.#clients as [GrpcClient, ...GrpcClient[]];
    this.#listener = new Listener(watching, state.seen + 1, (revision) => {
      state.standing.toldRevision = revision;
      state.seen = Math.max(state.seen, revision);
    });
    for (const client of working) {
      for (let stream = 0; stream < shape.streams; stream++) {
        const requests = new Requests(prng.fork(`worker ${this.#workers.length}`), state.standing);
        this.#workers.push(this.#work(client, requests, shape.size));
      }
    }
  }

  /** Operations sent so far. */
  get count(): number {
    return this.#operations.length;
  }

  /** To be called right before the kill: from here on calls may break. */
  expectKill(): void {
    this.#isEnding = true;
    const { cancelled } = this.#listener;
    if (cancelled !== undefined) this.#problems.push(`the watch was ended: ${cancelled.reason}`);
  }

  /** Waits until all calls have come to an end, after the kill. */
  async end(): Promise<Evidence> {
    await Promise.all(this.#workers);
    const { told, revision, problems } = this.#listener;
    this.#listener.close();
    for (const client of this.#clients) client.close();
    return {
      operations: this.#operations,
      told,
      toldRevision: revision,
      problems: [...this.#problems, ...problems],
    };
  }

  async #work(client: GrpcClient, requests: Requests, size: LoadSize): Promise<void> {
    while (!this.#isEnding) {
      const id = this.#state.nextId++;
      const operation: Operation = {
        id,
        request: requests.draw(id, size),
        sent: this.#state.moment++,
        ended: Number.POSITIVE_INFINITY,
        floor: this.#state.seen,
        outcome: { kind: "unknown", text: "not answered" },
      };
      this.#operations.push(operation);
      try {
        operation.outcome = await send(client, operation.request);
      } catch (error) {
        this.#problems.push(`operation ${id}: ${String(error)}`);
        return;
      }
      if (operation.outcome.kind === "unknown") {
        if (!this.#isEnding) this.#problems.push(`before the kill: ${operation.outcome.text}`);
        return;
      }
      operation.ended = this.#state.moment++;
      this.#learn(operation);
    }
  }

  /** Lets the other workers build on an answer. */
  #learn({ request, outcome }: Operation): void {
    const { standing } = this.#state;
    if (request.kind === "revoke") {
      standing.leases = standing.leases.filter((id) => id !== request.id);
    }
    if (outcome.kind !== "acknowledged") return;
    const { answer } = outcome;
    this.#state.seen = Math.max(this.#state.seen, answer.revision);
    if (request.kind === "grant" && answer.kind === "lease") standing.leases.push(answer.id);
    if (answer.kind !== "kv" || !answer.mutated || request.kind !== "kv") return;
    for (const action of request.txn.success) learnMod(standing, action, answer.revision);
  }
}

/** A guess is enough: a guard that fails is as good a test. */
function learnMod(standing: Standing, action: Action, revision: number): void {
  if (action.kind === "put") standing.mods.set(action.key, revision);
  else if (action.kind === "delete" && action.end === "") standing.mods.delete(action.key);
}
