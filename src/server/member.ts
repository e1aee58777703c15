// One member: the cores, the log and the ports put together, and the face the RPC services see.
//
// Everything happens on one thread in whole turns; no method here waits. What a client may be told is told by the applier (its request is
// durable and applied) or by `reads` (everything acknowledged before is applied).
// Source: etcd server/etcdserver/server.go, taken apart.

import { assert, type EtcdMetrics, formatDuration, type Logger } from "../base/index.ts";
import type { LeaseRest, Lessor } from "../core/lease/index.ts";
import { idText, type RaftCluster } from "../core/membership/index.ts";
import { type KvHash, MemberHeader, type MvccStore } from "../core/mvcc/index.ts";
import type { RawNode } from "../core/raft/index.ts";
import {
  AlarmRequestCodec,
  AlarmType,
  type Codec,
  createAlarmRequest,
  createEntry,
  createLeaseCheckpoint,
  createLeaseCheckpointRequest,
  createLeaseRevokeRequest,
  type Entry,
  LeaseCheckpointRequestCodec,
  LeaseRevokeRequestCodec,
  type Message,
} from "../proto/index.ts";
import { Alarms } from "./apply/alarms.ts";
import { Applier } from "./apply/applier.ts";
import { QUOTA_BYTES_DEFAULT } from "./apply/quota.ts";
import { Background } from "./background.ts";
import type { RaftParts } from "./bootstrap.ts";
import type { CheckpointStamp } from "./checkpoint-file.ts";
import type { CheckpointOptions } from "./checkpointer.ts";
import type { Compactor, CompactorOptions } from "./compactor.ts";
import { hashBackend } from "./hash-backend.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { Cancel, Clock, MemberStorage } from "./ports.ts";
import {
  Arm,
  EntryBuilder,
  entrySize,
  nobody,
  Proposal,
  type StagedRequest,
  type Waiter,
} from "./proposal.ts";
import { LinearizableReads, type Reader } from "./read.ts";
import { ReadyLoop } from "./ready.ts";
import type { Refusal } from "./refusal.ts";
import { RequestIds } from "./request-id.ts";
import { Turn } from "./turn.ts";
import { WatchDriver } from "./watch-driver.ts";

/** Bytes handed to the backend and not yet written, above which no further proposal is taken. */
const BACKEND_QUEUED_BYTES_MAX = 64 << 20;
/** How long to wait before looking again whether a blocked backend has caught up, in milliseconds. */
const BACKEND_POLL_MS = 2;
/** Ticks between heartbeat and the request timeout: 5 s on top of two election timeouts. */
const REQUEST_TIMEOUT_BASE_MS = 5000;

/** Rows hashed in one turn: about five milliseconds. */
const HASH_ROWS_PER_STEP = 10_000;

/** Settings of a member. */
export interface MemberSettings {
  readonly id: bigint;
  readonly clusterId: bigint;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly snapshotCount: number;
  readonly catchupEntries: number;
  /** Raft snapshot files to keep; 0 keeps all. */
  readonly snapFilesMax: number;
  /** As configured: 0 for the default, negative for none. */
  readonly quotaBytes: number;
  /** Largest encoded InternalRaftRequest. */
  readonly requestBytesMax: number;
  /** An apply pass longer than this is logged, in milliseconds. */
  readonly slowApplyMs: number;
  readonly compaction: CompactorOptions;
  /** When index checkpoints are written; undefined for `defaultCheckpoints`. */
  readonly checkpoints?: CheckpointOptions;
}

/** The state a member starts from. */
export interface MemberState {
  readonly store: MvccStore;
  readonly lessor: Lessor;
  readonly cluster: RaftCluster;
  readonly alarms: Alarms;
  /** The index checkpoint the store was built from, if any: its values are not in memory yet. */
  readonly checkpoint: CheckpointStamp | undefined;
}

/** What a member is built from. */
export interface MemberParts {
  readonly settings: MemberSettings;
  readonly raft: RaftParts;
  readonly state: MemberState;
  readonly storage: MemberStorage;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counters this member updates. */
  readonly metrics: EtcdMetrics;
  /** Something broke that must end the process. */
  readonly onFatal: (error: Error) => void;
}

/** The timeout of a request, from etcd's formula. */
export function requestTimeoutMs(
  settings: Pick<MemberSettings, "tickMs" | "electionTicks">,
): number {
  return REQUEST_TIMEOUT_BASE_MS + 2 * settings.electionTicks * settings.tickMs;
}

/** A running member. */
export class Member {
  readonly id: bigint;
  readonly clusterId: bigint;
  readonly clock: Clock;
  /** Counters of this member; who does the work counts it. */
  readonly metrics: EtcdMetrics;
  readonly store: MvccStore;
  readonly lessor: Lessor;
  readonly cluster: RaftCluster;
  readonly alarms: Alarms;
  readonly reads: LinearizableReads;
  readonly watches: WatchDriver;
  readonly compactor: Compactor;
  /** Encodes the header of every response; its term follows the applier. */
  readonly header: MemberHeader;
  readonly #settings: MemberSettings;
  readonly #node: RawNode;
  readonly #storage: MemberStorage;
  readonly #logger: Logger;
  readonly #onFatal: (error: Error) => void;
  readonly #ids: RequestIds;
  readonly #entries: EntryBuilder;
  readonly #turn: Turn;
  readonly #ready: ReadyLoop;
  readonly #applier: Applier;
  readonly #background: Background;
  readonly #leases: LeaseKeeper;
  readonly #revoked: Map<bigint, (() => void)[]> = new Map();
  #leader = 0n;
  #cancelTick: Cancel | undefined;
  #nextTickMs = 0;
  #blockedPoll = false;
  /** Refused once this member's NOSPACE alarm, which was proposed for the first of them, is active. */
  #wantNoSpace: Waiter[] = [];
  /** Nothing is taken any more: the member stops, or broke. */
  #stopped = false;
  #closing = false;
  /** What broke while the member stopped: `stop` rejects with it instead of `onFatal`. */
  #brokeInStop: unknown;
  #onBrokeInStop: (() => void) | undefined;
  #onLeader: (() => void) | undefined;

  constructor(parts: MemberParts) {
    const { settings, raft, state, storage, clock } = parts;
    this.id = settings.id;
    this.clusterId = settings.clusterId;
    this.clock = clock;
    this.store = state.store;
    this.lessor = state.lessor;
    this.cluster = state.cluster;
    this.alarms = state.alarms;
    this.#settings = settings;
    this.#node = raft.node;
    this.#storage = storage;
    this.#logger = parts.logger;
    this.metrics = parts.metrics;
    this.#onFatal = parts.onFatal;
    this.header = new MemberHeader(settings.clusterId, settings.id);
    this.#ids = new RequestIds(settings.id, clock.wallMs());
    this.#entries = new EntryBuilder(this.#ids);
    const timeoutMs = requestTimeoutMs(settings);
    const sink = {
      accept: (batch: readonly Proposal[]) => this.#accept(batch),
      isBlocked: () => this.#isBlocked(),
    };
    this.#turn = new Turn(clock, sink, timeoutMs, () => this.#pump());
    const { backend } = storage;
    this.#applier = new Applier(
      state,
      {
        onFirstEntryOfTerm: () => this.#onFirstEntryOfTerm(),
        onBeforeCompaction: () => this.watches.flush(),
        onCompactionScheduled: () => this.compactor.wake(),
        onLeaseRevoked: (id) => this.#onLeaseRevoked(id),
        onQuotaExceeded: (waiter) => this.raiseNoSpace(waiter),
        hasSpaceFor: (cost) => this.hasSpaceFor(cost),
      },
      { backend, node: raft.node, turn: this.#turn, clock, metrics: parts.metrics },
      backend.opened.confState ?? state.cluster.confState(),
    );
    this.#ready = new ReadyLoop(raft.node, raft.log, storage.wal, raft.hardState, clock, {
      apply: (entries) => this.#apply(entries),
      send: (message) => this.#send(message),
      onReadState: (index, context) => this.reads.onReadState(index, context),
      onSoftState: (leader) => this.#onSoftState(leader),
      pump: () => this.#pump(),
      pumpLater: () => this.#turn.arm(),
      onSynced: (tookMs) => parts.metrics.disk.walFsyncDuration.observe(tookMs / 1000),
    });
    this.reads = this.#newReads(timeoutMs);
    this.#background = new Background({
      ...parts,
      ready: this.#ready,
      applier: this.#applier,
      onFatal: (error) => this.fail(error),
    });
    this.compactor = this.#background.compactor;
    this.#leases = new LeaseKeeper(state.lessor, clock, {
      revoke: (id, waiter) => this.#expire(id, waiter),
      checkpoint: (rests) => this.#checkpointLeases(rests, nobody),
    });
    this.watches = new WatchDriver(state.store, clock);
  }

  #newReads(timeoutMs: number): LinearizableReads {
    const source = {
      canReadNow: () => this.#canReadNow(),
      appliedIndex: () => this.#applier.index,
      requestReadIndex: (context: Uint8Array) => {
        this.#node.readIndex(context);
        this.#turn.arm();
      },
    };
    return new LinearizableReads(source, this.clock, this.#ids, timeoutMs);
  }

  // ------------------------------------------------------------------------------------------------------------ life

  /** Begins to tick. A single voter campaigns at once; `onLeader` is called when this member first leads. */
  start(onLeader: () => void): void {
    this.#onLeader = onLeader;
    this.header.raftTerm = this.#applier.term;
    this.#nextTickMs = this.clock.nowMs() + this.#settings.tickMs;
    this.#tickLater();
    this.#leases.start();
    this.#background.start();
    this.#pump();
  }

  /** Refuses everybody who waits, and all who come. */
  refuseAll(): void {
    this.watches.stop();
    this.#turn.stop();
    this.reads.stop();
  }

  /**
   * Stops: refuses everybody who waits, takes nothing more, lets the disk finish, closes the storage. Rejects if the disk breaks
   * meanwhile; a failure before has been reported already.
   */
  async stop(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const failed = this.#stopped;
    this.refuseAll();
    this.#stopped = true;
    this.#cancelTick?.();
    this.#leases.stop();
    if (failed) this.#background.abandon();
    else {
      const broke = new Promise<void>((resolve) => {
        this.#onBrokeInStop = resolve;
      });
      await Promise.race([this.#background.stop(), broke]);
    }
    this.#ready.stop();
    await this.#storage.close().catch((error: unknown) => {
      if (!failed) throw error;
    });
    if (this.#brokeInStop !== undefined) throw this.#brokeInStop;
  }

  /** A part of the member broke: nothing is acknowledged any more, and the process must end. */
  fail(error: unknown): void {
    this.#background.abandon();
    if (this.#onBrokeInStop !== undefined) {
      this.#brokeInStop ??= error;
      this.#onBrokeInStop();
    }
    if (this.#stopped) return;
    this.#stopped = true;
    this.#ready.stop();
    this.#cancelTick?.();
    // Not inside what may be an apply pass.
    this.clock.endOfTurn(() => this.refuseAll());
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  // ------------------------------------------------------------------------------------------------------------ state

  /** Id of the leader, 0 if none is known. */
  get leader(): bigint {
    return this.#leader;
  }

  get isLeader(): boolean {
    return this.#node.role === "leader";
  }

  get appliedIndex(): number {
    return this.#applier.index;
  }

  get appliedTerm(): number {
    return this.#applier.term;
  }

  get committedIndex(): number {
    return this.#node.committed;
  }

  /** Proposals that wait to be applied. */
  get pendingProposals(): number {
    return this.#turn.pending;
  }

  /** The newest revision. */
  get currentRevision(): number {
    return this.store.revision;
  }

  /** Allocated size of the backend: what is on disk and what is on its way there. */
  get backendSizeBytes(): number {
    const { backend } = this.#storage;
    return backend.sizeBytes + backend.queuedBytes;
  }

  /** The quota as Status shows it. */
  get quotaBytes(): number {
    return this.#settings.quotaBytes === 0 ? QUOTA_BYTES_DEFAULT : this.#settings.quotaBytes;
  }

  /** Calls back with HashKV at `revision` (0: the newest), or its refusal; the work is spread over turns. */
  hashKv(revision: number, callback: (outcome: KvHash | Refusal) => void): void {
    const begun = this.store.hashKv(revision);
    if (begun === "wait") {
      this.compactor.whenIdle(() => this.hashKv(revision, callback));
    } else if (typeof begun === "object" && "step" in begun) {
      const goOn = (): void => {
        if (this.#stopped) begun.abort();
        else if (begun.step(HASH_ROWS_PER_STEP)) callback(begun.result);
        else this.clock.endOfTurn(goOn);
      };
      goOn();
    } else callback(begun);
  }

  /** CRC-32C over everything in the backend but the bookkeeping of the log (Maintenance.Hash). */
  hashBackend(): Promise<number> {
    return hashBackend(this.#storage.backend);
  }

  /** Version of the stored schema, as etcd names it. */
  get storageVersion(): string {
    return this.cluster.version ?? "";
  }

  /** True if `costBytes` more fit the quota. */
  hasSpaceFor(costBytes: number): boolean {
    const quota = this.quotaBytes;
    return costBytes === 0 || quota < 0 || this.backendSizeBytes + costBytes < quota;
  }

  /** Largest request in the log, in bytes. */
  get requestBytesMax(): number {
    return this.#settings.requestBytesMax;
  }

  /** An id for a lease that the client leaves to the server. */
  nextLeaseId(): bigint {
    return this.#ids.nextLeaseId();
  }

  // -------------------------------------------------------------------------------------------------------- requests

  /** Copies the encoded request buf[start, end) to where it is decoded from and kept: the entry it becomes if it is proposed. */
  stage(arm: Arm, buf: Uint8Array, start: number, end: number): StagedRequest {
    if (entrySize(arm, end - start) > this.#settings.requestBytesMax) {
      return { buf, start, end, entryBytes: undefined };
    }
    return this.#entries.stage(arm, buf, start, end);
  }

  /** Proposes a staged request; `request` is the same, decoded from it, and must not change afterwards. */
  propose(arm: Arm, request: unknown, staged: StagedRequest, waiter: Waiter): void {
    const { entryBytes } = staged;
    if (entryBytes === undefined) {
      waiter.onRefused("requestTooLarge");
      return;
    }
    const proposal = new Proposal(arm, request, entryBytes, waiter, this.#turn.nowMs());
    const refusal = this.#turn.submit(proposal);
    if (refusal !== undefined) waiter.onRefused(refusal);
  }

  /** Proposes a request that the member itself made, or changed. */
  proposeMessage<T>(arm: Arm, codec: Codec<T>, request: T, waiter: Waiter): void {
    const buf = Buffer.allocUnsafe(codec.size(request));
    codec.write(request, buf, 0);
    this.propose(arm, request, this.stage(arm, buf, 0, buf.length), waiter);
  }

  /** Raises this member's NOSPACE alarm and then refuses `waiter`, whatever became of the alarm. */
  raiseNoSpace(waiter: Waiter): void {
    if (this.alarms.has(AlarmType.NOSPACE, this.id)) {
      waiter.onRefused("noSpace");
      return;
    }
    this.#wantNoSpace.push(waiter);
    if (this.#wantNoSpace.length > 1) return;
    const refuse = (): void => {
      const waiting = this.#wantNoSpace;
      this.#wantNoSpace = [];
      for (const each of waiting) each.onRefused("noSpace");
    };
    const request = createAlarmRequest({ action: 1, memberId: this.id, alarm: AlarmType.NOSPACE });
    this.#logger.warn("raising alarm", { alarm: "NOSPACE", "member-id": idText(this.id) });
    this.proposeMessage(Arm.alarm, AlarmRequestCodec, request, {
      onApplied: refuse,
      onRefused: refuse,
    });
  }

  /** Calls back after a revocation of lease `id` was applied. */
  whenLeaseRevoked(id: bigint, callback: () => void): void {
    const waiting = this.#revoked.get(id);
    if (waiting === undefined) this.#revoked.set(id, [callback]);
    else waiting.push(callback);
  }

  /** Replicates that lease `id` has its whole TTL again, then calls back. */
  resetLeaseCheckpoint(id: bigint, callback: () => void): void {
    const waiter = { onApplied: callback, onRefused: callback };
    this.#checkpointLeases([{ id, remainingTtlS: 0 }], waiter);
  }

  /** Calls `reader` once a read is linearizable. */
  whenReadable(reader: Reader): void {
    this.reads.wait(reader);
  }

  // ------------------------------------------------------------------------------------------------------------- turn

  #pump(): void {
    if (this.#stopped) return;
    this.#turn.handOver();
    this.#ready.run();
    if (this.#leader === 0n) this.#campaignAlone();
  }

  /** The only voter has nobody to wait for: it campaigns as soon as it has applied what it knows to be committed. */
  #campaignAlone(): void {
    const node = this.#node;
    if (node.role !== "follower" || node.applied !== node.committed || !this.#isOnlyVoter()) return;
    node.campaign();
    this.#ready.run();
  }

  #accept(batch: readonly Proposal[]): { index: number; term: number } | "noLeader" | "dropped" {
    if (this.#node.role !== "leader") return "noLeader";
    const entries: Entry[] = new Array(batch.length);
    for (let i = 0; i < batch.length; i++) {
      entries[i] = createEntry({ data: (batch[i] as Proposal).entryBytes });
    }
    if (this.#node.propose(entries) !== "ok") return "dropped";
    return { index: this.#node.lastIndex - batch.length + 1, term: this.#node.term };
  }

  #isBlocked(): boolean {
    if (this.#storage.backend.queuedBytes <= BACKEND_QUEUED_BYTES_MAX) return false;
    if (!this.#blockedPoll) {
      this.#blockedPoll = true;
      this.clock.after(BACKEND_POLL_MS, () => {
        this.#blockedPoll = false;
        this.#pump();
      });
    }
    return true;
  }

  #apply(entries: readonly Entry[]): void {
    const startedMs = this.clock.nowMs();
    this.#applier.apply(entries);
    const tookMs = this.clock.nowMs() - startedMs;
    if (tookMs > this.#settings.slowApplyMs) this.#reportSlowApply(tookMs, entries.length);
    this.header.raftTerm = this.#applier.term;
    this.reads.onApplied(this.#applier.index);
    this.watches.flush();
    this.#background.onApplied(this.#applier.index, this.#applier.confState);
  }

  #reportSlowApply(tookMs: number, entryCount: number): void {
    this.metrics.server.slowApply.inc();
    this.#logger.warn("apply request took too long", {
      took: formatDuration(tookMs),
      "expected-duration": formatDuration(this.#settings.slowApplyMs),
      "request-count": entryCount,
    });
  }

  #canReadNow(): boolean {
    const node = this.#node;
    return (
      node.role === "leader" &&
      this.#applier.term === node.term &&
      this.#applier.index === node.committed &&
      this.#isOnlyVoter()
    );
  }

  #isOnlyVoter(): boolean {
    const { voters, votersOutgoing } = this.#applier.confState;
    return voters.length === 1 && votersOutgoing.length === 0 && voters[0] === this.id;
  }

  #send(message: Message): void {
    assert(message.to === this.id, "a member alone has nobody to send to");
    this.#node.step(message);
  }

  #onSoftState(leader: bigint): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    if (leader !== 0n) this.metrics.server.leaderChangesSeen.inc();
    this.#logger.info("leader changed", {
      leader: idText(leader),
      "local-member-id": idText(this.id),
    });
    this.reads.onLeaderChange();
    this.#leases.forget();
    if (leader !== this.id && this.lessor.isPrimary) this.lessor.demote();
    if (leader === this.id) this.#onLeader?.();
    this.#onLeader = undefined;
    this.#turn.arm();
  }

  #onFirstEntryOfTerm(): void {
    this.reads.onFirstCommitInTerm();
    if (!this.isLeader) return;
    const extendMs = this.#settings.electionTicks * this.#settings.tickMs;
    this.lessor.promote(this.clock.nowMs(), extendMs);
  }

  #expire(id: bigint, waiter: Waiter): void {
    this.metrics.lease.expired.inc();
    const request = createLeaseRevokeRequest({ id });
    this.proposeMessage(Arm.leaseRevoke, LeaseRevokeRequestCodec, request, waiter);
  }

  #checkpointLeases(rests: readonly LeaseRest[], waiter: Waiter): void {
    const checkpoints = rests.map(({ id, remainingTtlS }) =>
      createLeaseCheckpoint({ id, remainingTtl: remainingTtlS }),
    );
    const request = createLeaseCheckpointRequest({ checkpoints });
    this.proposeMessage(Arm.leaseCheckpoint, LeaseCheckpointRequestCodec, request, waiter);
  }

  #onLeaseRevoked(id: bigint): void {
    const waiting = this.#revoked.get(id);
    if (waiting === undefined) return;
    this.#revoked.delete(id);
    for (const callback of waiting) callback();
  }

  #tickLater(): void {
    const delayMs = Math.max(0, this.#nextTickMs - this.clock.nowMs());
    this.#cancelTick = this.clock.after(delayMs, () => {
      const nowMs = this.clock.nowMs();
      // After a stall one tick stands for all that were missed: elections count turns in which messages could be read.
      this.#nextTickMs = Math.max(this.#nextTickMs + this.#settings.tickMs, nowMs);
      this.#node.tick();
      this.reads.tick(nowMs);
      this.#turn.tick(nowMs);
      this.#pump();
      if (!this.#stopped) this.#tickLater();
    });
  }
}
