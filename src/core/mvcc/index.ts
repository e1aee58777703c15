// Face of the multi-version store.
export type { CheckpointWriter } from "./checkpoint.ts";
export type { CompactionStep, KvHash } from "./compaction.ts";
export { EventBatch } from "./event-batch.ts";
export { HashWork } from "./hash-work.ts";
export { type HeaderForm, MemberHeader, sizeHeader, writeHeader } from "./header.ts";
export { inRange, type KeyRange, keyRange, RangeWork } from "./range.ts";
export { RangeChunk, RangeStream } from "./range-stream.ts";
export {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkRangeStreamRequest,
  checkTxnRequest,
  isTxnReadOnly,
  isTxnSerializable,
  TXN_OPS_MAX,
} from "./requests.ts";
export type { ResponseSource } from "./response-source.ts";
export { StoreBuilder, type StoredCompactions } from "./restore.ts";
export {
  DeleteResult,
  ONE_SHOT_BYTES_MAX,
  type OpResult,
  PutResult,
  RangeResult,
  TxnResult,
} from "./results.ts";
export {
  REVISION_BYTES,
  type Revision,
  readRevision,
  revisionBytes,
  TOMBSTONE_REVISION_BYTES,
  writeRevision,
} from "./revision.ts";
export { MvccStore } from "./store.ts";
export type {
  LoadValue,
  MvccRefusal,
  RangeStreamRefusal,
  RevisionSink,
  StoreOptions,
} from "./types.ts";
export { ValueFill } from "./value-fill.ts";
export {
  Watcher,
  type WatcherState,
  WatchHub,
  type WatchRefusal,
  type WatchSink,
  type WatchSpec,
} from "./watch-hub.ts";
