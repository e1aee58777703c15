// Applies committed entries, in log order, to the state of this member: a pure function of (state, entry), the same on every member.
//
// One call of `apply` is one pass: all rows it writes and the mark (applied index, its term, the ConfState) go to the backend in one
// batch, handed over at its end. Callers hear of their requests inside the pass, watchers after it.
// The layers of etcd's applier chain are here in its order: corrupt alarm, NOSPACE alarm, quota, backend.
// Source: etcd server/etcdserver/server.go apply, server/etcdserver/apply.

import { assert, type EtcdMetrics, must } from "../../base/index.ts";
import { encodeLeaseRow, type Lessor, leaseRowKey } from "../../core/lease/index.ts";
import {
  CLUSTER_VERSION_KEY,
  encodeMemberRow,
  memberRowKey,
  type RaftCluster,
} from "../../core/membership/index.ts";
import { type MvccRefusal, type MvccStore, revisionBytes } from "../../core/mvcc/index.ts";
import type { RawNode } from "../../core/raft/index.ts";
import {
  type AlarmRequest,
  type ClusterMemberAttrSetRequest,
  type ClusterVersionSetRequest,
  type CompactionRequest,
  type ConfState,
  createAlarmResponse,
  createCompactionResponse,
  createLeaseGrantResponse,
  createLeaseRevokeResponse,
  createResponseHeader,
  type DeleteRangeRequest,
  type Entry,
  EntryType,
  type LeaseCheckpointRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type PutRequest,
  type TxnRequest,
} from "../../proto/index.ts";
import { type Backend, type BackendBatch, Bucket, type Clock } from "../ports.ts";
import { Arm, nobody, type Waiter } from "../proposal.ts";
import type { Refusal } from "../refusal.ts";
import type { Turn } from "../turn.ts";
import type { Alarms } from "./alarms.ts";
import { BatchSink } from "./batch-sink.ts";
import { applyConfChange } from "./conf-change.ts";
import { LEASE_QUOTA_COST_BYTES, putCostBytes, txnCostBytes } from "./quota.ts";
import { requestOf } from "./request.ts";

/** Backend key of a compaction that was ordered, and of one whose rows are all removed. */
export const SCHEDULED_COMPACT_KEY: Uint8Array = Buffer.from("scheduledCompactRev");
export const FINISHED_COMPACT_KEY: Uint8Array = Buffer.from("finishedCompactRev");

/** The state entries are applied to. */
export interface ApplierState {
  readonly store: MvccStore;
  readonly lessor: Lessor;
  readonly cluster: RaftCluster;
  readonly alarms: Alarms;
}

/** What the applier tells the rest of the member. All are called inside the pass. */
export interface ApplierEvents {
  /** An empty entry: the leader of a new term has committed its first. */
  onFirstEntryOfTerm(): void;
  /** Watchers must have the events so far before rows may go. */
  onBeforeCompaction(): void;
  onCompactionScheduled(): void;
  onLeaseRevoked(id: bigint): void;
  /** A write did not fit the quota: this member must raise its NOSPACE alarm, and then refuse the one who waits. */
  onQuotaExceeded(waiter: Waiter): void;
  hasSpaceFor(costBytes: number): boolean;
}

/** A write that was applied and does not fit the quota. */
const OVER_QUOTA: unique symbol = Symbol("over quota");

/** What became of a request: a response whose header holds the revision, or why it was refused. */
type Outcome = object | Refusal | typeof OVER_QUOTA;

/** Applies entries to one member's state. */
export class Applier {
  readonly #state: ApplierState;
  readonly #events: ApplierEvents;
  readonly #backend: Backend;
  readonly #node: RawNode;
  readonly #turn: Turn;
  readonly #clock: Clock;
  readonly #metrics: EtcdMetrics;
  readonly #sink: BatchSink = new BatchSink();
  #confState: ConfState;
  #index: number;
  #term: number;

  constructor(
    state: ApplierState,
    events: ApplierEvents,
    parts: {
      backend: Backend;
      node: RawNode;
      turn: Turn;
      clock: Clock;
      metrics: EtcdMetrics;
    },
    confState: ConfState,
  ) {
    this.#state = state;
    this.#events = events;
    this.#backend = parts.backend;
    this.#node = parts.node;
    this.#turn = parts.turn;
    this.#clock = parts.clock;
    this.#metrics = parts.metrics;
    this.#confState = confState;
    this.#index = parts.backend.opened.index;
    this.#term = parts.backend.opened.term;
  }

  /** Index of the last applied entry. */
  get index(): number {
    return this.#index;
  }

  /** Term of the last applied entry. */
  get term(): number {
    return this.#term;
  }

  /** The configuration as applied. */
  get confState(): ConfState {
    return this.#confState;
  }

  /** One pass. */
  apply(entries: readonly Entry[]): void {
    const batch = this.#backend.batch();
    this.#sink.batch = batch;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      assert(entry.index === this.#index + 1, `entry ${entry.index} follows ${this.#index}`);
      this.#index = entry.index;
      this.#term = entry.term;
      if (entry.type !== EntryType.EntryNormal) this.#applyConfChange(entry, batch);
      else if (entry.data.length === 0) this.#events.onFirstEntryOfTerm();
      else this.#applyNormal(entry, batch);
    }
    this.#sink.batch = undefined;
    this.#commit(batch);
  }

  /** Writes rows outside the log's order of requests (removal of compacted rows): one batch of its own at the current mark. */
  background(write: (sink: BatchSink, batch: BackendBatch) => void): void {
    const batch = this.#backend.batch();
    this.#sink.batch = batch;
    write(this.#sink, batch);
    this.#sink.batch = undefined;
    this.#commit(batch);
  }

  #commit(batch: BackendBatch): void {
    this.#backend.commit(batch, {
      index: this.#index,
      term: this.#term,
      confState: this.#confState,
    });
  }

  #applyConfChange(entry: Entry, batch: BackendBatch): void {
    const { confState } = applyConfChange(entry, this.#node, this.#state.cluster, batch);
    this.#confState = confState;
  }

  #applyNormal(entry: Entry, batch: BackendBatch): void {
    const proposal = this.#turn.takeAt(entry.index, entry.term);
    if (proposal === undefined) {
      const { arm, request } = requestOf(entry);
      if (this.#dispatch(arm, request, batch) === OVER_QUOTA) this.#events.onQuotaExceeded(nobody);
      return;
    }
    const outcome = this.#dispatch(proposal.arm, proposal.request, batch);
    if (outcome === OVER_QUOTA) {
      this.#metrics.server.proposalsFailed.inc();
      this.#events.onQuotaExceeded(proposal.waiter);
    } else if (typeof outcome === "string") {
      this.#metrics.server.proposalsFailed.inc();
      proposal.waiter.onRefused(outcome);
    } else proposal.waiter.onApplied(outcome);
  }

  /** Applies one request. */
  #dispatch(arm: number, request: unknown, batch: BackendBatch): Outcome {
    const { alarms } = this.#state;
    if (alarms.corrupt && isStoppedByCorruption(arm)) return "corrupt";
    switch (arm) {
      case Arm.put:
        return this.#put(request as PutRequest);
      case Arm.txn:
        return this.#txn(request as TxnRequest);
      case Arm.deleteRange:
        this.#metrics.mvcc.deletes.inc();
        return this.#state.store.deleteRange(request as DeleteRangeRequest, this.#sink);
      case Arm.compaction:
        return this.#compact(request as CompactionRequest, batch);
      case Arm.leaseGrant:
        return this.#grant(request as LeaseGrantRequest, batch);
      case Arm.leaseRevoke:
        return this.#revoke(request as LeaseRevokeRequest, batch);
      case Arm.leaseCheckpoint:
        return this.#checkpoint(request as LeaseCheckpointRequest, batch);
      case Arm.alarm:
        return createAlarmResponse({
          header: this.#header(),
          alarms: alarms.apply(request as AlarmRequest, batch),
        });
      case Arm.clusterVersionSet:
        return this.#setVersion(request as ClusterVersionSetRequest, batch);
      case Arm.clusterMemberAttrSet:
        return this.#setAttributes(request as ClusterMemberAttrSetRequest, batch);
      default:
        return {};
    }
  }

  #put(request: PutRequest): Outcome {
    if (this.#state.alarms.noSpace) return "noSpace";
    this.#metrics.mvcc.puts.inc();
    this.#metrics.mvcc.totalPutSize.value += request.key.length + request.value.length;
    const result = this.#state.store.put(request, this.#sink);
    return this.#underQuota(putCostBytes(request), result);
  }

  #txn(request: TxnRequest): Outcome {
    const cost = txnCostBytes(request);
    this.#metrics.mvcc.txns.inc();
    if (cost > 0 && this.#state.alarms.noSpace) return "noSpace";
    return this.#underQuota(cost, this.#state.store.txn(request, this.#sink));
  }

  /** What does not fit is applied all the same (members may differ in size, not in data), but answered as refused. */
  #underQuota(costBytes: number, outcome: object | MvccRefusal): Outcome {
    if (typeof outcome === "string" || this.#events.hasSpaceFor(costBytes)) return outcome;
    return OVER_QUOTA;
  }

  #compact(request: CompactionRequest, batch: BackendBatch): object | Refusal {
    this.#events.onBeforeCompaction();
    const refusal = this.#state.store.compact(request.revision);
    if (refusal !== undefined) return refusal;
    batch.put(Bucket.meta, SCHEDULED_COMPACT_KEY, revisionBytes(request.revision, 0));
    this.#events.onCompactionScheduled();
    return createCompactionResponse({ header: this.#header() });
  }

  #grant(request: LeaseGrantRequest, batch: BackendBatch): Outcome {
    if (this.#state.alarms.noSpace) return "noSpace";
    const row = this.#state.lessor.grant(request.id, request.ttl, this.#clock.nowMs());
    if (typeof row === "string") return row;
    batch.put(Bucket.lease, leaseRowKey(row.id), encodeLeaseRow(row));
    this.#metrics.lease.granted.inc();
    this.#metrics.lease.ttl.observe(row.ttlS);
    const response = createLeaseGrantResponse({
      header: this.#header(),
      id: row.id,
      ttl: row.ttlS,
    });
    return this.#underQuota(LEASE_QUOTA_COST_BYTES, response);
  }

  #revoke(request: LeaseRevokeRequest, batch: BackendBatch): object | Refusal {
    const keys = this.#state.lessor.revoke(request.id);
    if (typeof keys === "string") return keys;
    this.#state.store.deleteKeys(keys, this.#sink);
    batch.delete(Bucket.lease, leaseRowKey(request.id));
    this.#metrics.lease.revoked.inc();
    this.#events.onLeaseRevoked(request.id);
    return createLeaseRevokeResponse({ header: this.#header() });
  }

  #checkpoint(request: LeaseCheckpointRequest, batch: BackendBatch): object {
    const nowMs = this.#clock.nowMs();
    for (const { id, remainingTtl } of request.checkpoints) {
      const row = this.#state.lessor.checkpoint({ id, remainingTtlS: remainingTtl }, nowMs);
      if (row !== undefined) batch.put(Bucket.lease, leaseRowKey(id), encodeLeaseRow(row));
    }
    return {};
  }

  #setVersion(request: ClusterVersionSetRequest, batch: BackendBatch): object {
    this.#state.cluster.setVersion(request.ver);
    batch.put(Bucket.cluster, CLUSTER_VERSION_KEY, Buffer.from(request.ver));
    return {};
  }

  #setAttributes(request: ClusterMemberAttrSetRequest, batch: BackendBatch): object {
    const { memberId, memberAttributes } = request;
    const attributes = must(memberAttributes, "published attributes are given");
    const member = this.#state.cluster.setAttributes(memberId, attributes);
    if (member !== undefined)
      batch.put(Bucket.members, memberRowKey(memberId), encodeMemberRow(member));
    return {};
  }

  #header(): ReturnType<typeof createResponseHeader> {
    return createResponseHeader({ revision: this.#state.store.revision });
  }
}

function isStoppedByCorruption(arm: number): boolean {
  return arm >= Arm.put && arm <= Arm.leaseRevoke;
}
