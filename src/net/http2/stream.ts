// One stream as the protocol sees it; the layer above extends it, so that a call is one object.
//
//   open --END_STREAM from client--> isRemoteClosed --our END_STREAM--> isClosed (removed from the connection)
//     \--our END_STREAM--> RST_STREAM(NO_ERROR), isClosed        \--RST_STREAM either way, connection lost--> isClosed
//
// A closed stream is in no table: late frames for it find nothing. Source: RFC 9113 section 5.1.

import { STREAM_WINDOW_BYTES } from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import type { RequestHead } from "./request-head.ts";
import type { SendQueue } from "./send-queue.ts";

/** Why a stream ended without the application ending it. */
export type StreamLoss = "reset" | "refused" | "connection-lost" | "shutdown";

/** A stream of a server connection. Fields are the connection's; the layer above reads them. */
export abstract class Http2Stream {
  readonly connection: Http2Connection;
  readonly id: number;
  /** Bytes the peer lets us send; may be negative after a SETTINGS change. */
  sendWindow: number;
  /** Bytes received and not yet given back by WINDOW_UPDATE. */
  receivedUncredited = 0;
  /** Request body bytes the client still owes by its content-length; -1 if it declared none. */
  bodyBytesLeft: number;
  /** The client sent END_STREAM. */
  isRemoteClosed = false;
  /** The response head is on its way. */
  isHeadSent = false;
  isClosed = false;
  /** When true no window is given back: the application does not want more. */
  isHeldBack = false;
  /** When the stream was opened, and when waiting output last moved; whole ms of the connection's clock. */
  readonly openedAtMs: number;
  progressAtMs = 0;
  /** Output that has to wait; undefined for streams that never had to. */
  queue: SendQueue | undefined = undefined;
  /** In the ring of streams that may send. */
  isReady = false;

  constructor(connection: Http2Connection, id: number, head: RequestHead) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = connection.peerInitialWindow;
    this.bodyBytesLeft = head.contentLength;
    this.openedAtMs = connection.nowMs;
  }

  /** The head is complete; called once, first. */
  abstract onHead(endStream: boolean): void;
  /** Body bytes buf[start, end), valid as long as they are referenced; may be empty with `endStream`. */
  abstract onData(buf: Buffer, start: number, end: number, endStream: boolean): void;
  /** The stream is closed and was not ended by the application. */
  abstract onLost(loss: StreamLoss): void;
  /** All waiting output has been moved to the connection's output; called between frames, may send more. */
  abstract onQueueEmpty(): void;
  /** Writes what ends the stream, after the last of its queue; false if it is not to end yet. */
  abstract finishQueued(): boolean;
  /** Called about once a second while the client owes data; true if it is too slow. */
  abstract isTooSlow(nowMs: number): boolean;

  /** Gives the client back what it used of the stream's window, if that is worth a frame. */
  creditWindow(): void {
    if (this.receivedUncredited * 2 < STREAM_WINDOW_BYTES || this.isHeldBack) return;
    if (this.isRemoteClosed || this.isClosed) return;
    this.connection.writeWindowUpdate(this.id, this.receivedUncredited);
    this.receivedUncredited = 0;
  }
}
