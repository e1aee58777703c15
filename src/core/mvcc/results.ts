// Outcomes of Range, Put, DeleteRange and Txn, which encode themselves as the API's responses: small ones in one go (`size`,
// `write`), large ones by window (`source`), and as messages (`message`) for JSON. Bytes equal those of the generated codecs.
//
// A result may be written in the turn that made it; `source` keeps what it needs by itself. `revision` is the header's.

import type {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  TxnResponse,
} from "../../proto/index.ts";
import { createResponseHeader, createResponseOp } from "../../proto/index.ts";
import { type HeaderForm, revisionOnly, sizeHeader, writeHeader } from "./header.ts";
import type { KvList } from "./kv-list.ts";
import { PartList, ResponseSource } from "./response-source.ts";
import { sizeVarint, writeVarint } from "./wire.ts";

const TAG_2_BYTES = 0x12;
const TAG_2_VARINT = 0x10;
const TAG_3_BYTES = 0x1a;
const TAG_3_VARINT = 0x18;
const TAG_4_VARINT = 0x20;
/** Tags of the members of ResponseOp. */
const TAG_OP = { range: 0x0a, put: 0x12, delete: 0x1a, txn: 0x22 } as const;

/** A response above this is better sent by `source` than written at once. */
export const ONE_SHOT_BYTES_MAX = 65_536;

/** Common to all results. */
abstract class Result {
  /** Revision of the response header. */
  readonly revision: number;

  constructor(revision: number) {
    this.revision = revision;
  }

  /** Bytes after the header. */
  protected abstract bodyBytes(): number;
  protected abstract writeBody(buf: Uint8Array, pos: number): number;
  protected abstract listBody(parts: PartList): void;

  /** Encoded size in bytes. Cost: linear in the rows when first asked. */
  size(header: HeaderForm): number {
    return sizeHeader(header, this.revision) + this.bodyBytes();
  }

  /** Writes exactly `size(header)` bytes at `pos` and returns the position after them. */
  write(header: HeaderForm, buf: Uint8Array, pos: number): number {
    return this.writeBody(buf, writeHeader(header, this.revision, buf, pos));
  }

  /** Adds the parts of the message to `parts`. */
  list(header: HeaderForm, parts: PartList): void {
    parts.literal(sizeHeader(header, this.revision), (buf, pos) =>
      writeHeader(header, this.revision, buf, pos),
    );
    this.listBody(parts);
  }

  /** The message window by window; every source must be read to the end or aborted. */
  source(header: HeaderForm): ResponseSource {
    const parts = new PartList();
    this.list(header, parts);
    return new ResponseSource(parts, this.size(header));
  }
}

/** Outcome of a Range. */
export class RangeResult extends Result {
  readonly kvs: KvList;
  readonly more: boolean;
  readonly count: number;

  constructor(revision: number, kvs: KvList, more: boolean, count: number) {
    super(revision);
    this.kvs = kvs;
    this.more = more;
    this.count = count;
  }

  protected override bodyBytes(): number {
    return this.kvs.bytes + this.#endBytes();
  }

  #endBytes(): number {
    return (this.more ? 2 : 0) + (this.count === 0 ? 0 : 1 + sizeVarint(this.count));
  }

  protected override writeBody(buf: Uint8Array, pos: number): number {
    return this.#writeEnd(buf, this.kvs.write(TAG_2_BYTES, buf, pos));
  }

  #writeEnd(buf: Uint8Array, pos: number): number {
    let p = pos;
    if (this.more) {
      buf[p++] = TAG_3_VARINT;
      buf[p++] = 1;
    }
    if (this.count !== 0) {
      buf[p] = TAG_4_VARINT;
      p = writeVarint(buf, p + 1, this.count);
    }
    return p;
  }

  protected override listBody(parts: PartList): void {
    parts.list(this.kvs, TAG_2_BYTES);
    parts.literal(this.#endBytes(), (buf, pos) => this.#writeEnd(buf, pos));
  }

  message(header: ResponseHeader): RangeResponse {
    return { header, kvs: this.kvs.messages(), more: this.more, count: this.count };
  }
}

/** Outcome of a Put; `prevKv` holds one row, none if it was not asked for or the key did not exist. */
export class PutResult extends Result {
  readonly prevKv: KvList | undefined;

  constructor(revision: number, prevKv: KvList | undefined) {
    super(revision);
    this.prevKv = prevKv;
  }

  protected override bodyBytes(): number {
    return this.prevKv === undefined ? 0 : this.prevKv.bytes;
  }

  protected override writeBody(buf: Uint8Array, pos: number): number {
    return this.prevKv === undefined ? pos : this.prevKv.write(TAG_2_BYTES, buf, pos);
  }

  protected override listBody(parts: PartList): void {
    if (this.prevKv !== undefined) parts.list(this.prevKv, TAG_2_BYTES);
  }

  message(header: ResponseHeader): PutResponse {
    return { header, prevKv: this.prevKv?.message(0) };
  }
}

/** Outcome of a DeleteRange; `prevKvs` is undefined if it was not asked for. */
export class DeleteResult extends Result {
  readonly deleted: number;
  readonly prevKvs: KvList | undefined;

  constructor(revision: number, deleted: number, prevKvs: KvList | undefined) {
    super(revision);
    this.deleted = deleted;
    this.prevKvs = prevKvs;
  }

  protected override bodyBytes(): number {
    return this.#countBytes() + (this.prevKvs === undefined ? 0 : this.prevKvs.bytes);
  }

  #countBytes(): number {
    return this.deleted === 0 ? 0 : 1 + sizeVarint(this.deleted);
  }

  #writeCount(buf: Uint8Array, pos: number): number {
    if (this.deleted === 0) return pos;
    buf[pos] = TAG_2_VARINT;
    return writeVarint(buf, pos + 1, this.deleted);
  }

  protected override writeBody(buf: Uint8Array, pos: number): number {
    const p = this.#writeCount(buf, pos);
    return this.prevKvs === undefined ? p : this.prevKvs.write(TAG_3_BYTES, buf, p);
  }

  protected override listBody(parts: PartList): void {
    parts.literal(this.#countBytes(), (buf, pos) => this.#writeCount(buf, pos));
    if (this.prevKvs !== undefined) parts.list(this.prevKvs, TAG_3_BYTES);
  }

  message(header: ResponseHeader): DeleteRangeResponse {
    return { header, deleted: this.deleted, prevKvs: this.prevKvs?.messages() ?? [] };
  }
}

/** Outcome of one operation of a Txn. */
export type OpResult = RangeResult | PutResult | DeleteResult | TxnResult;

function opTag(op: OpResult): number {
  if (op instanceof PutResult) return TAG_OP.put;
  if (op instanceof RangeResult) return TAG_OP.range;
  return op instanceof DeleteResult ? TAG_OP.delete : TAG_OP.txn;
}

/** Outcome of a Txn; a nested one has revision 0, which leaves its header empty. */
export class TxnResult extends Result {
  readonly succeeded: boolean;
  readonly responses: readonly OpResult[];
  #bytes = -1;

  constructor(revision: number, succeeded: boolean, responses: readonly OpResult[]) {
    super(revision);
    this.succeeded = succeeded;
    this.responses = responses;
  }

  protected override bodyBytes(): number {
    if (this.#bytes >= 0) return this.#bytes;
    let bytes = this.succeeded ? 2 : 0;
    for (const op of this.responses) {
      const size = op.size(revisionOnly);
      const inner = 1 + sizeVarint(size) + size;
      bytes += 1 + sizeVarint(inner) + inner;
    }
    this.#bytes = bytes;
    return bytes;
  }

  protected override writeBody(buf: Uint8Array, pos: number): number {
    let p = this.#writeSucceeded(buf, pos);
    for (const op of this.responses) p = op.write(revisionOnly, buf, writeOpStart(op, buf, p));
    return p;
  }

  #writeSucceeded(buf: Uint8Array, pos: number): number {
    if (!this.succeeded) return pos;
    buf[pos] = TAG_2_VARINT;
    buf[pos + 1] = 1;
    return pos + 2;
  }

  protected override listBody(parts: PartList): void {
    parts.literal(2, (buf, pos) => this.#writeSucceeded(buf, pos));
    for (const op of this.responses) {
      parts.literal(16, (buf, pos) => writeOpStart(op, buf, pos));
      op.list(revisionOnly, parts);
    }
  }

  message(header: ResponseHeader): TxnResponse {
    return { header, succeeded: this.succeeded, responses: this.responses.map(opMessage) };
  }
}

/** Tag and length of the ResponseOp and of the response in it. */
function writeOpStart(op: OpResult, buf: Uint8Array, pos: number): number {
  const size = op.size(revisionOnly);
  buf[pos] = TAG_3_BYTES;
  const p = writeVarint(buf, pos + 1, 1 + sizeVarint(size) + size);
  buf[p] = opTag(op);
  return writeVarint(buf, p + 1, size);
}

function opMessage(op: OpResult): ResponseOp {
  const header = createResponseHeader({ revision: op.revision });
  if (op instanceof PutResult) return createResponseOp({ responsePut: op.message(header) });
  if (op instanceof RangeResult) return createResponseOp({ responseRange: op.message(header) });
  if (op instanceof DeleteResult) {
    return createResponseOp({ responseDeleteRange: op.message(header) });
  }
  return createResponseOp({ responseTxn: op.message(header) });
}
