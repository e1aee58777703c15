// One machine with one member, on simulated disk and time: clients, crashes at any moment, failing disks, restarts, and the proof that
// nothing acknowledged was lost and nothing was invented.
//
// The member, its cores and its storage are the shipped code; clock, disk, randomness and clients are the simulator's. Everything is drawn
// from the seed, so a seed that fails fails again. A run draws its own settings and kinds of trouble (a swarm finds more than one tuned
// configuration). Source: reference reliability.md C.

import { EtcdMetrics, Prng, silentLogger } from "../../src/base/index.ts";
import type { KvHash } from "../../src/core/mvcc/index.ts";
import {
  buildMember,
  type Member,
  type MemberStorage,
  publishAttributes,
  publishClusterVersion,
} from "../../src/server/index.ts";
import type { DiskFault, DiskOperation } from "../../src/storage/memory/disk.ts";
import { MemoryMachine, openMemoryStorage } from "../../src/storage/memory/storage.ts";
import { Clients } from "./clients.ts";
import { History } from "./history.ts";
import { Journal } from "./journal.ts";
import { drawKnobs, type Knobs } from "./knobs.ts";
import { LogReplay } from "./log-replay.ts";
import { LifeClock, SimClock } from "./sim-clock.ts";
import { checkState } from "./state-check.ts";
import { demand, Violation } from "./violation.ts";
import { drawWeights, Workload } from "./workload.ts";

const MEMBER_ID = 0x8e9e05c52164694dn;
const CLUSTER_ID = 0xcdf818194e3a8c32n;
const ELECTION_TICKS = 10;
const TICK_MS = 100;
/** `minLeaseTtlS` of these: 15 ticks of 100 ms, rounded up to seconds. */
const MIN_TTL_S = 2;
/** Longest time in which a member must be up, come to rest, or stop. */
const PATIENCE_MS = 600_000;

/** A pause of minutes; a lease that has longer to live is checkpointed every five. */
const LONG_PAUSE_MS = 310_000;
/** Within this time after a failed write of the log or the store the process must be told to end. */
const FATAL_MS_MAX = 1000;

/** A planted bug: what it does to the storage under the member, or to the member before it starts. */
export interface Tampering {
  storage?(storage: MemberStorage, clock: LifeClock): MemberStorage;
  member?(member: Member): void;
}

/** One life with one misfortune, instead of the lives the seed would give. */
export interface Script {
  /** Events of the life. */
  readonly events: number;
  readonly ending: Ending;
  /** This disk operation fails. */
  readonly fault?: { readonly at: number; readonly fault: DiskFault };
  /** The power fails at this disk operation. */
  readonly crashAt?: number;
  /** Changes stored bytes between this life and the next; returns the path that a refusal must name, with the offset if `at`. */
  readonly damage?: (machine: MemoryMachine) => { readonly path: string; readonly at: boolean };
}

export interface SimulationOptions {
  readonly tampering?: Tampering;
  readonly script?: Script;
  /** Settings that are not drawn. */
  readonly knobs?: Partial<Knobs>;
}

/** What a run did. */
export interface RunStats {
  readonly lives: number;
  readonly entries: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly events: number;
  readonly faults: number;
  readonly revision: number;
  readonly snapshots: number;
  /** Starts from an index checkpoint. */
  readonly checkpoints: number;
  /** Requests refused because the store was full. */
  readonly full: number;
  /** Disk operations of all lives but the last. */
  readonly operations: number;
  /** Why the last life refused to start, which only damage allows. */
  readonly refused: string | undefined;
  /** Equal for two runs of one seed. */
  readonly trace: string;
}

/** One life of the program. */
interface Life {
  readonly clock: LifeClock;
  member: Member | undefined;
  clients: Clients | undefined;
  ready: boolean;
  refused: Error | undefined;
  fatal: Error | undefined;
  readonly warnings: string[];
}

/** How a life ends. */
export type Ending = "power" | "kill" | "stop";

/** Runs `seed`; throws a Violation that names it. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<RunStats> {
  try {
    return await new Simulation(seed, options).run();
  } catch (error) {
    const text = error instanceof Violation ? error.message : String((error as Error).stack);
    throw new Violation(`seed ${seed}: ${text}`);
  }
}

/** Lets everything happen that waits for no event. */
function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class Simulation {
  readonly #prng: Prng;
  readonly #options: SimulationOptions;
  readonly #clock = new SimClock();
  readonly #machine: MemoryMachine;
  readonly #journal: Journal;
  readonly #history = new History();
  readonly #workload: Workload;
  readonly #knobs: Knobs;
  #hit: { operation: DiskOperation; fault: DiskFault; atMs: number } | undefined;
  #powerFailed = false;
  #isDamaged = false;
  #operations = 0;
  #faults = 0;
  /** Seen where nothing can be thrown. */
  #violation: string | undefined;
  #lives = 0;
  #snapshots = 0;
  #checkpoints = 0;

  constructor(seed: number, options: SimulationOptions) {
    this.#prng = new Prng(seed);
    this.#options = options;
    this.#knobs = { ...drawKnobs(this.#prng.fork("knobs")), ...options.knobs };
    const latency = this.#prng.fork("latency");
    const { slowDisk, slowStore } = this.#knobs;
    this.#machine = new MemoryMachine({
      prng: this.#prng.fork("machine"),
      clock: this.#clock,
      latencyMs: ({ path }) => {
        if (path === "store" && latency.chance(slowStore)) return 300 + latency.below(3000);
        return latency.chance(slowDisk) ? latency.below(200) : latency.unit() * 0.4;
      },
    });
    this.#journal = new Journal(() => this.#clock.nowMs());
    this.#workload = new Workload(
      this.#prng.fork("workload"),
      drawWeights(this.#prng.fork("weights")),
      MEMBER_ID,
    );
  }

  async run(): Promise<RunStats> {
    const prng = this.#prng;
    if (this.#options.script !== undefined) return this.#scripted(this.#options.script);
    const lives = 1 + prng.below(4);
    for (let i = 0; i < lives; i++) {
      await this.#live(prng.pick(["power", "power", "kill", "stop"]));
      this.#clock.sleep(1 + prng.below(prng.chance(0.2) ? 5000 : 50));
    }
    return this.#lastLife();
  }

  // ----------------------------------------------------------------------------------------------------------- lives

  async #live(ending: Ending): Promise<void> {
    const prng = this.#prng;
    const life = this.#begin();
    this.#armFault();
    const events = 5 + prng.below(prng.pick([60, 300, 600]));
    await this.#drive(life, (n) => n >= events || isOver(life));
    if (life.member !== undefined && !isOver(life) && prng.chance(0.5)) {
      await this.#rest(life);
      if (!isOver(life) && prng.chance(this.#knobs.longPauses)) await this.#pause(life);
      if (!isOver(life)) this.#check(life.member);
    }
    if (isOver(life)) await this.#endOfFailed(life);
    else if (ending === "stop" && life.member !== undefined) await this.#stop(life, life.member);
    this.#end(life, ending);
  }

  /** One life as the script says, and the last. */
  async #scripted(script: Script): Promise<RunStats> {
    const life = this.#begin();
    this.#arm(script);
    const isToldOff = (): boolean =>
      this.#hit === undefined || this.#clock.nowMs() > this.#hit.atMs + FATAL_MS_MAX;
    await this.#drive(
      life,
      (n) => (n >= script.events && isToldOff()) || isOver(life) || this.#powerFailed,
    );
    if (this.#hit !== undefined && isFinal(this.#hit.operation)) {
      const { kind, path, position } = this.#hit.operation;
      demand(isOver(life), `nobody noticed the failed ${kind} of ${path} at ${position}`);
    }
    if (isOver(life)) await this.#endOfFailed(life);
    else if (script.ending === "stop") await this.#stop(life, life.member as Member);
    this.#end(life, this.#powerFailed ? "power" : script.ending);
    const damaged = script.damage?.(this.#machine);
    this.#isDamaged = damaged !== undefined;
    return this.#lastLife(damaged);
  }

  #end(life: Life, ending: Ending): void {
    this.#disarm();
    life.clients?.stop();
    life.clock.end();
    if (ending === "power") this.#machine.crash();
    else this.#machine.restart();
    this.#lives++;
    this.#operations = this.#machine.disk.operations;
    this.#clock.sleep(1);
  }

  async #lastLife(damaged?: { readonly path: string; readonly at: boolean }): Promise<RunStats> {
    const life = this.#begin();
    await this.#drive(life, () => isOver(life) || life.ready, "to be up");
    if (!isOver(life)) await this.#rest(life);
    if (damaged !== undefined && isOver(life)) {
      const text = String(life.refused ?? life.fatal);
      const isNamed = text.includes(damaged.path) && (!damaged.at || / at offset \d+/.test(text));
      demand(isNamed, `damage in ${damaged.path} was refused with: ${text}`);
      return this.#stats(new LogReplay(MIN_TTL_S), text);
    }
    demand(!isOver(life), () => `it does not start: ${String(life.refused ?? life.fatal)}`);
    const member = life.member as Member;
    this.#check(member);
    const replay = new LogReplay(MIN_TTL_S);
    for (const { entry } of this.#journal.entries) replay.apply(entry);
    this.#history.verify(this.#journal, replay);
    await this.#checkHash(life, member, replay);
    await this.#stop(life, member);
    life.clock.end();
    return this.#stats(replay, undefined);
  }

  #stats(replay: LogReplay, refused: string | undefined): RunStats {
    const history = this.#history;
    return {
      lives: this.#lives + 1,
      entries: this.#journal.entries.length,
      acknowledged: history.acknowledged,
      reads: history.reads.length,
      events: history.watches.reduce((sum, w) => sum + w.events.length, 0),
      faults: this.#faults,
      revision: replay.model.revision,
      snapshots: this.#snapshots,
      checkpoints: this.#checkpoints,
      full: history.writes.filter((w) => w.outcome === "noSpace").length,
      operations: this.#operations,
      refused,
      trace: `${this.#machine.disk.operations} ${this.#clock.nowMs()} ${replay.hashKv(replay.model.revision, -1)}`,
    };
  }

  #begin(): Life {
    const life: Life = {
      clock: new LifeClock(this.#clock),
      member: undefined,
      clients: undefined,
      ready: false,
      refused: undefined,
      fatal: undefined,
      warnings: [],
    };
    this.#open(life).catch((error: unknown) => {
      life.refused = error instanceof Error ? error : new Error(String(error));
    });
    return life;
  }

  async #open(life: Life): Promise<void> {
    const { clock } = life;
    let broke: Error | undefined;
    const onFatal = (error: Error): void => {
      broke ??= error;
      life.member?.fail(error);
    };
    const opened = await openMemoryStorage({
      metadata: Buffer.from("0801", "hex"),
      onFatal,
      machine: this.#machine,
      segmentBytes: this.#knobs.segmentBytes,
    });
    let loaded = false;
    const { sideFiles } = opened;
    const load = sideFiles.load.bind(sideFiles);
    sideFiles.load = async (name) => {
      const pieces = await load(name);
      loaded = pieces !== undefined;
      return pieces;
    };
    const journaled = this.#journal.attach(opened);
    if ((journaled.found?.snapshot.index ?? 0) > 0) this.#snapshots++;
    const storage = this.#options.tampering?.storage?.(journaled, clock) ?? journaled;
    const elections = this.#prng.fork("elections");
    const logger = { ...silentLogger, warn: (text: string) => void life.warnings.push(text) };
    const member = await buildMember({
      settings: {
        id: MEMBER_ID,
        clusterId: CLUSTER_ID,
        tickMs: TICK_MS,
        electionTicks: ELECTION_TICKS,
        requestBytesMax: 1 << 20,
        snapFilesMax: 2,
        slowApplyMs: 100,
        ...this.#knobs,
      },
      self: { id: MEMBER_ID, peerUrls: ["http://p"], isLearner: false, name: "m", clientUrls: [] },
      preVote: this.#knobs.preVote,
      learnersMax: 1,
      leaseCheckpoints: this.#knobs.leaseCheckpoints,
      valueBytesMax: this.#knobs.valueBytesMax,
      storeSizes: this.#knobs.storeSizes,
      storage,
      clock,
      randomElectionTicks: (ticks) => ticks + elections.below(ticks),
      logger,
      metrics: new EtcdMetrics(false),
      onFatal: (error) => this.#fatal(life, error),
    });
    if (broke !== undefined) throw broke;
    if (loaded && life.warnings.length === 0) this.#checkpoints++;
    this.#options.tampering?.member?.(member);
    life.member = member;
    const prng = this.#prng.fork("clients");
    life.clients = new Clients(member, clock, prng, this.#workload, this.#history);
    const startsEarly = prng.chance(0.5);
    const up = (): void => {
      life.ready = true;
      if (!startsEarly) life.clients?.start();
    };
    member.start(() => {
      publishClusterVersion(member, "3.7.0", () => {
        publishAttributes(member, { name: "m", clientUrls: ["http://c"] }, up);
      });
    });
    if (startsEarly) life.clients.start();
  }

  #fatal(life: Life, error: Error): void {
    if (life.fatal !== undefined) {
      this.#violation ??= `a second fatal error: ${String(error)}`;
    } else if (this.#hit === undefined && !this.#isDamaged) {
      this.#violation ??= `a fatal error without a fault: ${String(error.stack)}`;
    }
    life.fatal = error;
    life.clients?.onFatal();
  }

  /** After a failure the process ends; a program that embeds the member may stop it first. */
  async #endOfFailed(life: Life): Promise<void> {
    const error = life.refused ?? life.fatal;
    const { operation } = this.#hit ?? {};
    demand(operation !== undefined, () => `it refused without a fault: ${String(error?.stack)}`);
    demand(
      String(error).includes(operation.path),
      () => `the message names no file: ${String(error)}`,
    );
    await this.#drive(life, (n) => n >= 30);
    if (life.member !== undefined && this.#prng.chance(0.5)) await this.#stop(life, life.member);
  }

  async #stop(life: Life, member: Member): Promise<void> {
    let stopped: "no" | "yes" | Error = "no";
    life.clients?.stop();
    member.stop().then(
      () => {
        stopped = "yes";
      },
      (error: Error) => {
        stopped = error;
      },
    );
    await this.#drive(life, () => stopped !== "no", "to stop");
    const outcome: unknown = stopped;
    demand(
      !(outcome instanceof Error) || this.#hit !== undefined,
      () => `stop: ${String(outcome)}`,
    );
  }

  // ------------------------------------------------------------------------------------------------------------ events

  /** Lets events happen until `until` (given their number); with `patience`, no longer than that may take. */
  async #drive(life: Life, until: (events: number) => boolean, patience?: string): Promise<void> {
    const deadlineMs = this.#clock.nowMs() + PATIENCE_MS;
    await drain();
    for (let n = 0; !until(n); n++) {
      if (!this.#clock.step()) {
        demand(patience === undefined, `nothing happens any more; it was ${patience}`);
        return;
      }
      await drain();
      if (this.#violation !== undefined) throw new Violation(this.#violation);
      if (this.#options.tampering === undefined) this.#checkInside(life);
      demand(patience === undefined || this.#clock.nowMs() < deadlineMs, () => {
        const m = life.member;
        return `it took more than ${PATIENCE_MS} ms ${patience}; ready ${life.ready}, leader ${m?.isLeader}, applied ${m?.appliedIndex} of ${this.#journal.entries.length}, ${m?.pendingProposals} pending, compacting ${m?.store.isCompacting}, watchers ${m?.watches.hub.unsyncedCount}`;
      });
    }
  }

  /** What no client can see at once: nothing is applied before it is durable. */
  #checkInside({ member }: Life): void {
    const { durableIndex } = this.#journal;
    demand(
      member === undefined || member.appliedIndex <= durableIndex,
      `entry ${member?.appliedIndex} is applied, durable is ${durableIndex}`,
    );
  }

  /** Lets everything under way come to an end. */
  async #rest(life: Life): Promise<void> {
    const { member, clients } = life;
    if (member === undefined) return;
    clients?.stop();
    const isAtRest = (): boolean =>
      member.isLeader &&
      member.pendingProposals === 0 &&
      member.appliedIndex === this.#journal.entries.length &&
      !member.store.isCompacting &&
      clients?.watchesAreSettled !== false;
    await this.#drive(life, () => isOver(life) || (life.ready && isAtRest()), "to come to rest");
    clients?.settleWatches();
  }

  /** Minutes without clients: leases end, and long ones are checkpointed. */
  async #pause(life: Life): Promise<void> {
    const untilMs = this.#clock.nowMs() + LONG_PAUSE_MS;
    await this.#drive(life, () => isOver(life) || this.#clock.nowMs() >= untilMs);
    await this.#rest(life);
  }

  #check(member: Member): void {
    checkState(member, this.#journal, new LogReplay(MIN_TTL_S), this.#prng.fork("check"));
  }

  async #checkHash(life: Life, member: Member, replay: LogReplay): Promise<void> {
    const { model } = replay;
    const oldest = Math.max(1, model.compactRevision);
    for (const revision of [model.revision, oldest, (oldest + model.revision) >> 1]) {
      let found: unknown;
      member.hashKv(revision, (outcome) => {
        found = outcome;
      });
      await this.#drive(life, () => found !== undefined, "to hash");
      const { hash, hashRevision, compactRevision } = found as KvHash;
      const isKept = compactRevision !== model.compactRevision;
      demand(
        !isKept || revision === model.compactRevision,
        `HashKV at ${revision} is of compact revision ${compactRevision}`,
      );
      const expected = replay.hashKv(revision, compactRevision, isKept);
      demand(
        hashRevision === revision && hash === expected,
        `HashKV at ${revision} is ${hash} instead of ${expected}, compacted at ${model.compactRevision}`,
      );
    }
  }

  // ------------------------------------------------------------------------------------------------------------- faults

  /** In some lives, one disk operation fails. */
  #armFault(): void {
    const prng = this.#prng;
    if (!prng.chance(this.#knobs.faults)) return;
    const at = this.#machine.disk.operations + 1 + prng.below(prng.pick([10, 40, 150]));
    const fault = prng.pick(["eio", "enospc", "short"] as const);
    this.#arm({ fault: { at, fault } });
  }

  #arm({ fault, crashAt }: Pick<Script, "fault" | "crashAt">): void {
    this.#machine.disk.fault = (operation) => {
      if (operation.number === crashAt) this.#powerFailed = true;
      if (operation.number !== fault?.at) return undefined;
      this.#hit = { operation, fault: fault.fault, atMs: this.#clock.nowMs() };
      this.#faults++;
      return fault.fault;
    };
  }

  #disarm(): void {
    this.#machine.disk.fault = () => undefined;
    this.#hit = undefined;
  }
}

function isOver(life: Life): boolean {
  return life.refused !== undefined || life.fatal !== undefined;
}

/** True for an operation without which nothing may be acknowledged any more. */
function isFinal({ kind, path, position }: DiskOperation): boolean {
  if (path === "store") return true;
  return kind === "write" && /^\/wal\/.*(\.wal|\.tmp)$/.test(path) && position > 0;
}
