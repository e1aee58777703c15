// Requests of a crash round as messages on the wire, and answers back as lines of the model.

import {
  CompareResult,
  CompareTarget,
  createCompactionRequest,
  createCompare,
  createDeleteRangeRequest,
  createHashKVRequest,
  createLeaseGrantRequest,
  createLeaseKeepAliveRequest,
  createLeaseRevokeRequest,
  createPutRequest,
  createRangeRequest,
  createRequestOp,
  createTxnRequest,
  type DeleteRangeResponse,
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodeHashKVResponse,
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseRevokeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeHashKVRequest,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type KeyValue,
  ProtoError,
  type PutResponse,
  type RangeResponse,
  type RequestOp,
  type ResponseHeader,
  type TxnResponse,
  type Compare as WireCompare,
  type TxnRequest as WireTxn,
} from "../../src/proto/index.ts";
import type { CallOutcome, GrpcClient } from "../support/grpc-client.ts";
import { deleteLine, type Entry, pairText, putLine, rangeLine, txnLine } from "./model.ts";
import type { Action, Answer, Compare, KvRequest, Outcome, Request, Txn } from "./ops.ts";
import { tokenOf, valueBytes } from "./values.ts";

/** How long one call may take; only a stuck server needs this long. */
const callMsMax = 20_000;

/** A decoder of the generated codecs, over a whole answer; bytes that are no message throw. */
export function decoded<T>(
  decode: (buf: Uint8Array, start: number, end: number) => T | ProtoError,
  bytes: Uint8Array | undefined,
): T {
  if (bytes === undefined) throw new Error("an answer without a message");
  const message = decode(bytes, 0, bytes.length);
  if (message instanceof ProtoError) throw new Error(`not a message: ${message.message}`);
  return message;
}

/** Header of an answer, which must have one. */
export function headerOf(message: { header: ResponseHeader | undefined }): ResponseHeader {
  if (message.header === undefined) throw new Error("an answer without a header");
  return message.header;
}

/** A pair from the wire in the model's form. */
export function entryOf(kv: KeyValue): Entry {
  return {
    value: tokenOf(kv.value),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}

/** A pair from the wire as the model writes it. */
export function pairOf(kv: KeyValue): string {
  return pairText(kv.key, entryOf(kv));
}

// ------------------------------------------------------------------------------------------------------------------ requests

const relations = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  "<": CompareResult.LESS,
  ">": CompareResult.GREATER,
} as const;

function wireCompare({ key, target, relation, operand }: Compare): WireCompare {
  const result = relations[relation];
  switch (target) {
    case "version":
      return createCompare({
        key,
        result,
        target: CompareTarget.VERSION,
        version: Number(operand),
      });
    case "create":
      return createCompare({
        key,
        result,
        target: CompareTarget.CREATE,
        createRevision: Number(operand),
      });
    case "mod":
      return createCompare({
        key,
        result,
        target: CompareTarget.MOD,
        modRevision: Number(operand),
      });
    case "value":
      return createCompare({
        key,
        result,
        target: CompareTarget.VALUE,
        value: valueBytes(String(operand)),
      });
    case "lease":
      return createCompare({ key, result, target: CompareTarget.LEASE, lease: BigInt(operand) });
  }
}

function wireAction(action: Action): RequestOp {
  switch (action.kind) {
    case "put":
      return createRequestOp({
        requestPut: createPutRequest({
          key: action.key,
          value: valueBytes(action.value),
          lease: action.lease,
          prevKv: action.prev,
        }),
      });
    case "delete":
      return createRequestOp({
        requestDeleteRange: createDeleteRangeRequest({
          key: action.key,
          rangeEnd: action.end,
          prevKv: action.prev,
        }),
      });
    case "range":
      return createRequestOp({
        requestRange: createRangeRequest({ key: action.key, rangeEnd: action.end }),
      });
    case "txn":
      return createRequestOp({ requestTxn: wireTxn(action.txn) });
  }
}

function wireTxn(txn: Txn): WireTxn {
  return createTxnRequest({
    compare: txn.compares.map(wireCompare),
    success: txn.success.map(wireAction),
    failure: txn.failure.map(wireAction),
  });
}

function wireKv({ rpc, txn }: KvRequest): Uint8Array {
  const only = txn.success.map(wireAction)[0];
  if (rpc === "Put" && only?.requestPut) return encodePutRequest(only.requestPut);
  if (rpc === "Range" && only?.requestRange) return encodeRangeRequest(only.requestRange);
  if (rpc === "DeleteRange" && only?.requestDeleteRange) {
    return encodeDeleteRangeRequest(only.requestDeleteRange);
  }
  return encodeTxnRequest(wireTxn(txn));
}

// ------------------------------------------------------------------------------------------------------------------- answers

function putAnswer(message: PutResponse, isAsked: boolean): string {
  const previous = message.prevKv === undefined ? "" : pairOf(message.prevKv);
  return putLine(isAsked || previous !== "" ? previous : undefined);
}

function deleteAnswer(message: DeleteRangeResponse, isAsked: boolean): string {
  const previous = message.prevKvs.map(pairOf);
  return deleteLine(message.deleted, isAsked || previous.length > 0 ? previous : undefined);
}

function rangeAnswer(message: RangeResponse): string {
  return rangeLine(message.count, message.kvs.map(pairOf));
}

/** Lines of a transaction's answer; `mutated[0]` is set when it says that something was written. */
function txnAnswer(txn: Txn, message: TxnResponse, mutated: [boolean]): string[] {
  const lines = [txnLine(message.succeeded)];
  const actions = message.succeeded ? txn.success : txn.failure;
  for (const [i, op] of message.responses.entries()) {
    const action = actions[i];
    const isAsked = action !== undefined && "prev" in action && action.prev;
    if (op.responsePut !== undefined) {
      mutated[0] = true;
      lines.push(putAnswer(op.responsePut, isAsked));
    } else if (op.responseDeleteRange !== undefined) {
      mutated[0] ||= op.responseDeleteRange.deleted > 0;
      lines.push(deleteAnswer(op.responseDeleteRange, isAsked));
    } else if (op.responseRange !== undefined) {
      lines.push(rangeAnswer(op.responseRange));
    } else if (op.responseTxn !== undefined && action?.kind === "txn") {
      lines.push("txn", ...txnAnswer(action.txn, op.responseTxn, mutated));
    } else {
      lines.push("an answer of another kind");
    }
  }
  return lines;
}

function kvAnswer({ rpc, txn }: KvRequest, bytes: Uint8Array | undefined): Answer {
  const action = txn.success[0];
  const isAsked = action !== undefined && "prev" in action && action.prev;
  const single = (line: string): string[] => [txnLine(true), line];
  switch (rpc) {
    case "Put": {
      const message = decoded(decodePutResponse, bytes);
      const { revision } = headerOf(message);
      return { kind: "kv", revision, lines: single(putAnswer(message, isAsked)), mutated: true };
    }
    case "DeleteRange": {
      const message = decoded(decodeDeleteRangeResponse, bytes);
      const { revision } = headerOf(message);
      const lines = single(deleteAnswer(message, isAsked));
      return { kind: "kv", revision, lines, mutated: message.deleted > 0 };
    }
    case "Range": {
      const message = decoded(decodeRangeResponse, bytes);
      const { revision } = headerOf(message);
      return { kind: "kv", revision, lines: single(rangeAnswer(message)), mutated: false };
    }
    case "Txn": {
      const message = decoded(decodeTxnResponse, bytes);
      const mutated: [boolean] = [false];
      const lines = txnAnswer(txn, message, mutated);
      return { kind: "kv", revision: headerOf(message).revision, lines, mutated: mutated[0] };
    }
  }
}

/**
 * gRPC codes that leave open whether the request was carried out: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE. All
 * others are a server's refusal.
 */
const openCodes: ReadonlySet<number> = new Set([1, 2, 4, 13, 14]);

function outcomeOf(
  result: CallOutcome,
  answer: (bytes: Uint8Array | undefined) => Answer,
): Outcome {
  const { code, details } = result;
  if (code === 0) return { kind: "acknowledged", answer: answer(result.messages[0]) };
  if (openCodes.has(code)) return { kind: "unknown", text: `${code} ${details}` };
  return { kind: "refused", code, text: details };
}

async function keepAlive(client: GrpcClient, id: bigint): Promise<Outcome> {
  const call = client.bidi("/etcdserverpb.Lease/LeaseKeepAlive", { deadlineMs: callMsMax });
  call.send(encodeLeaseKeepAliveRequest(createLeaseKeepAliveRequest({ id })));
  call.end();
  const result = await call.outcome();
  // The answer counts even if the stream then broke.
  const code = result.messages.length > 0 ? 0 : result.code;
  return outcomeOf({ ...result, code }, (bytes) => {
    const message = decoded(decodeLeaseKeepAliveResponse, bytes);
    const { revision } = headerOf(message);
    return { kind: "lease", revision, id: message.id, ttl: message.ttl };
  });
}

/** Sends a request once and waits for what becomes of it. Rejects only for an answer that is no message. */
export async function send(client: GrpcClient, request: Request): Promise<Outcome> {
  const unary = async (
    path: string,
    bytes: Uint8Array,
    answer: (bytes: Uint8Array | undefined) => Answer,
  ): Promise<Outcome> => {
    const result = await client.unary(`/etcdserverpb.${path}`, bytes, { deadlineMs: callMsMax });
    return outcomeOf(result, answer);
  };
  switch (request.kind) {
    case "kv":
      return await unary(`KV/${request.rpc}`, wireKv(request), (bytes) => kvAnswer(request, bytes));
    case "grant":
      return await unary(
        "Lease/LeaseGrant",
        encodeLeaseGrantRequest(createLeaseGrantRequest({ id: request.id, ttl: request.ttl })),
        (bytes) => {
          const message = decoded(decodeLeaseGrantResponse, bytes);
          const { revision } = headerOf(message);
          return { kind: "lease", revision, id: message.id, ttl: message.ttl };
        },
      );
    case "revoke":
      return await unary(
        "Lease/LeaseRevoke",
        encodeLeaseRevokeRequest(createLeaseRevokeRequest({ id: request.id })),
        (bytes) => {
          const { revision } = headerOf(decoded(decodeLeaseRevokeResponse, bytes));
          return { kind: "lease", revision, id: request.id, ttl: 0 };
        },
      );
    case "keepalive":
      return await keepAlive(client, request.id);
    case "compact": {
      const { revision, physical } = request;
      return await unary(
        "KV/Compact",
        encodeCompactionRequest(createCompactionRequest({ revision, physical })),
        (bytes) => {
          const header = headerOf(decoded(decodeCompactionResponse, bytes));
          return { kind: "compact", revision: header.revision };
        },
      );
    }
    case "hash":
      return await unary(
        "Maintenance/HashKV",
        encodeHashKVRequest(createHashKVRequest({ revision: request.revision })),
        (bytes) => {
          const message = decoded(decodeHashKVResponse, bytes);
          const { hash, hashRevision, compactRevision } = message;
          const sample = { revision: hashRevision, compacted: compactRevision, hash };
          return { kind: "hash", revision: headerOf(message).revision, sample };
        },
      );
  }
}
