// The multi-version store: the face of rows, keys and values. Reads and writes complete in the call; work over large data comes as
// steps that the server drives between turns.
//
// A write's revision, rows and lease bindings change together, and its rows go to the sink in the same call: the applier commits
// the sink's batch with the applied index, so store and backend never disagree.

import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../proto/index.ts";
import { CheckpointWriter } from "./checkpoint.ts";
import { type CompactionStep, Compactor, type KvHash } from "./compaction.ts";
import { HashWork } from "./hash-work.ts";
import { beginRange, keyRange, type RangeWork, readRange } from "./range.ts";
import { RangeStream } from "./range-stream.ts";
import type { DeleteResult, PutResult, RangeResult, TxnResult } from "./results.ts";
import { MvccState } from "./state.ts";
import { checkPut, executeDelete, executePut, executeTxn } from "./txn.ts";
import type { MvccRefusal, RevisionSink, StoreOptions } from "./types.ts";
import { WriteTxn } from "./write.ts";

/** Values are dropped down to this part of the limit at a time. */
const TRIM_TO = 7 / 8;

export class MvccStore {
  /** For the parts of this folder (restore, checkpoint, watch hub). */
  readonly state: MvccState;
  readonly compactor: Compactor;

  constructor(options: StoreOptions) {
    this.state = new MvccState(options);
    this.compactor = new Compactor(this.state);
  }

  /** The newest revision; 1 for a fresh store. */
  get revision(): number {
    return this.state.revision;
  }

  /** Reads below it are refused; -1 if never compacted. */
  get compactRevision(): number {
    return this.state.compactRevision;
  }

  /** Keys that exist now. Cost: O(leaves). */
  get liveKeyCount(): number {
    return this.state.keys.countRange("", undefined);
  }

  /** Grows by one with each change of a key. */
  get changeCount(): number {
    return this.state.rows.next;
  }

  /** What `changeCount` was at the end of `revision`. */
  changeCountAt(revision: number): number {
    return this.state.rows.firstRowOf(revision + 1);
  }

  /** Changes held, removed ones whose memory was given back not counted. Cost: O(chunks of rows). */
  get rowCount(): number {
    let count = 0;
    for (const chunk of this.state.rows.chunks()) count += chunk.count - chunk.goneCount;
    return count;
  }

  /** Bytes of values in memory, and of rows. */
  get memory(): { valueBytes: number; rowBytes: number } {
    return {
      valueBytes: this.state.values.residentBytes,
      rowBytes: this.state.rows.sizeBytes,
    };
  }

  // --------------------------------------------------------------------------------------------------------------- reads

  /** A whole Range in this call. The result is to be written, or its source made, in this turn. */
  range(request: RangeRequest): RangeResult | MvccRefusal {
    return readRange(this.state, request, this.state.revision);
  }

  /**
   * A Range that may be large: `step` the work over as many turns as it takes, then write `result` and `release`. It shows the
   * revision it began at.
   */
  beginRange(request: RangeRequest): RangeWork | MvccRefusal {
    const work = beginRange(this.state, request, this.state.revision);
    if (typeof work !== "string") work.hold();
    return work;
  }

  /** Number of keys a Range would have to look at, as a measure of whether to begin it in steps. Cost: O(leaves). */
  estimateKeys(key: string, rangeEnd: string): number {
    const { from, to } = keyRange(key, rangeEnd);
    return this.state.keys.countRange(from, to);
  }

  /** Begins a RangeStream whose request passed `checkRangeStreamRequest`. */
  beginRangeStream(request: RangeRequest, requestBytesMax: number): RangeStream | MvccRefusal {
    return RangeStream.begin(this.state, request, requestBytesMax);
  }

  /** A read-only Txn (`isTxnReadOnly`) outside the log: compares and reads at one revision. */
  readTxn(request: TxnRequest): TxnResult | MvccRefusal {
    return executeTxn(this.state, undefined, request);
  }

  // -------------------------------------------------------------------------------------------------------------- writes

  put(request: PutRequest, sink: RevisionSink): PutResult | MvccRefusal {
    const refusal = checkPut(this.state, request);
    if (refusal !== undefined) return refusal;
    const txn = new WriteTxn(this.state, sink);
    const result = executePut(this.state, txn, request);
    txn.end();
    return result;
  }

  deleteRange(request: DeleteRangeRequest, sink: RevisionSink): DeleteResult {
    const txn = new WriteTxn(this.state, sink);
    const result = executeDelete(this.state, txn, request);
    txn.end();
    return result;
  }

  /** A Txn from the log: all of it or, with a refusal, nothing. */
  txn(request: TxnRequest, sink: RevisionSink): TxnResult | MvccRefusal {
    return executeTxn(this.state, new WriteTxn(this.state, sink), request);
  }

  /** Deletes the keys of a revoked lease, in byte order, in one revision; returns the revision after. */
  deleteKeys(keys: Iterable<string>, sink: RevisionSink): number {
    const txn = new WriteTxn(this.state, sink);
    // oxlint-disable-next-line unicorn/no-array-sort -- a fresh array
    for (const key of [...keys].sort(byBytes)) txn.deleteRange(keyRange(key, ""), undefined);
    return txn.end();
  }

  // ---------------------------------------------------------------------------------------------------------- compaction

  /**
   * Compacts at `revision`: reads below it are refused from now on; `stepCompaction` removes the rows. The server keeps `revision`
   * as scheduled in the backend, in the batch of this entry.
   */
  compact(revision: number): MvccRefusal | undefined {
    if (revision <= this.state.compactRevision) return "compacted";
    if (revision > this.state.revision) return "futureRev";
    this.compactor.schedule(revision);
    return undefined;
  }

  /** True if rows wait for removal. */
  get isCompacting(): boolean {
    return !this.compactor.isIdle;
  }

  /**
   * Looks at about `rowsMax` rows for removal. On `finished` the server keeps the revision as finished in the backend, in the batch
   * of `sink`.
   */
  stepCompaction(sink: RevisionSink, rowsMax: number): CompactionStep {
    return this.compactor.step(sink, rowsMax);
  }

  /**
   * Work in the background, about `rowsMax` rows at a time: fills the map of keys after a restore, and gives memory back of removed
   * rows, of chunks of values that are mostly dead, of values above the limit. Called between turns, after the batches of all writes so far were handed to the backend; true when done for now.
   */
  reclaim(rowsMax: number): boolean {
    const { values, valueBytesMax } = this.state;
    if (values.residentBytes > valueBytesMax) values.trim(valueBytesMax * TRIM_TO);
    if (!this.state.keys.fillMap(rowsMax)) return false;
    return this.compactor.reclaimSome(rowsMax);
  }

  // ---------------------------------------------------------------------------------------------------------------- hash

  /**
   * HashKV at `revision`, 0 for the newest: a refusal, the hash kept of a compaction, or work to be stepped; "wait" while rows are
   * being removed: drive `stepCompaction` and ask again.
   */
  hashKv(revision: number): KvHash | HashWork | "wait" | MvccRefusal {
    // First, as in etcd: a kept hash answers also for 0 (after a first Compact(0)) and below the compact revision.
    const kept = this.compactor.hashAt(revision);
    if (kept !== undefined) return kept;
    if (revision > 0 && revision < this.state.compactRevision) return "compacted";
    if (revision > this.state.revision) return "futureRev";
    if (!this.compactor.isIdle) return "wait";
    return this.beginHash(revision);
  }

  /** As `hashKv`, computed from the rows even if a compaction's hash was kept. The revision is not checked. */
  beginHash(revision: number): HashWork {
    return new HashWork(this.state, revision === 0 ? this.state.revision : revision);
  }

  // ---------------------------------------------------------------------------------------------------------- checkpoint

  /** Begins an index checkpoint of the newest revision; "wait" while rows are being removed. */
  beginCheckpoint(): CheckpointWriter | "wait" {
    return this.compactor.isIdle ? new CheckpointWriter(this.state) : "wait";
  }
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
