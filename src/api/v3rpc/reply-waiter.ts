// A waiter that answers a unary call with the response of the applied proposal. The applier gives the revision, this adds the rest of
// the header.

import type { ResponseHeader } from "../../proto/index.ts";
import type { MessageEncoder, Refusal, ServerCall, Waiter } from "../../server/index.ts";
import type { RpcContext } from "./context.ts";

/** Responses that carry a header; the applier leaves it with the revision only. */
export interface HasHeader {
  header: ResponseHeader | undefined;
}

class ReplyWaiter<T extends HasHeader> implements Waiter {
  readonly #context: RpcContext;
  readonly #call: ServerCall;
  readonly #encoder: MessageEncoder<T>;

  constructor(context: RpcContext, call: ServerCall, encoder: MessageEncoder<T>) {
    this.#context = context;
    this.#call = call;
    this.#encoder = encoder;
  }

  onApplied(applied: unknown): void {
    const response = applied as T;
    // A revision that would be 0 is replaced by the current one.
    const revision = response.header?.revision ?? 0;
    response.header =
      revision === 0 ? this.#context.currentHeader() : this.#context.header(revision);
    this.#call.reply(this.#encoder, response);
  }

  onRefused(refusal: Refusal): void {
    this.#context.refuse(this.#call, refusal);
  }
}

/** Answers `call` with the applied response, or with its refusal. */
export function replyWaiter<T extends HasHeader>(
  context: RpcContext,
  call: ServerCall,
  encoder: MessageEncoder<T>,
): Waiter {
  return new ReplyWaiter(context, call, encoder);
}
