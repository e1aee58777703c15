// Durations as Go writes and reads them (`1m30s`, `1.88ms`): flags, environment, log fields and answers use this text.
//
// Inside the program a duration is a number of milliseconds, fractions allowed; one nanosecond is 1e-6.
// Source: the documentation of Go's time.ParseDuration and Duration.String.

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's duration is an int64 of nanoseconds. */
const DURATION_NS_MAX = 2 ** 63;

const PART = /([0-9]*)(\.[0-9]*)?([a-zµμ]+)/y;

/** Milliseconds of a Go duration text such as `1h2.5m`; undefined if the text is not one (a unit is required, except in `0`). */
export function parseDuration(text: string): number | undefined {
  const negative = text.startsWith("-");
  const rest = negative || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return 0;
  let ns = 0;
  let pos = 0;
  do {
    PART.lastIndex = pos;
    const part = PART.exec(rest);
    const [all, whole, fraction, unit] = part ?? [];
    const scale = unit === undefined ? undefined : UNIT_NS[unit];
    if (all === undefined || scale === undefined) return undefined;
    const digits = (whole as string) + (fraction ?? "");
    if (digits === "" || digits === ".") return undefined;
    ns += Math.trunc(Number(digits) * scale);
    pos += all.length;
  } while (pos < rest.length);
  if (ns > DURATION_NS_MAX || (ns === DURATION_NS_MAX && !negative)) return undefined;
  return (negative ? -ns : ns) / 1e6;
}

/** `value` with at most `places` fraction digits, trailing zeros removed. */
function shortFixed(value: number, places: number): string {
  const text = value.toFixed(places);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** The text Go prints for `ms` milliseconds: `0s`, `1.5µs`, `100ms`, `1m0s`, `2h0m0s`. Rounded to whole nanoseconds. */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? "-" : "";
  const ns = Math.round(Math.abs(ms) * 1e6);
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${sign}${ns}ns`;
  if (ns < 1e6) return `${sign}${shortFixed(ns / 1e3, 3)}µs`;
  if (ns < 1e9) return `${sign}${shortFixed(ns / 1e6, 6)}ms`;
  const minutes = Math.floor(ns / 60e9);
  const seconds = `${shortFixed((ns - minutes * 60e9) / 1e9, 9)}s`;
  if (minutes === 0) return sign + seconds;
  const hours = Math.floor(minutes / 60);
  return `${sign}${hours > 0 ? `${hours}h` : ""}${minutes - hours * 60}m${seconds}`;
}
