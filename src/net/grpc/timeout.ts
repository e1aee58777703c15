// The value of `grpc-timeout`. Source: gRPC over HTTP/2, "Timeout"; texts of grpc-go's decodeTimeout.

import { goQuote } from "./status.ts";

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1_000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Longest value: eight digits and a unit. */
const CHARS_MAX = 9;
/** Go's longest duration; longer ones are cut to it. */
const TIMEOUT_MS_MAX = 9_223_372_036_854;

/** Milliseconds (fractions for the small units), or the reason why it is malformed. */
export function parseTimeout(value: string): number | string {
  if (value.length < 2) return `transport: timeout string is too short: ${goQuote(value)}`;
  if (value.length > CHARS_MAX) return `transport: timeout string is too long: ${goQuote(value)}`;
  const unitMs = UNIT_MS.get(value.charAt(value.length - 1));
  if (unitMs === undefined) {
    return `transport: timeout unit is not recognized: ${goQuote(value)}`;
  }
  const digits = value.slice(0, -1);
  if (!/^\d+$/.test(digits)) {
    return `strconv.ParseUint: parsing ${goQuote(digits)}: invalid syntax`;
  }
  return Math.min(Number(digits) * unitMs, TIMEOUT_MS_MAX);
}
