// The judge: what one data directory must hold, carried from round to round, and what contradicts it.
//
// A round gives the operations with their outcomes, what a watcher was told before the kill, and the state found after the restart. The
// history found decides which of the unknown operations happened: every revision must be exactly what one acknowledged operation, or
// one unknown one not used otherwise, does on top of the revision before.

import type { Finding } from "./finding.ts";
import { LeaseBook, leasesOf } from "./lease-book.ts";
import type { Told } from "./listener.ts";
import { match } from "./matching.ts";
import { type Change, changesText, type Expectation, Model } from "./model.ts";
import { type Answer, describe, type HashSample, type KvRequest, type Operation } from "./ops.ts";

/** One round before the kill. */
export interface Evidence {
  readonly operations: readonly Operation[];
  /** What a watcher from the round's first revision on was told. */
  readonly told: readonly Told[];
  /** Revision up to which it was told everything. */
  readonly toldRevision: number;
  /** What went wrong before the kill. */
  readonly problems: readonly string[];
}

/** What a verdict counts. */
export interface Verdict {
  /** Empty: nothing lost, nothing invented. */
  readonly problems: readonly string[];
  /** Unknown operations that turned out to have written. */
  readonly happened: number;
  /** Hashes compared with one taken before. */
  readonly hashesCompared: number;
}

/** An operation on keys, acknowledged. */
interface AckedKv {
  readonly operation: Operation;
  readonly request: KvRequest;
  readonly answer: Extract<Answer, { kind: "kv" }>;
}

const refusals = {
  leaseNotFound: "etcdserver: requested lease not found",
  compacted: "etcdserver: mvcc: required revision has been compacted",
  duplicateKey: "etcdserver: duplicate key given in txn request",
} as const;

/** Samples of hashes asked for again at most; each costs the server a pass over its keys. */
const samplesMax = 6;

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Operations on keys that were acknowledged. */
function acknowledgedKv(operations: readonly Operation[]): AckedKv[] {
  return operations.flatMap((operation) => {
    const { request, outcome } = operation;
    if (request.kind !== "kv" || outcome.kind !== "acknowledged") return [];
    const { answer } = outcome;
    return answer.kind === "kv" ? [{ operation, request, answer }] : [];
  });
}

/** The knowledge of one data directory's whole life. */
export class Ledger {
  readonly model: Model = new Model();
  readonly leases: LeaseBook = new LeaseBook();
  compacted = 0;
  /** Changes of every revision after `compacted`, as text. */
  readonly #history: Map<number, string> = new Map();
  #samples: HashSample[] = [];
  #identity: { readonly clusterId: bigint; readonly memberId: bigint } | undefined;
  #term = 0;
  #problems: string[] = [];

  /** Revisions whose hash was taken and can still be compared. */
  get hashRevisions(): number[] {
    return this.#samples.map((sample) => sample.revision);
  }

  /** Compares a round with the state found after it, and takes that state over. */
  judge(evidence: Evidence, finding: Finding): Verdict {
    this.#problems = [...evidence.problems, ...finding.problems];
    this.#judgeIdentity(finding);
    this.#judgeCompaction(evidence.operations, finding);
    this.#judgeSeen(evidence, finding);
    this.#problems.push(...this.leases.enter(evidence.operations));
    const changes = this.#mergeHistory(evidence, finding);
    const replay = new Replay(this.model, evidence.operations);
    this.#problems.push(...replay.run(changes, finding.revision));
    this.#problems.push(...this.leases.answerProblems(evidence.operations));
    this.#judgeRefusals(evidence.operations);
    this.#problems.push(...this.leases.settle(finding.leases, this.model));
    this.#judgeState(finding);
    const hashesCompared = this.#judgeHashes(evidence.operations, finding);
    this.#forget(finding.compacted);
    return { problems: this.#problems, happened: replay.happened, hashesCompared };
  }

  #judgeIdentity({ clusterId, memberId, term }: Finding): void {
    const before = this.#identity;
    if (before !== undefined && (before.clusterId !== clusterId || before.memberId !== memberId)) {
      this.#problems.push("another cluster or member id than before");
    }
    if (term < this.#term) this.#problems.push(`term went back from ${this.#term} to ${term}`);
    this.#identity = { clusterId, memberId };
    this.#term = term;
  }

  #judgeCompaction(operations: readonly Operation[], finding: Finding): void {
    const possible = new Set([this.compacted]);
    let least = this.compacted;
    for (const { request, outcome } of operations) {
      if (request.kind !== "compact" || outcome.kind === "refused") continue;
      possible.add(request.revision);
      if (outcome.kind === "acknowledged") least = Math.max(least, request.revision);
    }
    if (finding.compacted < least) {
      this.#problems.push(`compacted revision went back from ${least} to ${finding.compacted}`);
    }
    if (!possible.has(finding.compacted)) {
      this.#problems.push(`compacted at ${finding.compacted}, which nobody asked for`);
    }
  }

  /** What any answer or watcher has shown must be there. */
  #judgeSeen(evidence: Evidence, finding: Finding): void {
    let seen = Math.max(this.model.revision, evidence.toldRevision);
    for (const { outcome } of evidence.operations) {
      if (outcome.kind === "acknowledged") seen = Math.max(seen, outcome.answer.revision);
    }
    if (finding.revision < seen) {
      this.#problems.push(`revision went back from ${seen} to ${finding.revision}`);
    }
  }

  /** Changes by revision, from the history found and, where that is compacted, from what the watcher was told. */
  #mergeHistory(evidence: Evidence, finding: Finding): Map<number, readonly Change[]> {
    const merged = new Map<number, readonly Change[]>();
    const first = this.model.revision + 1;
    const told = new Map(evidence.told.map((t) => [t.revision, t.changes]));
    for (const [revision, changes] of told) merged.set(revision, changes);
    for (const { revision, changes } of finding.history) {
      const text = changesText(changes);
      const known = told.get(revision);
      const before = known === undefined ? this.#history.get(revision) : changesText(known);
      if (before !== undefined && before !== text) {
        this.#problems.push(`revision ${revision} was [${before}] and is now [${text}]`);
      }
      if (revision >= first && before === undefined && revision <= evidence.toldRevision) {
        this.#problems.push(`the watcher was not told of revision ${revision}: ${text}`);
      }
      merged.set(revision, changes);
      this.#history.set(revision, text);
    }
    const found = new Set(finding.history.map((t) => t.revision));
    for (const revision of [...this.#history.keys(), ...told.keys()]) {
      if (revision > finding.compacted && !found.has(revision)) {
        this.#problems.push(`revision ${revision} is gone from the history`);
      }
    }
    return merged;
  }

  #judgeRefusals(operations: readonly Operation[]): void {
    const compactions = operations.filter(({ request }) => request.kind === "compact");
    for (const operation of operations) {
      if (operation.outcome.kind !== "refused") continue;
      if (this.#isFair(operation, operation.outcome.text, compactions)) continue;
      this.#problems.push(`refused with "${operation.outcome.text}": ${describe(operation)}`);
    }
  }

  #isFair(operation: Operation, text: string, compactions: readonly Operation[]): boolean {
    const { request } = operation;
    switch (request.kind) {
      case "kv":
        if (text === refusals.duplicateKey) return request.rpc === "Txn";
        return (
          text === refusals.leaseNotFound &&
          leasesOf(request.txn).some((id) => !this.leases.isSurelyThere(id, operation))
        );
      case "revoke":
        return text === refusals.leaseNotFound && !this.leases.isSurelyThere(request.id, operation);
      case "compact":
      case "hash": {
        const asked = compactions.filter((c) => c !== operation && c.sent < operation.ended);
        const least = request.kind === "hash" ? request.revision + 1 : request.revision;
        return (
          text === refusals.compacted &&
          (this.compacted >= least ||
            asked.some((c) => c.request.kind === "compact" && c.request.revision >= least))
        );
      }
      case "grant":
      case "keepalive":
        return false;
    }
  }

  #judgeState(finding: Finding): void {
    for (const [revision, pairs] of [[finding.revision, finding.pairs] as const, ...finding.past]) {
      const expected = this.model.pairs(revision);
      if (expected.join(" ") === pairs.join(" ")) continue;
      const missing = expected.filter((pair) => !pairs.includes(pair));
      const extra = pairs.filter((pair) => !expected.includes(pair));
      this.#problems.push(
        `at revision ${revision} missing [${missing.join(" ")}], not written [${extra.join(" ")}]`,
      );
    }
  }

  #judgeHashes(operations: readonly Operation[], finding: Finding): number {
    for (const { outcome } of operations) {
      if (outcome.kind !== "acknowledged" || outcome.answer.kind !== "hash") continue;
      this.#samples.push(outcome.answer.sample);
    }
    let compared = 0;
    for (const before of this.#samples) {
      for (const now of finding.hashes) {
        if (now.revision !== before.revision || now.compacted !== before.compacted) continue;
        compared++;
        if (now.hash === before.hash) continue;
        this.#problems.push(
          `HashKV at revision ${now.revision} was ${before.hash} and is now ${now.hash} (compacted ${now.compacted})`,
        );
      }
    }
    this.#samples.push(...finding.hashes);
    return compared;
  }

  #forget(compacted: number): void {
    this.compacted = compacted;
    this.model.compact(compacted);
    for (const revision of this.#history.keys()) {
      if (revision <= compacted) this.#history.delete(revision);
    }
    this.#samples = this.#samples
      .filter((sample) => Math.max(sample.compacted, 0) === compacted)
      .slice(-samplesMax);
  }
}

/** Follows the history revision by revision on the model. */
class Replay {
  readonly #model: Model;
  readonly #writes: Map<number, AckedKv[]> = new Map();
  readonly #reads: Map<number, AckedKv[]> = new Map();
  /** Acknowledged revokes by the revision of their answer: they may have written it. */
  readonly #revokes: Map<number, Operation[]> = new Map();
  /** Without outcome: each may have written one revision. */
  readonly #open: Operation[] = [];
  /** Which operations could have written a revision that no acknowledged write explains. */
  readonly #explanations: Map<number, Operation[]> = new Map();
  readonly #problems: string[] = [];
  /** Unknown operations that wrote. */
  happened = 0;

  constructor(model: Model, operations: readonly Operation[]) {
    this.#model = model;
    for (const acked of acknowledgedKv(operations)) {
      push(acked.answer.mutated ? this.#writes : this.#reads, acked.answer.revision, acked);
    }
    for (const operation of operations) {
      const { request, outcome } = operation;
      if (outcome.kind === "unknown" && (request.kind === "kv" || request.kind === "revoke")) {
        this.#open.push(operation);
      } else if (outcome.kind === "acknowledged" && request.kind === "revoke") {
        push(this.#revokes, outcome.answer.revision, operation);
      }
    }
  }

  /** Applies `history` to the model, up to `last`; what contradicts the operations is returned. */
  run(history: ReadonlyMap<number, readonly Change[]>, last: number): string[] {
    const first = this.#model.revision;
    this.#judgeOrder(first, last);
    this.#judgeUnchanged(first);
    for (let revision = first + 1; revision <= last; revision++) {
      const changes = history.get(revision) ?? [];
      if (changes.length === 0) this.#problems.push(`revision ${revision} is a hole`);
      this.#judgeWrite(revision, changes);
      this.#model.apply(revision, changes);
      this.#judgeUnchanged(revision);
    }
    this.#resolve(history);
    return this.#problems;
  }

  /** Revisions of answers against what had been seen when their requests were sent, and against what is there. */
  #judgeOrder(first: number, last: number): void {
    for (const acked of [...this.#writes.values(), ...this.#reads.values()].flat()) {
      const { operation, answer } = acked;
      const least = answer.mutated ? operation.floor + 1 : operation.floor;
      if (answer.revision < Math.max(least, first)) {
        this.#problems.push(`revision ${least} was seen before: ${describe(operation)}`);
      }
      if (answer.revision > last) {
        this.#problems.push(`lost, the last revision is ${last}: ${describe(operation)}`);
      }
    }
  }

  #expect(operation: Operation, at: number): Expectation {
    const { request } = operation;
    if (request.kind === "kv") return this.#model.expect(request.txn, at);
    const isRevoke = request.kind === "revoke";
    return { lines: [], changes: isRevoke ? this.#model.expectRevoke(request.id, at) : [] };
  }

  #judgeWrite(revision: number, changes: readonly Change[]): void {
    const text = changesText(changes);
    const [acked, ...others] = this.#writes.get(revision) ?? [];
    for (const other of others) {
      this.#problems.push(`revision ${revision} was given out twice: ${describe(other.operation)}`);
    }
    if (acked !== undefined) {
      const expected = this.#expect(acked.operation, revision - 1);
      const wanted = changesText(expected.changes);
      if (wanted !== text) {
        this.#problems.push(
          `revision ${revision} is [${text}], should be [${wanted}]: ${describe(acked.operation)}`,
        );
      }
      this.#judgeLines(acked, expected);
      return;
    }
    if (changes.length === 0) return;
    const possible = [
      ...(this.#revokes.get(revision) ?? []),
      ...this.#open.filter((operation) => operation.floor < revision),
    ];
    this.#explanations.set(
      revision,
      possible.filter((o) => changesText(this.#expect(o, revision - 1).changes) === text),
    );
  }

  /** Answers given at `revision` that say nothing was written. */
  #judgeUnchanged(revision: number): void {
    for (const acked of this.#reads.get(revision) ?? []) {
      const expected = this.#expect(acked.operation, revision);
      if (expected.changes.length > 0) {
        const wanted = changesText(expected.changes);
        this.#problems.push(`should have written [${wanted}]: ${describe(acked.operation)}`);
      }
      this.#judgeLines(acked, expected);
    }
    for (const operation of this.#revokes.get(revision) ?? []) {
      const left = this.#expect(operation, revision).changes;
      if (left.length > 0) {
        this.#problems.push(`keys left by ${describe(operation)}: ${changesText(left)}`);
      }
    }
  }

  #judgeLines({ operation, answer }: AckedKv, expected: Expectation): void {
    const wanted = expected.lines.join("; ");
    const given = answer.lines.join("; ");
    if (wanted === given) return;
    this.#problems.push(`answered [${given}], should be [${wanted}]: ${describe(operation)}`);
  }

  #resolve(history: ReadonlyMap<number, readonly Change[]>): void {
    const writer = match(this.#explanations);
    for (const revision of this.#explanations.keys()) {
      const operation = writer.get(revision);
      if (operation === undefined) {
        const text = changesText(history.get(revision) ?? []);
        this.#problems.push(`nobody wrote revision ${revision} as it is: ${text}`);
      } else if (operation.outcome.kind === "unknown") {
        this.happened++;
      }
    }
  }
}
