// One gRPC call at the server: stream and `ServerCall` in one object, so that a request costs one allocation here.
//
//   head --refused--> status                         single request: message complete --> open
//        \--streaming request--> open                 open --> reply | replyFrom | finish | fail | lost | deadline --> ended
//
// A call that has ended may still have output waiting; it stays in the connection until that has left.

import type {
  CancelReason,
  MessageEncoder,
  MessageSource,
  Metadata,
  ServerCall,
} from "../../server/ports.ts";
import {
  ErrorCode,
  type Http2Connection,
  Http2Stream,
  type RequestHead,
  readUint32,
  SendQueue,
  type StreamLoss,
} from "../http2/index.ts";
import { MESSAGE_SEND_BYTES_MAX, QUEUED_BYTES_MAX } from "../limits.ts";
import type { CallHead } from "./call-head.ts";
import type { DeadlineEntry } from "./deadlines.ts";
import { PREFIX_BYTES } from "./message-assembly.ts";
import type { Route } from "./method-table.ts";
import { checkPrefix, RequestReader } from "./request-reader.ts";
import {
  MESSAGE_HEAD_BYTES,
  RESPONSE_HEAD_BYTES_MAX,
  writeHead,
  writeMessageHead,
  writeOkTrailers,
  writePrefix,
  writeStatus,
} from "./response.ts";
import type { GrpcServer } from "./server.ts";
import { type Refusal, refusal, StatusCode } from "./status.ts";

const EMPTY: Buffer = Buffer.alloc(0);

interface HeldRequest {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
}

/** See the file's head; methods of `ServerCall` are documented there. */
export class GrpcCall extends Http2Stream implements ServerCall, DeadlineEntry {
  readonly server: GrpcServer;
  readonly head: CallHead;
  ended = false;
  deadlineMs: number | undefined = undefined;
  onMessage: ((buf: Uint8Array, start: number, end: number) => void) | undefined = undefined;
  onHalfClose: (() => void) | undefined = undefined;
  onCancel: ((reason: CancelReason) => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;

  deadlineNext: DeadlineEntry | undefined = undefined;
  deadlinePrevious: DeadlineEntry | undefined = undefined;
  deadlineSlot = -1;

  /** The handler has the call; `started` was counted. */
  #isOpened = false;
  #reader: RequestReader | undefined = undefined;
  /** The message of a server-streaming call, until the client has closed its side. */
  #request: HeldRequest | undefined = undefined;
  /** The status to write after the queue; undefined while the call may send. */
  #final: Refusal | undefined = undefined;
  #openedAtMs = 0;

  constructor(
    connection: Http2Connection,
    id: number,
    requestHead: RequestHead,
    server: GrpcServer,
    head: CallHead,
  ) {
    super(connection, id, requestHead);
    this.server = server;
    this.head = head;
  }

  get metadata(): Metadata {
    return this.head;
  }

  get peer(): string {
    return this.connection.peer;
  }

  get bufferedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.totalBytes;
  }

  // --------------------------------------------------------------------------------------------------------- request

  override onHead(endStream: boolean): void {
    const { head } = this;
    const { route } = head;
    if (route === undefined) {
      this.refuse(head.refusal as Refusal);
      return;
    }
    if (head.timeoutMs >= 0) {
      this.deadlineMs = this.connection.nowMs + head.timeoutMs;
      this.server.deadlines.add(this, this.deadlineMs);
    }
    if (!route.isSingleRequest) this.#open(route, EMPTY, 0, 0);
    if (endStream && !this.ended) this.halfClose(false);
  }

  override onData(buf: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.ended) return;
    if (this.#reader === undefined) {
      const size = end - start;
      const { route } = this.head;
      if (
        size >= PREFIX_BYTES &&
        !this.#isOpened &&
        this.#request === undefined &&
        buf[start] === 0 &&
        readUint32(buf, start + 1) === size - PREFIX_BYTES
      ) {
        // The whole body in one frame.
        const refused = checkPrefix(0, size - PREFIX_BYTES, false, this.messageBytesMax);
        if (refused !== undefined) this.refuse(refused);
        else if (endStream || (route as Route).isUnary) {
          this.#countReceived(size - PREFIX_BYTES);
          this.#open(route as Route, buf, start + PREFIX_BYTES, end);
          return;
        }
      }
      if (this.ended) return;
      this.#reader = new RequestReader(this);
    }
    this.#reader.take(buf, start, end, endStream);
  }

  get messageBytesMax(): number {
    return this.connection.limits.messageBytesMax;
  }

  /** False when further messages are of no interest: the call has ended, or it is unary and has its request (as in grpc-go). */
  get wantsMessages(): boolean {
    return !this.ended && !(this.#isOpened && (this.head.route as Route).isSingleRequest);
  }

  /** A complete message, in order. Called by the reader. */
  deliver(buf: Buffer, start: number, end: number): void {
    const route = this.head.route as Route;
    this.#countReceived(end - start);
    if (route.isUnary) {
      this.#open(route, buf, start, end);
    } else if (!route.isSingleRequest) {
      this.onMessage?.(buf, start, end);
    } else if (this.#request === undefined) {
      const own = Buffer.from(buf.subarray(start, end));
      this.#request = { buf: own, start: 0, end: own.length };
    } else {
      this.refuse(
        refusal(
          StatusCode.internal,
          "cardinality violation: received multiple request messages for non-client-streaming RPC",
        ),
      );
    }
  }

  /** The client sends no more; `isCut` if it stopped inside a message. */
  halfClose(isCut: boolean): void {
    const route = this.head.route as Route;
    if (isCut && !(route.isUnary && this.#isOpened)) {
      const code = route.isUnary ? StatusCode.unknown : StatusCode.internal;
      this.refuse(refusal(code, "unexpected EOF"));
    } else if (this.#request !== undefined) {
      const { buf, start, end } = this.#request;
      this.#request = undefined;
      this.#open(route, buf, start, end);
    } else if (!route.isSingleRequest) {
      this.onHalfClose?.();
    } else if (!this.#isOpened) {
      this.refuse(
        route.isUnary
          ? refusal(StatusCode.unknown, "EOF")
          : refusal(
              StatusCode.internal,
              "cardinality violation: received no request message from non-client-streaming RPC",
            ),
      );
    }
  }

  pauseMessages(paused: boolean): void {
    if (this.ended || (this.head.route as Route).isSingleRequest) return;
    this.#reader ??= new RequestReader(this);
    this.#reader.pause(paused);
  }

  override isTooSlow(nowMs: number): boolean {
    return !this.ended && this.#reader !== undefined && this.#reader.isTooSlow(nowMs);
  }

  #open(route: Route, buf: Buffer, start: number, end: number): void {
    this.#isOpened = true;
    route.counters.started++;
    if (route.counters.handlingSeconds !== undefined) {
      this.#openedAtMs = this.server.clock.nowMs();
    }
    route.method.open(this, buf, start, end);
  }

  // -------------------------------------------------------------------------------------------------------- response

  reply<T>(encoder: MessageEncoder<T>, message: T): void {
    if (this.ended) return;
    const c = this.connection;
    const size = encoder.size(message);
    this.#countSent(size);
    if (!c.canSendNow(this, size + PREFIX_BYTES)) {
      this.#enqueue(encoder, message, size);
      this.finish();
      return;
    }
    let pos = c.out.reserve(size + MESSAGE_HEAD_BYTES + 2 * RESPONSE_HEAD_BYTES_MAX);
    const buf = c.out.bytes;
    if (!this.isHeadSent) pos = writeHead(c, buf, pos, this.id);
    pos = writeMessageHead(buf, pos, this.id, size);
    pos = encoder.write(message, buf, pos);
    c.out.length = writeOkTrailers(c, buf, pos, this.id);
    this.sendWindow -= size + PREFIX_BYTES;
    c.sendWindow -= size + PREFIX_BYTES;
    c.guard.workFrames++;
    c.wake();
    this.#end(StatusCode.ok);
    c.endStream(this);
  }

  send<T>(encoder: MessageEncoder<T>, message: T): void {
    if (this.ended) return;
    const c = this.connection;
    const size = encoder.size(message);
    this.#countSent(size);
    if (!c.canSendNow(this, size + PREFIX_BYTES)) {
      this.#enqueue(encoder, message, size);
      return;
    }
    let pos = c.out.reserve(size + MESSAGE_HEAD_BYTES + RESPONSE_HEAD_BYTES_MAX);
    const buf = c.out.bytes;
    if (!this.isHeadSent) {
      this.isHeadSent = true;
      pos = writeHead(c, buf, pos, this.id);
    }
    pos = writeMessageHead(buf, pos, this.id, size);
    c.out.length = encoder.write(message, buf, pos);
    this.sendWindow -= size + PREFIX_BYTES;
    c.sendWindow -= size + PREFIX_BYTES;
    c.guard.workFrames++;
    c.wake();
  }

  replyFrom(source: MessageSource): void {
    if (this.ended) {
      source.abort();
      return;
    }
    this.sendFrom(source);
    this.finish();
  }

  sendFrom(source: MessageSource): void {
    if (this.ended) {
      source.abort();
      return;
    }
    if (source.sizeBytes > MESSAGE_SEND_BYTES_MAX) {
      source.abort();
      this.fail(
        StatusCode.resourceExhausted,
        `grpc: trying to send message larger than max (${source.sizeBytes} vs. ${MESSAGE_SEND_BYTES_MAX})`,
      );
      return;
    }
    this.#countSent(source.sizeBytes);
    const queue = this.#startQueue();
    const pos = queue.reserve(PREFIX_BYTES);
    queue.commit(writePrefix(queue.tailBytes, pos, source.sizeBytes));
    this.connection.heldBytes += PREFIX_BYTES;
    queue.pushSource(source);
    this.connection.queueStream(this);
  }

  finish(): void {
    if (this.ended) return;
    this.#end(StatusCode.ok);
    this.#final = refusal(StatusCode.ok, "");
    this.#writeFinalIfIdle();
  }

  fail(code: number, message: string): void {
    if (this.ended) return;
    this.#end(code);
    this.#final = refusal(code, message);
    this.#writeFinalIfIdle();
  }

  /** Ends the call from the transport's side; the handler, if it has the call, is told. */
  refuse(refused: Refusal): void {
    if (this.ended) return;
    this.#end(refused.code);
    this.#final = refused;
    this.#writeFinalIfIdle();
    this.onCancel?.("cancelled");
  }

  /** Makes sure that there is a queue and that the head precedes it. */
  #startQueue(): SendQueue {
    const c = this.connection;
    if (!this.isHeadSent) {
      this.isHeadSent = true;
      const pos = c.out.reserve(RESPONSE_HEAD_BYTES_MAX);
      c.out.length = writeHead(c, c.out.bytes, pos, this.id);
      c.wake();
    }
    this.queue ??= new SendQueue();
    if (this.queue.isEmpty) this.progressAtMs = c.nowMs;
    return this.queue;
  }

  #enqueue<T>(encoder: MessageEncoder<T>, message: T, size: number): void {
    const c = this.connection;
    if (c.heldBytes + size > QUEUED_BYTES_MAX) {
      this.#end(StatusCode.resourceExhausted);
      c.resetStream(this, ErrorCode.enhanceYourCalm);
      this.onCancel?.("cancelled");
      return;
    }
    const queue = this.#startQueue();
    const pos = queue.reserve(size + PREFIX_BYTES);
    const bytes = queue.tailBytes;
    queue.commit(encoder.write(message, bytes, writePrefix(bytes, pos, size)));
    c.heldBytes += size + PREFIX_BYTES;
    c.queueStream(this);
  }

  #writeFinalIfIdle(): void {
    if (this.queue === undefined || this.queue.isEmpty) this.finishQueued();
  }

  override finishQueued(): boolean {
    const final = this.#final;
    if (final === undefined) return false;
    const c = this.connection;
    writeStatus(c, this.id, this.isHeadSent, final.httpStatus, final.code, final.text);
    c.guard.workFrames++;
    c.endStream(this);
    return true;
  }

  override onQueueEmpty(): void {
    if (!this.ended) this.onDrain?.();
  }

  // ------------------------------------------------------------------------------------------------------------- end

  override onLost(loss: StreamLoss): void {
    if (this.ended) return;
    this.#end(loss === "shutdown" ? StatusCode.unavailable : StatusCode.canceled);
    this.onCancel?.(loss === "reset" || loss === "refused" ? "cancelled" : loss);
  }

  onDeadline(): void {
    if (this.ended) return;
    this.#end(StatusCode.deadlineExceeded);
    if (this.bufferedBytes === 0) {
      this.#final = refusal(StatusCode.deadlineExceeded, "context deadline exceeded");
      this.finishQueued();
    } else {
      // A message may be half sent: trailers cannot follow it.
      this.connection.resetStream(this, ErrorCode.cancel);
    }
    this.onCancel?.("deadline");
  }

  #end(code: number): void {
    this.ended = true;
    if (this.deadlineSlot >= 0) this.server.deadlines.remove(this);
    this.#reader?.close();
    this.#request = undefined;
    if (!this.#isOpened) return;
    const { counters } = this.head.route as Route;
    counters.handled[code] = (counters.handled[code] ?? 0) + 1;
    counters.handlingSeconds?.observe((this.server.clock.nowMs() - this.#openedAtMs) / 1_000);
  }

  #countReceived(bytes: number): void {
    (this.head.route as Route).counters.received++;
    this.server.bytesReceived += bytes;
  }

  #countSent(bytes: number): void {
    (this.head.route as Route).counters.sent++;
    this.server.bytesSent += bytes;
  }
}
