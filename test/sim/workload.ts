// Random requests of clients, over few keys and leases so that they meet, hostile bytes and sizes included.
// Everything is drawn from the generator given, so a seed is a sequence.

import type { Prng } from "../../src/base/index.ts";
import { checkPutRequest, checkTxnRequest } from "../../src/core/mvcc/index.ts";
import {
  AlarmRequestCodec,
  AlarmType,
  type Codec,
  CompactionRequestCodec,
  type Compare,
  createAlarmRequest,
  createCompactionRequest,
  createCompare,
  createDeleteRangeRequest,
  createLeaseGrantRequest,
  createLeaseRevokeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type DeleteRangeRequest,
  DeleteRangeRequestCodec,
  LeaseGrantRequestCodec,
  LeaseRevokeRequestCodec,
  type PutRequest,
  PutRequestCodec,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
  TxnRequestCodec,
} from "../../src/proto/index.ts";
import { Arm } from "../../src/server/index.ts";

const KEYS = ["a", "a\0", "aa", "ab", "b", "b\xff", "c", "\0", "\xff\xff", "k1", "k2", "k3"];
const LEASES: readonly bigint[] = [1n, 2n, 3n, -9n, 0x7fff_ffff_ffff_ffffn];

/** A request for the log. */
export interface WriteRequest {
  readonly arm: Arm;
  readonly codec: Codec<unknown>;
  readonly request: unknown;
}

/** How often each kind of request comes. */
export interface Weights {
  readonly put: number;
  readonly deleteRange: number;
  readonly txn: number;
  readonly grant: number;
  readonly revoke: number;
  readonly compact: number;
  readonly range: number;
  readonly keepAlive: number;
  readonly watch: number;
  readonly hashKv: number;
  readonly disarm: number;
}

/** Weights of one run: some kinds are left out of it, others come often. */
export function drawWeights(prng: Prng): Weights {
  const weight = (): number => prng.pick([0, 1, 1, 3]);
  return {
    put: 2 + prng.below(6),
    deleteRange: weight(),
    txn: weight(),
    grant: weight(),
    revoke: weight() / 4,
    compact: weight() / 2,
    range: weight(),
    keepAlive: weight(),
    watch: weight() / 2,
    hashKv: weight() / 4,
    disarm: 0.2,
  };
}

/** Draws requests. */
export class Workload {
  readonly #prng: Prng;
  readonly #weights: [keyof Weights, number][];
  readonly #total: number;
  readonly #memberId: bigint;
  #number = 0;

  constructor(prng: Prng, weights: Weights, memberId: bigint) {
    this.#prng = prng;
    this.#memberId = memberId;
    this.#weights = Object.entries(weights) as [keyof Weights, number][];
    this.#total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
  }

  /** The kind of the next request. */
  kind(): keyof Weights {
    let at = this.#prng.unit() * this.#total;
    for (const [kind, weight] of this.#weights) {
      at -= weight;
      if (at < 0) return kind;
    }
    return "put";
  }

  key(): string {
    return this.#prng.pick(KEYS);
  }

  lease(): bigint {
    return this.#prng.pick(LEASES);
  }

  put(): WriteRequest {
    let request: PutRequest;
    do request = this.#put();
    while (checkPutRequest(request) !== undefined);
    return write(Arm.put, PutRequestCodec, request);
  }

  deleteRange(): WriteRequest {
    return write(Arm.deleteRange, DeleteRangeRequestCodec, this.#deleteRange());
  }

  txn(): WriteRequest {
    let request: TxnRequest;
    do request = this.#txn(2);
    while (checkTxnRequest(request) !== undefined);
    return write(Arm.txn, TxnRequestCodec, request);
  }

  grant(): WriteRequest {
    const prng = this.#prng;
    const id = prng.chance(0.05) ? 0n : this.lease();
    const style = prng.below(20);
    const ttl = style === 0 ? 9_000_000_001 : style < 4 ? 301 + prng.below(60) : prng.below(6) - 1;
    return write(Arm.leaseGrant, LeaseGrantRequestCodec, createLeaseGrantRequest({ id, ttl }));
  }

  revoke(): WriteRequest {
    const request = createLeaseRevokeRequest({ id: this.lease() });
    return write(Arm.leaseRevoke, LeaseRevokeRequestCodec, request);
  }

  /** `revision`: the newest. */
  compact(revision: number): WriteRequest {
    const at = revision + 2 - this.#prng.below(12);
    const request = createCompactionRequest({ revision: at });
    return write(Arm.compaction, CompactionRequestCodec, request);
  }

  /** Ends the alarm of a full store. */
  disarm(): WriteRequest {
    const alarm = AlarmType.NOSPACE;
    const request = createAlarmRequest({ action: 2, memberId: this.#memberId, alarm });
    return write(Arm.alarm, AlarmRequestCodec, request);
  }

  /** `revision`: the newest. */
  range(revision: number): RangeRequest {
    const prng = this.#prng;
    const { key, rangeEnd } = this.#interval();
    return createRangeRequest({
      key,
      rangeEnd,
      limit: prng.chance(0.3) ? prng.below(4) : 0,
      revision: prng.chance(0.4) ? Math.max(0, revision + 1 - prng.below(20)) : 0,
      sortOrder: prng.below(3),
      sortTarget: prng.below(4),
      keysOnly: prng.chance(0.1),
      countOnly: prng.chance(0.1),
    });
  }

  #interval(): { key: string; rangeEnd: string } {
    const prng = this.#prng;
    const style = prng.below(6);
    if (style === 0) return { key: "\0", rangeEnd: "\0" };
    if (style === 1) return { key: this.key(), rangeEnd: this.key() };
    return { key: this.key(), rangeEnd: "" };
  }

  /** Every value is another: its number, and now and then much more. */
  #value(): Uint8Array {
    const prng = this.#prng;
    const head = `v${this.#number++} `;
    const style = prng.below(12);
    if (style === 0) return new Uint8Array(0);
    if (style === 1) return Buffer.from(head + "\0".repeat(prng.below(1500)));
    if (style === 2) return Buffer.from(head + "x".repeat(prng.below(3000)));
    return Buffer.from(head);
  }

  #put(): PutRequest {
    const prng = this.#prng;
    const keep = prng.below(10);
    return createPutRequest({
      key: this.key(),
      value: keep === 0 ? new Uint8Array(0) : this.#value(),
      ignoreValue: keep === 0,
      ignoreLease: keep === 1,
      lease: keep !== 1 && prng.chance(0.3) ? this.lease() : 0n,
      prevKv: prng.chance(0.2),
    });
  }

  #deleteRange(): DeleteRangeRequest {
    return createDeleteRangeRequest({ ...this.#interval(), prevKv: this.#prng.chance(0.3) });
  }

  #compare(): Compare {
    const prng = this.#prng;
    const target = prng.below(5);
    const number = prng.below(5);
    return createCompare({
      ...this.#interval(),
      result: prng.below(4),
      target,
      version: target === 0 ? number : undefined,
      createRevision: target === 1 ? number : undefined,
      modRevision: target === 2 ? number : undefined,
      value: target === 3 ? Buffer.from(`v${number}`) : undefined,
      lease: target === 4 ? BigInt(number) : undefined,
    });
  }

  #txn(depth: number): TxnRequest {
    const prng = this.#prng;
    const ops = (): RequestOp[] => Array.from({ length: prng.below(4) }, () => this.#op(depth));
    return createTxnRequest({
      compare: Array.from({ length: prng.below(3) }, () => this.#compare()),
      success: ops(),
      failure: ops(),
    });
  }

  #op(depth: number): RequestOp {
    const kind = this.#prng.below(depth > 0 ? 7 : 6);
    if (kind < 3) return createRequestOp({ requestPut: this.#put() });
    if (kind < 5) return createRequestOp({ requestDeleteRange: this.#deleteRange() });
    if (kind < 6) {
      return createRequestOp({ requestRange: { ...this.range(0), revision: 0 } });
    }
    return createRequestOp({ requestTxn: this.#txn(depth - 1) });
  }
}

function write<T>(arm: Arm, codec: Codec<T>, request: T): WriteRequest {
  return { arm, codec, request };
}
