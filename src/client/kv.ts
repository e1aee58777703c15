// Reading and writing keys.

import {
  createCompactionRequest,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  type RangeResponse,
  type ResponseHeader,
  type ResponseOp,
  type TxnResponse,
} from "../proto/index.ts";
import type { CallOptions, Connection } from "./connection.ts";
import {
  bytesOf,
  type Key,
  type Pair,
  pairOf,
  type Value,
  wireKey,
  wireRange,
} from "./key-value.ts";
import { methods } from "./methods.ts";
import { type DeleteOptions, type PutOptions, type RangeOptions, rangeFields } from "./options.ts";
import { type Txn, txnRequest } from "./txn.ts";

/** Answer to a read. */
export interface RangeResult {
  readonly header: ResponseHeader | undefined;
  readonly pairs: Pair[];
  /** The limit left pairs out. */
  readonly more: boolean;
  /** Keys in the range, whatever the limit. */
  readonly count: number;
}

/** Answer to a put. */
export interface PutResult {
  readonly header: ResponseHeader | undefined;
  /** The pair before, if asked for and there was one. */
  readonly prevKv: Pair | undefined;
}

/** Answer to a delete. */
export interface DeleteResult {
  readonly header: ResponseHeader | undefined;
  readonly deleted: number;
  /** The pairs deleted, if asked for. */
  readonly prevKvs: Pair[];
}

/** Answer to one operation of a transaction: of the same kind as the operation. */
export type OpResult =
  | ({ readonly kind: "range" } & RangeResult)
  | ({ readonly kind: "put" } & PutResult)
  | ({ readonly kind: "delete" } & DeleteResult)
  | ({ readonly kind: "txn" } & TxnResult);

/** Answer to a transaction. */
export interface TxnResult {
  readonly header: ResponseHeader | undefined;
  /** True if every comparison held. */
  readonly succeeded: boolean;
  /** One for each operation done, in order. */
  readonly results: OpResult[];
}

/** The keys of a cluster. Every method throws EtcdError. */
export class Kv {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Reads one key; undefined if it does not exist. */
  async get(key: Key, options: RangeOptions & CallOptions = {}): Promise<Pair | undefined> {
    const { pairs } = await this.range(key, options);
    return pairs[0];
  }

  /** Reads a key or a range of them. */
  async range(key: Key, options: RangeOptions & CallOptions = {}): Promise<RangeResult> {
    const [call, fields] = split(options);
    const request = createRangeRequest(rangeFields(key, fields));
    return rangeResult(await this.#connection.unary(methods.range, request, call));
  }

  /** Reads a large range in pieces of the server's choosing, all of one revision; needs etcd 3.7. */
  async *rangeStream(
    key: Key,
    options: RangeOptions & CallOptions = {},
  ): AsyncGenerator<RangeResult, void, void> {
    const [call, fields] = split(options);
    const request = createRangeRequest(rangeFields(key, fields));
    for await (const part of this.#connection.serverStream(methods.rangeStream, request, call)) {
      if (part.rangeResponse !== undefined) yield rangeResult(part.rangeResponse);
    }
  }

  async put(key: Key, value: Value, options: PutOptions & CallOptions = {}): Promise<PutResult> {
    const [call, fields] = split(options);
    const request = createPutRequest({ key: wireKey(key), value: bytesOf(value), ...fields });
    const response = await this.#connection.unary(methods.put, request, call);
    return { header: response.header, prevKv: response.prevKv && pairOf(response.prevKv) };
  }

  async delete(key: Key, options: DeleteOptions & CallOptions = {}): Promise<DeleteResult> {
    const [call, fields] = split(options);
    const prevKv = fields.prevKv ?? false;
    const request = createDeleteRangeRequest({ ...wireRange(key, fields), prevKv });
    const response = await this.#connection.unary(methods.deleteRange, request, call);
    const { header, deleted, prevKvs } = response;
    return { header, deleted, prevKvs: prevKvs.map(pairOf) };
  }

  /** Does one branch of `txn` atomically, in one revision. */
  async txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    return txnResult(await this.#connection.unary(methods.txn, txnRequest(txn), options));
  }

  /** Gives up history before `revision`; with `physical` the answer comes when the space is free. */
  async compact(
    revision: number,
    options: { readonly physical?: boolean } & CallOptions = {},
  ): Promise<ResponseHeader | undefined> {
    const request = createCompactionRequest({ revision, physical: options.physical ?? false });
    const response = await this.#connection.unary(methods.compact, request, options);
    return response.header;
  }
}

/** Separates how a call is made from what it asks. */
function split<T extends CallOptions>(options: T): [CallOptions, Omit<T, keyof CallOptions>] {
  const { timeoutMs, signal, metadata, endpoint, ...fields } = options;
  const call = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  return [call, fields];
}

function rangeResult(response: RangeResponse): RangeResult {
  const { header, kvs, more, count } = response;
  return { header, pairs: kvs.map(pairOf), more, count };
}

function txnResult(response: TxnResponse): TxnResult {
  const { header, succeeded, responses } = response;
  return { header, succeeded, results: responses.map(opResult) };
}

function opResult(response: ResponseOp): OpResult {
  const { responseRange, responsePut, responseDeleteRange, responseTxn } = response;
  if (responseRange !== undefined) return { kind: "range", ...rangeResult(responseRange) };
  if (responseDeleteRange !== undefined) {
    const { header, deleted, prevKvs } = responseDeleteRange;
    return { kind: "delete", header, deleted, prevKvs: prevKvs.map(pairOf) };
  }
  if (responseTxn !== undefined) return { kind: "txn", ...txnResult(responseTxn) };
  return {
    kind: "put",
    header: responsePut?.header,
    prevKv: responsePut?.prevKv && pairOf(responsePut.prevKv),
  };
}
