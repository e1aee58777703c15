// One data directory through many lives of its server: start (with kills on the way), judge what is there, load, kill.

import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../src/base/index.ts";
import {
  freePort,
  type ServerCommand,
  type ServerProcess,
  spawnServer,
  untilReady,
} from "../support/server-process.ts";
import { find } from "./finding.ts";
import { drawPlan, type MomentOutcome, type RoundPlan, untilMoment } from "./kill.ts";
import { type Evidence, Ledger, type Verdict } from "./ledger.ts";
import { Load, type LoadState, newLoadState } from "./load.ts";

/** How long a restart may take until the first answer, on a busy machine. */
const readyMsMax = 60_000;
/** Older revisions read after each restart. */
const pastCount = 3;
/** Starts that may fail because a port was taken meanwhile by someone else. */
const portTriesMax = 5;

const nothing: Evidence = { operations: [], told: [], toldRevision: 0, problems: [] };

/** A data directory and all that is known of it. */
export class Life {
  readonly #command: ServerCommand;
  readonly #prng: Prng;
  readonly #ledger: Ledger = new Ledger();
  readonly #state: LoadState = newLoadState();
  readonly dir: string;
  #ports: { client: number; peer: number } | undefined;
  #server: ServerProcess | undefined;
  #evidence: Evidence = nothing;
  #momentOutcome: MomentOutcome = "come";

  /** `dir` must not exist yet, its parent must. */
  constructor(command: ServerCommand, dir: string, seed: number) {
    this.#command = command;
    this.#prng = new Prng(seed);
    this.dir = dir;
  }

  /** Revision of the last judgement. */
  get revision(): number {
    return this.#ledger.model.revision;
  }

  get compacted(): number {
    return this.#ledger.compacted;
  }

  /** How the last wait for the moment of a kill ended. */
  get momentOutcome(): MomentOutcome {
    return this.#momentOutcome;
  }

  /** Draws how the next round goes. */
  drawPlan(): RoundPlan {
    return drawPlan(this.#prng.fork("plan"));
  }

  /** Starts the server, killing it `startKillsMs` after its first starts. Rejects with the end of its log when it does not start. */
  async start(plan: Pick<RoundPlan, "startKillsMs" | "flags">): Promise<void> {
    for (const afterMs of plan.startKillsMs) {
      const server = await this.#spawn(plan.flags);
      await Promise.race([sleep(afterMs), server.exited]);
      await server.kill();
    }
    for (let attempt = 1; ; attempt++) {
      const server = await this.#spawn(plan.flags);
      try {
        await untilReady(server, readyMsMax);
        this.#server = server;
        return;
      } catch (error) {
        await server.kill();
        if (!/EADDRINUSE|address already in use/.test(server.logTail(5))) throw error;
        if (attempt >= portTriesMax) throw error;
        this.#ports = undefined;
      }
    }
  }

  async #spawn(flags: readonly string[]): Promise<ServerProcess> {
    this.#ports ??= { client: await freePort(), peer: await freePort() };
    const { client, peer } = this.#ports;
    const command = this.#command;
    return await spawnServer({ command, dir: this.dir, flags, clientPort: client, peerPort: peer });
  }

  /** Judges what the running server holds against everything known, the last load included. */
  async judge(): Promise<Verdict> {
    const server = this.#running();
    const finding = await find(server.endpoint, {
      hashRevisions: this.#ledger.hashRevisions,
      past: (compacted, revision) => {
        const least = Math.max(compacted, 1);
        const span = revision - least + 1;
        const drawn = Array.from({ length: pastCount }, () => least + this.#prng.below(span));
        return [...new Set([least, ...drawn])];
      },
    });
    const verdict = this.#ledger.judge(this.#evidence, finding);
    this.#evidence = nothing;
    this.#state.seen = Math.max(this.#state.seen, finding.revision);
    this.#state.standing.toldRevision = finding.revision;
    this.#state.standing.leases = this.#ledger.leases.alive;
    return verdict;
  }

  /** Loads the running server and kills it at the plan's moment. */
  async loadAndKill(plan: Pick<RoundPlan, "moment" | "shape">): Promise<Evidence> {
    const server = this.#running();
    const load = new Load(server.endpoint, this.#state, plan.shape, this.#prng.fork("load"));
    this.#momentOutcome = await untilMoment(server, plan.moment);
    load.expectKill();
    if (plan.moment.name === "stop") await server.stop(plan.moment.graceMs);
    else await server.kill();
    this.#server = undefined;
    const evidence = await load.end();
    const died = `the server ended by itself:\n${server.logTail()}`;
    this.#evidence =
      this.#momentOutcome === "ended"
        ? { ...evidence, problems: [died, ...evidence.problems] }
        : evidence;
    return this.#evidence;
  }

  /** Ends the server, if it runs. */
  async close(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
  }

  #running(): ServerProcess {
    if (this.#server === undefined) throw new Error("the server does not run");
    return this.#server;
  }
}
