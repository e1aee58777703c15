// The request side of one call: cuts body bytes into messages and hands them on in order, or holds them back while the handler has
// paused or a message is being inflated. Calls whose only message comes whole in one frame never have one.
//
// Source: gRPC over HTTP/2, "Length-Prefixed-Message"; checks and texts of grpc-go's rpc_util.go.

import { PENDING_REQUEST_BYTES_MAX } from "../limits.ts";
import type { GrpcCall } from "./call.ts";
import type { InflateClient } from "./inflate.ts";
import { MessageAssembly } from "./message-assembly.ts";
import { type Refusal, refusal, StatusCode } from "./status.ts";

interface HeldMessage {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
  readonly isDeflated: boolean;
}

/** What is wrong with a message's flag and length, if anything. */
export function checkPrefix(
  flag: number,
  length: number,
  isGzip: boolean,
  messageBytesMax: number,
): Refusal | undefined {
  if (length > messageBytesMax) {
    return refusal(
      StatusCode.resourceExhausted,
      `grpc: received message larger than max (${length} vs. ${messageBytesMax})`,
    );
  }
  if (flag > 1) {
    return refusal(StatusCode.internal, `grpc: received unexpected payload format ${flag}`);
  }
  if (flag === 1 && !isGzip) {
    return refusal(
      StatusCode.internal,
      "grpc: compressed flag set with identity or empty encoding",
    );
  }
  return undefined;
}

/** Reader of one call. */
export class RequestReader implements InflateClient {
  readonly #call: GrpcCall;
  readonly #assembly = new MessageAssembly();
  #held: HeldMessage[] = [];
  #heldBytes = 0;
  #countedBytes = 0;
  #isInflating = false;
  #isPaused = false;
  #isEndHeld = false;
  #isReleasing = false;

  constructor(call: GrpcCall) {
    this.#call = call;
  }

  get ended(): boolean {
    return this.#call.ended;
  }

  /** Takes body bytes. */
  take(buf: Buffer, start: number, end: number, endStream: boolean): void {
    const call = this.#call;
    const assembly = this.#assembly;
    let pos = start;
    while (pos < end && call.wantsMessages) {
      if (assembly.need < 0) {
        pos = assembly.takePrefix(buf, pos, end, call.connection.nowMs);
        if (assembly.need < 0) break;
        const refused = this.#check();
        if (refused !== undefined) {
          call.refuse(refused);
          return;
        }
        if (end - pos >= assembly.need) {
          pos = this.#takeWhole(buf, pos, assembly.need);
          continue;
        }
      }
      pos = assembly.takeBody(buf, pos, end);
      if (assembly.isComplete) {
        const isDeflated = assembly.flag === 1;
        const message = assembly.takeMessage();
        this.#accept({ buf: message, start: 0, end: message.length, isDeflated }, false);
      }
    }
    if (!this.#count()) return;
    if (endStream && !call.ended) this.#endOfStream();
  }

  #check(): Refusal | undefined {
    const { head } = this.#call;
    const { flag, need } = this.#assembly;
    return checkPrefix(flag, need, head.isGzip, this.#call.messageBytesMax);
  }

  #takeWhole(buf: Buffer, pos: number, length: number): number {
    const isDeflated = this.#assembly.flag === 1;
    this.#assembly.takeMessage();
    this.#accept({ buf, start: pos, end: pos + length, isDeflated }, true);
    return pos + length;
  }

  #accept(message: HeldMessage, isInChunk: boolean): void {
    if (this.#isPaused || this.#isInflating || this.#held.length > 0) {
      this.#hold(message, isInChunk);
    } else {
      this.#deliver(message);
    }
  }

  #hold(message: HeldMessage, isInChunk: boolean): void {
    const size = message.end - message.start;
    this.#heldBytes += size;
    if (!isInChunk) {
      this.#held.push(message);
      return;
    }
    const copy = Buffer.from(message.buf.subarray(message.start, message.end));
    this.#held.push({ buf: copy, start: 0, end: size, isDeflated: message.isDeflated });
  }

  #deliver(message: HeldMessage): void {
    const { buf, start, end } = message;
    if (!message.isDeflated) {
      this.#call.deliver(buf, start, end);
      return;
    }
    this.#isInflating = true;
    this.#call.server.inflater.inflate(this, Buffer.from(buf.subarray(start, end)));
  }

  onInflated(message: Buffer | Refusal): void {
    this.#isInflating = false;
    if (this.ended) return;
    if (!Buffer.isBuffer(message)) {
      this.#call.refuse(message);
      return;
    }
    this.#call.deliver(message, 0, message.length);
    this.#release();
  }

  /** Delivers what was held back as long as nothing is in the way. A message inflated at once comes back here: the loop goes on then. */
  #release(): void {
    if (this.#isReleasing) return;
    this.#isReleasing = true;
    while (this.#held.length > 0 && !this.#isPaused && !this.#isInflating && !this.ended) {
      const message = this.#held.shift() as HeldMessage;
      this.#heldBytes -= message.end - message.start;
      this.#deliver(message);
    }
    this.#isReleasing = false;
    this.#count();
    if (this.#isEndHeld && !this.ended) this.#endOfStream();
  }

  #endOfStream(): void {
    if (this.#isPaused || this.#isInflating || this.#held.length > 0) {
      this.#isEndHeld = true;
      return;
    }
    this.#isEndHeld = false;
    this.#call.halfClose(this.#assembly.isOpen);
  }

  /** See `ServerCall.pauseMessages`. */
  pause(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#call.isHeldBack = isPaused;
    if (isPaused) return;
    this.#assembly.sinceMs = this.#call.connection.nowMs;
    this.#release();
    if (!this.ended) this.#call.creditWindow();
  }

  /** Keeps the connection's count of held request bytes; false if it is over its limit and the call was refused. */
  #count(): boolean {
    const c = this.#call.connection;
    const bytes = this.ended ? 0 : this.#assembly.heldBytes + this.#heldBytes;
    c.pendingRequestBytes += bytes - this.#countedBytes;
    this.#countedBytes = bytes;
    if (c.pendingRequestBytes <= PENDING_REQUEST_BYTES_MAX || this.ended) return true;
    this.#call.refuse(
      refusal(
        StatusCode.resourceExhausted,
        "too many bytes of incomplete requests on one connection",
      ),
    );
    return false;
  }

  /** The call has ended: frees everything. */
  close(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#call.connection.pendingRequestBytes -= this.#countedBytes;
    this.#countedBytes = 0;
  }

  /** Whether the message that has begun takes too long. */
  isTooSlow(nowMs: number): boolean {
    if (!this.#assembly.isOpen || this.#isPaused) return false;
    const { messageTimeoutMs, messageBytesPerSecondMin } = this.#call.connection.limits;
    const expectedMs = (Math.max(this.#assembly.need, 0) / messageBytesPerSecondMin) * 1_000;
    return nowMs - this.#assembly.sinceMs >= messageTimeoutMs + expectedMs;
  }
}
