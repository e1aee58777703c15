// Messages of the API in a form that neither our codecs nor the oracle (protobufjs) own, and the way from it to both.
//
// A `Neutral` message maps field numbers to values: integers as bigint, keys and byte values as Buffer, absent fields left out. The
// schema of proto/codegen says which fields exist; protobufjs reads the .proto files by itself, so numbers and wire types are its own.

import { join } from "node:path";
import fc from "fast-check";
import protobuf from "protobufjs";
import { generate, protoFiles } from "../../proto/codegen/generate.ts";
import {
  type FieldModel,
  type FileModel,
  loadSchema,
  type MessageModel,
} from "../../proto/codegen/schema.ts";
import * as proto from "../../src/proto/index.ts";
import { repoRoot } from "./repo.ts";

export type NeutralValue = bigint | boolean | string | Buffer | Neutral;
export interface Neutral {
  readonly [fieldNumber: string]: NeutralValue | readonly NeutralValue[];
}

/** An entry of a map always has both. */
interface MapEntry extends Neutral {
  readonly 1: string;
  readonly 2: Neutral;
}

function isMapEntry(message: MessageModel): boolean {
  return message.protoName.endsWith("(map entry)");
}

/** A message as our codecs have it, fields by name. */
export type Fields = Record<string, unknown>;

function isList(value: Neutral[string]): value is readonly NeutralValue[] {
  return Array.isArray(value);
}

const protoDir = join(repoRoot, "proto");

export const files: readonly FileModel[] = loadSchema(protoDir, protoFiles(protoDir));
export const messages: readonly MessageModel[] = files.flatMap((file) => file.messages);
const byName: ReadonlyMap<string, MessageModel> = new Map(messages.map((m) => [m.name, m]));

/** Text of every generated file by its path below src/proto/. */
export function generated(): Map<string, string> {
  return generate(protoDir);
}

export function messageNamed(name: string): MessageModel {
  const message = byName.get(name);
  if (message === undefined) throw new Error(`no message ${name}`);
  return message;
}

const face = proto as unknown as Readonly<Record<string, unknown>>;

/** Our codec of a message type. */
export function codecOf(name: string): proto.Codec<Fields> {
  return face[`${name}Codec`] as proto.Codec<Fields>;
}

/** Our encoder of a message type, with its own buffer. */
export function encodeOurs(name: string, message: Fields): Uint8Array {
  return (face[`encode${name}`] as (message: Fields) => Uint8Array)(message);
}

/** Our message with every field at its default. */
export function createOurs(name: string): Fields {
  return (face[`create${name}`] as () => Fields)();
}

// ---------------------------------------------------------------------------------------------------------------- oracle

const root = new protobuf.Root();
// Imports are relative to the proto folder, not to the importing file.
root.resolvePath = (_importing, path) => (path.startsWith("/") ? path : join(protoDir, path));
for (const file of files) root.loadSync(join(protoDir, file.path), { keepCase: true });
root.resolveAll();

/** protobufjs' type; entries of maps have none. */
export function oracleType(message: MessageModel): protobuf.Type | undefined {
  const found = root.lookup(message.protoName, [protobuf.Type]);
  return found instanceof protobuf.Type ? found : undefined;
}

/** Messages the oracle knows as messages: all but map entries. */
export const oracleMessages: readonly MessageModel[] = messages.filter(
  (m) => oracleType(m) !== undefined,
);

function toLong(value: bigint, type: string): protobuf.Long {
  const bits = BigInt.asUintN(64, value);
  const low = Number(bits & 0xffff_ffffn);
  return new protobuf.util.Long(low, Number(bits >> 32n), type === "uint64");
}

/** A protobufjs message of `type` with the fields of `neutral`. */
export function toOracle(type: protobuf.Type, neutral: Neutral): protobuf.Message {
  const init: Fields = {};
  for (const [number, value] of Object.entries(neutral)) {
    const field = type.fieldsById[Number(number)] as protobuf.Field;
    field.resolve();
    const one = (v: NeutralValue): unknown => {
      if (field.resolvedType instanceof protobuf.Type) {
        return toOracle(field.resolvedType, v as Neutral);
      }
      if (field.type.endsWith("int64")) return toLong(v as bigint, field.type);
      return typeof v === "bigint" ? Number(v) : v;
    };
    if (field instanceof protobuf.MapField) {
      const entries = value as readonly MapEntry[];
      init[field.name] = Object.fromEntries(entries.map((e) => [e[1], one(e[2])]));
    } else {
      init[field.name] = isList(value) ? value.map(one) : one(value);
    }
  }
  return type.create(init);
}

/** What protobufjs decoded; fields it did not meet are absent. */
export function fromOracle(type: protobuf.Type, decoded: protobuf.Message): Neutral {
  const message: Fields = Object.fromEntries(Object.entries(decoded));
  const neutral: Record<string, NeutralValue | NeutralValue[]> = {};
  for (const field of type.fieldsArray) {
    const value = message[field.name];
    if (!Object.hasOwn(message, field.name) || value === undefined || value === null) continue;
    const one = (v: unknown): NeutralValue => {
      if (field.resolvedType instanceof protobuf.Type) {
        return fromOracle(field.resolvedType, v as protobuf.Message);
      }
      if (field.type === "string") return v as string;
      if (field.type === "bool") return v as boolean;
      if (field.type === "bytes") return Buffer.from(v as Uint8Array);
      return BigInt(String(v));
    };
    if (field instanceof protobuf.MapField) {
      const entries = Object.entries(value as Fields);
      if (entries.length > 0) neutral[field.id] = entries.map(([k, v]) => ({ 1: k, 2: one(v) }));
    } else if (Array.isArray(value)) {
      if (value.length > 0) neutral[field.id] = value.map(one);
    } else {
      neutral[field.id] = one(value);
    }
  }
  return withoutDefaults(neutral, type);
}

/** Oracle and ours agree on values, not on whether a zero was written: zeros outside of oneofs are left out. */
function withoutDefaults(neutral: Neutral, type: protobuf.Type): Neutral {
  const kept = Object.entries(neutral).filter(([number, value]) => {
    const field = type.fieldsById[Number(number)] as protobuf.Field;
    return field.partOf !== null || !isDefault(value);
  });
  return Object.fromEntries(kept);
}

function isDefault(value: Neutral[string]): boolean {
  return value === 0n || value === false || value === "" || isEmptyBuffer(value);
}

function isEmptyBuffer(value: unknown): boolean {
  return Buffer.isBuffer(value) && value.length === 0;
}

// ------------------------------------------------------------------------------------------------------------------ ours

const COUNTERS = new Set(["int32", "uint32", "int53", "int53Clamped", "uint53"]);

/** Our message with the fields of `neutral`, all others at their default. */
export function toOurs(message: MessageModel, neutral: Neutral): Fields {
  const ours = createOurs(message.name);
  for (const field of message.fields) {
    const value = neutral[field.number];
    if (value === undefined) continue;
    const one = (v: NeutralValue): unknown => {
      if (field.messageType !== undefined) {
        return toOurs(messageNamed(field.messageType), v as Neutral);
      }
      if (field.kind === "latin1") return (v as Buffer).toString("latin1");
      return COUNTERS.has(field.kind) ? Number(v) : v;
    };
    ours[field.name] = isList(value) ? value.map(one) : one(value);
  }
  return ours;
}

/** Our message in neutral form. Fails on a field that is missing or of another type than its default. */
export function fromOurs(message: MessageModel, ours: Fields): Neutral {
  const neutral: Record<string, NeutralValue | NeutralValue[]> = {};
  for (const field of message.fields) {
    if (!Object.hasOwn(ours, field.name)) throw new Error(`${message.name} lacks ${field.name}`);
    const value = ours[field.name];
    if (value === undefined) continue;
    const one = (v: unknown): NeutralValue => neutralOf(field, v);
    if (field.repeated) {
      if ((value as unknown[]).length > 0) neutral[field.number] = (value as unknown[]).map(one);
    } else if (field.oneofSiblings !== undefined || !isDefault(one(value))) {
      neutral[field.number] = one(value);
    }
  }
  return isMapEntry(message) ? { 1: "", 2: {}, ...neutral } : neutral;
}

function neutralOf(field: FieldModel, value: unknown): NeutralValue {
  if (field.messageType !== undefined) {
    return fromOurs(messageNamed(field.messageType), value as Fields);
  }
  if (field.kind === "latin1") return Buffer.from(value as string, "latin1");
  if (field.kind === "bytes") return Buffer.from(value as Uint8Array);
  if (typeof value === "number") return BigInt(value);
  return value as NeutralValue;
}

// ---------------------------------------------------------------------------------------------------------------- random

/** Below this many levels of messages a random one gets no further sub-messages. */
const RANDOM_DEPTH_MAX = 4;

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** Integers near the ends of their range and near the lengths of varints are as likely as any. */
function integers(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  const edges = [0n, 1n, 127n, 128n, 16383n, 16384n, 1n << 28n, 1n << 31n, 1n << 32n, 1n << 35n]
    .flatMap((edge) => [edge, -edge, edge - 1n])
    .filter((edge) => edge >= min && edge <= max);
  return fc.oneof(fc.constantFrom(min, max, ...edges), fc.bigInt({ min, max }));
}

const bytes = fc
  .oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
  .map((b) => Buffer.from(b));

const scalars: Readonly<Record<string, fc.Arbitrary<NeutralValue>>> = {
  bool: fc.boolean(),
  int32: integers(-(1n << 31n), (1n << 31n) - 1n),
  uint32: integers(0n, (1n << 32n) - 1n),
  int53: integers(-SAFE_MAX, SAFE_MAX),
  int53Clamped: integers(-SAFE_MAX, SAFE_MAX),
  uint53: integers(0n, SAFE_MAX),
  int64: integers(-(1n << 63n), (1n << 63n) - 1n),
  uint64: integers(0n, (1n << 64n) - 1n),
  latin1: bytes,
  bytes,
  utf8: fc.string({ unit: "grapheme", maxLength: 20 }),
};

const made = new Map<string, fc.Arbitrary<Neutral>>();

/** Random messages of one type, in neutral form without defaults. */
export function arbitraryOf(message: MessageModel, depth = 0): fc.Arbitrary<Neutral> {
  const id = `${message.name}/${depth}`;
  const known = made.get(id);
  if (known !== undefined) return known;
  const fields: Record<string, fc.Arbitrary<NeutralValue | NeutralValue[]>> = {};
  const oneofs = new Map<string, number[]>();
  for (const field of message.fields) {
    if (field.messageType !== undefined && depth >= RANDOM_DEPTH_MAX) continue;
    fields[field.number] = arbitraryField(message, field, depth);
    if (field.oneofSiblings !== undefined) {
      const group = [field.name, ...field.oneofSiblings].sort().join();
      oneofs.set(group, [...(oneofs.get(group) ?? []), field.number]);
    }
  }
  const arbitrary = fc
    .tuple(fc.record(fields, { requiredKeys: [] }), fc.nat())
    .map(([all, choice]) => normalized(message, all as Neutral, [...oneofs.values()], choice));
  made.set(id, arbitrary);
  return arbitrary;
}

/** Values of one field. proto2 enums are closed to protobufjs (to us and to Go they are not), so they keep to their values. */
function arbitraryScalar(message: MessageModel, field: FieldModel): fc.Arbitrary<NeutralValue> {
  const type = oracleType(message)?.fieldsById[field.number]?.resolvedType;
  if (type instanceof protobuf.Enum && message.protoName.startsWith("raftpb.")) {
    return fc.constantFrom(...Object.values(type.values).map(BigInt));
  }
  return scalars[field.kind] as fc.Arbitrary<NeutralValue>;
}

function arbitraryField(
  message: MessageModel,
  field: FieldModel,
  depth: number,
): fc.Arbitrary<NeutralValue | NeutralValue[]> {
  const one =
    field.messageType === undefined
      ? arbitraryScalar(message, field)
      : arbitraryOf(messageNamed(field.messageType), depth + 1);
  if (!field.repeated) return one;
  if (field.messageType !== undefined && isMapEntry(messageNamed(field.messageType))) {
    // A map has each key once.
    const selector = (entry: NeutralValue): unknown => (entry as MapEntry)[1];
    return fc.uniqueArray(one, { maxLength: 3, selector });
  }
  return fc.array(one, { maxLength: 3 });
}

/** Leaves one member of each oneof, and leaves out what is the default anyway. */
function normalized(
  message: MessageModel,
  all: Neutral,
  oneofs: readonly number[][],
  choice: number,
): Neutral {
  const dropped = new Set<number>();
  for (const members of oneofs) {
    const present = members.filter((number) => all[number] !== undefined);
    const kept = present[choice % Math.max(present.length, 1)];
    for (const number of present) if (number !== kept) dropped.add(number);
  }
  if (isMapEntry(message)) return { 1: "", 2: {}, ...all };
  const kept = message.fields.filter((field) => {
    const value = all[field.number];
    if (value === undefined || dropped.has(field.number)) return false;
    if (field.repeated) return (value as NeutralValue[]).length > 0;
    return field.oneofSiblings !== undefined || !isDefault(value);
  });
  return Object.fromEntries(kept.map((f) => [f.number, all[f.number] as NeutralValue]));
}
