// `Upgrade: h2c`: an HTTP/1.1 request that asks to go on in HTTP/2. Taken only for gRPC requests with a plain body; for all others the
// header is ignored and HTTP/1.1 answers, as etcd does for `curl --http2 /health`.
// Source: RFC 7540 section 3.2 (RFC 9113 no longer describes it, clients still send it).

import { HeaderEntry, RequestHead } from "./http2/index.ts";
import { HTTP1_HEAD_BYTES_MAX } from "./limits.ts";

/** A request to go on with. */
export interface Upgrade {
  readonly head: RequestHead;
  /** Decoded HTTP2-Settings, a multiple of 6 bytes. */
  readonly settings: Buffer;
  readonly headBytes: number;
  readonly bodyBytes: number;
}

const END_OF_HEAD = "\r\n\r\n";
const REQUEST_LINE = /^POST (\S+) HTTP\/1\.1$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/;
/** Fields of the HTTP/1 connection, and those that become pseudo-headers. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "connection",
  "upgrade",
  "http2-settings",
  "host",
  "keep-alive",
  "proxy-connection",
]);
/** What we answer before the first frame. */
export const SWITCHING_PROTOCOLS: Buffer = Buffer.from(
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  "latin1",
);

/**
 * Looks at the first bytes of an HTTP/1 connection: an upgrade to follow, "more" if the head is not complete, undefined if the
 * request is for the HTTP/1 server.
 */
export function parseUpgrade(bytes: Buffer, bodyBytesMax: number): Upgrade | "more" | undefined {
  const text = bytes.toString("latin1", 0, Math.min(bytes.length, HTTP1_HEAD_BYTES_MAX));
  if (!couldBePost(text)) return undefined;
  const end = text.indexOf(END_OF_HEAD);
  if (end < 0) return text.length < HTTP1_HEAD_BYTES_MAX ? "more" : undefined;
  const lines = text.slice(0, end).split("\r\n");
  const path = REQUEST_LINE.exec(lines[0] as string)?.[1];
  const fields = parseFields(lines.slice(1));
  if (path === undefined || fields === undefined) return undefined;
  return buildUpgrade(path, fields, end + END_OF_HEAD.length, bodyBytesMax);
}

function couldBePost(text: string): boolean {
  return "POST ".startsWith(text.slice(0, 5));
}

function parseFields(lines: readonly string[]): [string, string][] | undefined {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (match === null) return undefined;
    fields.push([(match[1] as string).toLowerCase(), match[2] as string]);
  }
  return fields;
}

function buildUpgrade(
  path: string,
  fields: readonly [string, string][],
  headBytes: number,
  bodyBytesMax: number,
): Upgrade | undefined {
  const all = (name: string): string[] => fields.filter((f) => f[0] === name).map((f) => f[1]);
  const wantsH2c = all("upgrade").some((value) => /(^|[,\s])h2c($|[,\s])/i.test(value));
  const encoded = all("http2-settings");
  const isGrpc = all("content-type").some((value) => value.startsWith("application/grpc"));
  const lengths = all("content-length");
  if (!wantsH2c || encoded.length !== 1 || !isGrpc || lengths.length > 1) return undefined;
  if (all("transfer-encoding").length > 0 || all("expect").length > 0) return undefined;
  const length = lengths[0] ?? "0";
  if (!/^\d{1,10}$/.test(length) || Number(length) > bodyBytesMax) return undefined;
  const settings = Buffer.from(encoded[0] as string, "base64url");
  if (settings.length % 6 !== 0) return undefined;
  const entries = [
    new HeaderEntry(":method", "POST"),
    new HeaderEntry(":scheme", "http"),
    new HeaderEntry(":path", path),
    ...all("host").map((host) => new HeaderEntry(":authority", host)),
  ];
  for (const [name, value] of fields) {
    if (!LEFT_OUT.has(name)) entries.push(new HeaderEntry(name, value));
  }
  const head = new RequestHead(entries, false);
  if (head.isMalformed) return undefined;
  return { head, settings, headBytes, bodyBytes: Number(length) };
}
