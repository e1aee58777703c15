// The naive store the real one is compared with: an array of every change ever made, searched from the start for each answer.
// Written from client-api.md 3-5, not from the store.

import {
  type Compare,
  createDeleteRangeResponse,
  createKeyValue,
  createPutResponse,
  createRangeResponse,
  createResponseHeader,
  createResponseOp,
  createTxnResponse,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type KeyValue,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from "../../../src/proto/index.ts";

export interface Change {
  readonly main: number;
  readonly kv: KeyValue;
  readonly tombstone: boolean;
}

/** A refusal is its kind as a string. */
export class Model {
  changes: Change[] = [];
  revision = 1;
  compactRevision = -1;
  readonly leases: Set<bigint> = new Set();

  stateAt(revision: number): Map<string, KeyValue> {
    const state = new Map<string, KeyValue>();
    for (const change of this.changes) {
      if (change.main > revision) break;
      if (change.tombstone) state.delete(change.kv.key);
      else state.set(change.kv.key, change.kv);
    }
    return state;
  }

  #inRange(key: string, rangeEnd: string, candidate: string): boolean {
    if (rangeEnd === "") return candidate === key;
    return candidate >= key && (rangeEnd === "\0" || candidate < rangeEnd);
  }

  #list(key: string, rangeEnd: string, revision: number): KeyValue[] {
    return [...this.stateAt(revision).values()]
      .filter((kv) => this.#inRange(key, rangeEnd, kv.key))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  range(r: RangeRequest, current: number = this.revision): RangeResponse | string {
    if (r.revision > current) return "futureRev";
    const at = r.revision <= 0 ? current : r.revision;
    if (at < this.compactRevision) return "compacted";
    const all = this.#list(r.key, r.rangeEnd, at);
    const header = createResponseHeader({ revision: current });
    if (r.countOnly) return createRangeResponse({ header, count: all.length });
    const natural = r.sortTarget === 0 && r.sortOrder !== 2;
    const filters =
      r.minModRevision !== 0 ||
      r.maxModRevision !== 0 ||
      r.minCreateRevision !== 0 ||
      r.maxCreateRevision !== 0;
    const fetchAll = filters || (r.sortOrder !== 0 && !natural) || r.limit <= 0;
    let kvs = fetchAll ? all : all.slice(0, r.limit + 1);
    kvs = kvs.filter(
      (kv) =>
        (r.minModRevision === 0 || kv.modRevision >= r.minModRevision) &&
        (r.maxModRevision === 0 || kv.modRevision <= r.maxModRevision) &&
        (r.minCreateRevision === 0 || kv.createRevision >= r.minCreateRevision) &&
        (r.maxCreateRevision === 0 || kv.createRevision <= r.maxCreateRevision),
    );
    if (!natural) {
      const sign = r.sortOrder === 2 ? -1 : 1;
      kvs = kvs.toSorted((a, b) => sign * compareBy(r.sortTarget, a, b));
    }
    const more = r.limit > 0 && kvs.length > r.limit;
    if (more) kvs = kvs.slice(0, r.limit);
    if (r.keysOnly) {
      kvs = kvs.map((kv) =>
        createKeyValue({
          ...kv,
          value: new Uint8Array(0),
          lease: r.sortTarget === 4 ? kv.lease : 0n,
        }),
      );
    }
    return createRangeResponse({ header, kvs, more, count: all.length });
  }

  #put(r: PutRequest, main: number): PutResponse {
    const prev = this.stateAt(main).get(r.key);
    const kv = createKeyValue({
      key: r.key,
      value: r.ignoreValue ? (prev?.value ?? new Uint8Array(0)) : Uint8Array.from(r.value),
      lease: r.ignoreLease ? (prev?.lease ?? 0n) : r.lease,
      createRevision: prev?.createRevision ?? main,
      modRevision: main,
      version: (prev?.version ?? 0) + 1,
    });
    this.changes.push({ main, kv, tombstone: false });
    return createPutResponse({
      header: createResponseHeader({ revision: main }),
      prevKv: r.prevKv ? prev : undefined,
    });
  }

  #checkPut(r: PutRequest): string | undefined {
    if (r.lease !== 0n && !this.leases.has(r.lease)) return "leaseNotFound";
    if ((r.ignoreValue || r.ignoreLease) && !this.stateAt(this.revision).has(r.key)) {
      return "keyNotFound";
    }
    return undefined;
  }

  put(r: PutRequest): PutResponse | string {
    const refusal = this.#checkPut(r);
    if (refusal !== undefined) return refusal;
    return this.#put(r, ++this.revision);
  }

  #delete(r: DeleteRangeRequest, main: number, wrote: boolean): DeleteRangeResponse {
    const prevKvs = this.#list(r.key, r.rangeEnd, main);
    for (const { key } of prevKvs) {
      this.changes.push({
        main,
        kv: createKeyValue({ key, modRevision: main }),
        tombstone: true,
      });
    }
    return createDeleteRangeResponse({
      header: createResponseHeader({ revision: wrote || prevKvs.length > 0 ? main : main - 1 }),
      deleted: prevKvs.length,
      prevKvs: r.prevKv ? prevKvs : [],
    });
  }

  deleteRange(r: DeleteRangeRequest): DeleteRangeResponse {
    const response = this.#delete(r, this.revision + 1, false);
    if (response.deleted > 0) this.revision++;
    return response;
  }

  #holds(c: Compare): boolean {
    const kvs = this.#list(c.key, c.rangeEnd, this.revision);
    const list = kvs.length > 0 ? kvs : [undefined];
    return list.every((kv) => {
      if (kv === undefined && c.target === 3) return false;
      const [actual, wanted] = (
        [
          [kv?.version ?? 0, c.version ?? 0],
          [kv?.createRevision ?? 0, c.createRevision ?? 0],
          [kv?.modRevision ?? 0, c.modRevision ?? 0],
          [0, 0],
          [kv?.lease ?? 0n, c.lease ?? 0n],
        ] as const
      )[c.target] ?? [0, 0];
      const difference =
        c.target === 3
          ? Buffer.compare(kv?.value ?? new Uint8Array(0), c.value ?? new Uint8Array(0))
          : actual === wanted
            ? 0
            : actual < wanted
              ? -1
              : 1;
      return [difference === 0, difference > 0, difference < 0, difference !== 0][c.result] ?? true;
    });
  }

  txn(r: TxnRequest): TxnResponse | string {
    const path = this.#path(r);
    const refusal = this.#checkPath(path);
    if (refusal !== undefined) return refusal;
    const main = this.revision + 1;
    const before = this.changes.length;
    const response = this.#run(path, main, before);
    if (this.changes.length > before) this.revision = main;
    response.header = createResponseHeader({ revision: this.revision });
    return response;
  }

  #path(r: TxnRequest): Path {
    const succeeded = r.compare.every((c) => this.#holds(c));
    const ops = (succeeded ? r.success : r.failure).map((op) => ({
      op,
      nested: op.requestTxn === undefined ? undefined : this.#path(op.requestTxn),
    }));
    return { succeeded, ops };
  }

  #checkPath(path: Path): string | undefined {
    for (const { op, nested } of path.ops) {
      let refusal: string | undefined;
      if (op.requestPut !== undefined) refusal = this.#checkPut(op.requestPut);
      const at = op.requestRange?.revision ?? 0;
      if (at > this.revision) refusal = "futureRev";
      else if (at !== 0 && at < this.compactRevision) refusal = "compacted";
      if (nested !== undefined) refusal = this.#checkPath(nested);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #run(path: Path, main: number, before: number): TxnResponse {
    const responses = path.ops.map(({ op, nested }): ResponseOp => {
      const wrote = this.changes.length > before;
      if (op.requestRange !== undefined) {
        const responseRange = this.range(op.requestRange, wrote ? main : main - 1);
        if (typeof responseRange === "string") throw new Error("checked");
        return createResponseOp({ responseRange });
      }
      if (op.requestPut !== undefined) {
        return createResponseOp({ responsePut: this.#put(op.requestPut, main) });
      }
      if (op.requestDeleteRange !== undefined) {
        return createResponseOp({
          responseDeleteRange: this.#delete(op.requestDeleteRange, main, wrote),
        });
      }
      return createResponseOp({ responseTxn: this.#run(nested as Path, main, before) });
    });
    return createTxnResponse({
      header: createResponseHeader(),
      succeeded: path.succeeded,
      responses,
    });
  }

  compact(revision: number): string | undefined {
    if (revision <= this.compactRevision) return "compacted";
    if (revision > this.revision) return "futureRev";
    this.compactRevision = revision;
    return undefined;
  }

  /** Rows that a compaction leaves: (main, sub) of each. */
  rowsLeft(compactRevision: number = this.compactRevision): Set<string> {
    const left = new Set<string>();
    const newest = new Map<string, string>();
    let sub = 0;
    let main = 0;
    for (const change of this.changes) {
      sub = change.main === main ? sub + 1 : 0;
      main = change.main;
      const name = `${main}_${sub}`;
      if (main > compactRevision) {
        left.add(name);
        continue;
      }
      if (change.tombstone && main < compactRevision) newest.delete(change.kv.key);
      else newest.set(change.kv.key, name);
    }
    for (const name of newest.values()) left.add(name);
    return left;
  }
}

interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly { op: TxnRequest["success"][number]; nested: Path | undefined }[];
}

function compareBy(target: number, a: KeyValue, b: KeyValue): number {
  switch (target) {
    case 0:
      return a.key < b.key ? -1 : 1;
    case 1:
      return a.version - b.version;
    case 2:
      return a.createRevision - b.createRevision;
    case 3:
      return a.modRevision - b.modRevision;
    default:
      return Buffer.compare(a.value, b.value);
  }
}
