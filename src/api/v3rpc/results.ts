// Sends the outcomes of the store: small ones are written into the connection's buffer at once, large ones window by window.

import { type MemberHeader, ONE_SHOT_BYTES_MAX } from "../../core/mvcc/index.ts";
import type {
  MessageEncoder,
  MessageSource,
  Refusal,
  ServerCall,
  Waiter,
} from "../../server/index.ts";
import type { RpcContext } from "./context.ts";

/** What all results of the store have in common. */
export interface StoreResult {
  size(header: MemberHeader): number;
  write(header: MemberHeader, buf: Uint8Array, pos: number): number;
  source(header: MemberHeader): MessageSource;
}

/** Encodes results with the header of one member. */
export class ResultEncoder implements MessageEncoder<StoreResult> {
  readonly #header: MemberHeader;

  constructor(header: MemberHeader) {
    this.#header = header;
  }

  size(result: StoreResult): number {
    return result.size(this.#header);
  }

  write(result: StoreResult, buf: Uint8Array, pos: number): number {
    return result.write(this.#header, buf, pos);
  }

  /** Answers `call` with `result`, in this turn or as windows allow. */
  reply(call: ServerCall, result: StoreResult): void {
    if (result.size(this.#header) <= ONE_SHOT_BYTES_MAX) call.reply(this, result);
    else call.replyFrom(result.source(this.#header));
  }
}

/** Waits for a write and answers its call with the store's result. */
export class ResultWaiter implements Waiter {
  readonly #context: RpcContext;
  readonly #call: ServerCall;
  readonly #encoder: ResultEncoder;

  constructor(context: RpcContext, call: ServerCall, encoder: ResultEncoder) {
    this.#context = context;
    this.#call = call;
    this.#encoder = encoder;
  }

  onApplied(result: unknown): void {
    this.#encoder.reply(this.#call, result as StoreResult);
  }

  onRefused(refusal: Refusal): void {
    this.#context.refuse(this.#call, refusal);
  }
}
