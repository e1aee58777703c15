// What is known of leases from the answers to grants and revokes, and whether a server agrees with it.
//
// All leases of a crash run outlive it, so that only a revoke ends one.

import type { FoundLease } from "./finding.ts";
import type { Model } from "./model.ts";
import { describe, type Operation, type Txn } from "./ops.ts";

interface LeaseFact {
  readonly ttl: number;
  /** When the grant was acknowledged; infinite while that is unknown. */
  readonly grantEnded: number;
  revokeSent: number;
  revokeEnded: number;
}

const never = Number.POSITIVE_INFINITY;

/** Seconds a lease may seem to have lost: whole rounds, and restarts that give back the whole TTL. */
const ttlLossSecondsMax = 3_600;

function hex(id: bigint): string {
  return `lease 0x${id.toString(16)}`;
}

/** Leases a transaction may bind keys to. */
export function leasesOf(txn: Txn): bigint[] {
  return [...txn.success, ...txn.failure].flatMap((action) => {
    if (action.kind === "txn") return leasesOf(action.txn);
    return action.kind === "put" && action.lease !== 0n ? [action.lease] : [];
  });
}

/** Every lease that was ever asked for in one life of a data directory. */
export class LeaseBook {
  /** Leases that may exist. */
  readonly #facts: Map<bigint, LeaseFact> = new Map();
  /** TTLs of grants without id and without answer; each TTL is used once. */
  readonly #anonymous: Set<number> = new Set();
  readonly #gone: Set<bigint> = new Set();

  /** Enters the grants and revokes of a round; what contradicts earlier facts is returned. */
  enter(operations: readonly Operation[]): string[] {
    const problems: string[] = [];
    for (const operation of operations) {
      const problem = this.#enterGrant(operation);
      if (problem !== undefined) problems.push(`${problem}: ${describe(operation)}`);
    }
    for (const { request, outcome, sent, ended } of operations) {
      if (request.kind !== "revoke" || outcome.kind === "refused") continue;
      const fact = this.#facts.get(request.id);
      if (fact === undefined) continue;
      fact.revokeSent = Math.min(fact.revokeSent, sent);
      if (outcome.kind === "acknowledged") fact.revokeEnded = Math.min(fact.revokeEnded, ended);
    }
    return problems;
  }

  #enterGrant({ request, outcome, ended }: Operation): string | undefined {
    if (request.kind !== "grant" || outcome.kind === "refused") return undefined;
    const fresh = { ttl: request.ttl, revokeSent: never, revokeEnded: never };
    if (outcome.kind === "unknown") {
      if (request.id === 0n) this.#anonymous.add(request.ttl);
      else this.#facts.set(request.id, { ...fresh, grantEnded: never });
      return undefined;
    }
    const { answer } = outcome;
    if (answer.kind !== "lease") return "an answer of another kind";
    if (request.id !== 0n && answer.id !== request.id) return `answered for ${hex(answer.id)}`;
    if (answer.ttl !== request.ttl) return `granted ${answer.ttl} s`;
    const isUsed = this.#facts.has(answer.id) || this.#gone.has(answer.id);
    this.#facts.set(answer.id, { ...fresh, grantEnded: ended });
    return isUsed ? "granted twice" : undefined;
  }

  /** True if the lease certainly existed from the sending of `operation` to its answer. */
  isSurelyThere(id: bigint, operation: Operation): boolean {
    const fact = this.#facts.get(id);
    return (
      fact !== undefined && fact.grantEnded < operation.sent && fact.revokeSent > operation.ended
    );
  }

  /** True if the lease was revoked before `operation` was sent. */
  isSurelyGone(id: bigint, operation: Operation): boolean {
    const fact = this.#facts.get(id);
    return fact === undefined ? this.#gone.has(id) : fact.revokeEnded < operation.sent;
  }

  /** What is wrong with the answers of keepalives and puts, as far as leases are concerned. */
  answerProblems(operations: readonly Operation[]): string[] {
    return operations.flatMap((operation) => {
      const { request, outcome } = operation;
      if (outcome.kind !== "acknowledged") return [];
      if (request.kind === "keepalive" && outcome.answer.kind === "lease") {
        return this.#keepAliveProblems(operation, request.id, outcome.answer.ttl);
      }
      if (request.kind === "kv" && request.rpc === "Put") {
        const dead = leasesOf(request.txn).filter((id) => this.isSurelyGone(id, operation));
        return dead.map((id) => `${hex(id)} was revoked before: ${describe(operation)}`);
      }
      return [];
    });
  }

  #keepAliveProblems(operation: Operation, id: bigint, ttl: number): string[] {
    const isRight =
      ttl === 0
        ? !this.isSurelyThere(id, operation)
        : !this.isSurelyGone(id, operation) && ttl === this.#facts.get(id)?.ttl;
    return isRight ? [] : [`keepalive answers ${ttl} s: ${describe(operation)}`];
  }

  /** Compares with what a server holds after its restart, and takes over what was unknown. */
  settle(found: readonly FoundLease[], model: Model): string[] {
    const problems: string[] = [];
    const there = new Set(found.map((lease) => lease.id));
    for (const lease of found) problems.push(...this.#foundProblems(lease, model));
    for (const [id, fact] of this.#facts) {
      if (there.has(id)) continue;
      if (fact.grantEnded !== never && fact.revokeSent === never) {
        problems.push(`${hex(id)}, granted and never revoked, is gone`);
      }
      const keys = model.keysOfLease(id, model.revision);
      if (keys.length > 0) problems.push(`${hex(id)} is gone, but not its keys ${keys.join(" ")}`);
      this.#facts.delete(id);
      this.#gone.add(id);
    }
    // Whether such a lease came to exist is now decided.
    this.#anonymous.clear();
    return problems;
  }

  #foundProblems(lease: FoundLease, model: Model): string[] {
    const problems: string[] = [];
    let fact = this.#facts.get(lease.id);
    if (fact === undefined && this.#anonymous.delete(lease.grantedTtl)) {
      fact = { ttl: lease.grantedTtl, grantEnded: 0, revokeSent: never, revokeEnded: never };
    }
    if (fact === undefined) {
      const why = this.#gone.has(lease.id) ? "was gone before" : "was never granted";
      return [`${hex(lease.id)} is there, but ${why}`];
    }
    if (fact.revokeEnded !== never) problems.push(`${hex(lease.id)} is there after its revoke`);
    if (lease.grantedTtl !== fact.ttl) {
      problems.push(`${hex(lease.id)} has ${lease.grantedTtl} s, was granted ${fact.ttl} s`);
    }
    if (lease.ttl > fact.ttl || lease.ttl < fact.ttl - ttlLossSecondsMax) {
      problems.push(`${hex(lease.id)} has ${lease.ttl} s left of ${fact.ttl} s`);
    }
    const keys = model.keysOfLease(lease.id, model.revision).join(" ");
    if (lease.keys.join(" ") !== keys) {
      problems.push(
        `${hex(lease.id)} has the keys [${lease.keys.join(" ")}], should have [${keys}]`,
      );
    }
    // From here on it is known to exist; a revoke without answer has not happened and never will.
    this.#facts.set(lease.id, {
      ttl: fact.ttl,
      grantEnded: 0,
      revokeSent: never,
      revokeEnded: never,
    });
    return problems;
  }

  /** Leases known to exist after `settle`. */
  get alive(): bigint[] {
    return [...this.#facts.keys()];
  }
}
