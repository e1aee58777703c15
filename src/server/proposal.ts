// A proposal: one client request on its way into the Raft log, and the bytes of its entry.
//
// The entry is an InternalRaftRequest, so that Go members understand it: the arm of the request with the bytes the client sent (they are
// copied once, never decoded and encoded again), then the header with a fresh request id. Go writes fields in ascending order; the
// arms below 100 precede the header, the others follow it.

import type { Refusal } from "./refusal.ts";
import { ID_VARINT_BYTES, type RequestIds } from "./request-id.ts";

/** Field numbers of InternalRaftRequest that this member proposes. */
export const Arm = {
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  clusterVersionSet: 1300,
  clusterMemberAttrSet: 1301,
} as const;
export type Arm = (typeof Arm)[keyof typeof Arm];

/** Who waits for a proposal; exactly one of the two is called, once. */
export interface Waiter {
  /** The entry was applied; `response` is the message of the arm's RPC with only `header.revision` filled in. */
  onApplied(response: unknown): void;
  onRefused(refusal: Refusal): void;
}

/** A waiter that does not care, for what the member proposes on its own. */
export const nobody: Waiter = { onApplied() {}, onRefused() {} };

/** One request between the end of its checks and its application. */
export class Proposal {
  readonly arm: Arm;
  /** The decoded request; equal in meaning to the bytes in `entryBytes`. */
  readonly request: unknown;
  readonly entryBytes: Uint8Array;
  /** Told once; then it is `nobody`. */
  waiter: Waiter;
  /** Clock time of the call of `propose`, in milliseconds. */
  readonly startedMs: number;
  /** Place in the log, 0 until Raft accepted it. */
  index = 0;
  term = 0;

  constructor(
    arm: Arm,
    request: unknown,
    entryBytes: Uint8Array,
    waiter: Waiter,
    startedMs: number,
  ) {
    this.arm = arm;
    this.request = request;
    this.entryBytes = entryBytes;
    this.waiter = waiter;
    this.startedMs = startedMs;
  }

  /** Tells the waiter that it is refused; afterwards nobody waits. */
  refuse(refusal: Refusal): void {
    const waiter = this.waiter;
    this.waiter = nobody;
    waiter.onRefused(refusal);
  }
}

/** Entries are cut from chunks of this many bytes: a chunk lives as long as its last entry in the Raft log. */
const CHUNK_BYTES = 1 << 20;
const HEADER_TAG_0 = 0xa2; // field 100, length-delimited
const HEADER_TAG_1 = 0x06;
const ID_TAG = 0x08;
const HEADER_BYTES = 2 + 1 + 1 + ID_VARINT_BYTES;

function varintBytes(n: number): number {
  return n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : n < 0x10000000 ? 4 : 5;
}

function writeVarint(buf: Uint8Array, pos: number, value: number): number {
  let n = value;
  while (n >= 0x80) {
    buf[pos++] = (n & 0x7f) | 0x80;
    n >>>= 7;
  }
  buf[pos++] = n;
  return pos;
}

/** Size in bytes of the entry for a request of `requestBytes`. */
export function entrySize(arm: Arm, requestBytes: number): number {
  return varintBytes(arm * 8 + 2) + varintBytes(requestBytes) + requestBytes + HEADER_BYTES;
}

/** A request with the bytes of the entry it may become; the transport's buffer is not needed any more. */
export interface StagedRequest {
  /** The encoded request is buf[start, end); immutable, kept as long as anybody holds a view of it. */
  readonly buf: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** The whole entry; undefined for a request that is too large to become one: then `buf` is the transport's. */
  readonly entryBytes: Uint8Array | undefined;
}

/** Builds entries in shared chunks, so that a proposal costs one small view and no allocation of its own. */
export class EntryBuilder {
  readonly #ids: RequestIds;
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #used = 0;

  constructor(ids: RequestIds) {
    this.#ids = ids;
  }

  /** Copies buf[start, end), the encoded request of `arm`, into a new entry. */
  stage(arm: Arm, buf: Uint8Array, start: number, end: number): StagedRequest {
    const sizeBytes = entrySize(arm, end - start);
    const from = this.#reserve(sizeBytes);
    const chunk = this.#chunk;
    let pos = from;
    if (arm > 100) pos = this.#writeHeader(chunk, pos);
    pos = writeVarint(chunk, pos, arm * 8 + 2);
    pos = writeVarint(chunk, pos, end - start);
    const requestStart = pos;
    chunk.set(start === 0 && end === buf.length ? buf : buf.subarray(start, end), pos);
    pos += end - start;
    if (arm < 100) this.#writeHeader(chunk, pos);
    const entryBytes = chunk.subarray(from, from + sizeBytes);
    return { buf: chunk, start: requestStart, end: pos, entryBytes };
  }

  #writeHeader(chunk: Buffer, at: number): number {
    let pos = at;
    chunk[pos++] = HEADER_TAG_0;
    chunk[pos++] = HEADER_TAG_1;
    chunk[pos++] = 1 + ID_VARINT_BYTES;
    chunk[pos++] = ID_TAG;
    return this.#ids.writeNext(chunk, pos);
  }

  /** Makes room for `sizeBytes` in the current chunk, or starts one; returns the offset. */
  #reserve(sizeBytes: number): number {
    if (this.#used + sizeBytes > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, sizeBytes));
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += sizeBytes;
    return from;
  }
}
