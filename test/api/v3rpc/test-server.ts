// A client for tests of single RPCs: typed requests with everything but the named fields at its default, answers as `show` shows them.
// It never retries and has no opinion: a refusal is an answer like any other.

import { type Method, methods } from "../../../src/client/index.ts";
import {
  type AlarmRequest,
  type CompactionRequest,
  createAlarmRequest,
  createCompactionRequest,
  createDeleteRangeRequest,
  createHashKVRequest,
  createHashRequest,
  createLeaseGrantRequest,
  createLeaseKeepAliveRequest,
  createLeaseLeasesRequest,
  createLeaseRevokeRequest,
  createLeaseTimeToLiveRequest,
  createMemberListRequest,
  createPutRequest,
  createRangeRequest,
  createStatusRequest,
  createTxnRequest,
  type DeleteRangeRequest,
  type HashKVRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type LeaseTimeToLiveRequest,
  type MemberListRequest,
  ProtoError,
  type PutRequest,
  type RangeRequest,
  type RangeStreamResponse,
  type TxnRequest,
} from "../../../src/proto/index.ts";
import { type BidiCall, type CallSettings, GrpcClient } from "../../support/grpc-client.ts";
import { type Shown, show } from "./show.ts";
import { WatchTalk } from "./watch-talk.ts";

/** Value bytes of a put from text. */
export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** Encodes a message with its codec. */
export function encode<T>(method: Method<T, unknown>["request"], message: T): Uint8Array {
  const buf = Buffer.alloc(method.size(message));
  method.write(message, buf, 0);
  return buf;
}

function decode<T>(codec: Method<unknown, T>["response"], buf: Uint8Array): T {
  const message = codec.decode(buf, 0, buf.length);
  if (message instanceof ProtoError) throw message;
  return message;
}

/** How Go's protobuf writes a space, chosen per binary so that nobody relies on the text. */
function plainSpaces(text: string): string {
  return text.replaceAll("\u00a0", " ");
}

type Put = Partial<Omit<PutRequest, "value">> & { readonly value?: string };

/** One server under test. */
export class TestServer {
  readonly endpoint: string;
  readonly client: GrpcClient;

  /** `endpoint`: `host:port`. */
  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.client = new GrpcClient(endpoint);
  }

  close(): void {
    this.client.close();
  }

  /** The decoded answer; throws if the call was refused. */
  async message<Req, Res>(
    method: Method<Req, Res>,
    request: Req,
    settings?: CallSettings,
  ): Promise<Res> {
    const outcome = await this.client.unary(method.path, encode(method.request, request), settings);
    const [answer] = outcome.messages;
    if (outcome.code !== 0 || answer === undefined) {
      throw new Error(`${method.path}: ${outcome.code} ${outcome.details}`);
    }
    return decode(method.response, answer);
  }

  /** The answer as shown, or code and text of the refusal such as `11 etcdserver: …`. */
  async call<Req, Res>(
    method: Method<Req, Res>,
    request: Req,
    settings?: CallSettings,
  ): Promise<Shown> {
    const outcome = await this.client.unary(method.path, encode(method.request, request), settings);
    const [answer] = outcome.messages;
    if (outcome.code !== 0) return `${outcome.code} ${plainSpaces(outcome.details)}`;
    return answer === undefined ? "no message" : show(decode(method.response, answer));
  }

  /** As `call`, on bytes. */
  async raw(path: string, request: Uint8Array, settings?: CallSettings): Promise<string> {
    const { code, details } = await this.client.unary(path, request, settings);
    return code === 0 ? "OK" : `${code} ${plainSpaces(details)}`;
  }

  range(request: Partial<RangeRequest>, settings?: CallSettings): Promise<Shown> {
    return this.call(methods.range, createRangeRequest(request), settings);
  }

  /** Keys of a range, in the order of the answer. */
  async keys(request: Partial<RangeRequest>): Promise<string> {
    const { kvs, more, count } = await this.message(methods.range, createRangeRequest(request));
    return `${kvs.map((kv) => kv.key).join(" ")}${more ? " …" : ""} of ${count}`;
  }

  /** The messages of a RangeStream, and how it ended (`OK`, or code and text). */
  async rangeStream(
    request: Partial<RangeRequest>,
  ): Promise<{ chunks: RangeStreamResponse[]; end: string }> {
    const method = methods.rangeStream;
    const encoded = encode(method.request, createRangeRequest(request));
    const outcome = await this.client.serverStream(method.path, encoded);
    const chunks = outcome.messages.map((m) => decode(method.response, m));
    return { chunks, end: outcome.code === 0 ? "OK" : `${outcome.code} ${outcome.details}` };
  }

  put(request: Put, settings?: CallSettings): Promise<Shown> {
    const message = createPutRequest({ ...request, value: bytes(request.value ?? "") });
    return this.call(methods.put, message, settings);
  }

  /** Puts each of `pairs`, `key=value` separated by blanks, in a revision of its own. */
  async puts(pairs: string): Promise<void> {
    for (const pair of pairs.split(" ")) {
      const [key = "", value = ""] = pair.split("=");
      await this.message(methods.put, createPutRequest({ key, value: bytes(value) }));
    }
  }

  deleteRange(request: Partial<DeleteRangeRequest>): Promise<Shown> {
    return this.call(methods.deleteRange, createDeleteRangeRequest(request));
  }

  txn(request: Partial<TxnRequest>): Promise<Shown> {
    return this.call(methods.txn, createTxnRequest(request));
  }

  compact(request: Partial<CompactionRequest>): Promise<Shown> {
    return this.call(methods.compact, createCompactionRequest(request));
  }

  leaseGrant(request: Partial<LeaseGrantRequest>): Promise<Shown> {
    return this.call(methods.leaseGrant, createLeaseGrantRequest(request));
  }

  leaseRevoke(request: Partial<LeaseRevokeRequest>): Promise<Shown> {
    return this.call(methods.leaseRevoke, createLeaseRevokeRequest(request));
  }

  timeToLive(request: Partial<LeaseTimeToLiveRequest>): Promise<Shown> {
    return this.call(methods.leaseTimeToLive, createLeaseTimeToLiveRequest(request));
  }

  leases(): Promise<Shown> {
    return this.call(methods.leaseLeases, createLeaseLeasesRequest());
  }

  memberList(request: Partial<MemberListRequest> = {}): Promise<Shown> {
    return this.call(methods.memberList, createMemberListRequest(request));
  }

  alarm(request: Partial<AlarmRequest>): Promise<Shown> {
    return this.call(methods.alarm, createAlarmRequest(request));
  }

  status(): Promise<Shown> {
    return this.call(methods.status, createStatusRequest());
  }

  hash(): Promise<Shown> {
    return this.call(methods.hash, createHashRequest());
  }

  hashKv(request: Partial<HashKVRequest> = {}): Promise<Shown> {
    return this.call(methods.hashKv, createHashKVRequest(request));
  }

  /** Id of the member. */
  async memberId(): Promise<bigint> {
    const { header } = await this.message(methods.range, createRangeRequest({ key: "\0" }));
    return header?.memberId ?? 0n;
  }

  watch(settings?: CallSettings): WatchTalk {
    return new WatchTalk(this.client.bidi(methods.watch.path, settings));
  }

  /** Sends a keepalive for each of `ids`, then closes its side; the answers and the end of the call. */
  async keepAlive(...ids: bigint[]): Promise<Shown[]> {
    const method = methods.leaseKeepAlive;
    const call: BidiCall = this.client.bidi(method.path, { deadlineMs: 10_000 });
    for (const id of ids) call.send(encode(method.request, createLeaseKeepAliveRequest({ id })));
    call.end();
    const { code, details, messages } = await call.outcome();
    const shown = messages.map((m) => show(decode(method.response, m)));
    return [...shown, code === 0 ? "OK" : `${code} ${details}`];
  }
}
