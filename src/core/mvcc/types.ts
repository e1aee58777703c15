// What the store asks of its surroundings, and the outcomes it can refuse with.
//
// The store is pure: the lessor, the backend's batch and the backend's point read are handed in as the interfaces below.

import type { LeaseBook } from "../lease/index.ts";

/** Why a request is refused, at the gate or at apply; `api/v3rpc/errors.ts` gives each its gRPC code and text. */
export type MvccRefusal =
  | "emptyKey"
  | "keyNotFound"
  | "valueProvided"
  | "leaseProvided"
  | "leaseNotFound"
  | "tooManyOps"
  | "duplicateKey"
  | "invalidSortOption"
  | "compacted"
  | "futureRev";

/** Why a RangeStream is refused; the last two are gRPC UNIMPLEMENTED. */
export type RangeStreamRefusal = MvccRefusal | "rangeStreamSort" | "rangeStreamFilters";

/**
 * Takes the rows of a write transaction for the backend, in revision order. One apply pass uses one sink.
 * Fits `BackendBatch` of server/ports.ts with keys made by `writeRevision`.
 */
export interface RevisionSink {
  /**
   * Reserves `valueBytes` for the row of revision (main, sub); the store writes exactly that many to `buffer` from the returned
   * offset before it calls the sink again.
   */
  put(main: number, sub: number, tombstone: boolean, valueBytes: number): number;
  /** Where `put` reserved; may be another object after each call. */
  readonly buffer: Uint8Array;
  /** Removes a compacted row. */
  remove(main: number, sub: number, tombstone: boolean): void;
}

/**
 * Point read of the KeyValue row of a put from the backend; must see every row the store ever gave to a sink whose batch was
 * handed to the backend. The bytes are the store's from then on.
 */
export type LoadValue = (main: number, sub: number) => Uint8Array;

/** What a store is built with. */
export interface StoreOptions {
  readonly leases: LeaseBook;
  /** Needed when values may be absent from memory: after a checkpoint was loaded, or with `valueBytesMax`. */
  readonly loadValue?: LoadValue;
  /** Values kept in memory, in bytes; above it the oldest are dropped and read back by `loadValue`. Default: no limit. */
  readonly valueBytesMax?: number;
  /** Size of a chunk of values in bytes, 4 MiB by default; smaller in tests. */
  readonly valueChunkBytes?: number;
  /** log2 of the rows of a chunk, 16 by default (fixed chunks: nothing doubles); smaller in tests. */
  readonly rowChunkBits?: number;
  /** Number of the first row, 1 by default; rows are counted over the life of the process and may pass 2^32. */
  readonly firstRow?: number;
  /** Keys of a leaf of the key index at most, 256 by default; smaller in tests. */
  readonly leafKeysMax?: number;
}
