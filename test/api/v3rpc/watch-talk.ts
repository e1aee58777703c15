// One Watch call in a test: requests go out as written, responses are waited for one by one and shown.

import { methods } from "../../../src/client/index.ts";
import {
  createWatchCancelRequest,
  createWatchCreateRequest,
  createWatchProgressRequest,
  createWatchRequest,
  ProtoError,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from "../../../src/proto/index.ts";
import type { BidiCall, CallOutcome } from "../../support/grpc-client.ts";
import { type Shown, show } from "./show.ts";

/** Longest wait for a response. */
const RESPONSE_MS_MAX = 10_000;

/** Events of a response as `key=value@revision` and `-key@revision`. */
export function eventText(response: WatchResponse): string[] {
  return response.events.map(({ type, kv, prevKv }) => {
    const before =
      prevKv === undefined ? "" : ` was ${Buffer.from(prevKv.value).toString("latin1")}`;
    const at = `@${kv?.modRevision}${before}`;
    return type === 1
      ? `-${kv?.key}${at}`
      : `${kv?.key}=${Buffer.from(kv?.value ?? "").toString("latin1")}${at}`;
  });
}

/** The client's side of a Watch call. */
export class WatchTalk {
  readonly #call: BidiCall;
  #read = 0;
  #wake: () => void = () => {};

  constructor(call: BidiCall) {
    this.#call = call;
    call.onMessage = () => this.#wake();
    void call.outcome().then(() => this.#wake());
  }

  /** Sends bytes as one message. */
  sendRaw(bytes: Uint8Array): void {
    this.#call.send(bytes);
  }

  send(request: Partial<WatchRequest>): void {
    const message = createWatchRequest(request);
    const buf = Buffer.alloc(methods.watch.request.size(message));
    methods.watch.request.write(message, buf, 0);
    this.#call.send(buf);
  }

  create(request: Partial<WatchCreateRequest>): void {
    this.send({ createRequest: createWatchCreateRequest(request) });
  }

  cancel(watchId: number): void {
    this.send({ cancelRequest: createWatchCancelRequest({ watchId }) });
  }

  progress(): void {
    this.send({ progressRequest: createWatchProgressRequest() });
  }

  /** Half-closes the call. */
  end(): void {
    this.#call.end();
  }

  /** Ends the call from the client's side. */
  close(): void {
    this.#call.cancel();
  }

  /** How the call ended. */
  outcome(): Promise<CallOutcome> {
    return this.#call.outcome();
  }

  /** Responses received and not yet read. */
  get unread(): number {
    return this.#call.messages.length - this.#read;
  }

  /** The next response, which may still be on its way. */
  async response(): Promise<WatchResponse> {
    const timer = setTimeout(() => this.#wake(), RESPONSE_MS_MAX);
    const until = Date.now() + RESPONSE_MS_MAX;
    try {
      while (this.unread === 0) {
        if (this.#call.ended !== undefined) throw new Error(`ended: ${this.#call.ended.details}`);
        if (Date.now() >= until) throw new Error("no watch response came");
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
    const bytes = this.#call.messages[this.#read++] as Uint8Array;
    const decoded = methods.watch.response.decode(bytes, 0, bytes.length);
    if (decoded instanceof ProtoError) throw decoded;
    return decoded;
  }

  /** The next response, shown. */
  async next(): Promise<Shown> {
    return show(await this.response());
  }

  /** The next response's events, after its watch id and header revision: `0@5: a=1@5`. */
  async events(): Promise<string> {
    const response = await this.response();
    const { watchId, header } = response;
    return `${watchId}@${header?.revision}: ${eventText(response).join(" ")}`;
  }
}
