// DATA: flow control, body length, and on to the stream. Source: RFC 9113 sections 5.1, 6.1, 6.9, 8.1.1.

import { STREAM_WINDOW_BYTES, TINY_DATA_BYTES } from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import { ErrorCode, Flag } from "./constants.ts";

/** Takes a DATA frame. */
export function receiveData(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if (id === 0) {
    c.fail(ErrorCode.protocolError, "DATA on stream 0");
    return;
  }
  let from = start;
  let to = end;
  if ((flags & Flag.padded) !== 0) {
    if (start === end) {
      c.fail(ErrorCode.frameSizeError, "DATA too short");
      return;
    }
    from = start + 1;
    to = end - (buf[start] as number);
    if (to < from) {
      c.fail(ErrorCode.protocolError, "padding exceeds DATA");
      return;
    }
  }
  // Counted whatever becomes of it: the client has spent its window.
  c.creditConnection(end - start);
  const latest = c.latestStream;
  const stream = latest !== undefined && latest.id === id ? latest : c.streams.get(id);
  if (stream === undefined) {
    refuseLate(c, id);
    return;
  }
  if (stream.isRemoteClosed) {
    c.failStream(id, stream, ErrorCode.streamClosed);
    return;
  }
  stream.receivedUncredited += end - start;
  if (stream.receivedUncredited > STREAM_WINDOW_BYTES) {
    c.failStream(id, stream, ErrorCode.flowControlError);
    return;
  }
  const endStream = (flags & Flag.endStream) !== 0;
  if (!endStream && to - from < TINY_DATA_BYTES && !allowsTiny(c, from === to)) return;
  if (stream.bodyBytesLeft >= 0) {
    stream.bodyBytesLeft -= to - from;
    if (stream.bodyBytesLeft < 0 || (endStream && stream.bodyBytesLeft > 0)) {
      c.failStream(id, stream, ErrorCode.protocolError);
      return;
    }
  }
  stream.isRemoteClosed = endStream;
  stream.onData(buf, from, to, endStream);
  if (!endStream) stream.creditWindow();
}

function allowsTiny(c: Http2Connection, isEmpty: boolean): boolean {
  if (isEmpty ? c.guard.allowsEmptyData(c.nowMs) : c.guard.allowsIdleFrame()) return true;
  c.fail(ErrorCode.enhanceYourCalm, "too many small DATA frames");
  return false;
}

function refuseLate(c: Http2Connection, id: number): void {
  if (id > c.lastStreamId || (id & 1) === 0) {
    c.fail(ErrorCode.protocolError, "DATA on an idle stream");
  } else if (!c.isIgnored(id)) {
    c.failStream(id, undefined, ErrorCode.streamClosed);
  } else if (!c.guard.allowsIdleFrame()) {
    c.fail(ErrorCode.enhanceYourCalm, "too many late frames");
  }
}
