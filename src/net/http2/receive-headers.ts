// HEADERS and CONTINUATION: from header block to stream. The usual case, a block seen before, costs a comparison.
// Source: RFC 9113 sections 4.3, 5.1, 6.2, 6.10, 8.1.

import {
  CONTINUATION_FRAMES_MAX,
  HEADER_BLOCK_BYTES_MAX,
  QUEUED_REFUSE_BYTES,
  SKIPPED_RANGES_REMEMBERED,
} from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import { ErrorCode, Flag, STREAM_ID_MAX } from "./constants.ts";
import { readUint32 } from "./output.ts";
import { areTrailersValid, RequestHead } from "./request-head.ts";
import type { Http2Stream } from "./stream.ts";

/** A header block whose END_HEADERS is still to come. */
export class HeaderBlock {
  /** 0 if there is none. */
  streamId = 0;
  endStream = false;
  fragments: Buffer[] = [];
  bytes = 0;
  sinceMs = 0;
}

/** Takes a HEADERS frame. */
export function receiveHeaders(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if ((id & 1) === 0) {
    c.fail(ErrorCode.protocolError, "HEADERS on a server's stream id");
    return;
  }
  let from = start;
  let to = end;
  if ((flags & (Flag.padded | Flag.priority)) !== 0) {
    const padded = (flags & Flag.padded) !== 0;
    const fixed = (padded ? 1 : 0) + ((flags & Flag.priority) !== 0 ? 5 : 0);
    if (end - start < fixed) {
      c.fail(ErrorCode.frameSizeError, "HEADERS too short");
      return;
    }
    from = start + fixed;
    to = end - (padded ? (buf[start] as number) : 0);
    if (to < from) {
      c.fail(ErrorCode.protocolError, "padding exceeds HEADERS");
      return;
    }
    if ((flags & Flag.priority) !== 0 && (readUint32(buf, from - 5) & STREAM_ID_MAX) === id) {
      // The block must still be decoded for the table's sake; a stream that depends on itself is then refused.
      decodeAndRefuse(c, buf, from, to, id, flags);
      return;
    }
  }
  const endStream = (flags & Flag.endStream) !== 0;
  if ((flags & Flag.endHeaders) !== 0) {
    completeBlock(c, buf, from, to, id, endStream);
    return;
  }
  const block = c.headerBlock;
  block.streamId = id;
  block.endStream = endStream;
  block.fragments = [Buffer.from(buf.subarray(from, to))];
  block.bytes = to - from;
  block.sinceMs = c.nowMs;
}

/** Takes a CONTINUATION frame of the open header block. */
export function receiveContinuation(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
): void {
  const block = c.headerBlock;
  const isLast = (flags & Flag.endHeaders) !== 0;
  block.bytes += end - start;
  if (
    block.bytes > HEADER_BLOCK_BYTES_MAX ||
    block.fragments.length > CONTINUATION_FRAMES_MAX ||
    (start === end && !isLast)
  ) {
    c.fail(ErrorCode.enhanceYourCalm, "header block too large");
    return;
  }
  block.fragments.push(Buffer.from(buf.subarray(start, end)));
  if (!isLast) return;
  const whole = Buffer.concat(block.fragments);
  const { streamId, endStream } = block;
  block.streamId = 0;
  block.fragments = [];
  completeBlock(c, whole, 0, whole.length, streamId, endStream);
}

function completeBlock(
  c: Http2Connection,
  buf: Buffer,
  from: number,
  to: number,
  id: number,
  endStream: boolean,
): void {
  if (id <= c.lastStreamId) {
    receiveTrailers(c, buf, from, to, id, endStream);
    return;
  }
  const generation = c.decoder.generation;
  let head = c.blocks.find(buf, from, to, generation);
  if (head === undefined) {
    if (!c.decoder.decode(buf, from, to)) {
      c.fail(ErrorCode.compressionError, "bad header block");
      return;
    }
    head = new RequestHead(c.decoder.fields, c.decoder.isListTooLarge);
    if (c.decoder.generation === generation) c.blocks.store(buf, from, to, generation, head);
  }
  openStream(c, id, head, endStream);
}

function openStream(c: Http2Connection, id: number, head: RequestHead, endStream: boolean): void {
  if (id !== c.lastStreamId + 2 && id !== 1) noteSkipped(c, c.lastStreamId + 1, id - 1);
  c.lastStreamId = id;
  c.guard.workFrames++;
  if (!c.accepts(id)) return;
  if (head.isMalformed || (endStream && head.contentLength > 0)) {
    c.failStream(id, undefined, ErrorCode.protocolError);
  } else if (head.isTooLarge) {
    c.failStream(id, undefined, ErrorCode.enhanceYourCalm);
  } else if (c.streams.size >= c.streamsMax || c.heldBytes >= QUEUED_REFUSE_BYTES) {
    c.refuseStream(id);
  } else {
    const stream = c.app.openStream(c, id, head);
    stream.isRemoteClosed = endStream;
    c.streams.add(stream);
    c.latestStream = stream;
    stream.onHead(endStream);
  }
}

function noteSkipped(c: Http2Connection, first: number, last: number): void {
  c.skippedIds.push([first, last]);
  if (c.skippedIds.length > SKIPPED_RANGES_REMEMBERED) c.skippedIds.shift();
}

/** A block for a stream that exists or has existed. */
function receiveTrailers(
  c: Http2Connection,
  buf: Buffer,
  from: number,
  to: number,
  id: number,
  endStream: boolean,
): void {
  if (!c.decoder.decode(buf, from, to)) {
    c.fail(ErrorCode.compressionError, "bad header block");
    return;
  }
  const stream = c.streams.get(id);
  if (stream === undefined) {
    refuseUnknown(c, id);
  } else if (stream.isRemoteClosed) {
    c.failStream(id, stream, ErrorCode.streamClosed);
  } else if (!endStream || c.decoder.isListTooLarge || !areTrailersValid(c.decoder.fields)) {
    c.failStream(id, stream, ErrorCode.protocolError);
  } else {
    endBody(c, stream);
  }
}

function endBody(c: Http2Connection, stream: Http2Stream): void {
  if (stream.bodyBytesLeft > 0) {
    c.failStream(stream.id, stream, ErrorCode.protocolError);
    return;
  }
  stream.isRemoteClosed = true;
  stream.onData(EMPTY, 0, 0, true);
}

const EMPTY: Buffer = Buffer.alloc(0);

function refuseUnknown(c: Http2Connection, id: number): void {
  if (c.isIgnored(id)) {
    if (!c.guard.allowsIdleFrame()) c.fail(ErrorCode.enhanceYourCalm, "too many late frames");
  } else if (c.skippedIds.some(([first, last]) => id >= first && id <= last)) {
    c.fail(ErrorCode.protocolError, "stream id not increasing");
  } else {
    c.fail(ErrorCode.streamClosed, "HEADERS on a closed stream");
  }
}

function decodeAndRefuse(
  c: Http2Connection,
  buf: Buffer,
  from: number,
  to: number,
  id: number,
  flags: number,
): void {
  if ((flags & Flag.endHeaders) === 0 || id <= c.lastStreamId) {
    c.fail(ErrorCode.protocolError, "stream depends on itself");
  } else if (!c.decoder.decode(buf, from, to)) {
    c.fail(ErrorCode.compressionError, "bad header block");
  } else {
    c.lastStreamId = id;
    c.failStream(id, undefined, ErrorCode.protocolError);
  }
}
