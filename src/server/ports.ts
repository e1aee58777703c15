// The ports of a member: what `server/` and `api/` ask of the world, and nothing about how the world does it.
//
// `net/` implements the RPC side (calls come in through RpcMethod), `storage/` the disk side, `embed/` joins them. In tests
// and in the simulator the same interfaces are served from memory on a virtual clock.
// Ownership of bytes is stated at each method; "borrowed" means valid only until the call returns.

import type { ConfState, Entry, HardState, Snapshot } from "../proto/index.ts";

// ---------------------------------------------------------------------------------------------------------------- time

/** Cancels what it was returned for; a second call does nothing. */
export type Cancel = () => void;

/** Time and the end of the turn, so that everything above runs on a virtual clock too. */
export interface Clock {
  /** Monotonic milliseconds, fractions allowed; the origin is arbitrary. */
  nowMs(): number;
  /** Wall clock in milliseconds since 1970; only for logs and what is shown to people. */
  wallMs(): number;
  /** Calls `callback` once after `delayMs` (>= 0). */
  after(delayMs: number, callback: () => void): Cancel;
  /** Calls `callback` once at the end of this turn of the event loop (Node: `setImmediate`). */
  endOfTurn(callback: () => void): void;
}

// ----------------------------------------------------------------------------------------------------------------- rpc

/** What a codec offers to a call: enough to place a message in the connection's own output buffer. */
export interface MessageEncoder<T> {
  /** Encoded size in bytes; called once, directly before `write`. */
  size(message: T): number;
  /** Writes exactly `size(message)` bytes at `pos` and returns the position after them. */
  write(message: T, buf: Uint8Array, pos: number): number;
}

/** A message too large to be encoded at once: it is asked for piece by piece as windows and socket allow. */
export interface MessageSource {
  /** Total size in bytes, known before the first byte. */
  readonly sizeBytes: number;
  /**
   * Writes the next bytes of the message to `buf` from `pos`, at least one and never past `end`, and returns the position after
   * the last. Called until `sizeBytes` bytes were given.
   */
  next(buf: Uint8Array, pos: number, end: number): number;
  /** The call ended before the last byte; frees what the source holds. */
  abort(): void;
}

/** Request metadata: lower-case names, first value wins; values are latin1 (one char, one byte), binary (`-bin`) ones left base64. */
export interface Metadata {
  get(name: string): string | undefined;
}

/** Why a call ended without the handler ending it. */
export type CancelReason = "cancelled" | "deadline" | "connection-lost" | "shutdown";

/**
 * One gRPC call at the server. After `reply`, `finish`, `fail` or a cancel every further call of a method does nothing, so a handler
 * needs no guards. Nothing is written to the socket before the end of the turn.
 */
export interface ServerCall {
  readonly metadata: Metadata;
  /** `host:port` of the client, for logs. */
  readonly peer: string;
  /** Deadline of `grpc-timeout` on the clock of `Clock.nowMs`, undefined if none. The transport enforces it (DEADLINE_EXCEEDED). */
  readonly deadlineMs: number | undefined;
  /** True after `reply`, `finish`, `fail` or a cancel. */
  readonly ended: boolean;
  /** Bytes accepted by `send` and `sendFrom` that still wait for the client's windows or a socket that takes nothing. */
  readonly bufferedBytes: number;

  /** Streaming requests: a complete message. Bytes as in `RpcMethod.start`. */
  onMessage: ((buf: Uint8Array, start: number, end: number) => void) | undefined;
  /** Streaming requests: the client sends no more. */
  onHalfClose: (() => void) | undefined;
  /** The call is over and the handler must let go of it. Never called after `reply`, `finish` or `fail`. */
  onCancel: ((reason: CancelReason) => void) | undefined;
  /** `bufferedBytes` fell to zero after it was not. */
  onDrain: (() => void) | undefined;

  /** Sends one message and ends the call with OK. */
  reply<T>(encoder: MessageEncoder<T>, message: T): void;
  /** Sends one large message and ends the call with OK. */
  replyFrom(source: MessageSource): void;
  /** Queues one message; never blocks. The handler watches `bufferedBytes` and `onDrain` itself. */
  send<T>(encoder: MessageEncoder<T>, message: T): void;
  /** Queues one large message; at most one may be in progress. */
  sendFrom(source: MessageSource): void;
  /** Ends a streaming call with OK. */
  finish(): void;
  /** Ends the call with a status; `message` is the exact text the client sees. */
  fail(code: number, message: string): void;
  /** Streaming requests: stops, or resumes, giving the client window for more messages (back-pressure). */
  pauseMessages(paused: boolean): void;
}

export type RpcKind = "unary" | "serverStreaming" | "clientStreaming" | "bidi";

/** One method of one gRPC service. The transport knows paths and bytes, never messages. */
export interface RpcMethod {
  /** As on the wire, for example `/etcdserverpb.KV/Put`. */
  readonly path: string;
  readonly kind: RpcKind;
  /**
   * Opens a call. Unary and server streaming: called once the only request message is complete, with its bytes. Client streaming
   * and bidi: called when the headers arrive, with an empty range; messages follow through `call.onMessage`.
   *
   * The bytes buf[start, end) are borrowed: the transport reuses them after the call returns.
   */
  open(call: ServerCall, buf: Uint8Array, start: number, end: number): void;
}

// ------------------------------------------------------------------------------------------------------------- storage

/** Place and membership of a Raft snapshot, as a WAL record holds it. */
export interface WalSnapshot {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState | undefined;
}

/** What a WAL held when it was opened. */
export interface WalContents {
  /** The metadata record's bytes (walpb.Metadata: node and cluster id). */
  readonly metadata: Uint8Array;
  readonly hardState: HardState;
  /** The newest snapshot record at or below the commit index. */
  readonly snapshot: WalSnapshot;
  /** Entries after `snapshot.index`, gapless; `data` owned by the receiver. */
  readonly entries: Entry[];
}

/** An open write-ahead log. One call of `save` or `saveSnapshot` may be outstanding at a time; the caller waits for `done`. */
export interface Wal {
  /**
   * Appends `entries`, then `state`, in one write, and calls `done` when the bytes are durable, never from inside the call. Without
   * entries and without `mustSync` (only the commit index moved) nothing is written yet: `state` rides with the next save, or is
   * written on its own after 100 ms, and `done` is called in a microtask. So after a crash HardState.commit may be behind the
   * backend's applied index, which is then the better lower bound of what is committed.
   * Borrows the entries' bytes until `done`. A disk error never comes back here: it goes to the `onFatal` the WAL was opened with,
   * `done` is not called, and no later call does anything.
   */
  save(
    state: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: () => void,
  ): void;
  /** Appends a snapshot record and syncs. The `.snap` file must be durable before. */
  saveSnapshot(snapshot: WalSnapshot, done: () => void): void;
  /**
   * Segments whose entries are all at or below `index` may be deleted, in the background; never one a restart from the newest saved
   * snapshot record needs.
   */
  releaseTo(index: number): void;
  /** Bytes of the segments on disk. */
  readonly sizeBytes: number;
  close(): Promise<void>;
}

/** Raft snapshot files (`member/snap/*.snap`). */
export interface SnapStore {
  /** Writes and syncs the file and its directory. */
  save(snapshot: Snapshot): Promise<void>;
  /** Loads the newest readable file that one of `allowed` names; unreadable files are set aside as `*.broken`. */
  loadNewest(allowed: readonly WalSnapshot[]): Promise<Snapshot | undefined>;
  /** Deletes all but the newest `keepCount` files. */
  purge(keepCount: number): Promise<void>;
}

/** Kinds of rows in the backend; the number is the first byte of the stored key and is never reused. */
export const Bucket = {
  /** Key: 17 or 18 byte revision; value: mvccpb.KeyValue. */
  key: 1,
  meta: 2,
  lease: 3,
  alarm: 4,
  cluster: 5,
  members: 6,
  membersRemoved: 7,
  auth: 8,
  authUsers: 9,
  authRoles: 10,
  /** Rows about this member's own files; no part of what is replicated, hashed or written to a snapshot. */
  local: 11,
} as const;
export type Bucket = (typeof Bucket)[keyof typeof Bucket];

/** The rows of one apply pass, gathered by the applier and handed over whole. Not reusable after `Backend.commit`. */
export interface BackendBatch {
  /** Copies both. A later put or delete of the same key wins. */
  put(bucket: Bucket, key: Uint8Array, value: Uint8Array): void;
  /**
   * Reserves `valueBytes` for the value of a put: the caller writes it to `buffer` from the returned offset before the next call on
   * this batch (`buffer` may be another object after each call). The hot path: the value is encoded in place.
   */
  reserve(bucket: Bucket, key: Uint8Array, valueBytes: number): number;
  readonly buffer: Buffer;
  delete(bucket: Bucket, key: Uint8Array): void;
  readonly sizeBytes: number;
}

/** A row as a scan gives it; both arrays are the receiver's. `key` is without the bucket byte. */
export interface BackendRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Where the backend stands in the Raft log. */
export interface AppliedMark {
  /** Last applied entry whose effects are included; 0 for none. */
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState | undefined;
}

/** The state store behind the WAL. Batches are written in order, atomically, one at a time, never waited for by the turn. */
export interface Backend {
  /** The mark found at open; it came with the last batch that survived. */
  readonly opened: AppliedMark;
  /** A new, empty batch. */
  batch(): BackendBatch;
  /** Queues the batch; its rows and `mark` become visible and survive together or not at all. An empty batch may carry a mark. */
  commit(batch: BackendBatch, mark: AppliedMark): void;
  /** Bytes committed and not yet written; the turn stops taking proposals above its limit. */
  readonly queuedBytes: number;
  /** Applied index up to which everything is synced to disk: the WAL may be released to here. */
  readonly syncedIndex: number;
  /** Resolves when everything committed before the call is synced; never if the backend breaks before, which `onFatal` tells. */
  sync(): Promise<void>;
  /** Point read, in the turn; sees every committed batch, also the queued ones. The bytes are the receiver's. */
  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined;
  /**
   * Rows of `bucket` with from <= key < to (undefined: no bound), ascending, in chunks of at most about 1 MiB, over one consistent view
   * that includes every batch committed before the call.
   */
  scan(bucket: Bucket, from?: Uint8Array, to?: Uint8Array): AsyncIterable<readonly BackendRow[]>;
  /** Bytes on disk, as last measured; etcd's dbSize. */
  readonly sizeBytes: number;
  /** Syncs and closes. */
  close(): Promise<void>;
}

/**
 * Files beside the backend that only save time: what they hold can be rebuilt. A file is whole or absent, whenever a crash comes.
 * Names are made of letters, digits and dashes.
 */
export interface SideFiles {
  /** Replaces the file `name`; borrows each chunk until the next is asked for. */
  save(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * The file's bytes in pieces (not those given to `save`), each checked before it is handed out; undefined if there is none. Throws
   * from the iteration when the file is damaged: the receiver drops what it got.
   */
  load(name: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Deletes the file, durably; nothing happens if there is none. */
  remove(name: string): Promise<void>;
}

/** How the disk side reports what ends the process. The message names file and offset where there is one. */
export type OnFatal = (error: Error) => void;

/** Everything of one data directory, opened together; embed/ builds it (disk) or its in-memory twin. */
export interface MemberStorage {
  readonly wal: Wal;
  readonly snap: SnapStore;
  readonly backend: Backend;
  readonly sideFiles: SideFiles;
  /** Undefined when the directory was new and has just been created. */
  readonly found: WalContents | undefined;
  /** Closes WAL and backend; the data directory is free for the next process afterwards. */
  close(): Promise<void>;
}
