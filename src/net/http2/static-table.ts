// The 61 fields every HPACK peer knows. Index 0 is not used. Source: RFC 7541 appendix A.

import { HeaderEntry } from "./header-entry.ts";

const FIELDS: readonly (readonly [string, string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Number of static entries; dynamic indexes follow. */
export const STATIC_ENTRIES = 61;

/** Entry `i` of the static table at index `i`, 1 to 61. */
export const staticTable: readonly HeaderEntry[] = [
  new HeaderEntry("", ""),
  ...FIELDS.map(([name, value]) => new HeaderEntry(name, value)),
];

const nameIndexes: ReadonlyMap<string, number> = new Map(
  FIELDS.map(([name], i): [string, number] => [name, i + 1]).reverse(),
);

/** Index of the first static entry with this name, 0 if there is none. */
export function staticNameIndex(name: string): number {
  return nameIndexes.get(name) ?? 0;
}
