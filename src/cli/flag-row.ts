// What a row of the flag table is made of: kinds of values (how a text and a config-file value are read, how a value prints) and the
// builders that tie a flag to its field of the configuration, checked by the compiler.
// Source: operations.md 1.1-1.3; Go's flag package and encoding/json for the texts of errors.

import { formatDuration, parseDuration } from "../base/index.ts";
import type { Endpoint, EtcdConfig } from "../embed/config.ts";
import { endpointList, uniqueEndpoints } from "./endpoints.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import {
  BAD_DURATION,
  BadValue,
  goQuote,
  parseBool,
  parseInt64,
  parseUint32,
  parseUint64,
} from "./go-text.ts";

/**
 * How far a flag is built. `built`: every value works. `inert`: every value is accepted and changes nothing, because what it tunes
 * does not exist here or only with another flag that is refused. `default-only`: other values than the default are refused.
 */
export type FlagStatus = "built" | "inert" | "default-only";

/** A value of the wrong type in the config file: what was found, and the Go type that was wanted. */
export class WrongType {
  readonly found: string;
  readonly wanted: string;

  constructor(found: string, wanted: string) {
    this.found = found;
    this.wanted = wanted;
  }
}

/** One kind of value. */
export interface ValueKind<T> {
  /** `--flag` alone is `--flag=true`, and the next argument is not its value. */
  readonly isBoolean?: true;
  /** Reads the text of a flag or variable; `current` is what the flag holds (some lists add to it). */
  parse(text: string, current: T): T | BadValue;
  /** Reads a value of the config file. `BadValue` is a value of the right type that cannot be taken. */
  fromFile(value: unknown, current: T): T | WrongType | BadValue;
  /** As `--help` shows a default. */
  format(value: T): string;
}

/** What flags set: the configuration of the member, and what concerns the program alone. */
export interface Settings {
  readonly config: EtcdConfig;
  readonly program: ProgramSettings;
}

/** Flags that steer the program and are no setting of the member. */
export interface ProgramSettings {
  /** "" for none. */
  configFile: string;
  version: boolean;
  v2Deprecation: string;
}

/** One flag, bound to its field of the settings. */
export interface FlagRow {
  readonly name: string;
  readonly status: FlagStatus;
  readonly help: string;
  readonly isBoolean: boolean;
  /** Path of keys in the config file; undefined: no key. */
  readonly fileKey: readonly string[] | undefined;
  /** Sets the field from a text. */
  set(settings: Settings, text: string): BadValue | undefined;
  /** Sets the field from a config file value. */
  setFromFile(settings: Settings, value: unknown): WrongType | BadValue | undefined;
  /** The field as text. */
  show(settings: Settings): string;
}

/** What JSON calls a value, as Go's decoder names it. */
export function jsonTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

function numberKind(
  goType: string,
  parse: (text: string) => number | BadValue,
  min: number,
  max: number,
): ValueKind<number> {
  return {
    parse,
    fromFile(value) {
      if (typeof value !== "number") return new WrongType(jsonTypeName(value), goType);
      const fits = Number.isInteger(value) && value >= min && value <= max;
      return fits ? value : new WrongType(`number ${value}`, goType);
    },
    format: String,
  };
}

export const int: ValueKind<number> = numberKind("int", parseInt64, -(2 ** 63), 2 ** 63);
export const int64: ValueKind<number> = numberKind("int64", parseInt64, -(2 ** 63), 2 ** 63);
export const uint: ValueKind<number> = numberKind("uint", parseUint64, 0, 2 ** 64);
export const uint64: ValueKind<number> = numberKind("uint64", parseUint64, 0, 2 ** 64);
export const uint32: ValueKind<number> = numberKind("uint32", parseUint32, 0, 0xffff_ffff);

/** Milliseconds; the config file holds integer nanoseconds. */
export const duration: ValueKind<number> = {
  parse: (text) => parseDuration(text) ?? BAD_DURATION,
  fromFile(value) {
    const nanoseconds = numberKind("time.Duration", parseInt64, -(2 ** 63), 2 ** 63);
    const read = nanoseconds.fromFile(value, 0);
    return typeof read === "number" ? read / 1e6 : read;
  },
  format: formatDuration,
};

export const bool: ValueKind<boolean> = {
  isBoolean: true,
  parse: parseBool,
  fromFile: (value) =>
    typeof value === "boolean" ? value : new WrongType(jsonTypeName(value), "bool"),
  format: String,
};

function stringFromFile(value: unknown): string | WrongType {
  return typeof value === "string" ? value : new WrongType(jsonTypeName(value), "string");
}

export const text: ValueKind<string> = {
  parse: (value) => value,
  fromFile: stringFromFile,
  format: (value) => value,
};

/** One of `choices`; in the config file only the state of the cluster is one, hence the words of its refusal. */
export function choice<T extends string>(...choices: readonly T[]): ValueKind<T> {
  return {
    parse: (value) => choices.find((c) => c === value) ?? new BadValue("invalid value"),
    fromFile(value, current) {
      const read = stringFromFile(value);
      if (read instanceof WrongType) return read;
      if (read === "") return current;
      const known = choices.find((c) => c === read);
      return known ?? new BadValue(`unexpected clusterState ${goQuote(read)}`);
    },
    format: (value) => value,
  };
}

function listFromFile(value: unknown): readonly string[] | WrongType {
  if (!Array.isArray(value)) return new WrongType(jsonTypeName(value), "[]string");
  const odd: unknown = value.find((item) => typeof item !== "string");
  if (odd !== undefined) return new WrongType(jsonTypeName(odd), "string");
  return value as string[];
}

/** Comma-separated, in the order given. */
export const list: ValueKind<readonly string[]> = {
  parse: (value) => value.split(","),
  fromFile: listFromFile,
  format: (value) => value.join(","),
};

/** Comma-separated, sorted, each once; in the config file a YAML list that is taken as it is. */
export const set: ValueKind<readonly string[]> = {
  parse: (value) => [...new Set(value.split(","))].sort(),
  fromFile: listFromFile,
  format: (value) => value.join(","),
};

/** As `set`, but one comma-separated text in the config file. */
export const setText: ValueKind<readonly string[]> = {
  ...set,
  fromFile(value, current) {
    const read = stringFromFile(value);
    if (read instanceof WrongType) return read;
    return read === "" ? current : set.parse(read, current);
  },
};

/** A list of URLs; the empty text changes nothing. The config file keeps a URL that is given twice. */
export const endpoints: ValueKind<readonly Endpoint[]> = {
  parse: (value, current) => (value === "" ? current : uniqueEndpoints(value)),
  fromFile(value, current) {
    const read = stringFromFile(value);
    if (read instanceof WrongType) return read;
    return read === "" ? current : endpointList(read.split(","));
  },
  format: (value) => value.map((endpoint) => endpoint.url).join(","),
};

/** Allowed origins: `*`, or URLs. */
export const origins: ValueKind<readonly string[]> = {
  parse(value, current) {
    if (value === "*") return [...new Set([...current, "*"])].sort();
    const all = uniqueEndpoints(value);
    return all instanceof BadValue ? all : all.map((endpoint) => endpoint.url);
  },
  fromFile(value, current) {
    const read = stringFromFile(value);
    if (read instanceof WrongType) return read;
    if (read === "") return current;
    const origin = origins.parse(read, []);
    if (!(origin instanceof BadValue)) return origin;
    return new BadValue(`new UniqueURLs should never fail: ${origin.message}`);
  },
  format: (value) => value.join(","),
};

/** Values that etcd still reads and no longer heeds. */
const V2_DEPRECATIONS = ["write-only", "write-only-skip-check", "write-only-drop-data", "gone"];

export const v2Deprecation: ValueKind<string> = {
  parse(value) {
    const odd = value.split(",").find((part) => !V2_DEPRECATIONS.includes(part));
    return odd === undefined ? value : new BadValue(`invalid value ${goQuote(odd)}`);
  },
  fromFile: stringFromFile,
  format: (value) => value,
};

/** A flag of the past: any value is taken, and nothing is done with it. */
export const ignored: ValueKind<string> = {
  isBoolean: true,
  parse: (_value, current) => current,
  fromFile: (_value, current) => current,
  format: (value) => value,
};

export const gates: ValueKind<ReadonlyMap<string, boolean>> = {
  parse: parseFeatureGates,
  fromFile(value, current) {
    const read = stringFromFile(value);
    return read instanceof WrongType ? read : parseFeatureGates(read, current);
  },
  format: (value) => [...value].map(([name, on]) => `${name}=${on}`).join(","),
};

/** Builds rows for the fields of one part of the settings; `fileKeys` lead to that part in the config file. */
export interface RowBuilder<S> {
  <K extends keyof S & string>(
    name: string,
    kind: ValueKind<S[K]>,
    field: K,
    status: FlagStatus,
    help: string,
    fileKey?: string,
  ): FlagRow;
}

/** Says as `fileKey` that a flag has no key in the config file. */
export const NO_FILE_KEY = "";

/** A builder for the part of the settings that `part` selects. */
export function rowsOf<S>(
  part: (settings: Settings) => S,
  ...fileKeys: readonly string[]
): RowBuilder<S> {
  return (name, kind, field, status, help, fileKey = name) => ({
    name,
    status,
    help,
    isBoolean: kind.isBoolean === true,
    fileKey: fileKey === NO_FILE_KEY ? undefined : [...fileKeys, fileKey],
    set(settings, value) {
      const section = part(settings);
      const parsed = kind.parse(value, section[field]);
      if (parsed instanceof BadValue) return parsed;
      section[field] = parsed;
      return undefined;
    },
    setFromFile(settings, value) {
      const section = part(settings);
      const read = kind.fromFile(value, section[field]);
      if (read instanceof BadValue || read instanceof WrongType) return read;
      section[field] = read;
      return undefined;
    },
    show: (settings) => kind.format(part(settings)[field]),
  });
}
