// Draws the requests of a crash round: reads and writes of few keys, so that they meet, transactions, leases, compactions, hashes.

import type { Prng } from "../../src/base/index.ts";
import type { Action, Compare, KvRequest, Request, Txn } from "./ops.ts";
import { FILLING_BYTES_MAX, valueToken } from "./values.ts";

/** Keys that small values go to. */
const keyCount = 80;
/** Keys that large values go to: few, they stay in memory. */
const largeKeyCount = 6;
/** Keys of transactions that write many, and how many one of them writes; etcd takes 128 operations. */
const manyKeyCount = 4_000;
const manyPutCount = 100;
/** Largest filling of a small value and of one in a hundred, in bytes. */
const fillingBytes = 300;
const longFillingBytes = 20_000;
/** Leases that exist at once, about. */
const leaseCountMax = 40;
/** TTLs lie above this, in seconds: no lease of a run expires. */
const ttlSecondsMin = 100_000;
/** How far behind the newest revision a compaction may stay. */
const compactionLag = 60;

/** What generators know of the server; all workers share it. */
export interface Standing {
  /** Revision up to which the watcher was told everything; compactions stay below it, so that no history is lost. */
  toldRevision: number;
  /** Leases that exist as far as known. */
  leases: bigint[];
  /** Last modification seen of a key. */
  readonly mods: Map<string, number>;
}

function keyName(index: number): string {
  return `k${String(index).padStart(3, "0")}`;
}

/** Whether every second operation puts a large value, or many. */
export type LoadSize = "small" | "large" | "many";

/** A generator of requests. */
export class Requests {
  readonly #prng: Prng;
  readonly #standing: Standing;

  constructor(prng: Prng, standing: Standing) {
    this.#prng = prng;
    this.#standing = standing;
  }

  /** The request of operation `id`. */
  draw(id: number, size: LoadSize): Request {
    const prng = this.#prng;
    if (size !== "small" && prng.chance(0.5)) {
      return size === "large" ? this.#largePut(id) : this.#manyPuts(id);
    }
    const at = prng.below(1000);
    if (at < 330) return single("Put", this.#put(id, 0, this.#key()));
    if (at < 480) return this.#guarded(id);
    if (at < 620) return { kind: "kv", rpc: "Txn", txn: this.#txn(id, { next: 0 }, 1) };
    if (at < 730) return single("DeleteRange", this.#delete(""));
    if (at < 760) return single("DeleteRange", this.#delete("range"));
    if (at < 870) return single("Range", this.#range());
    if (at < 976) return this.#leaseRequest(id);
    if (at < 996) return { kind: "hash", revision: prng.chance(0.5) ? 0 : this.#recent(20) };
    return { kind: "compact", revision: this.#recent(compactionLag), physical: prng.chance(0.3) };
  }

  #key(): string {
    // Squared: some keys are hot.
    return keyName(Math.floor(this.#prng.unit() ** 2 * keyCount));
  }

  #recent(lag: number): number {
    return Math.max(1, this.#standing.toldRevision - this.#prng.below(lag));
  }

  #lease(): bigint {
    const { leases } = this.#standing;
    return leases.length > 0 && this.#prng.chance(0.25) ? this.#prng.pick(leases) : 0n;
  }

  #put(id: number, index: number, key: string): Action {
    const long = this.#prng.chance(0.01) ? longFillingBytes : fillingBytes;
    const value = valueToken(id, index, this.#prng.below(long));
    return { kind: "put", key, value, lease: this.#lease(), prev: this.#prng.chance(0.3) };
  }

  #largePut(id: number): Request {
    const key = `large${this.#prng.below(largeKeyCount)}`;
    const length = FILLING_BYTES_MAX / 4 + this.#prng.below(FILLING_BYTES_MAX / 2);
    const value = valueToken(id, 0, length);
    return single("Put", { kind: "put", key, value, lease: 0n, prev: false });
  }

  #manyPuts(id: number): Request {
    const first = this.#prng.below(manyKeyCount);
    const success = Array.from({ length: manyPutCount }, (_, index): Action => {
      const key = `m${String((first + index * 31) % manyKeyCount).padStart(5, "0")}`;
      const value = valueToken(id, index, index % 8);
      return { kind: "put", key, value, lease: 0n, prev: false };
    });
    return { kind: "kv", rpc: "Txn", txn: { compares: [], success, failure: [] } };
  }

  #span(): { key: string; end: string } {
    const from = this.#prng.below(keyCount);
    return { key: keyName(from), end: keyName(from + 1 + this.#prng.below(8)) };
  }

  #delete(kind: "" | "range"): Action {
    const where = kind === "" ? { key: this.#key(), end: "" } : this.#span();
    return { kind: "delete", ...where, prev: this.#prng.chance(0.3) };
  }

  #range(): Action {
    if (this.#prng.chance(0.5)) return { kind: "range", key: this.#key(), end: "" };
    return { kind: "range", ...this.#span() };
  }

  /** As Kubernetes writes: a put if the key is as last seen, otherwise a read of it. */
  #guarded(id: number): KvRequest {
    const key = this.#key();
    const operand = this.#standing.mods.get(key) ?? 0;
    const success = this.#prng.chance(0.8)
      ? this.#put(id, 0, key)
      : ({ kind: "delete", key, end: "", prev: true } as const);
    const txn = {
      compares: [{ key, target: "mod", relation: "=", operand } as const],
      success: [success],
      failure: [{ kind: "range", key, end: "" } as const],
    };
    return { kind: "kv", rpc: "Txn", txn };
  }

  /** `put.next` numbers the puts of one operation, in both branches and all levels. */
  #txn(id: number, put: { next: number }, depth: number): Txn {
    const actions = (countMax: number): Action[] => {
      const used = new Set<string>();
      return Array.from({ length: this.#prng.below(countMax + 1) }, () => {
        const kind = this.#prng.below(10);
        if (kind < 2) return this.#range();
        if (kind < 4) return this.#delete(kind === 3 ? "range" : "");
        if (kind < 5 && depth > 0) {
          return { kind: "txn", txn: this.#txn(id, put, depth - 1) } as const;
        }
        let key = this.#key();
        while (used.has(key)) key = this.#key();
        used.add(key);
        return this.#put(id, put.next++, key);
      });
    };
    const compares = Array.from({ length: this.#prng.below(3) }, () => this.#compare());
    return { compares, success: actions(5), failure: actions(2) };
  }

  #compare(): Compare {
    const key = this.#key();
    const relation = this.#prng.pick(["=", "!=", "<", ">"] as const);
    const mod = this.#standing.mods.get(key) ?? 0;
    switch (this.#prng.below(5)) {
      case 0:
        return { key, target: "version", relation, operand: this.#prng.below(5) };
      case 1:
        return { key, target: "create", relation, operand: mod };
      case 2:
        return { key, target: "lease", relation, operand: this.#lease() };
      default:
        return { key, target: "mod", relation: this.#prng.pick(["=", ">"]), operand: mod };
    }
  }

  #leaseRequest(id: number): Request {
    const { leases } = this.#standing;
    const at = this.#prng.below(10);
    const isFull = leases.length > leaseCountMax;
    if (leases.length === 0 || (at < 5 && !isFull)) {
      // Each operation grants another TTL: a lease found later tells which grant made it.
      const ttl = ttlSecondsMin + id;
      return { kind: "grant", id: this.#prng.chance(0.3) ? 0n : this.#leaseId(id), ttl };
    }
    const lease = this.#prng.pick(leases);
    return { kind: at < 7 || isFull ? "revoke" : "keepalive", id: lease };
  }

  /** Never the same for two operations, and of all sizes. */
  #leaseId(id: number): bigint {
    const high = BigInt(this.#prng.below(0x7fff_ffff));
    return this.#prng.chance(0.5) ? BigInt(id + 1) : (high << 32n) | BigInt(id + 1);
  }
}

function single(rpc: "Put" | "DeleteRange" | "Range", action: Action): KvRequest {
  return { kind: "kv", rpc, txn: { compares: [], success: [action], failure: [] } };
}
