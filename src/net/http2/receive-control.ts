// SETTINGS, WINDOW_UPDATE, RST_STREAM, PING, PRIORITY, GOAWAY. Source: RFC 9113 sections 6.3 to 6.9.

import { FRAME_BYTES_MAX } from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import {
  ErrorCode,
  Flag,
  FrameType,
  SettingId,
  STREAM_ID_MAX,
  WINDOW_BYTES_MAX,
} from "./constants.ts";
import { readUint32, writeFrameHeader } from "./output.ts";

const FRAME_SIZE_SETTING_MAX = 0xff_ffff;

/** Takes a SETTINGS frame: applies and acknowledges it. */
export function receiveSettings(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if (id !== 0) {
    c.fail(ErrorCode.protocolError, "SETTINGS on a stream");
    return;
  }
  if ((flags & Flag.ack) !== 0) {
    if (start !== end) c.fail(ErrorCode.frameSizeError, "SETTINGS ack with payload");
    c.isSettingsAcked = true;
    return;
  }
  if ((end - start) % 6 !== 0) {
    c.fail(ErrorCode.frameSizeError, "SETTINGS size");
    return;
  }
  if (!c.guard.allowsSettings(c.nowMs)) {
    c.fail(ErrorCode.enhanceYourCalm, "too many SETTINGS");
    return;
  }
  if (!applySettings(c, buf, start, end)) return;
  const pos = c.out.reserve(9);
  c.out.length = writeFrameHeader(c.out.bytes, pos, 0, FrameType.settings, Flag.ack, 0);
  c.wake();
}

/** Applies the settings in buf[start, end), a multiple of 6 bytes; false if one was refused and the connection failed. */
export function applySettings(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
): boolean {
  for (let pos = start; pos + 6 <= end; pos += 6) {
    const id = ((buf[pos] as number) << 8) | (buf[pos + 1] as number);
    const value = readUint32(buf, pos + 2);
    if (id === SettingId.headerTableSize) {
      c.encoder.setTableBytes(value);
    } else if (id === SettingId.enablePush) {
      if (value > 1) c.fail(ErrorCode.protocolError, "ENABLE_PUSH");
    } else if (id === SettingId.initialWindowSize) {
      setInitialWindow(c, value);
    } else if (id === SettingId.maxFrameSize) {
      if (value < FRAME_BYTES_MAX || value > FRAME_SIZE_SETTING_MAX) {
        c.fail(ErrorCode.protocolError, "MAX_FRAME_SIZE");
      }
    }
    if (c.isClosed) return false;
  }
  return true;
}

function setInitialWindow(c: Http2Connection, value: number): void {
  if (value > WINDOW_BYTES_MAX) {
    c.fail(ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE");
    return;
  }
  const change = value - c.peerInitialWindow;
  c.peerInitialWindow = value;
  if (change === 0) return;
  for (const stream of c.streams.values()) {
    stream.sendWindow += change;
    if (stream.sendWindow > WINDOW_BYTES_MAX) {
      c.fail(ErrorCode.flowControlError, "stream window overflow");
      return;
    }
    if (change > 0) c.queueStream(stream);
  }
}

/** Takes a WINDOW_UPDATE frame. */
export function receiveWindowUpdate(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  id: number,
): void {
  if (end - start !== 4) {
    c.fail(ErrorCode.frameSizeError, "WINDOW_UPDATE size");
    return;
  }
  const increment = readUint32(buf, start) & WINDOW_BYTES_MAX;
  if (id === 0) {
    c.sendWindow += increment;
    if (increment === 0) c.fail(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
    else if (c.sendWindow > WINDOW_BYTES_MAX) {
      c.fail(ErrorCode.flowControlError, "connection window overflow");
    } else if (c.canPump) c.wake();
    return;
  }
  const stream = c.streams.get(id);
  if (stream === undefined) {
    if (isIdle(c, id)) c.fail(ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream");
    return;
  }
  stream.sendWindow += increment;
  if (increment === 0) c.failStream(id, stream, ErrorCode.protocolError);
  else if (stream.sendWindow > WINDOW_BYTES_MAX) {
    c.failStream(id, stream, ErrorCode.flowControlError);
  } else c.queueStream(stream);
}

/** Takes a RST_STREAM frame. */
export function receiveRstStream(c: Http2Connection, start: number, end: number, id: number): void {
  if (end - start !== 4) {
    c.fail(ErrorCode.frameSizeError, "RST_STREAM size");
    return;
  }
  if (isIdle(c, id)) {
    c.fail(ErrorCode.protocolError, "RST_STREAM on an idle stream");
    return;
  }
  const stream = c.streams.get(id);
  if (stream !== undefined) c.loseStream(stream);
}

/** Takes a PING frame: answers it, or notes the answer to ours. */
export function receivePing(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if (id !== 0) {
    c.fail(ErrorCode.protocolError, "PING on a stream");
  } else if (end - start !== 8) {
    c.fail(ErrorCode.frameSizeError, "PING size");
  } else if ((flags & Flag.ack) !== 0) {
    c.onPingAck(readUint32(buf, start));
  } else {
    c.writePing(readUint32(buf, start), readUint32(buf, start + 4), Flag.ack);
    if (!c.guard.allowsPing(c.nowMs, c.streams.size > 0, c.limits.keepaliveMinTimeMs)) {
      c.fail(ErrorCode.enhanceYourCalm, "too_many_pings");
    }
  }
}

/** Takes a PRIORITY frame: checked, otherwise ignored. */
export function receivePriority(
  c: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  id: number,
): void {
  if (id === 0) {
    c.fail(ErrorCode.protocolError, "PRIORITY on stream 0");
  } else if (end - start !== 5) {
    c.failStream(id, c.streams.get(id), ErrorCode.frameSizeError);
  } else if ((readUint32(buf, start) & STREAM_ID_MAX) === id) {
    c.failStream(id, c.streams.get(id), ErrorCode.protocolError);
  }
}

/** Takes a GOAWAY frame: the client opens no more streams and closes when it is done. */
export function receiveGoaway(c: Http2Connection, start: number, end: number, id: number): void {
  if (id !== 0) c.fail(ErrorCode.protocolError, "GOAWAY on a stream");
  else if (end - start < 8) c.fail(ErrorCode.frameSizeError, "GOAWAY size");
}

function isIdle(c: Http2Connection, id: number): boolean {
  return id === 0 || (id & 1) === 0 || id > c.lastStreamId;
}
