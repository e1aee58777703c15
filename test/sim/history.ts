// What clients saw over all lives of a machine, and whether the log, replayed, allows it.
//
// Nothing may be seen that the log does not say in the end: every answer, read and event names a revision, and a crash afterwards must not
// take it away. Answers that never came, and refusals that leave it open, may have taken effect or not.

import {
  decodeRangeResponse,
  type Event,
  EventType,
  encodeEvent,
  encodeRangeResponse,
  ProtoError,
  type RangeRequest,
} from "../../src/proto/index.ts";
import { requestOf } from "../../src/server/apply/request.ts";
import { Arm } from "../../src/server/index.ts";
import type { Change } from "../core/mvcc/model.ts";
import { entryName, type Journal } from "./journal.ts";
import type { Grant, LogReplay } from "./log-replay.ts";
import { demand } from "./violation.ts";

/** Refusals of requests that never reach the log. */
const NOT_IN_LOG = new Set(["requestTooLarge", "tooManyRequests", "contextDeadline"]);
/** Refusals that leave open whether the request takes effect, or come although it did. */
const OPEN = new Set(["stopped", "timeout", "proposalDropped", "noSpace"]);

/** How long a revocation the member makes is on its way to the log at most, on the slowest disk of the simulator. */
const REVOCATION_MS_MAX = 2000;

/** What a member proposes by itself, beside the end of leases. */
const OWN_ARMS: readonly number[] = [
  Arm.alarm,
  Arm.leaseCheckpoint,
  Arm.clusterVersionSet,
  Arm.clusterMemberAttrSet,
];

/** A request for the log. */
export interface WriteRecord {
  /** `entryName` of its entry. */
  readonly name: string;
  readonly arm: Arm;
  /** Highest revision anybody had been told of when it was made. */
  readonly floor: number;
  /** Response, encoded, or refusal; undefined while none came. */
  outcome: Uint8Array | string | undefined;
  revision: number;
}

/** An answered Range. */
export interface ReadRecord {
  readonly request: RangeRequest;
  readonly floor: number;
  readonly revision: number;
  readonly compactRevision: number;
  /** Encoded response, or refusal. */
  readonly outcome: Uint8Array | string;
}

/** A watcher and everything it was given. */
export interface WatchRecord {
  readonly key: string;
  readonly rangeEnd: string;
  /** First revision wanted. */
  readonly start: number;
  readonly prevKv: boolean;
  readonly events: Event[];
  /** It said that it had everything up to here. */
  completeTo: number;
  /** It was ended because of a compaction at this revision. */
  compactedAt: number | undefined;
}

/** Everything clients saw. */
export class History {
  readonly writes: WriteRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly watches: WatchRecord[] = [];
  /** Answered HashKV calls. */
  readonly hashes: {
    readonly revision: number;
    readonly compact: number;
    readonly hash: number;
  }[] = [];
  /** Renewals by lease id, on the machine's clock. */
  readonly renewals: Map<bigint, number[]> = new Map();
  /** Highest revision a client was told. */
  floor = 0;

  /** A client was told of `revision`. */
  told(revision: number): void {
    this.floor = Math.max(this.floor, revision);
  }

  get acknowledged(): number {
    return this.writes.filter((w) => typeof w.outcome === "object").length;
  }

  /** Compares everything with `replay`, which has applied the whole journal. */
  verify(journal: Journal, replay: LogReplay): void {
    const places = this.#places(journal, replay);
    for (const write of this.writes) verifyWrite(write, places.get(write.name), replay);
    const compacted = replay.model.compactRevision;
    replay.model.compactRevision = -1;
    for (const read of this.reads) verifyRead(read, replay);
    replay.model.compactRevision = compacted;
    for (const watch of this.watches) verifyWatch(watch, replay);
    for (const { revision, compact, hash } of this.hashes) {
      const expected = replay.hashKv(revision, compact);
      demand(hash === expected, `HashKV at ${revision} was ${hash} instead of ${expected}`);
    }
    const { revision } = replay.model;
    demand(this.floor <= revision, `revision ${this.floor} was told, the store is at ${revision}`);
  }

  /** Index of each entry a client asked for; every other entry must be one the member makes by itself. */
  #places(journal: Journal, replay: LogReplay): Map<string, number> {
    const asked = new Set(this.writes.map((w) => w.name));
    const places = new Map<string, number>();
    for (const { entry, submittedMs } of journal.entries) {
      if (entry.type !== 0 || entry.data.length === 0) continue;
      const name = entryName(entry.data);
      if (asked.has(name)) {
        const before = places.get(name);
        demand(
          before === undefined,
          `one request is in the log twice, at ${before} and ${entry.index}`,
        );
        places.set(name, entry.index);
        continue;
      }
      const { arm, request } = requestOf(entry);
      if (arm === Arm.leaseRevoke) {
        this.#verifyExpiry(
          (request as { id: bigint }).id,
          entry.index,
          submittedMs,
          journal,
          replay,
        );
      } else {
        demand(OWN_ARMS.includes(arm), `entry ${entry.index} (arm ${arm}) was asked for by nobody`);
      }
    }
    return places;
  }

  /**
   * The member ended a lease: not before its whole TTL had passed since the last renewal. A lease that was revoked and granted anew by
   * clients while the end of the old one was on its way ends with it, as in etcd: a revocation names nothing but the id.
   */
  #verifyExpiry(
    id: bigint,
    index: number,
    atMs: number,
    journal: Journal,
    replay: LogReplay,
  ): void {
    const grants = replay.grants.filter((g) => g.id === id && g.index < index);
    const submitted = (grant: Grant | undefined): number =>
      grant === undefined ? atMs : (journal.entries[grant.index - 1]?.submittedMs ?? 0);
    const rightly = grants.some((grant, i) => {
      const next = grants[i + 1];
      if (next !== undefined && submitted(next) < atMs - REVOCATION_MS_MAX) return false;
      const renewals = this.renewals.get(id) ?? [];
      const renewedMs = renewals.findLast((ms) => ms <= Math.min(submitted(next), atMs)) ?? 0;
      return atMs >= Math.max(submitted(grant), renewedMs) + grant.ttlS * 1000;
    });
    demand(rightly, `lease ${id} was revoked at entry ${index}, before its time`);
  }
}

function verifyWrite(write: WriteRecord, at: number | undefined, replay: LogReplay): void {
  const { outcome, arm, floor, revision } = write;
  if (outcome === undefined) return;
  const name = `request of arm ${arm}`;
  if (typeof outcome === "string") {
    if (OPEN.has(outcome)) return;
    if (NOT_IN_LOG.has(outcome)) {
      demand(at === undefined, `a ${name}, refused with ${outcome}, is in the log`);
      return;
    }
  }
  demand(at !== undefined, `a ${name} was answered and is not in the log`);
  const expected = replay.outcomes[at - 1];
  const before = replay.outcomes[at - 2]?.revision ?? 1;
  demand(
    same(outcome, expected?.outcome),
    () => `entry ${at} (arm ${arm}) was answered ${show(outcome)}, not ${show(expected?.outcome)}`,
  );
  if (typeof outcome === "string") return;
  demand(revision >= floor, `entry ${at} was answered with revision ${revision} after ${floor}`);
  if (expected !== undefined && expected.revision > before) {
    demand(expected.revision === before + 1, `entry ${at} took more than one revision`);
    demand(revision > floor, `entry ${at} wrote revision ${revision}, which was known before`);
  }
}

function verifyRead(read: ReadRecord, replay: LogReplay): void {
  const { request, revision, outcome } = read;
  const name = `a read at revision ${request.revision} of ${revision}`;
  demand(revision >= read.floor, `${name} after ${read.floor} was told`);
  demand(revision <= replay.model.revision, `${name} which is lost`);
  if (typeof outcome === "string") {
    const rightly =
      outcome === "compacted"
        ? request.revision < read.compactRevision
        : outcome === "futureRev" && request.revision > revision;
    demand(rightly, `${name} was refused with ${outcome}`);
    return;
  }
  const at = request.revision > 0 ? request.revision : revision;
  demand(at >= read.compactRevision, `${name} below compact revision ${read.compactRevision}`);
  const expected = replay.model.range({ ...request, revision: at }, revision);
  demand(typeof expected === "object", `${name} is not in the log`);
  const bytes = encodeRangeResponse(expected);
  demand(same(outcome, bytes), () => `${name} gave ${show(outcome)}, not ${show(bytes)}`);
}

function verifyWatch(watch: WatchRecord, replay: LogReplay): void {
  const { key, rangeEnd, start, events } = watch;
  const last = Math.max(events.at(-1)?.kv?.modRevision ?? 0, watch.completeTo);
  const name = `watch of ${JSON.stringify(key)} from ${start} to ${last}`;
  demand(last <= replay.model.revision, `${name}: it saw what is lost`);
  const all = replay.model.changes.filter(
    ({ main, kv }) => main >= start && main <= last && isInRange(key, rangeEnd, kv.key),
  );
  let at = 0;
  const expected = all.filter((change, i) => {
    const event = events[at];
    const isGiven =
      event?.kv?.modRevision === change.main &&
      event.kv.key === change.kv.key &&
      event.type === typeOf(change);
    if (!isGiven && isSuperseded(change, all.slice(i + 1), replay)) return false;
    at++;
    return true;
  });
  demand(
    events.length === expected.length,
    () => `${name}: ${events.length} events, not ${expected.length}`,
  );
  for (const [i, change] of expected.entries()) {
    const event = events[i] as Event;
    const want: Event = { type: typeOf(change), kv: change.kv, prevKv: event.prevKv };
    demand(
      Buffer.compare(encodeEvent(event), encodeEvent(want)) === 0,
      () => `${name}: event ${i} is ${show(event)}, not ${show(want)}`,
    );
    if (event.prevKv === undefined) continue;
    const before = replay.model.stateAt(change.main - 1).get(change.kv.key);
    const prev: Event = { ...want, prevKv: before };
    demand(
      watch.prevKv && Buffer.compare(encodeEvent(event), encodeEvent(prev)) === 0,
      () => `${name}: previous value of event ${i} is ${show(event.prevKv)}, not ${show(before)}`,
    );
  }
}

function typeOf(change: Change): number {
  return change.tombstone ? EventType.DELETE : EventType.PUT;
}

/** True for a change that a compaction at its very revision removes: the same request changed the key again. As in etcd. */
function isSuperseded(change: Change, later: readonly Change[], replay: LogReplay): boolean {
  const isAgain = later.some((c) => c.main === change.main && c.kv.key === change.kv.key);
  return isAgain && replay.compactions.has(change.main);
}

/** As the server takes the bounds of a range. */
export function isInRange(key: string, rangeEnd: string, candidate: string): boolean {
  if (rangeEnd === "") return candidate === key;
  return candidate >= key && (rangeEnd === "\0" || candidate < rangeEnd);
}

function same(a: Uint8Array | string | undefined, b: Uint8Array | string | undefined): boolean {
  if (typeof a === "object" && typeof b === "object") return Buffer.compare(a, b) === 0;
  return a === b;
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) {
    const range = decodeRangeResponse(value, 0, value.length);
    const hex = Buffer.from(value).toString("hex").slice(0, 400);
    return range instanceof ProtoError ? hex : `${hex} (${show(range).slice(0, 400)})`;
  }
  return JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === "bigint") return String(v);
    return v instanceof Uint8Array ? Buffer.from(v).toString("latin1").slice(0, 40) : v;
  });
}
