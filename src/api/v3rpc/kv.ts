// The KV service. Order of checks per RPC is etcd's (client-api 2.3): quota before validation for writes, validation before the
// linearizable wait for reads. Source: etcd server/etcdserver/api/v3rpc/{key,quota}.go.

import {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
  isTxnReadOnly,
  isTxnSerializable,
  type RangeWork,
} from "../../core/mvcc/index.ts";
import {
  type CompactionResponse,
  CompactionResponseCodec,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  ProtoError,
  type RangeRequest,
  type TxnRequest,
} from "../../proto/index.ts";
import {
  Arm,
  putCostBytes,
  type Reader,
  type Refusal,
  type ServerCall,
  txnCostBytes,
} from "../../server/index.ts";
import type { RpcContext, Service } from "./context.ts";
import { rangeStream } from "./range-stream.ts";
import { replyWaiter } from "./reply-waiter.ts";
import { ResultEncoder, ResultWaiter } from "./results.ts";

/** Keys a Range looks at before it lets the turn go on: about a millisecond. */
const KEYS_PER_STEP = 4096;

/** Handlers of the KV service; `txnOpsMax` is `--max-txn-ops`. */
export function kvService(context: RpcContext, txnOpsMax: number): Service {
  const { member } = context;
  const encoder = new ResultEncoder(member.header);
  return {
    Range(call, buf, start, end) {
      const request = decodeRangeRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const refusal = checkRangeRequest(request);
      if (refusal !== undefined) return context.refuse(call, refusal);
      if (request.serializable) return range(context, call, encoder, request);
      return member.reads.wait(new RangeReader(context, call, encoder, request));
    },
    RangeStream: rangeStream(context),
    Put(call, buf, start, end) {
      const staged = member.stage(Arm.put, buf, start, end);
      const request = decodePutRequest(staged.buf, staged.start, staged.end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const waiter = new ResultWaiter(context, call, encoder);
      if (!member.hasSpaceFor(putCostBytes(request))) return member.raiseNoSpace(waiter);
      const refusal = checkPutRequest(request);
      if (refusal !== undefined) return context.refuse(call, refusal);
      return member.propose(Arm.put, request, staged, waiter);
    },
    DeleteRange(call, buf, start, end) {
      const staged = member.stage(Arm.deleteRange, buf, start, end);
      const request = decodeDeleteRangeRequest(staged.buf, staged.start, staged.end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const refusal = checkDeleteRangeRequest(request);
      if (refusal !== undefined) return context.refuse(call, refusal);
      const waiter = new ResultWaiter(context, call, encoder);
      return member.propose(Arm.deleteRange, request, staged, waiter);
    },
    Txn(call, buf, start, end) {
      const staged = member.stage(Arm.txn, buf, start, end);
      const request = decodeTxnRequest(staged.buf, staged.start, staged.end);
      if (request instanceof ProtoError) {
        // Every level of nesting takes an operation, and more levels are read than operations are allowed.
        if (request.isTooDeep) return context.refuse(call, "tooManyOps");
        return context.undecodable(call, request);
      }
      const waiter = new ResultWaiter(context, call, encoder);
      if (!member.hasSpaceFor(txnCostBytes(request))) return member.raiseNoSpace(waiter);
      const refusal = checkTxnRequest(request, txnOpsMax);
      if (refusal !== undefined) return context.refuse(call, refusal);
      if (!isTxnReadOnly(request)) return member.propose(Arm.txn, request, staged, waiter);
      if (isTxnSerializable(request)) return readTxn(context, call, encoder, request);
      return member.reads.wait({
        onReadable: () => readTxn(context, call, encoder, request),
        onRefused: (why) => context.refuse(call, why),
      });
    },
    Compact(call, buf, start, end) {
      const staged = member.stage(Arm.compaction, buf, start, end);
      const request = decodeCompactionRequest(staged.buf, staged.start, staged.end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const waiter = replyWaiter<CompactionResponse>(context, call, CompactionResponseCodec);
      // A physical compaction also waits until the rows are gone, and for earlier ones if it is refused.
      const wait = (then: () => void): void => {
        if (request.physical) member.compactor.whenIdle(then);
        else then();
      };
      return member.propose(Arm.compaction, request, staged, {
        onApplied: (response) => wait(() => waiter.onApplied(response)),
        onRefused: (why) => wait(() => waiter.onRefused(why)),
      });
    },
  };
}

/** A linearizable Range that waits for its turn. */
class RangeReader implements Reader {
  readonly #context: RpcContext;
  readonly #call: ServerCall;
  readonly #encoder: ResultEncoder;
  readonly #request: RangeRequest;

  constructor(
    context: RpcContext,
    call: ServerCall,
    encoder: ResultEncoder,
    request: RangeRequest,
  ) {
    this.#context = context;
    this.#call = call;
    this.#encoder = encoder;
    this.#request = request;
  }

  onReadable(): void {
    range(this.#context, this.#call, this.#encoder, this.#request);
  }

  onRefused(refusal: Refusal): void {
    this.#context.refuse(this.#call, refusal);
  }
}

function range(
  context: RpcContext,
  call: ServerCall,
  encoder: ResultEncoder,
  request: RangeRequest,
): void {
  const { store, clock, metrics } = context.member;
  metrics.mvcc.ranges.inc();
  if (request.rangeEnd === "") {
    const result = store.range(request);
    if (typeof result === "string") context.refuse(call, result);
    else encoder.reply(call, result);
    return;
  }
  const work = store.beginRange(request);
  if (typeof work === "string") {
    context.refuse(call, work);
    return;
  }
  if (work.step(KEYS_PER_STEP)) {
    encoder.reply(call, work.result());
    work.release();
    return;
  }
  goOn(work, call, encoder, (then) => clock.endOfTurn(then));
}

/** Goes on with a large Range, a step a turn, unless its client is gone. */
function goOn(
  work: RangeWork,
  call: ServerCall,
  encoder: ResultEncoder,
  later: (then: () => void) => void,
): void {
  later(() => {
    if (call.ended) {
      work.release();
      return;
    }
    if (!work.step(KEYS_PER_STEP)) {
      goOn(work, call, encoder, later);
      return;
    }
    encoder.reply(call, work.result());
    work.release();
  });
}

function readTxn(
  context: RpcContext,
  call: ServerCall,
  encoder: ResultEncoder,
  request: TxnRequest,
): void {
  const result = context.member.store.readTxn(request);
  if (typeof result === "string") context.refuse(call, result);
  else encoder.reply(call, result);
}
