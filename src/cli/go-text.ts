// How Go reads and quotes the texts of flags: integers, booleans, quoted strings. What etcd prints about a bad value is visible, so
// the readers give Go's own reason.
// Source: the documentation of Go's flag and strconv packages.

/** Why a text is not a value; `message` is the reason as etcd prints it. */
export class BadValue {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

const PARSE_ERROR = new BadValue("parse error");
const RANGE_ERROR = new BadValue("value out of range");

const ESCAPES: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** `text` as Go's %q prints it. */
export function goQuote(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is escaped here
  const body = text.replace(/[\u0000-\u001f"\\\u007f]/g, (c) => {
    return ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${body}"`;
}

/** A list of strings as Go's %q prints it: `["a" "b"]`. */
export function goQuoteList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(" ")}]`;
}

/** Digits of one base, in Go's syntax where an underscore may stand between digits and after the prefix. */
const INTEGER =
  /^([+-]?)(?:(0[xX])(_?[0-9a-fA-F])+|(0[bB])(_?[01])+|(0[oO]?)(_?[0-7])+|(0|[1-9](_?[0-9])*))$/;

/** The integer `text` stands for: decimal, 0x, 0o, 0b or a leading 0 for octal. Undefined if it is none. */
function readInteger(text: string): bigint | undefined {
  const match = INTEGER.exec(text);
  if (match === null) return undefined;
  const negative = match[1] === "-";
  let digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  if (/^0[0-7]/.test(digits)) digits = `0o${digits.slice(1)}`;
  const value = BigInt(digits);
  return negative ? -value : value;
}

/** A signed integer of 64 bits as a number (beyond 2^53 rounded: such sizes and counts mean "no limit"). */
export function parseInt64(text: string): number | BadValue {
  const value = readInteger(text);
  if (value === undefined) return PARSE_ERROR;
  return value === BigInt.asIntN(64, value) ? Number(value) : RANGE_ERROR;
}

/** An unsigned integer of 64 bits; a sign is an error. */
export function parseUint64(text: string): number | BadValue {
  const value = /^[+-]/.test(text) ? undefined : readInteger(text);
  if (value === undefined) return PARSE_ERROR;
  return value === BigInt.asUintN(64, value) ? Number(value) : RANGE_ERROR;
}

/** An unsigned integer of 32 bits, with the longer reasons of the flag that etcd reads itself. */
export function parseUint32(text: string): number | BadValue {
  const value = parseUint64(text);
  const reason =
    value === PARSE_ERROR
      ? "invalid syntax"
      : value instanceof BadValue || value > 0xffff_ffff
        ? "value out of range"
        : undefined;
  if (reason === undefined) return value;
  return new BadValue(`strconv.ParseUint: parsing ${goQuote(text)}: ${reason}`);
}

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** A boolean, or undefined if Go would not read one. */
export function readBool(text: string): boolean | undefined {
  if (TRUE.has(text)) return true;
  return FALSE.has(text) ? false : undefined;
}

/** A boolean, or the reason why `text` is none. */
export function parseBool(text: string): boolean | BadValue {
  return readBool(text) ?? PARSE_ERROR;
}

/** The reason etcd prints for a duration it cannot read. */
export const BAD_DURATION: BadValue = PARSE_ERROR;
