// JSON as Go writes and reads it: integers of 64 bits survive (JSON.parse would round member ids), and text is escaped as Go's
// encoder does. Used for the few small documents of membership that are JSON on disk and on the wire.
// Source: RFC 8259; Go encoding/json.

/** A parsed document. Every integer is a bigint, every other number a number. */
export type Json = null | boolean | bigint | number | string | Json[] | JsonObject;

/** An object of a parsed document; the last of equal names wins. */
export type JsonObject = Map<string, Json>;

/** Deepest nesting read: the deepest document written is a v2 store of five directories. */
const JSON_DEPTH_MAX = 64;

const token =
  /[\t\n\r ]*(?:([{}[\],:])|("[^"\\]*(?:\\.[^"\\]*)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y;

/** Parses a whole document; undefined if it is not JSON. */
export function parseJson(text: string): Json | undefined {
  const parser = new Parser(text);
  const value = parser.value(0);
  return parser.atEnd() ? value : undefined;
}

/** `text` as a JSON string with quotes; `<`, `>`, `&` and the two line separators are escaped, as Go does. */
export function jsonString(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** A list of strings. */
export function jsonStrings(items: readonly string[]): string {
  return `[${items.map(jsonString).join(",")}]`;
}

/** The member `name` of `object` as a list of strings; an absent or null one is empty, anything else undefined. */
export function stringsAt(object: JsonObject, name: string): string[] | undefined {
  return listAt(object, name, (item) => (typeof item === "string" ? item : undefined));
}

/** The member `name` of `object` as a list, each item through `read`; undefined if it is no list or an item is refused. */
export function listAt<T>(
  object: JsonObject,
  name: string,
  read: (item: Json) => T | undefined,
): T[] | undefined {
  const list = object.get(name) ?? [];
  if (!Array.isArray(list)) return undefined;
  const items: T[] = [];
  for (const item of list) {
    const value = read(item);
    if (value === undefined) return undefined;
    items.push(value);
  }
  return items;
}

/** The member `name` of `object` as text; "" if absent, undefined if it is something else. */
export function stringAt(object: JsonObject, name: string): string | undefined {
  const value = object.get(name) ?? "";
  return typeof value === "string" ? value : undefined;
}

/** The member `name` of `object` as a truth value; false if absent, undefined if it is something else. */
export function booleanAt(object: JsonObject, name: string): boolean | undefined {
  const value = object.get(name) ?? false;
  return typeof value === "boolean" ? value : undefined;
}

/** `value` as an unsigned 64-bit id, or undefined. */
export function asId(value: Json | undefined): bigint | undefined {
  return typeof value === "bigint" && BigInt.asUintN(64, value) === value ? value : undefined;
}

/** Recursive descent over the tokens; every method gives undefined for what is not JSON. */
class Parser {
  readonly #text: string;
  #pos = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return /^[\t\n\r ]*$/.test(this.#text.slice(this.#pos));
  }

  value(depth: number): Json | undefined {
    const t = this.#next();
    if (t === undefined || depth > JSON_DEPTH_MAX) return undefined;
    if (t === "{") return this.#object(depth);
    if (t === "[") return this.#array(depth);
    if (t.startsWith('"')) return stringOf(t);
    if (t === "true" || t === "false") return t === "true";
    if (t === "null") return null;
    if (/^-?\d+$/.test(t)) return /^-?0\d/.test(t) ? undefined : BigInt(t);
    return /^[-\d]/.test(t) && !/^-?0\d/.test(t) ? Number(t) : undefined;
  }

  #object(depth: number): JsonObject | undefined {
    const object: JsonObject = new Map();
    if (this.#take("}")) return object;
    do {
      const key = this.#next();
      const name = key?.startsWith('"') === true ? stringOf(key) : undefined;
      if (name === undefined || !this.#take(":")) return undefined;
      const value = this.value(depth + 1);
      if (value === undefined) return undefined;
      object.set(name, value);
    } while (this.#take(","));
    return this.#take("}") ? object : undefined;
  }

  #array(depth: number): Json[] | undefined {
    const array: Json[] = [];
    if (this.#take("]")) return array;
    do {
      const value = this.value(depth + 1);
      if (value === undefined) return undefined;
      array.push(value);
    } while (this.#take(","));
    return this.#take("]") ? array : undefined;
  }

  #next(): string | undefined {
    token.lastIndex = this.#pos;
    const match = token.exec(this.#text);
    if (match === null) return undefined;
    this.#pos = token.lastIndex;
    return match[1] ?? match[2] ?? match[3];
  }

  #take(punctuation: string): boolean {
    const before = this.#pos;
    if (this.#next() === punctuation) return true;
    this.#pos = before;
    return false;
  }
}

/** The text a string token stands for; undefined for a bad escape or a raw control character. */
function stringOf(quoted: string): string | undefined {
  try {
    const text: unknown = JSON.parse(quoted);
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}
