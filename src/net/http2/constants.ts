// Numbers of the wire: frame types, flags, error codes, settings. Source: RFC 9113 sections 6, 7, 11.

/** Frame types (RFC 9113 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags; a bit means different things in different frames. */
export const Flag = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Error codes (RFC 9113 7). */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;

/** Settings (RFC 9113 6.5.2). */
export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** What a client sends first (RFC 9113 3.4). */
export const CLIENT_PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Bytes of a frame header. */
export const FRAME_HEADER_BYTES = 9;
/** Window every stream and connection starts with until SETTINGS say otherwise, bytes. */
export const INITIAL_WINDOW_BYTES = 65_535;
/** Largest legal window, bytes. */
export const WINDOW_BYTES_MAX = 0x7fff_ffff;
/** Largest stream id. */
export const STREAM_ID_MAX = 0x7fff_ffff;
