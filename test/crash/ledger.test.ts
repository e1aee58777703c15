// The judge itself: it accepts every run of a server that keeps its promises, and notices each way of breaking one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Finding, FoundLease } from "./finding.ts";
import { type Evidence, Ledger } from "./ledger.ts";
import type { Told } from "./listener.ts";
import { match } from "./matching.ts";
import type { Change } from "./model.ts";
import type { Operation } from "./ops.ts";
import { PerfectServer } from "./perfect-server.ts";
import { tokenOf, valueBytes, valueToken } from "./values.ts";

/** A round on top of a judged one: what the judge knows, the round, and what is truly there. */
interface Scene {
  readonly ledger: Ledger;
  readonly evidence: Evidence;
  readonly finding: Finding;
  /** Last revision of the round before. */
  readonly before: number;
}

function sceneOf(seed: number, unknown = 8): Scene {
  const server = new PerfectServer(seed);
  const ledger = new Ledger();
  const first = ledger.judge(server.load(150, unknown), server.find([]));
  assert.deepEqual(first.problems, []);
  const before = ledger.model.revision;
  const evidence = server.load(300, unknown);
  return { ledger, evidence, finding: server.find(ledger.hashRevisions), before };
}

void test("a server that keeps its promises is never blamed", () => {
  const property = fc.property(fc.nat(), fc.nat({ max: 30 }), (seed, unknown) => {
    const { ledger, evidence, finding } = sceneOf(seed, unknown);
    assert.deepEqual(ledger.judge(evidence, finding).problems, []);
  });
  fc.assert(property, { numRuns: 40 });
});

void test("unknown operations that happened are counted", () => {
  let happened = 0;
  for (let seed = 0; seed < 5; seed++) {
    const { ledger, evidence, finding } = sceneOf(seed, 30);
    happened += ledger.judge(evidence, finding).happened;
  }
  assert.ok(happened > 10, `${happened}`);
});

// ------------------------------------------------------------------------------------------------------------------ breaking

/** A scene's evidence and finding with something wrong; undefined when this scene offers no place for it. */
type Spoiling = (scene: Scene) => Partial<Pick<Scene, "evidence" | "finding">> | undefined;

function withHistory(finding: Finding, revision: number, change: (told: Told) => Told[]): Finding {
  const history = finding.history.flatMap((t) => (t.revision === revision ? change(t) : [t]));
  return { ...finding, history };
}

/** A revision of the last round that is not compacted and for which `wanted` holds. */
function newRevision(
  { finding, before }: Scene,
  wanted: (told: Told) => boolean = () => true,
): Told | undefined {
  return finding.history.find((t) => t.revision > before && wanted(t));
}

function withChanges(
  scene: Scene,
  told: Told | undefined,
  spoil: (changes: readonly Change[]) => Change[],
): Partial<Scene> | undefined {
  if (told === undefined) return undefined;
  const { revision, changes } = told;
  // Nobody was told: what a watcher saw would give it away at once.
  const evidence = { ...scene.evidence, told: [], toldRevision: 0 };
  const spoiled = { revision, changes: spoil(changes) };
  return { evidence, finding: withHistory(scene.finding, revision, () => [spoiled]) };
}

function withEntry(change: Change | undefined, spoil: Partial<Change["entry"]>): Change[] {
  if (change?.entry === undefined) return [];
  return [{ ...change, entry: { ...change.entry, ...spoil } }];
}

const isPut = (told: Told): boolean =>
  told.changes.length === 1 && told.changes[0]?.entry !== undefined;

function withLeases(
  { finding }: Scene,
  spoil: (lease: FoundLease) => FoundLease[],
): Partial<Scene> | undefined {
  const index = finding.leases.findIndex((lease) => lease.keys.length > 0);
  if (index < 0) return undefined;
  const leases = finding.leases.flatMap((lease, i) => (i === index ? spoil(lease) : [lease]));
  return { finding: { ...finding, leases } };
}

function withOperation(
  { evidence }: Scene,
  wanted: (operation: Operation) => boolean,
  spoil: (operation: Operation) => Operation[],
): Partial<Scene> | undefined {
  const index = evidence.operations.findIndex(wanted);
  if (index < 0) return undefined;
  const operations = evidence.operations.flatMap((o, i) => (i === index ? spoil(o) : [o]));
  return { evidence: { ...evidence, operations } };
}

function isMutating({ outcome }: Operation): boolean {
  return outcome.kind === "acknowledged" && outcome.answer.kind === "kv" && outcome.answer.mutated;
}

const spoilings: Readonly<Record<string, { readonly spoil: Spoiling; readonly says: RegExp }>> = {
  "the last revisions are lost": {
    says: /lost, the last revision is|revision went back/,
    spoil: ({ finding, before }) => {
      const history = finding.history.filter((t) => t.revision <= before);
      return { finding: { ...finding, history, revision: before } };
    },
  },
  "a revision is missing": {
    says: /is a hole/,
    spoil: (s) => withChanges(s, newRevision(s), () => []),
  },
  "a transaction is there in part": {
    says: /should be \[|nobody wrote/,
    spoil: (s) => {
      const told = newRevision(s, (t) => t.changes.length > 1);
      return withChanges(s, told, (changes) => changes.slice(1));
    },
  },
  "an operation without answer is there in part": {
    says: /nobody wrote/,
    spoil: (s) => {
      const told = newRevision(s, (t) => t.changes.length > 1);
      const spoiled = withChanges(s, told, (changes) => changes.slice(1));
      if (told === undefined || spoiled?.evidence === undefined) return undefined;
      const operations = spoiled.evidence.operations.map((o): Operation => {
        const { outcome } = o;
        if (!isMutating(o) || outcome.kind !== "acknowledged") return o;
        if (outcome.answer.revision !== told.revision) return o;
        return { ...o, ended: Number.POSITIVE_INFINITY, outcome: { kind: "unknown", text: "" } };
      });
      return { ...spoiled, evidence: { ...spoiled.evidence, operations } };
    },
  },
  "a write was never sent": {
    says: /nobody wrote/,
    spoil: ({ finding }) => {
      const mod = finding.revision + 1;
      const entry = { value: "999999.0.1", create: mod, mod, version: 1, lease: 0n };
      const told = { revision: mod, changes: [{ key: "new", mod, entry }] };
      return { finding: { ...finding, revision: mod, history: [...finding.history, told] } };
    },
  },
  "a value is damaged": {
    says: /damaged/,
    spoil: (s) =>
      withChanges(s, newRevision(s, isPut), ([c]) => withEntry(c, { value: "damaged" })),
  },
  "a version is wrong": {
    says: /should be \[|nobody wrote/,
    spoil: (s) => withChanges(s, newRevision(s, isPut), ([c]) => withEntry(c, { version: 99 })),
  },
  "a create revision is wrong": {
    says: /should be \[|nobody wrote/,
    spoil: (s) => withChanges(s, newRevision(s, isPut), ([c]) => withEntry(c, { create: 1 })),
  },
  "a key is bound to another lease": {
    says: /should be \[|nobody wrote/,
    spoil: (s) => withChanges(s, newRevision(s, isPut), ([c]) => withEntry(c, { lease: 77n })),
  },
  "a watcher was told something else": {
    says: /was \[.*\] and is now \[/,
    spoil: (s) => {
      const told = newRevision(s, isPut);
      if (told === undefined || told.revision > s.evidence.toldRevision) return undefined;
      const [change] = told.changes;
      const spoiled = { ...told, changes: withEntry(change, { value: "1.2.3" }) };
      return { finding: withHistory(s.finding, told.revision, () => [spoiled]) };
    },
  },
  "a watcher was not told of a revision": {
    says: /was not told/,
    spoil: (s) => {
      const told = newRevision(s);
      if (told === undefined || told.revision > s.evidence.toldRevision) return undefined;
      const left = s.evidence.told.filter((t) => t.revision !== told.revision);
      return { evidence: { ...s.evidence, told: left } };
    },
  },
  "a revision judged before has changed": {
    says: /was \[.*\] and is now \[/,
    spoil: ({ finding, before }) => {
      const told = finding.history.find((t) => t.revision <= before && isPut(t));
      if (told === undefined) return undefined;
      const spoiled = { ...told, changes: withEntry(told.changes[0], { value: "1.2.3" }) };
      return { finding: withHistory(finding, told.revision, () => [spoiled]) };
    },
  },
  "a revision judged before is gone": {
    says: /is gone from the history/,
    spoil: ({ finding, before }) => {
      const told = finding.history.find((t) => t.revision <= before);
      return told && { finding: withHistory(finding, told.revision, () => []) };
    },
  },
  "a pair is missing": {
    says: /missing \[k/,
    spoil: ({ finding }) => ({ finding: { ...finding, pairs: finding.pairs.slice(1) } }),
  },
  "an older state has changed": {
    says: /not written \[x/,
    spoil: ({ finding }) => {
      const past = new Map([...finding.past].map(([r, pairs]) => [r, [...pairs, "x=1"]] as const));
      return { finding: { ...finding, past } };
    },
  },
  "the compacted revision went back": {
    says: /compacted revision went back/,
    spoil: ({ finding }) =>
      finding.compacted > 0 ? { finding: { ...finding, compacted: 0 } } : undefined,
  },
  "a compaction nobody asked for": {
    says: /nobody asked for/,
    spoil: ({ finding }) => ({ finding: { ...finding, compacted: finding.revision } }),
  },
  "a hash has changed": {
    says: /HashKV at revision/,
    spoil: ({ finding, ledger }) => {
      if (ledger.compacted !== finding.compacted) return undefined;
      return { finding: { ...finding, hashes: finding.hashes.map((h) => ({ ...h, hash: 1 })) } };
    },
  },
  "a lease is lost": {
    says: /is gone/,
    spoil: (s) => withLeases(s, () => []),
  },
  "a lease lost a key": {
    says: /has the keys/,
    spoil: (s) => withLeases(s, (lease) => [{ ...lease, keys: lease.keys.slice(1) }]),
  },
  "a lease has another TTL": {
    says: /was granted/,
    spoil: (s) => withLeases(s, (lease) => [{ ...lease, grantedTtl: 5 }]),
  },
  "a lease was never granted": {
    says: /was never granted/,
    spoil: (s) => withLeases(s, (lease) => [lease, { ...lease, id: 12345n, grantedTtl: 5 }]),
  },
  "a revoked lease is there": {
    says: /there after its revoke/,
    spoil: (s) => {
      const revoke = s.evidence.operations.find(
        (o) => o.request.kind === "revoke" && o.outcome.kind === "acknowledged",
      );
      if (revoke?.request.kind !== "revoke") return undefined;
      const { id } = revoke.request;
      return withLeases(s, (lease) => [lease, { ...lease, id, keys: [] }]);
    },
  },
  "an answer is wrong": {
    says: /answered \[/,
    spoil: (s) =>
      withOperation(s, isMutating, (o) => {
        if (o.outcome.kind !== "acknowledged" || o.outcome.answer.kind !== "kv") return [o];
        const answer = { ...o.outcome.answer, lines: ["failed"] };
        return [{ ...o, outcome: { kind: "acknowledged", answer } }];
      }),
  },
  "a revision was given out twice": {
    says: /given out twice/,
    spoil: (s) => withOperation(s, isMutating, (o) => [o, o]),
  },
  "a read is stale": {
    says: /was seen before/,
    spoil: (s) =>
      withOperation(
        s,
        (o) => o.request.kind === "kv" && o.request.rpc === "Range" && o.floor > s.before,
        (o) => [{ ...o, floor: o.floor + 1 }],
      ),
  },
  "an acknowledged write is nowhere": {
    says: /given out twice|should be \[/,
    spoil: (s) =>
      withOperation(s, isMutating, (o) => {
        if (o.outcome.kind !== "acknowledged" || o.outcome.answer.kind !== "kv") return [o];
        const answer = { ...o.outcome.answer, revision: o.outcome.answer.revision + 1 };
        return [{ ...o, outcome: { kind: "acknowledged", answer } }];
      }),
  },
  "a request is refused without reason": {
    says: /refused with "etcdserver: too many requests"/,
    spoil: (s) =>
      withOperation(
        s,
        (o) => o.request.kind === "kv" && o.request.rpc === "Range",
        (o) => [
          { ...o, outcome: { kind: "refused", code: 8, text: "etcdserver: too many requests" } },
        ],
      ),
  },
  "the term went back": {
    says: /term went back/,
    spoil: ({ finding }) => ({ finding: { ...finding, term: 1 } }),
  },
  "the member is another": {
    says: /another cluster or member/,
    spoil: ({ finding }) => ({ finding: { ...finding, memberId: 3n } }),
  },
};

for (const [name, { spoil, says }] of Object.entries(spoilings)) {
  void test(`it is noticed when ${name}`, () => {
    let tried = 0;
    for (let seed = 100; seed < 130 && tried < 3; seed++) {
      const whole = sceneOf(seed);
      const spoiled = spoil(whole);
      if (spoiled === undefined) continue;
      tried++;
      const { ledger, evidence, finding } = { ...whole, ...spoiled };
      assert.match(ledger.judge(evidence, finding).problems.join("\n"), says);
    }
    assert.ok(tried > 0, "no scene has a place for it");
  });
}

void test("revisions that several operations could have written are shared out", () => {
  // Greedy choice would give a to 1 and leave 2 unexplained.
  const edges = new Map([
    [1, ["a", "b"]],
    [2, ["a"]],
    [3, ["c", "b"]],
  ]);
  assert.deepEqual(Object.fromEntries(match(edges)), { 1: "b", 2: "a", 3: "c" });
});

void test("a value read back is its token only if every byte is right", () => {
  const token = valueToken(12, 3, 1000);
  const bytes = valueBytes(token);
  assert.equal(tokenOf(bytes), token);
  for (const at of [0, 5, 500, bytes.length - 1]) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    assert.notEqual(tokenOf(damaged), token);
  }
  assert.notEqual(tokenOf(bytes.subarray(0, -1)), token);
});
