// What a log means: its entries applied one by one to the naive model of the store and to plain maps, from nothing.
// Written from client-api.md 3-6 and storage-formats.md (HashKV), not from the server; slow and obvious on purpose.

import { crc32c } from "../../src/base/index.ts";
import {
  type AlarmRequest,
  type CompactionRequest,
  createAlarmMember,
  createKeyValue,
  createLeaseGrantResponse,
  createLeaseRevokeResponse,
  createResponseHeader,
  decodeInternalRaftRequest,
  type Entry,
  EntryType,
  encodeAlarmResponse,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodeKeyValue,
  encodeLeaseGrantResponse,
  encodeLeaseRevokeResponse,
  encodePutResponse,
  encodeTxnResponse,
  type InternalRaftRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  ProtoError,
  type ResponseHeader,
  type TxnRequest,
} from "../../src/proto/index.ts";
import { type Change, Model } from "../core/mvcc/model.ts";

const NO_SPACE = 1;

/** A granted lease and the log index of its grant. */
export interface Grant {
  readonly id: bigint;
  readonly ttlS: number;
  readonly index: number;
}

/** The response of an entry, encoded, or the name of its refusal; undefined for entries nobody asks about. */
export type Outcome = Uint8Array | string | undefined;

/** The state after the entries applied so far. */
export class LogReplay {
  readonly model: Model = new Model();
  readonly leases: Map<bigint, Grant> = new Map();
  /** All grants, also of leases that ended. */
  readonly grants: Grant[] = [];
  /** Revisions of all compactions. */
  readonly compactions: Set<number> = new Set();
  /** `type/member` of active alarms. */
  readonly alarms: Set<string> = new Set();
  clusterVersion = "";
  /** Index of the last entry applied. */
  index = 0;
  /** By index - 1: what was answered, and the store's revision after it. */
  readonly outcomes: { readonly outcome: Outcome; readonly revision: number }[] = [];
  readonly #minTtlS: number;

  constructor(minTtlS: number) {
    this.#minTtlS = minTtlS;
  }

  /** Applies the next entry. */
  apply(entry: Entry): void {
    if (entry.index !== this.index + 1) throw new Error(`entry ${entry.index} after ${this.index}`);
    this.index = entry.index;
    let outcome: Outcome;
    if (entry.type === EntryType.EntryNormal && entry.data.length > 0) {
      const request = decodeInternalRaftRequest(entry.data, 0, entry.data.length);
      if (request instanceof ProtoError) throw request;
      outcome = this.#request(request);
    }
    this.outcomes.push({ outcome, revision: this.model.revision });
  }

  /** Keys bound to lease `id`, in byte order. */
  keysOf(id: bigint): string[] {
    const keys: string[] = [];
    for (const kv of this.model.stateAt(this.model.revision).values()) {
      if (kv.lease === id) keys.push(kv.key);
    }
    return keys.sort();
  }

  #request(r: InternalRaftRequest): Outcome {
    const { model } = this;
    const isFull = [...this.alarms].some((a) => a.startsWith(`${NO_SPACE}/`));
    if (r.put !== undefined) {
      return isFull ? "noSpace" : encoded(model.put(r.put), encodePutResponse);
    }
    if (r.txn !== undefined) {
      if (isFull && puts(r.txn)) return "noSpace";
      return encoded(model.txn(r.txn), encodeTxnResponse);
    }
    if (r.deleteRange !== undefined) {
      return encodeDeleteRangeResponse(model.deleteRange(r.deleteRange));
    }
    if (r.compaction !== undefined) return this.#compact(r.compaction);
    if (r.leaseGrant !== undefined) return isFull ? "noSpace" : this.#grant(r.leaseGrant);
    if (r.leaseRevoke !== undefined) return this.#revoke(r.leaseRevoke);
    if (r.alarm !== undefined) return this.#alarm(r.alarm);
    if (r.clusterVersionSet !== undefined) this.clusterVersion = r.clusterVersionSet.ver;
    return undefined;
  }

  #header(): ResponseHeader {
    return createResponseHeader({ revision: this.model.revision });
  }

  #compact(request: CompactionRequest): Outcome {
    const refusal = this.model.compact(request.revision);
    if (refusal === undefined) this.compactions.add(request.revision);
    return refusal ?? encodeCompactionResponse({ header: this.#header() });
  }

  #grant({ id, ttl }: LeaseGrantRequest): Outcome {
    if (id === 0n) return "leaseNotFound";
    if (ttl > 9_000_000_000) return "leaseTtlTooLarge";
    if (this.leases.has(id)) return "leaseExists";
    const ttlS = Math.max(ttl, this.#minTtlS);
    const lease = { id, ttlS, index: this.index };
    this.grants.push(lease);
    this.leases.set(id, lease);
    this.model.leases.add(id);
    const header = this.#header();
    return encodeLeaseGrantResponse(createLeaseGrantResponse({ header, id, ttl: ttlS }));
  }

  #revoke({ id }: LeaseRevokeRequest): Outcome {
    if (!this.leases.has(id)) return "leaseNotFound";
    const keys = this.keysOf(id);
    this.leases.delete(id);
    this.model.leases.delete(id);
    if (keys.length > 0) {
      const main = ++this.model.revision;
      for (const key of keys) {
        const kv = createKeyValue({ key, modRevision: main });
        this.model.changes.push({ main, kv, tombstone: true });
      }
    }
    return encodeLeaseRevokeResponse(createLeaseRevokeResponse({ header: this.#header() }));
  }

  #alarm({ action, memberId, alarm }: AlarmRequest): Outcome {
    const name = `${alarm}/${memberId}`;
    const changed = action === 1 ? alarm !== 0 : this.alarms.delete(name);
    if (action === 1 && alarm !== 0) this.alarms.add(name);
    const alarms = changed ? [createAlarmMember({ memberId, alarm })] : [];
    return encodeAlarmResponse({ header: this.#header(), alarms });
  }

  /**
   * HashKV at `revision` after a compaction at `compactRevision` whose rows are removed: of the rows up to there only those that are live
   * at `revision` count, or all that are left if nothing is live then; a deletion at the compact revision itself never. The hash kept
   * of a compaction (`ofCompaction`) is one at its own revision, with the compaction before.
   */
  hashKv(revision: number, compactRevision: number, ofCompaction = false): number {
    const { changes } = this.model;
    const left = this.model.rowsLeft(compactRevision);
    const newest = new Map<string, Change>();
    for (const change of changes) {
      if (change.main <= revision) newest.set(change.kv.key, change);
    }
    const live = new Set(
      [...newest.values()].filter((c) => !c.tombstone || (ofCompaction && c.main === revision)),
    );
    let crc = crc32c(Buffer.from("key"));
    let main = 0;
    let sub = 0;
    for (const change of changes) {
      sub = change.main === main ? sub + 1 : 0;
      main = change.main;
      if (main > revision) break;
      const isDeletionAtC = change.tombstone && main === compactRevision;
      if (isDeletionAtC || !left.has(`${main}_${sub}`)) continue;
      if (main <= compactRevision && live.size > 0 && !live.has(change)) continue;
      const key = Buffer.alloc(change.tombstone ? 18 : 17);
      key.writeBigUInt64BE(BigInt(main), 0);
      key.write("_", 8);
      key.writeBigUInt64BE(BigInt(sub), 9);
      if (change.tombstone) key.write("t", 17);
      const kv = change.tombstone ? createKeyValue({ key: change.kv.key }) : change.kv;
      const value = encodeKeyValue(kv);
      crc = crc32c(value, 0, value.length, crc32c(key, 0, key.length, crc));
    }
    return crc;
  }
}

function encoded<T>(outcome: T | string, encode: (message: T) => Uint8Array): Outcome {
  return typeof outcome === "string" ? outcome : encode(outcome);
}

/** True if a branch of the txn could put something. */
function puts(txn: TxnRequest): boolean {
  return [...txn.success, ...txn.failure].some(
    (op) => op.requestPut !== undefined || (op.requestTxn !== undefined && puts(op.requestTxn)),
  );
}
