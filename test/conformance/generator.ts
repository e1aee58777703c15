// Makes the steps of a run from a seed: the same seed gives the same steps, whatever the servers answer.
//
// Weights are chosen so that most steps succeed and meet the state earlier steps left, and the rest are refused in every way there
// is. Steps that would make two correct servers differ (a lease that expires while others write, an id the server picks) only
// occur as a whole step that hides it (shortLease, autoLease).

import { Prng } from "../../src/base/index.ts";
import { wireSchema } from "../support/wire-schema.ts";
import { type MethodName, methods, type Op, type RequestFields, type StreamName } from "./ops.ts";
import {
  deepTxnBytes,
  deleteRequest,
  putRequest,
  rangeRequest,
  rangeStreamRequest,
  someTxn,
} from "./requests.ts";
import { hugeInteger, someKey, someLease, someRevision, watchRange } from "./values.ts";

/** Steps between two comparisons of the whole state. */
const opsPerSync = 40;
/** Watchers alive on one stream at a time; each is sent every event it matches. */
const watchersMax = 8;
/** More revisions than etcd sends in one response to a watcher that catches up. */
const burstPuts = 1_100;
/** Steps between two of the long sequences (burst, large values). */
const opsPerLongSequence = 6_000;

const metadataKinds: readonly Readonly<Record<string, string>>[] = [
  { hasleader: "true" },
  { hasleader: "yes" },
  { "client-api-version": "3.7.1" },
  { token: "no-such-token" },
  { authorization: "Bearer x" },
];

const badPaths = [
  "/etcdserverpb.KV/Nope",
  "/etcdserverpb.Nope/Range",
  "/etcdserverpb.KV/range",
  "/nope",
  "/",
];

/** A named share of the steps. */
interface Share {
  readonly weight: number;
  readonly make: () => readonly Op[];
}

/** The state of one run's generation. */
class Generator {
  readonly #prng: Prng;
  readonly #alive = new Map<StreamName, string[]>();
  readonly #nextId = new Map<StreamName, number>();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  #call(method: MethodName, request: RequestFields, reads: boolean): Op {
    const metadata = this.#prng.chance(0.02) ? this.#prng.pick(metadataKinds) : undefined;
    return { kind: "call", method, request, reads, metadata };
  }

  /** A watcher that is accepted; above `watchersMax` the oldest of its stream is cancelled first. */
  #watch(stream: StreamName, request: RequestFields): Op[] {
    const alive = this.#alive.get(stream) ?? [];
    this.#alive.set(stream, alive);
    const next = this.#nextId.get(stream) ?? 0;
    const ops: Op[] = [];
    if (alive.length >= watchersMax) {
      ops.push({ kind: "watchCancel", stream, id: alive.shift() ?? "0" });
    }
    // A guess that an explicit id of an earlier watcher makes wrong now and then; such a cancel is ignored.
    const asked = request["watch_id"];
    alive.push(typeof asked === "string" ? asked : String(next));
    if (asked === undefined) this.#nextId.set(stream, next + 1);
    return [...ops, { kind: "watch", stream, request }];
  }

  #watchOptions(): RequestFields {
    const prng = this.#prng;
    return {
      filters: prng.chance(0.15) ? prng.pick([[0], [1], [0, 1], [7]]) : undefined,
      progress_notify: prng.chance(0.1) ? true : undefined,
      watch_id: prng.chance(0.1) ? String(1_000 + prng.below(1_000_000)) : undefined,
    };
  }

  #someWatch(): Op[] {
    const prng = this.#prng;
    const kind = prng.below(100);
    const prev_kv = prng.chance(0.4) ? true : undefined;
    const range = watchRange(prng);
    if (kind < 35) return this.#watch("live", { ...range, ...this.#watchOptions(), prev_kv });
    const history = { $: "readable", add: -prng.below(40) } as const;
    if (kind < 65) {
      const stream = kind < 50 ? "history" : "catchup";
      // etcd cuts no response into fragments that it sends right behind `created`: whether it does so depends on time.
      const fragment = stream === "catchup" && prng.chance(0.3) ? true : undefined;
      const options = { ...this.#watchOptions(), prev_kv, fragment };
      return this.#watch(stream, { ...range, start_revision: history, ...options });
    }
    if (kind < 80) {
      const start_revision = prng.chance(0.1)
        ? hugeInteger(prng).replace("-", "")
        : ({ $: "current", add: 1 + prng.below(30) } as const);
      return this.#watch("future", { ...range, start_revision, ...this.#watchOptions() });
    }
    return [{ kind: "watch", stream: "odd", request: this.#oddWatch() }];
  }

  /** A watcher that is refused, or cancelled at once. */
  #oddWatch(): RequestFields {
    const prng = this.#prng;
    const key = someKey(prng);
    return prng.pick<RequestFields>([
      { key, range_end: key },
      { key: Buffer.from("b"), range_end: Buffer.from("a/1") },
      { key, start_revision: "-1" },
      { key, start_revision: "-9223372036854775808" },
      { key, start_revision: { $: "compacted", add: -1 } },
      { key: Buffer.from("never"), watch_id: String(1 + prng.below(4)) },
    ]);
  }

  #someCancel(): Op[] {
    const prng = this.#prng;
    const stream = prng.pick<StreamName>(["live", "history", "catchup", "future", "odd"]);
    const alive = this.#alive.get(stream) ?? [];
    const known = prng.chance(0.8) ? alive.splice(prng.below(watchersMax), 1)[0] : undefined;
    return [{ kind: "watchCancel", stream, id: known ?? String(prng.below(40) - 2) }];
  }

  #compact(): Op[] {
    const prng = this.#prng;
    const kind = prng.below(100);
    const revision =
      kind < 60
        ? ({ $: "current", add: -prng.below(30) } as const)
        : kind < 70
          ? ({ $: "current", add: 0 } as const)
          : (someRevision(prng) ?? 0);
    const physical = prng.chance(0.4) ? true : undefined;
    // Watchers are let catch up first: what one that lags behind a compaction gets depends on time.
    return [{ kind: "sync" }, this.#call("Compact", { revision, physical }, false)];
  }

  #lease(): Op[] {
    const prng = this.#prng;
    const kind = prng.below(100);
    const ID = someLease(prng);
    const keys = prng.chance(0.7) ? true : undefined;
    if (kind < 30) {
      // Long enough never to expire within a run; above 9,000,000,000 refused.
      const TTL = prng.pick(["50000", "100000", "9000000000", "9000000001", "9223372036854775807"]);
      return [this.#call("LeaseGrant", { ID, TTL }, false)];
    }
    if (kind < 45) return [this.#call("LeaseRevoke", { ID }, false)];
    if (kind < 65) return [this.#call("LeaseTimeToLive", { ID, keys }, true)];
    if (kind < 75) return [this.#call("LeaseLeases", {}, true)];
    if (kind < 95) {
      const ids = Array.from({ length: 1 + prng.below(3) }, () => someLease(prng));
      return [{ kind: "keepAlive", ids: prng.chance(0.1) ? [...ids, "0"] : ids }];
    }
    return [{ kind: "autoLease", ttl: 5_000 + prng.below(1_000) }];
  }

  #shortLease(): Op[] {
    const prng = this.#prng;
    const keys = Array.from({ length: prng.below(4) }, () => someKey(prng));
    const ttl = prng.pick([2, 1, 0, -5]);
    const id = String(100 + prng.below(1_000_000));
    return [{ kind: "shortLease", id, ttl, keys, revoke: prng.chance(0.85) }];
  }

  /** An alarm, what it blocks and what it lets pass, and its end. */
  #alarms(): Op[] {
    const prng = this.#prng;
    const memberID = prng.chance(0.7) ? ({ $: "member" } as const) : String(prng.below(3));
    const alarm = prng.pick([1, 1, 2]);
    const during = Array.from({ length: 4 + prng.below(8) }, () => this.#plain());
    return [
      this.#call("Alarm", { action: 1, memberID, alarm }, false),
      this.#call("Alarm", { action: 0, alarm: prng.below(3) }, false),
      ...during.flat(),
      this.#call("Alarm", { action: 2, memberID: "77", alarm }, false),
      this.#call("Alarm", { action: 2, memberID, alarm }, false),
      this.#call("Alarm", { action: 0, alarm: 0 }, false),
    ];
  }

  #maintenance(): Op[] {
    const prng = this.#prng;
    const revision = someRevision(prng);
    if (prng.chance(0.7) && !isBelowSafe(revision)) {
      return [this.#call("HashKV", { revision }, true)];
    }
    const linearizable = prng.chance(0.5) ? true : undefined;
    return prng.pick([
      [this.#call("Status", {}, true)],
      [this.#call("Hash", {}, true)],
      [this.#call("MemberList", { linearizable }, true)],
    ]);
  }

  #garbled(): Op[] {
    const prng = this.#prng;
    const kind = prng.below(10);
    const bytes = Buffer.from(Array.from({ length: prng.below(24) }, () => prng.below(256)));
    if (kind < 1) return [{ kind: "raw", path: prng.pick(badPaths), bytes }];
    if (kind < 2) {
      const method = prng.pick<MethodName>(["Range", "RangeStream"]);
      return [{ kind: "cardinality", method, count: prng.pick([0, 2, 3]) }];
    }
    // Random bytes are ignored by a watch when they happen to be a message; none of the three requests is.
    if (kind < 4 && prng.chance(0.3)) {
      const depth = prng.pick([100, 126, 127, 128, 3_000]);
      return [{ kind: "raw", path: methods.Txn.path, bytes: deepTxnBytes(someKey(prng), depth) }];
    }
    if (kind < 3) return [{ kind: "watchRaw", bytes: Buffer.from([0x7f, ...bytes]) }];
    const method = prng.pick<MethodName>(["Range", "Put", "DeleteRange", "Txn"]);
    if (kind < 5) return [{ kind: "raw", path: methods[method].path, bytes }];
    return [{ kind: "raw", path: methods[method].path, bytes: this.#mutated(method) }];
  }

  /** A valid request, cut or with a few bytes changed. */
  #mutated(method: MethodName): Buffer {
    const prng = this.#prng;
    const key = someKey(prng);
    const request =
      method === "Txn"
        ? {
            success: [
              { request_put: { key, value: Buffer.from("v") } },
              { request_range: { key } },
            ],
          }
        : method === "Put"
          ? { key, value: Buffer.from("v"), prev_kv: true }
          : { key, range_end: someKey(prng) };
    const whole = wireSchema().encode(`etcdserverpb.${methods[method].request}`, request);
    const bytes = Buffer.from(whole.subarray(0, whole.length - prng.below(4)));
    for (let n = prng.below(4); n > 0 && bytes.length > 0; n--) {
      bytes[prng.below(bytes.length)] = prng.below(256);
    }
    return bytes;
  }

  /** Values around the limits of a request's size; the larger one is refused by the gRPC layer itself. */
  #oversized(): Op[] {
    const size = this.#prng.pick([1_572_000, 1_572_864, 1_600_000, 2_097_153, 2_200_000]);
    const value = Buffer.alloc(size, 0x79);
    return [this.#call("Put", { key: Buffer.from("big"), value }, false)];
  }

  /** More revisions than one response holds, and a watcher of all of them. */
  burst(): Op[] {
    const key = Buffer.from("burst");
    const puts = Array.from({ length: burstPuts }, (_, n) =>
      this.#call("Put", { key, value: Buffer.from(String(n)) }, false),
    );
    const start_revision = { $: "readable", add: -burstPuts } as const;
    return [...puts, ...this.#watch("history", { key, start_revision, prev_kv: true })];
  }

  /** History too large for one response, and one revision too large for it, watched with and without fragments. */
  largeValues(): Op[] {
    const key = Buffer.from("large");
    const puts = [0x61, 0x62, 0x63, 0x64].map((byte) =>
      this.#call("Put", { key, value: Buffer.alloc(800_000, byte) }, false),
    );
    const start_revision = { $: "readable", add: -3 } as const;
    const both = ["large1", "large2"].map((name) => ({
      request_put: { key: Buffer.from(name), value: Buffer.alloc(700_000, 0x65) },
    }));
    const txn = this.#call("Txn", { success: both }, false);
    return [
      ...puts,
      ...this.#watch("catchup", { key, start_revision, prev_kv: true, fragment: true }),
      ...this.#watch("history", { key, start_revision, prev_kv: true }),
      this.#call("Range", { key, range_end: Buffer.from("\0") }, true),
      txn,
      ...this.#watch("live", { key, range_end: Buffer.from("\0"), prev_kv: true, fragment: true }),
      { kind: "sync" },
      // With the values before them, two puts of 700,000 bytes make a response of four.
      txn,
      { kind: "sync" },
      this.#call("DeleteRange", { key, range_end: Buffer.from("large3"), prev_kv: true }, false),
    ];
  }

  /** A step of the KV service or a lease. */
  #plain(): readonly Op[] {
    const prng = this.#prng;
    const kind = prng.below(100);
    if (kind < 30) return [this.#call("Put", putRequest(prng), false)];
    if (kind < 55) return [this.#call("Range", rangeRequest(prng), true)];
    if (kind < 61) return [this.#call("RangeStream", rangeStreamRequest(prng), true)];
    if (kind < 70) return [this.#call("DeleteRange", deleteRequest(prng), false)];
    if (kind < 88) return [this.#call("Txn", someTxn(prng), false)];
    return this.#lease();
  }

  readonly #shares: readonly Share[] = [
    { weight: 820, make: () => this.#plain() },
    { weight: 45, make: () => this.#someWatch() },
    { weight: 20, make: () => this.#someCancel() },
    { weight: 9, make: () => this.#compact() },
    { weight: 45, make: () => this.#maintenance() },
    { weight: 50, make: () => this.#garbled() },
    { weight: 3, make: () => this.#alarms() },
    { weight: 2, make: () => this.#shortLease() },
    { weight: 2, make: () => this.#oversized() },
  ];

  /** The next step, now and then with what must come before it. */
  next(): readonly Op[] {
    const total = this.#shares.reduce((sum, s) => sum + s.weight, 0);
    let at = this.#prng.below(total);
    for (const share of this.#shares) {
      if (at < share.weight) return share.make();
      at -= share.weight;
    }
    return [];
  }
}

/** The steps of a run: at least `count`, with a sync every so often and at the end. */
export function generate(seed: number, count: number): Op[] {
  const generator = new Generator(new Prng(seed));
  const ops: Op[] = [];
  let sinceSync = 0;
  let sinceLong = opsPerLongSequence / 2;
  while (ops.length < count) {
    const isLong = sinceLong >= opsPerLongSequence;
    const next = isLong ? [...generator.burst(), ...generator.largeValues()] : generator.next();
    ops.push(...next);
    sinceSync += next.length;
    sinceLong = isLong ? 0 : sinceLong + next.length;
    if (sinceSync >= opsPerSync) {
      ops.push({ kind: "sync" });
      sinceSync = 0;
    }
  }
  ops.push({ kind: "sync" });
  return ops;
}

/** HashKV echoes its revision, and ours takes one below -(2^53 - 1) as that (src/README.md, divergences). */
function isBelowSafe(revision: unknown): boolean {
  return typeof revision === "string" && Number(revision) < Number.MIN_SAFE_INTEGER;
}
