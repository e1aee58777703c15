// KV.RangeStream: a Range in chunks at one pinned revision, each made when the one before has left for the socket.
// Source: etcd 3.7 server/etcdserver/api/v3rpc/key.go RangeStream.

import {
  checkRangeStreamRequest,
  type MemberHeader,
  ONE_SHOT_BYTES_MAX,
  type RangeChunk,
  type RangeStream,
} from "../../core/mvcc/index.ts";
import { decodeRangeRequest, ProtoError, type RangeRequest } from "../../proto/index.ts";
import type { MessageEncoder, ServerCall } from "../../server/index.ts";
import type { Handler, RpcContext } from "./context.ts";
import { edgeErrors } from "./errors.ts";

/** Keys looked at before the turn goes on. */
const KEYS_PER_STEP = 4096;

/** Handler of RangeStream. */
export function rangeStream(context: RpcContext): Handler {
  const { member } = context;
  const encoder = chunkEncoder(member.header);
  return (call, buf, start, end) => {
    const request = decodeRangeRequest(buf, start, end);
    if (request instanceof ProtoError) return context.undecodableInStream(call, request);
    const refusal = checkRangeStreamRequest(request);
    if (refusal === "rangeStreamSort" || refusal === "rangeStreamFilters") {
      const { code, message } = edgeErrors[refusal];
      return call.fail(code, message);
    }
    if (refusal !== undefined) return context.refuse(call, refusal);
    if (request.serializable) return begin(context, call, encoder, request);
    return member.reads.wait({
      onReadable: () => begin(context, call, encoder, request),
      onRefused: (why) => context.refuse(call, why),
    });
  };
}

function chunkEncoder(header: MemberHeader): MessageEncoder<RangeChunk> {
  return {
    size: (chunk) => chunk.size(header),
    write: (chunk, buf, pos) => chunk.write(header, buf, pos),
  };
}

function begin(
  context: RpcContext,
  call: ServerCall,
  encoder: MessageEncoder<RangeChunk>,
  request: RangeRequest,
): void {
  // The client may have gone while the read waited; a stream nobody ends would hold its revision for good.
  if (call.ended) return;
  const stream = context.member.store.beginRangeStream(request, context.member.requestBytesMax);
  if (typeof stream === "string") {
    context.refuse(call, stream);
    return;
  }
  call.onCancel = () => stream.abort();
  call.onDrain = () => sendChunks(context, call, encoder, stream);
  sendChunks(context, call, encoder, stream);
}

/** Sends chunks until the call has bytes waiting for its client; goes on when they are gone. */
function sendChunks(
  context: RpcContext,
  call: ServerCall,
  encoder: MessageEncoder<RangeChunk>,
  stream: RangeStream,
): void {
  if (call.ended || stream.ended) return;
  const chunk = stream.step(KEYS_PER_STEP);
  if (typeof chunk === "string") {
    context.refuse(call, chunk);
    return;
  }
  if (chunk !== undefined) {
    const { header } = context.member;
    if (chunk.size(header) <= ONE_SHOT_BYTES_MAX) call.send(encoder, chunk);
    else call.sendFrom(chunk.source(header));
    if (stream.ended) {
      call.finish();
      return;
    }
  }
  if (call.bufferedBytes === 0 || chunk === undefined) {
    context.member.clock.endOfTurn(() => sendChunks(context, call, encoder, stream));
  }
}
