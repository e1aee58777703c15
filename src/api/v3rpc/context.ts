// What every RPC handler shares: the member, response headers, and the way from a refusal to the wire.

import { createResponseHeader, type ProtoError, type ResponseHeader } from "../../proto/index.ts";
import type { Member, Refusal, ServerCall } from "../../server/index.ts";
import { Code, rpcErrors } from "./errors.ts";

/** A handler opens a call; the signature of `RpcMethod.open`. */
export type Handler = (call: ServerCall, buf: Uint8Array, start: number, end: number) => void;

/** Handlers of one service by method name. */
export type Service = Readonly<Record<string, Handler>>;

/** Shared by all handlers of one member. */
export class RpcContext {
  readonly member: Member;

  constructor(member: Member) {
    this.member = member;
  }

  /** A full header with `revision`; the term is that of the last applied entry. */
  header(revision: number): ResponseHeader {
    const member = this.member;
    return createResponseHeader({
      clusterId: member.clusterId,
      memberId: member.id,
      revision,
      raftTerm: member.appliedTerm,
    });
  }

  /** A full header with the current revision. */
  currentHeader(): ResponseHeader {
    return this.header(this.member.currentRevision);
  }

  /** Ends the call with the row of the error table for `refusal`. */
  refuse(call: ServerCall, refusal: Refusal): void {
    const row = rpcErrors[refusal];
    call.fail(row.code, row.message);
  }

  /** Ends a unary call as grpc-go does when the request cannot be decoded. */
  undecodable(call: ServerCall, error: ProtoError): void {
    call.fail(Code.internal, `grpc: error unmarshalling request: ${goReason(error)}`);
  }

  /** The same for a call that streams, on either side. */
  undecodableInStream(call: ServerCall, error: ProtoError): void {
    call.fail(Code.internal, `grpc: failed to unmarshal the received message: ${goReason(error)}`);
  }
}

/** Go's words for what is wrong with a message; our own for what only we refuse. */
function goReason({ message }: ProtoError): string {
  if (message.endsWith("not valid UTF-8")) return "string field contains invalid UTF-8";
  if (message.includes("beyond 2^53") || message.includes("nested deeper")) return message;
  return "proto: cannot parse invalid wire-format data";
}
