// A server that keeps every promise, in memory: it answers the requests of a load from the plain model, one after the other, and is
// killed with operations under way. The judge's own tests take what it tells, spoil it, and expect the judge to notice.

import { crc32c, Prng } from "../../src/base/index.ts";
import type { Finding, FoundLease } from "./finding.ts";
import { leasesOf } from "./lease-book.ts";
import type { Evidence } from "./ledger.ts";
import type { Told } from "./listener.ts";
import { type Change, Model } from "./model.ts";
import type { Answer, HashSample, Operation, Outcome, Request } from "./ops.ts";
import { Requests, type Standing } from "./requests.ts";

const never = Number.POSITIVE_INFINITY;

/** The server and its only client. */
export class PerfectServer {
  readonly #model: Model = new Model();
  readonly #history: Told[] = [];
  readonly #leases: Map<bigint, number> = new Map();
  readonly #standing: Standing = { toldRevision: 1, leases: [], mods: new Map() };
  readonly #requests: Requests;
  readonly #prng: Prng;
  #compacted = 0;
  #nextId = 1;
  #moment = 0;
  #term = 1;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.#requests = new Requests(this.#prng.fork("requests"), this.#standing);
  }

  /** Carries out `count` operations; the answers of the last `unknown` ones are lost, as are some of these operations themselves. */
  load(count: number, unknown: number): Evidence {
    const first = this.#model.revision;
    const operations: Operation[] = [];
    for (let i = 0; i < count; i++) {
      const isKnown = i < count - unknown;
      const id = this.#nextId++;
      const request = this.#requests.draw(id, "small");
      const sent = this.#moment++;
      // What is under way together has seen the same.
      const floor = isKnown ? this.#model.revision : this.#standing.toldRevision;
      const isDone = isKnown || this.#prng.chance(0.5);
      const outcome = isDone ? this.#do(request) : undefined;
      if (isKnown) this.#standing.toldRevision = this.#model.revision;
      operations.push({
        id,
        request,
        sent,
        floor,
        ended: isKnown ? this.#moment++ : never,
        outcome: (isKnown ? outcome : undefined) ?? { kind: "unknown", text: "" },
      });
    }
    const toldRevision = this.#standing.toldRevision;
    const told = this.#history.filter((t) => t.revision > first && t.revision <= toldRevision);
    this.#term++;
    return { operations, told, toldRevision, problems: [] };
  }

  /** What it holds, with hashes at `hashRevisions`. */
  find(hashRevisions: readonly number[]): Finding {
    const { revision } = this.#model;
    const least = Math.max(this.#compacted, 1);
    const hashed = [revision, ...hashRevisions.filter((r) => r >= this.#compacted)];
    return {
      clusterId: 1n,
      memberId: 2n,
      term: this.#term,
      revision,
      compacted: this.#compacted,
      history: this.#history.filter((told) => told.revision > this.#compacted),
      pairs: this.#model.pairs(revision),
      past: new Map([[least, this.#model.pairs(least)]]),
      leases: [...this.#leases].map(([id, ttl]) => this.#lease(id, ttl)),
      hashes: hashed.map((r) => this.#hash(r)),
      problems: [],
    };
  }

  #lease(id: bigint, ttl: number): FoundLease {
    const keys = this.#model.keysOfLease(id, this.#model.revision);
    return { id, grantedTtl: ttl, ttl: ttl - 1, keys };
  }

  #hash(revision: number): HashSample {
    const hash = crc32c(Buffer.from(this.#model.pairs(revision).join(" ")));
    return { revision, compacted: this.#compacted, hash };
  }

  #write(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const revision = this.#model.revision + 1;
    this.#model.apply(revision, changes);
    this.#history.push({ revision, changes: [...changes] });
  }

  #acknowledge(answer: Answer): Outcome {
    return { kind: "acknowledged", answer };
  }

  #do(request: Request): Outcome {
    const leaseNotFound = {
      kind: "refused",
      code: 5,
      text: "etcdserver: requested lease not found",
    } as const;
    switch (request.kind) {
      case "kv": {
        if (leasesOf(request.txn).some((id) => !this.#leases.has(id))) return leaseNotFound;
        const { lines, changes } = this.#model.expect(request.txn, this.#model.revision);
        this.#write(changes);
        const { revision } = this.#model;
        return this.#acknowledge({ kind: "kv", revision, lines, mutated: changes.length > 0 });
      }
      case "grant":
      case "revoke":
      case "keepalive":
        return this.#doLease(request) ?? leaseNotFound;
      case "compact":
        return this.#compact(request.revision);
      case "hash": {
        const revision = request.revision === 0 ? this.#model.revision : request.revision;
        if (revision < this.#compacted) return this.#refuseCompacted();
        const sample = this.#hash(revision);
        return this.#acknowledge({ kind: "hash", revision: this.#model.revision, sample });
      }
    }
  }

  #doLease(request: Extract<Request, { id: bigint }>): Outcome | undefined {
    const lease = (id: bigint, ttl: number): Outcome =>
      this.#acknowledge({ kind: "lease", revision: this.#model.revision, id, ttl });
    const { leases } = this.#standing;
    switch (request.kind) {
      case "grant": {
        const id = request.id === 0n ? BigInt(request.ttl) << 20n : request.id;
        this.#leases.set(id, request.ttl);
        leases.push(id);
        return lease(id, request.ttl);
      }
      case "revoke":
        if (!this.#leases.delete(request.id)) return undefined;
        this.#write(this.#model.expectRevoke(request.id, this.#model.revision));
        leases.splice(leases.indexOf(request.id), 1);
        return lease(request.id, 0);
      case "keepalive":
        return lease(request.id, this.#leases.get(request.id) ?? 0);
    }
  }

  #refuseCompacted(): Outcome {
    const text = "etcdserver: mvcc: required revision has been compacted";
    return { kind: "refused", code: 11, text };
  }

  #compact(revision: number): Outcome {
    if (revision <= this.#compacted) return this.#refuseCompacted();
    this.#compacted = revision;
    return this.#acknowledge({ kind: "compact", revision: this.#model.revision });
  }
}
