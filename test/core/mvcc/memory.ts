// What a store needs around it in tests: a backend in memory as the sink (with its point read), and a lease book that remembers.

import type { LeaseBook } from "../../../src/core/lease/index.ts";
import {
  type LoadValue,
  MvccStore,
  type RevisionSink,
  readRevision,
  revisionBytes,
  type StoreOptions,
} from "../../../src/core/mvcc/index.ts";

/** Rows by revision key, in order on demand. */
export class MemoryRows implements RevisionSink {
  readonly rows: Map<string, Uint8Array> = new Map();
  buffer: Uint8Array = new Uint8Array(0);
  puts = 0;

  put(main: number, sub: number, tombstone: boolean, valueBytes: number): number {
    this.buffer = new Uint8Array(valueBytes);
    this.rows.set(keyOf(main, sub, tombstone), this.buffer);
    this.puts++;
    return 0;
  }

  remove(main: number, sub: number, tombstone: boolean): void {
    if (!this.rows.delete(keyOf(main, sub, tombstone))) {
      throw new Error(`row ${main}_${sub} was removed twice`);
    }
  }

  readonly load: LoadValue = (main, sub) => {
    const row = this.rows.get(keyOf(main, sub, false));
    if (row === undefined) throw new Error(`row ${main}_${sub} is not in the backend`);
    return row;
  };

  /** All rows in revision order. */
  sorted(): { main: number; sub: number; tombstone: boolean; value: Uint8Array }[] {
    return [...this.rows.entries()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => {
        const revision = readRevision(Buffer.from(key, "latin1"));
        if (revision === undefined) throw new Error("row key");
        return { ...revision, value };
      });
  }
}

function keyOf(main: number, sub: number, tombstone: boolean): string {
  return Buffer.from(revisionBytes(main, sub, tombstone)).toString("latin1");
}

/** Leases that were granted, and the keys bound to them. */
export class MemoryLeases implements LeaseBook {
  readonly granted: Set<bigint> = new Set();
  readonly leaseOf: Map<string, bigint> = new Map();

  exists(id: bigint): boolean {
    return this.granted.has(id);
  }

  attach(id: bigint, key: string): void {
    if (this.granted.has(id)) this.leaseOf.set(key, id);
  }

  detach(id: bigint, key: string): void {
    if (this.leaseOf.get(key) === id) this.leaseOf.delete(key);
  }
}

/** A store with small chunks, so that little data goes through every path. */
export function smallStore(options: Partial<StoreOptions> = {}): {
  store: MvccStore;
  sink: MemoryRows;
  leases: MemoryLeases;
} {
  const sink = new MemoryRows();
  const leases = new MemoryLeases();
  const store = new MvccStore({
    leases,
    loadValue: sink.load,
    valueChunkBytes: 64,
    rowChunkBits: 3,
    leafKeysMax: 4,
    ...options,
  });
  return { store, sink, leases };
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
