// The clients of one life of a member: requests at random moments, in bursts and one by one, and a note of every answer.
// They speak to `Member` as the RPC services do.

import type { Prng } from "../../src/base/index.ts";
import {
  type EventBatch,
  isTxnReadOnly,
  type Watcher,
  type WatchSink,
} from "../../src/core/mvcc/index.ts";
import {
  createResponseHeader,
  decodeWatchResponse,
  encodeAlarmResponse,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodeLeaseGrantResponse,
  encodeLeaseRevokeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  ProtoError,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
} from "../../src/proto/index.ts";
import {
  Arm,
  type Clock,
  LEASE_QUOTA_COST_BYTES,
  type Member,
  putCostBytes,
  txnCostBytes,
  type Waiter,
} from "../../src/server/index.ts";
import type { History, WatchRecord, WriteRecord } from "./history.ts";
import { entryName } from "./journal.ts";
import { demand } from "./violation.ts";
import type { Weights, Workload, WriteRequest } from "./workload.ts";

/** Requests without an answer at one time. */
const OUTSTANDING_MAX = 40;

/** What a result of the store has. */
interface StoreResult {
  readonly revision: number;
  message(header: ReturnType<typeof createResponseHeader>): unknown;
}

/** Encodes the response of each arm. */
const ENCODERS = new Map<Arm, (message: never) => Uint8Array>([
  [Arm.alarm, encodeAlarmResponse],
  [Arm.put, encodePutResponse],
  [Arm.deleteRange, encodeDeleteRangeResponse],
  [Arm.txn, encodeTxnResponse],
  [Arm.compaction, encodeCompactionResponse],
  [Arm.leaseGrant, encodeLeaseGrantResponse],
  [Arm.leaseRevoke, encodeLeaseRevokeResponse],
]);

/** Clients of one life. */
export class Clients {
  readonly #member: Member;
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #workload: Workload;
  readonly #history: History;
  readonly #watchers: { readonly watcher: Watcher; readonly record: WatchRecord }[] = [];
  #outstanding = 0;
  #started = false;
  #stopped = false;
  #failed = false;

  constructor(member: Member, clock: Clock, prng: Prng, workload: Workload, history: History) {
    this.#member = member;
    this.#clock = clock;
    this.#prng = prng;
    this.#workload = workload;
    this.#history = history;
  }

  /** Begins, or goes on after a pause. */
  start(): void {
    const prng = this.#prng;
    if (!this.#started) {
      this.#started = true;
      for (let i = prng.below(10); i > 0; i--) this.#request();
    }
    const delayMs = prng.chance(0.03) ? 300 + prng.below(3000) : prng.below(6) / 2;
    this.#clock.after(delayMs, () => {
      if (this.#stopped) return;
      const count = prng.chance(0.2) ? 1 + prng.below(12) : 1;
      for (let i = 0; i < count && this.#outstanding < OUTSTANDING_MAX; i++) this.#request();
      this.start();
    });
  }

  /** No further request; answers are still noted. */
  stop(): void {
    this.#stopped = true;
  }

  /** The member said that it broke: no write may be answered any more. */
  onFatal(): void {
    this.#failed = true;
    this.#stopped = true;
  }

  /** Notes how far watchers have everything. */
  settleWatches(): void {
    const { hub } = this.#member.watches;
    for (const { watcher, record } of this.#watchers) {
      if (watcher.state === "synced") record.completeTo = hub.revision;
    }
  }

  /** True if every watcher has what was written. */
  get watchesAreSettled(): boolean {
    return this.#watchers.every(
      ({ watcher }) => watcher.state === "synced" || watcher.state === "closed",
    );
  }

  #request(): void {
    const workload = this.#workload;
    const { store } = this.#member;
    const kind: keyof Weights = workload.kind();
    if (kind === "range") return this.#read(workload.range(store.revision));
    if (kind === "keepAlive") return this.#keepAlive(workload.lease());
    if (kind === "watch") return this.#watch();
    if (kind === "hashKv") return this.#hashKv();
    const write = kind === "compact" ? workload.compact(store.revision) : workload[kind]();
    return this.#write(write);
  }

  #write({ arm, codec, request }: WriteRequest): void {
    if (arm === Arm.txn && isTxnReadOnly(request as TxnRequest)) return;
    const buf = Buffer.alloc(codec.size(request));
    codec.write(request, buf, 0);
    const staged = this.#member.stage(arm, buf, 0, buf.length);
    // As the services do: what is proposed is decoded from the entry's own bytes.
    const decoded = codec.decode(staged.buf, staged.start, staged.end);
    demand(staged.entryBytes !== undefined && !(decoded instanceof ProtoError), "a valid request");
    const record: WriteRecord = {
      name: entryName(staged.entryBytes),
      arm,
      floor: this.#history.floor,
      outcome: undefined,
      revision: 0,
    };
    this.#history.writes.push(record);
    this.#outstanding++;
    const answered = (outcome: Uint8Array | string): void => {
      demand(record.outcome === undefined, `a request of arm ${arm} was answered twice`);
      this.#outstanding--;
      record.outcome = outcome;
    };
    const waiter: Waiter = {
      onApplied: (response) => {
        demand(!this.#failed, `a request of arm ${arm} was answered after the failure`);
        const { revision, message } = messageOf(response);
        record.revision = revision;
        this.#history.told(revision);
        answered(ENCODERS.get(arm)?.(message as never) ?? "no encoder");
      },
      onRefused: answered,
    };
    if (!this.#member.hasSpaceFor(costOf(arm, decoded))) this.#member.raiseNoSpace(waiter);
    else this.#member.propose(arm, decoded, staged, waiter);
  }

  #read(request: RangeRequest): void {
    const { floor } = this.#history;
    const { store, reads } = this.#member;
    this.#outstanding++;
    reads.wait({
      onReadable: () => {
        this.#outstanding--;
        const result = store.range(request);
        const { revision, compactRevision } = store;
        const header = createResponseHeader({ revision });
        const outcome =
          typeof result === "string" ? result : encodeRangeResponse(result.message(header));
        this.#history.told(revision);
        this.#history.reads.push({ request, floor, revision, compactRevision, outcome });
      },
      onRefused: () => this.#outstanding--,
    });
  }

  #keepAlive(id: bigint): void {
    const nowMs = this.#clock.nowMs();
    if (typeof this.#member.lessor.renew(id, nowMs) !== "number") return;
    const renewals = this.#history.renewals.get(id);
    if (renewals === undefined) this.#history.renewals.set(id, [nowMs]);
    else renewals.push(nowMs);
  }

  #hashKv(): void {
    const { store } = this.#member;
    this.#member.hashKv(0, (outcome) => {
      if (typeof outcome !== "object") return;
      const { hash, hashRevision: revision, compactRevision: compact } = outcome;
      this.#history.hashes.push({ revision, compact, hash });
      demand(revision <= store.revision, `HashKV at revision ${revision} of ${store.revision}`);
    });
  }

  #watch(): void {
    const prng = this.#prng;
    const { watches, store } = this.#member;
    const key = this.#workload.key();
    const rangeEnd = prng.chance(0.5) ? "\0" : "";
    const startRevision = prng.chance(0.7) ? Math.max(1, store.revision + 3 - prng.below(30)) : 0;
    const prevKv = prng.chance(0.5);
    const start = startRevision === 0 ? store.revision + 1 : startRevision;
    const record: WatchRecord = {
      key,
      rangeEnd,
      start,
      prevKv,
      events: [],
      completeTo: 0,
      compactedAt: undefined,
    };
    const spec = { key, rangeEnd, startRevision, prevKv, noPut: false, noDelete: false };
    const watcher = watches.hub.watch(spec, this.#sink(record, prng));
    if (typeof watcher === "string") return;
    this.#watchers.push({ watcher, record });
    this.#history.watches.push(record);
    watches.wake();
  }

  #sink(record: WatchRecord, prng: Prng): WatchSink {
    const { watches, store } = this.#member;
    return {
      onEvents: (watcher: Watcher, batch: EventBatch) => {
        if (prng.chance(0.1)) {
          this.#clock.after(prng.below(20), () => {
            watches.hub.resume(watcher);
            watches.wake();
          });
          return false;
        }
        const response = decodeWatchResponse(batch.bytes, 0, batch.bytes.length);
        demand(!(response instanceof ProtoError), "watch events can be decoded");
        demand(batch.lastMain <= store.revision, `an event of revision ${batch.lastMain}`);
        record.events.push(...response.events.map((event) => structuredClone(event)));
        this.#history.told(batch.lastMain);
        return true;
      },
      onCompacted: (_, compactRevision) => {
        record.compactedAt = compactRevision;
        const next = Math.max(record.start, (record.events.at(-1)?.kv?.modRevision ?? 0) + 1);
        demand(next < compactRevision, `a watcher at ${next} ended for ${compactRevision}`);
        return true;
      },
    };
  }
}

/** What the services ask room for before they propose. */
function costOf(arm: Arm, request: unknown): number {
  if (arm === Arm.put) return putCostBytes(request as PutRequest);
  if (arm === Arm.txn) return txnCostBytes(request as TxnRequest);
  return arm === Arm.leaseGrant ? LEASE_QUOTA_COST_BYTES : 0;
}

function messageOf(response: unknown): { revision: number; message: unknown } {
  if (typeof (response as StoreResult).message === "function") {
    const result = response as StoreResult;
    const { revision } = result;
    return { revision, message: result.message(createResponseHeader({ revision })) };
  }
  const { header } = response as { header: { revision: number } | undefined };
  return { revision: header?.revision ?? 0, message: response };
}
