// What a server holds after its restart, read through the API alone.

import { setTimeout as sleep } from "node:timers/promises";
import {
  createHashKVRequest,
  createLeaseLeasesRequest,
  createLeaseTimeToLiveRequest,
  createRangeRequest,
  decodeHashKVResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  decodeRangeResponse,
  encodeHashKVRequest,
  encodeLeaseLeasesRequest,
  encodeLeaseTimeToLiveRequest,
  encodeRangeRequest,
  type RangeResponse,
} from "../../src/proto/index.ts";
import { type CallOutcome, GrpcClient } from "../support/grpc-client.ts";
import { Listener, type Told } from "./listener.ts";
import type { HashSample } from "./ops.ts";
import { decoded, headerOf, pairOf } from "./wire.ts";

/** How long the whole history may take to come, on a busy machine. */
const historyMsMax = 30_000;
/** How long one read may take. */
const readMsMax = 30_000;
/** Pause between two requests for progress; a watch that is behind does not answer them. */
const progressMs = 10;
/** gRPC OUT_OF_RANGE, as for a compacted revision. */
const OUT_OF_RANGE = 11;

/** A lease as the server tells it; times in seconds. */
export interface FoundLease {
  readonly id: bigint;
  readonly grantedTtl: number;
  readonly ttl: number;
  readonly keys: readonly string[];
}

/** The state of a server that nobody else uses. */
export interface Finding {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly term: number;
  readonly revision: number;
  /** 0 when nothing was ever compacted. */
  readonly compacted: number;
  /** Everything after `compacted`. */
  readonly history: readonly Told[];
  /** All pairs now. */
  readonly pairs: readonly string[];
  /** All pairs at some older revisions. */
  readonly past: ReadonlyMap<number, readonly string[]>;
  readonly leases: readonly FoundLease[];
  readonly hashes: readonly HashSample[];
  /** What is wrong whatever was written. */
  readonly problems: readonly string[];
}

/** What to read beside the present state. */
export interface Questions {
  /** Revisions to hash; those a compaction has passed are left out. */
  readonly hashRevisions: readonly number[];
  /** Chooses older revisions to read, all within compacted..revision. */
  past(compacted: number, revision: number): readonly number[];
}

function must(outcome: CallOutcome, what: string): Uint8Array {
  const [bytes] = outcome.messages;
  if (outcome.code === 0 && bytes !== undefined) return bytes;
  throw new Error(`${what} after the restart: code ${outcome.code}, ${outcome.details}`);
}

class Reader {
  readonly client: GrpcClient;
  readonly problems: string[] = [];

  constructor(client: GrpcClient) {
    this.client = client;
  }

  async call(path: string, request: Uint8Array): Promise<CallOutcome> {
    return await this.client.unary(`/etcdserverpb.${path}`, request, { deadlineMs: readMsMax });
  }

  async range(revision: number): Promise<RangeResponse> {
    const request = createRangeRequest({ key: "\0", rangeEnd: "\0", revision });
    const outcome = await this.call("KV/Range", encodeRangeRequest(request));
    return decoded(decodeRangeResponse, must(outcome, `reading all keys at revision ${revision}`));
  }

  async hash(revision: number): Promise<HashSample> {
    const request = encodeHashKVRequest(createHashKVRequest({ revision }));
    const outcome = await this.call("Maintenance/HashKV", request);
    const message = decoded(decodeHashKVResponse, must(outcome, `HashKV at revision ${revision}`));
    const { hash, hashRevision, compactRevision } = message;
    return { revision: hashRevision, compacted: compactRevision, hash };
  }

  async lease(id: bigint): Promise<FoundLease> {
    const request = createLeaseTimeToLiveRequest({ id, keys: true });
    const outcome = await this.call("Lease/LeaseTimeToLive", encodeLeaseTimeToLiveRequest(request));
    const bytes = must(outcome, `time to live of lease 0x${id.toString(16)}`);
    const { ttl, grantedTtl, keys } = decoded(decodeLeaseTimeToLiveResponse, bytes);
    return { id, ttl, grantedTtl, keys: [...keys].sort() };
  }

  async leases(): Promise<FoundLease[]> {
    const request = encodeLeaseLeasesRequest(createLeaseLeasesRequest());
    const bytes = must(await this.call("Lease/LeaseLeases", request), "the list of leases");
    const { leases } = decoded(decodeLeaseLeasesResponse, bytes);
    return await Promise.all(leases.map(({ id }) => this.lease(id)));
  }

  /** All events from `from` to `revision`. */
  async history(from: number, revision: number): Promise<readonly Told[]> {
    const listener = new Listener(this.client, from);
    const until = Date.now() + historyMsMax;
    while (listener.progress < revision && listener.cancelled === undefined) {
      if (Date.now() > until) {
        this.problems.push(
          `a watch from revision ${from} has told up to revision ${listener.revision} of ${revision} in ${historyMsMax} ms`,
        );
        break;
      }
      listener.requestProgress();
      await sleep(progressMs);
    }
    if (listener.cancelled !== undefined) {
      const { reason, compacted } = listener.cancelled;
      this.problems.push(`a watch from revision ${from} was ended: ${reason} (${compacted})`);
    }
    this.problems.push(...listener.problems);
    listener.close();
    return listener.told;
  }

  /** What is compacted must be refused, to readers as to watchers. */
  async checkCompacted(compacted: number): Promise<void> {
    if (compacted < 2) return;
    const request = createRangeRequest({ key: "a", revision: compacted - 1 });
    const { code, details } = await this.call("KV/Range", encodeRangeRequest(request));
    if (code !== OUT_OF_RANGE) {
      this.problems.push(
        `compacted at ${compacted}, but a read one revision before gets code ${code} ${details}`,
      );
    }
    const listener = new Listener(this.client, compacted - 1);
    const until = Date.now() + readMsMax;
    while (listener.cancelled === undefined && Date.now() < until) await sleep(progressMs);
    if (listener.cancelled?.compacted !== compacted) {
      this.problems.push(
        `compacted at ${compacted}, but a watch from one before ends with ${listener.cancelled?.compacted}`,
      );
    }
    listener.close();
  }
}

/** Reads the state of the server at `endpoint` (`host:port`). Rejects when a read that must succeed does not. */
export async function find(endpoint: string, questions: Questions): Promise<Finding> {
  const client = new GrpcClient(endpoint);
  try {
    const reader = new Reader(client);
    const all = await reader.range(0);
    const header = headerOf(all);
    const newest = await reader.hash(0);
    const compacted = Math.max(newest.compacted, 0);
    const hashes = [newest];
    for (const revision of questions.hashRevisions) {
      if (revision < compacted || revision > header.revision) continue;
      hashes.push(await reader.hash(revision));
    }
    const past = new Map<number, readonly string[]>();
    for (const revision of questions.past(compacted, header.revision)) {
      past.set(revision, (await reader.range(revision)).kvs.map(pairOf));
    }
    await reader.checkCompacted(compacted);
    return {
      clusterId: header.clusterId,
      memberId: header.memberId,
      term: header.raftTerm,
      revision: header.revision,
      compacted,
      history: await reader.history(compacted + 1, header.revision),
      pairs: all.kvs.map(pairOf),
      past,
      leases: await reader.leases(),
      hashes,
      problems: reader.problems,
    };
  } finally {
    client.close();
  }
}
