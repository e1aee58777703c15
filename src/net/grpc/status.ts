// gRPC status on the wire: codes the transport itself uses, and the percent encoding of `grpc-message`.
// Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), grpc-go internal/transport/http_util.go.

import { STATUS_TEXT_BYTES_MAX } from "../limits.ts";

/** The codes the transport answers with by itself. */
export const StatusCode = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** Number of gRPC codes, 0 to 16. */
export const STATUS_CODES = 17;

/** A refusal by the transport. */
export interface Refusal {
  readonly httpStatus: number;
  readonly code: number;
  readonly text: string;
}

/** A refusal that is an ordinary gRPC answer (HTTP status 200). */
export function refusal(code: number, text: string): Refusal {
  return { httpStatus: 200, code, text };
}

const PLAIN = /^[ -$&-~]*$/;
const HEX = "0123456789ABCDEF";

/** Encodes a status text for `grpc-message`: printable ASCII but `%` as it is, all other UTF-8 bytes as %XX; cut at its limit. */
export function encodeStatusText(text: string): string {
  if (text.length <= STATUS_TEXT_BYTES_MAX && PLAIN.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${HEX.charAt(byte >>> 4)}${HEX.charAt(byte & 15)}`;
    if (encoded.length > STATUS_TEXT_BYTES_MAX - 3) break;
  }
  return encoded;
}

/** Quotes latin1 bytes as Go's `%q` does for text that is ASCII or UTF-8; the texts of grpc-go show values this way. */
export function goQuote(bytes: string): string {
  const utf8 = Buffer.from(bytes, "latin1").toString("utf8");
  const text = utf8.includes("\ufffd") ? bytes : utf8;
  let quoted = '"';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (char === '"' || char === "\\") quoted += `\\${char}`;
    else if (char === "\n") quoted += "\\n";
    else if (char === "\t") quoted += "\\t";
    else if (char === "\r") quoted += "\\r";
    else if (code < 0x20 || code === 0x7f || (text === bytes && code > 0x7f)) {
      quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    } else quoted += char;
  }
  return `${quoted}"`;
}
