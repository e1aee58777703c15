// Face of the HTTP/2 byte machine.
export {
  type ConnectionOwner,
  type Http2App,
  Http2Connection,
} from "./connection.ts";
export { CLIENT_PREFACE, ErrorCode } from "./constants.ts";
export { HeaderEntry, HeaderKind } from "./header-entry.ts";
export { HpackEncoder, literalBytesMax, writeLiteral } from "./hpack-encoder.ts";
export { type OutputBuffer, readUint32, writeFrameHeader, writeUint32 } from "./output.ts";
export { RequestHead } from "./request-head.ts";
export { SendQueue } from "./send-queue.ts";
export { Http2Stream, type StreamLoss } from "./stream.ts";
