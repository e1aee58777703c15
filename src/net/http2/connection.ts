// One HTTP/2 server connection as a byte machine: chunks go in, frames to send gather in `out`, streams are told what happened.
// It knows no socket and no timer: its owner passes chunks and the time, is told when there is output, and takes it once per turn.
//
// After `isClosed` nothing is parsed: the owner sends `out` and closes.
// Source: RFC 9113.

import {
  CONNECTION_WINDOW_BYTES,
  type ConnectionLimits,
  FRAME_BYTES_MAX,
  HEADER_LIST_BYTES_MAX,
  OUTPUT_KEEP_BYTES,
  OUTPUT_SOFT_BYTES,
  RAPID_RESET_AGE_MS,
  RESET_IDS_REMEMBERED,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from "../limits.ts";
import { BlockCache } from "./block-cache.ts";
import {
  ErrorCode,
  FRAME_HEADER_BYTES,
  FrameType,
  INITIAL_WINDOW_BYTES,
  SettingId,
  STREAM_ID_MAX,
} from "./constants.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FrameInput } from "./frame-input.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import type { HpackEncoder } from "./hpack-encoder.ts";
import { OutputBuffer, readUint32, writeFrameHeader, writeUint32 } from "./output.ts";
import {
  applySettings,
  receiveGoaway,
  receivePing,
  receivePriority,
  receiveRstStream,
  receiveSettings,
  receiveWindowUpdate,
} from "./receive-control.ts";
import { receiveData } from "./receive-data.ts";
import { HeaderBlock, receiveContinuation, receiveHeaders } from "./receive-headers.ts";
import type { RequestHead } from "./request-head.ts";
import type { Http2Stream, StreamLoss } from "./stream.ts";
import { StreamRing } from "./stream-ring.ts";
import { StreamTable } from "./stream-table.ts";

/** What serves the requests. */
export interface Http2App {
  /** Makes the stream of a well-formed request; its `onHead` is called next. */
  openStream(connection: Http2Connection, id: number, head: RequestHead): Http2Stream;
  /** An encoder for a new connection, with the fields the application sends often. */
  newEncoder(): HpackEncoder;
}

/** Who holds the socket. */
export interface ConnectionOwner {
  /** There is output, or queued output that may move. Called at most once until `isAwake` is reset. */
  wake(): void;
}

/** Sent with the ping between the two GOAWAYs, to know its answer. */
const GOAWAY_PING = 0x676f_6177;
const KEEPALIVE_PING = 0x6b65_6570;
/** Ids are used up after 2^30 requests; new ones need a new connection well before that. */
const STREAM_ID_DRAIN = STREAM_ID_MAX - 0xffff;

/** Steps of a graceful end. */
const Drain = { none: 0, announced: 1, final: 2 } as const;

/** A server's side of one HTTP/2 connection. Fields without comment of their own belong to the receive and send functions beside this file. */
export class Http2Connection {
  readonly limits: ConnectionLimits;
  readonly app: Http2App;
  readonly owner: ConnectionOwner;
  /** `host:port` of the client. */
  readonly peer: string;
  readonly out: OutputBuffer = new OutputBuffer();
  readonly decoder: HpackDecoder = new HpackDecoder();
  readonly encoder: HpackEncoder;
  readonly blocks: BlockCache = new BlockCache();
  readonly guard: FloodGuard = new FloodGuard();
  readonly streams: StreamTable = new StreamTable();
  readonly ready: StreamRing = new StreamRing();
  readonly headerBlock: HeaderBlock = new HeaderBlock();
  /** Ranges of ids the client skipped: [first, last]. */
  readonly skippedIds: [number, number][] = [];
  readonly streamsMax: number;

  /** The owner has been woken and has not yet taken the output. */
  isAwake = false;
  /** No more is parsed; `out` holds what is still to be sent. */
  isClosed = false;
  /** Why, for the log. */
  closeReason = "";
  /** Whole milliseconds of the owner's clock at the last call from outside. */
  nowMs: number;
  lastStreamId = 0;
  /** The stream of the last HEADERS: its DATA usually follows at once. */
  latestStream: Http2Stream | undefined = undefined;
  sendWindow: number = INITIAL_WINDOW_BYTES;
  peerInitialWindow: number = INITIAL_WINDOW_BYTES;
  /** Encoded replies that wait in streams, and request bytes held, in bytes. */
  heldBytes = 0;
  pendingRequestBytes = 0;
  isSettingsAcked = false;
  /** When waiting output of any stream last moved. */
  progressAtMs = 0;

  readonly #input = new FrameInput();
  readonly #openedAtMs: number;
  readonly #resetIds = new Int32Array(RESET_IDS_REMEMBERED);
  #resetCount = 0;
  #hasSettings = false;
  #uncreditedBytes = 0;
  #lastReadMs: number;
  #pingSentAtMs = 0;
  #drain: (typeof Drain)[keyof typeof Drain] = Drain.none;
  #drainSinceMs = 0;
  #acceptedIdMax: number = STREAM_ID_MAX;

  constructor(
    app: Http2App,
    owner: ConnectionOwner,
    limits: ConnectionLimits,
    peer: string,
    nowMs: number,
  ) {
    this.app = app;
    this.owner = owner;
    this.limits = limits;
    this.peer = peer;
    this.encoder = app.newEncoder();
    this.streamsMax = Math.min(limits.streamsMax, STREAMS_MAX);
    this.nowMs = Math.floor(nowMs);
    this.#openedAtMs = this.nowMs;
    this.#lastReadMs = this.nowMs;
  }

  /** Writes the server's preface; call once, before anything else (but for the 101 of an upgrade). */
  start(): void {
    const settings: readonly (readonly [id: number, value: number])[] = [
      [SettingId.maxConcurrentStreams, this.streamsMax],
      [SettingId.initialWindowSize, STREAM_WINDOW_BYTES],
      [SettingId.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
    ];
    const pos = this.out.reserve(FRAME_HEADER_BYTES + settings.length * 6);
    const buf = this.out.bytes;
    let at = writeFrameHeader(buf, pos, settings.length * 6, FrameType.settings, 0, 0);
    for (const [id, value] of settings) {
      buf[at] = 0;
      buf[at + 1] = id;
      at = writeUint32(buf, at + 2, value);
    }
    this.out.length = at;
    this.writeWindowUpdate(0, CONNECTION_WINDOW_BYTES - INITIAL_WINDOW_BYTES);
  }

  /** Takes over the request of an `Upgrade: h2c` as stream 1 with its whole body; `settings` is the decoded HTTP2-Settings. */
  upgrade(head: RequestHead, body: Buffer, settings: Buffer): void {
    if (!applySettings(this, settings, 0, settings.length)) return;
    this.lastStreamId = 1;
    const stream = this.app.openStream(this, 1, head);
    this.streams.add(stream);
    if (body.length === 0) stream.isRemoteClosed = true;
    stream.onHead(body.length === 0);
    if (body.length > 0 && !stream.isClosed) {
      stream.isRemoteClosed = true;
      stream.onData(body, 0, body.length, true);
    }
    this.wake();
  }

  // ------------------------------------------------------------------------------------------------------------ input

  /** Takes the next bytes of the client. The chunk must not be changed afterwards. */
  receive(chunk: Buffer, nowMs: number): void {
    this.nowMs = Math.floor(nowMs);
    this.#lastReadMs = this.nowMs;
    this.#pingSentAtMs = 0;
    if (!this.isClosed) this.#input.receive(this, chunk);
  }

  /** Takes the frame at buf[pos] with its payload of `length` bytes. */
  receiveFrame(buf: Buffer, pos: number, length: number): void {
    const type = buf[pos + 3] as number;
    const flags = buf[pos + 4] as number;
    const id = readUint32(buf, pos + 5) & STREAM_ID_MAX;
    const start = pos + FRAME_HEADER_BYTES;
    const end = start + length;
    if (!this.#hasSettings) {
      if (type !== FrameType.settings || (flags & 1) !== 0) {
        this.fail(ErrorCode.protocolError, "first frame is not SETTINGS");
        return;
      }
      this.#hasSettings = true;
    }
    if (this.headerBlock.streamId !== 0) {
      if (type === FrameType.continuation && id === this.headerBlock.streamId) {
        receiveContinuation(this, buf, start, end, flags);
      } else {
        this.fail(ErrorCode.protocolError, "header block interrupted");
      }
      return;
    }
    if (type === FrameType.headers) receiveHeaders(this, buf, start, end, flags, id);
    else if (type === FrameType.data) receiveData(this, buf, start, end, flags, id);
    else this.#receiveControl(buf, start, end, type, flags, id);
  }

  #receiveControl(
    buf: Buffer,
    start: number,
    end: number,
    type: number,
    flags: number,
    id: number,
  ): void {
    if (!this.guard.allowsIdleFrame()) {
      this.fail(ErrorCode.enhanceYourCalm, "too many control frames");
      return;
    }
    switch (type) {
      case FrameType.windowUpdate:
        receiveWindowUpdate(this, buf, start, end, id);
        break;
      case FrameType.rstStream:
        receiveRstStream(this, start, end, id);
        break;
      case FrameType.settings:
        receiveSettings(this, buf, start, end, flags, id);
        break;
      case FrameType.ping:
        receivePing(this, buf, start, end, flags, id);
        break;
      case FrameType.priority:
        receivePriority(this, buf, start, end, id);
        break;
      case FrameType.goaway:
        receiveGoaway(this, start, end, id);
        break;
      case FrameType.pushPromise:
        this.fail(ErrorCode.protocolError, "PUSH_PROMISE from a client");
        break;
      case FrameType.continuation:
        this.fail(ErrorCode.protocolError, "CONTINUATION without HEADERS");
        break;
      default: // RFC 9113 4.1: unknown types are ignored
    }
  }

  // ----------------------------------------------------------------------------------------------------------- output

  /** Tells the owner that there is something to send. */
  wake(): void {
    if (this.isAwake) return;
    this.isAwake = true;
    this.owner.wake();
  }

  /** Whether `bytes` of DATA of this stream may be written to `out` now, ahead of nothing of its own. */
  canSendNow(stream: Http2Stream, bytes: number): boolean {
    return (
      bytes <= FRAME_BYTES_MAX &&
      bytes <= this.sendWindow &&
      bytes <= stream.sendWindow &&
      this.out.length < OUTPUT_SOFT_BYTES &&
      (stream.queue === undefined || stream.queue.isEmpty)
    );
  }

  /** Moves waiting output to `out`, a frame per stream and turn, until windows or OUTPUT_SOFT_BYTES stop it. */
  pump(): void {
    while (this.sendWindow > 0 && this.out.length < OUTPUT_SOFT_BYTES) {
      const stream = this.ready.take();
      if (stream === undefined) return;
      if (!stream.isClosed) this.#pumpStream(stream);
    }
  }

  /** Whether `pump` would move more once `out` is empty. */
  get canPump(): boolean {
    return this.sendWindow > 0 && !this.ready.isEmpty;
  }

  #pumpStream(stream: Http2Stream): void {
    const queue = stream.queue;
    if (queue === undefined || queue.isEmpty || stream.sendWindow <= 0) return;
    const count = Math.min(queue.totalBytes, stream.sendWindow, this.sendWindow, FRAME_BYTES_MAX);
    const pos = this.out.reserve(FRAME_HEADER_BYTES + count);
    const buf = this.out.bytes;
    const heldBefore = queue.heldBytes;
    const at = writeFrameHeader(buf, pos, count, FrameType.data, 0, stream.id);
    this.out.length = queue.read(buf, at, count);
    this.heldBytes -= heldBefore - queue.heldBytes;
    stream.sendWindow -= count;
    this.sendWindow -= count;
    stream.progressAtMs = this.nowMs;
    this.progressAtMs = this.nowMs;
    this.guard.workFrames++;
    if (!queue.isEmpty) {
      if (stream.sendWindow > 0) this.ready.add(stream);
    } else if (!stream.finishQueued()) {
      stream.onQueueEmpty();
    }
  }

  /** Puts a stream with waiting output in line, if its window allows. */
  queueStream(stream: Http2Stream): void {
    if (stream.isClosed || stream.queue === undefined || stream.queue.isEmpty) return;
    if (stream.sendWindow > 0) this.ready.add(stream);
    this.wake();
  }

  writeWindowUpdate(id: number, bytes: number): void {
    this.#writeControl(FrameType.windowUpdate, id, bytes);
  }

  #writeControl(type: number, id: number, value: number): void {
    const pos = this.out.reserve(FRAME_HEADER_BYTES + 4);
    const at = writeFrameHeader(this.out.bytes, pos, 4, type, 0, id);
    this.out.length = writeUint32(this.out.bytes, at, value);
    this.wake();
  }

  writePing(first: number, second: number, flags: number): void {
    const pos = this.out.reserve(FRAME_HEADER_BYTES + 8);
    let at = writeFrameHeader(this.out.bytes, pos, 8, FrameType.ping, flags, 0);
    at = writeUint32(this.out.bytes, at, first);
    this.out.length = writeUint32(this.out.bytes, at, second);
    this.wake();
  }

  #writeGoaway(lastId: number, code: number, text: string): void {
    const pos = this.out.reserve(FRAME_HEADER_BYTES + 8 + text.length);
    const buf = this.out.bytes;
    let at = writeFrameHeader(buf, pos, 8 + text.length, FrameType.goaway, 0, 0);
    at = writeUint32(buf, at, lastId);
    at = writeUint32(buf, at, code);
    this.out.length = at + buf.write(text, at, "latin1");
    this.wake();
  }

  /** Notes received DATA bytes (padding included) and gives the connection's window back by halves. */
  creditConnection(bytes: number): void {
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < CONNECTION_WINDOW_BYTES) return;
    this.writeWindowUpdate(0, this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  // ---------------------------------------------------------------------------------------------------- ends of streams

  /** Our END_STREAM is written: the stream is over; a client that has not finished is told to stop. */
  endStream(stream: Http2Stream): void {
    if (!stream.isRemoteClosed) this.#writeRst(stream.id, ErrorCode.noError);
    this.#forget(stream);
  }

  /** Ends a stream with an error code of the application's choice; `onLost` is not called. */
  resetStream(stream: Http2Stream, code: number): void {
    this.#writeRst(stream.id, code);
    this.#forget(stream);
  }

  /** Refuses a new stream for want of room; the client may retry, nothing was done. */
  refuseStream(id: number): void {
    this.#writeRst(id, ErrorCode.refusedStream);
  }

  /** What the client did on this stream breaks the protocol or a limit. `stream` undefined: it has none (any more). */
  failStream(id: number, stream: Http2Stream | undefined, code: number): void {
    this.#writeRst(id, code);
    if (stream !== undefined) {
      this.#forget(stream);
      stream.onLost("refused");
    }
    this.#countReset(stream);
  }

  /** The client reset the stream. */
  loseStream(stream: Http2Stream): void {
    this.#forget(stream);
    stream.onLost("reset");
    this.#countReset(stream);
  }

  #countReset(stream: Http2Stream | undefined): void {
    const isRapid = stream === undefined || this.nowMs - stream.openedAtMs < RAPID_RESET_AGE_MS;
    if (isRapid && !this.guard.allowsRapidReset(this.nowMs)) {
      this.fail(ErrorCode.enhanceYourCalm, "too many resets");
    }
  }

  #writeRst(id: number, code: number): void {
    this.#resetIds[this.#resetCount++ % RESET_IDS_REMEMBERED] = id;
    this.#writeControl(FrameType.rstStream, id, code);
  }

  /** Whether frames for a stream that is no more are to be ignored: we reset it, or a GOAWAY has excluded it. */
  isIgnored(id: number): boolean {
    return id > this.#acceptedIdMax || this.#resetIds.includes(id);
  }

  #forget(stream: Http2Stream): void {
    stream.isClosed = true;
    this.streams.delete(stream.id);
    if (this.latestStream === stream) this.latestStream = undefined;
    if (stream.queue !== undefined) {
      this.heldBytes -= stream.queue.heldBytes;
      stream.queue.abort();
    }
    if (this.#drain === Drain.final && this.streams.size === 0) this.#close("drained");
  }

  // ------------------------------------------------------------------------------------------------- end of connection

  #close(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closeReason = reason;
    this.wake();
  }

  /** Ends the connection with GOAWAY; every stream is lost. */
  fail(code: number, text: string): void {
    if (this.isClosed) return;
    this.#writeGoaway(this.lastStreamId, code, text);
    this.#close(text);
    this.loseAll("connection-lost");
  }

  /** Tells every stream that it is over. The owner calls it when the socket is gone. */
  loseAll(loss: StreamLoss): void {
    this.isClosed = true;
    const streams = [...this.streams.values()];
    for (const stream of streams) {
      this.#forget(stream);
      stream.onLost(loss);
    }
  }

  /** Whether a new stream with this id is still to be served. */
  accepts(id: number): boolean {
    if (id > STREAM_ID_DRAIN && this.#drain === Drain.none) this.drain("stream ids used up");
    return id <= this.#acceptedIdMax;
  }

  /** Starts a graceful end: calls that run are finished, new ones under way are still taken until the client knows. */
  drain(text: string): void {
    if (this.#drain !== Drain.none || this.isClosed) return;
    this.#drain = Drain.announced;
    this.#drainSinceMs = this.nowMs;
    this.#writeGoaway(STREAM_ID_MAX, ErrorCode.noError, text);
    this.writePing(GOAWAY_PING, GOAWAY_PING, 0);
  }

  #finishDrain(): void {
    this.#drain = Drain.final;
    this.#acceptedIdMax = this.lastStreamId;
    this.#writeGoaway(this.lastStreamId, ErrorCode.noError, "");
    if (this.streams.size === 0) this.#close("drained");
  }

  /** The client answered a ping of ours. */
  onPingAck(first: number): void {
    if (first === GOAWAY_PING && this.#drain === Drain.announced) this.#finishDrain();
  }

  // ------------------------------------------------------------------------------------------------------------- time

  /** Enforces everything that depends on time; call every `sweepIntervalMs`. True if the peer is dead and nothing need be sent. */
  sweep(nowMs: number): boolean {
    this.nowMs = Math.floor(nowMs);
    this.guard.sweep();
    if (this.isClosed) return false;
    this.#sweepHandshake();
    if (!this.isClosed) this.#sweepStreams();
    if (this.streams.size === 0 && !this.isAwake) this.out.shrink(OUTPUT_KEEP_BYTES);
    if (
      this.#drain === Drain.announced &&
      this.nowMs - this.#drainSinceMs >= this.limits.goawayPingTimeoutMs
    ) {
      this.#finishDrain();
    }
    return this.#sweepKeepalive();
  }

  #sweepHandshake(): void {
    const { limits, nowMs } = this;
    const ageMs = nowMs - this.#openedAtMs;
    if (!this.#hasSettings) {
      if (ageMs >= limits.prefaceTimeoutMs) this.fail(ErrorCode.settingsTimeout, "no preface");
    } else if (!this.isSettingsAcked && ageMs >= limits.settingsTimeoutMs) {
      this.fail(ErrorCode.settingsTimeout, "SETTINGS not acknowledged");
    } else if (
      this.headerBlock.streamId !== 0 &&
      nowMs - this.headerBlock.sinceMs >= limits.headersTimeoutMs
    ) {
      this.fail(ErrorCode.enhanceYourCalm, "headers too slow");
    } else if (this.#input.isCut && nowMs - this.#input.cutSinceMs >= limits.messageTimeoutMs) {
      this.fail(ErrorCode.enhanceYourCalm, "frame too slow");
    }
  }

  #sweepStreams(): void {
    for (const stream of this.streams.values()) {
      if (this.#isStalled(stream)) {
        // Not ENHANCE_YOUR_CALM: etcd's client gives a watch up for good on that, and resumes it after INTERNAL_ERROR.
        this.failStream(stream.id, stream, ErrorCode.internalError);
      } else if (!stream.isRemoteClosed && stream.isTooSlow(this.nowMs)) {
        this.failStream(stream.id, stream, ErrorCode.enhanceYourCalm);
      }
      if (this.isClosed) return;
    }
  }

  /** A stream that only waits for its turn among others has not stalled as long as any of them moves. */
  #isStalled(stream: Http2Stream): boolean {
    if (stream.queue === undefined || stream.queue.isEmpty) return false;
    const sinceMs =
      stream.sendWindow > 0
        ? Math.max(stream.progressAtMs, this.progressAtMs)
        : stream.progressAtMs;
    return this.nowMs - sinceMs >= this.limits.stallTimeoutMs;
  }

  #sweepKeepalive(): boolean {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.limits;
    if (keepaliveIntervalMs === 0 || keepaliveTimeoutMs === 0 || this.isClosed) return false;
    if (this.#pingSentAtMs > 0) {
      if (this.nowMs - this.#pingSentAtMs < keepaliveTimeoutMs) return false;
      this.#close("keepalive ping not acknowledged");
      this.loseAll("connection-lost");
      return true;
    }
    if (this.nowMs - this.#lastReadMs >= keepaliveIntervalMs) {
      this.#pingSentAtMs = this.nowMs;
      this.writePing(KEEPALIVE_PING, KEEPALIVE_PING, 0);
    }
    return false;
  }
}
