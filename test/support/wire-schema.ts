// Messages as they are on the wire, named by the .proto files: every field in its order, present or absent, known or unknown.
//
// Requests are encoded by @grpc/proto-loader (protobufjs), answers are taken apart here without filling defaults, so that "present
// but empty" and "absent", or two encodings of one value, never look alike. Shares no code with src/proto.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  type AnyDefinition,
  loadSync,
  type MessageTypeDefinition,
  type PackageDefinition,
} from "@grpc/proto-loader";
import { repoRoot } from "./repo.ts";

/** A decoded message: its full type name and its fields in wire order. */
export interface WireMessage {
  readonly type: string;
  readonly fields: readonly WireField[];
}

/** One field occurrence. `name` is `#7` and the like for a field the schema does not know. */
export interface WireField {
  readonly name: string;
  readonly value: WireValue;
}

/** Integers, bools and enums are bigint (signed where the type is); fixed32 and fixed64 do not occur in the API. */
export type WireValue = bigint | Uint8Array | string | WireMessage;

/** What proto-loader takes to encode a message: proto field names, bytes as Buffer, int64 as number or decimal string. */
export type MessageInit = { readonly [field: string]: unknown };

interface FieldType {
  readonly name: string;
  readonly kind: "signed" | "unsigned" | "bytes" | "string" | "message";
  /** Full name of the message type where `kind` is message. */
  readonly message: string;
}

interface TypeEntry {
  readonly fields: ReadonlyMap<number, FieldType>;
  readonly serialize: (value: object) => Buffer;
}

// The parts of a DescriptorProto that proto-loader gives and that are used here.
interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly typeName: string;
}

const signedTypes = new Set([
  "TYPE_INT32",
  "TYPE_INT64",
  "TYPE_ENUM",
  "TYPE_SINT32",
  "TYPE_SINT64",
]);
const unsignedTypes = new Set(["TYPE_UINT32", "TYPE_UINT64", "TYPE_BOOL"]);

function resolveName(definition: PackageDefinition, scope: string, name: string): string {
  if (name.startsWith(".")) return name.slice(1);
  const parts = scope.split(".");
  for (let n = parts.length; n >= 0; n--) {
    const full = [...parts.slice(0, n), name].join(".");
    if (definition[full] !== undefined) return full;
  }
  return name;
}

function fieldType(definition: PackageDefinition, scope: string, f: FieldDescriptor): FieldType {
  if (f.type === "TYPE_BYTES") return { name: f.name, kind: "bytes", message: "" };
  if (f.type === "TYPE_STRING") return { name: f.name, kind: "string", message: "" };
  if (f.type === "TYPE_MESSAGE") {
    const message = resolveName(definition, scope, f.typeName);
    return { name: f.name, kind: "message", message };
  }
  if (signedTypes.has(f.type)) return { name: f.name, kind: "signed", message: "" };
  if (unsignedTypes.has(f.type)) return { name: f.name, kind: "unsigned", message: "" };
  throw new Error(`${scope}.${f.name}: no wire form for ${f.type}`);
}

/** Reads one varint; answers the value (64 bits, unsigned) and the position after it, undefined when the bytes end or it is longer. */
function varint(bytes: Uint8Array, start: number): { value: bigint; next: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    const b = bytes[start + i];
    if (b === undefined) return undefined;
    value |= BigInt(b & 0x7f) << BigInt(7 * i);
    if (b < 0x80) return { value: BigInt.asUintN(64, value), next: start + i + 1 };
  }
  return undefined;
}

function isMessageType(entry: AnyDefinition): entry is MessageTypeDefinition<object, object> {
  return "format" in entry && "serialize" in entry && typeof entry.serialize === "function";
}

/** The message types of the .proto files under `proto/`. */
export class WireSchema {
  readonly #types = new Map<string, TypeEntry>();

  constructor(definition: PackageDefinition) {
    for (const [name, entry] of Object.entries(definition)) {
      if (!isMessageType(entry) || name.startsWith("google.protobuf.")) continue;
      const type = entry.type as { readonly field?: readonly FieldDescriptor[] };
      const fields = new Map<number, FieldType>();
      for (const f of type.field ?? []) fields.set(f.number, fieldType(definition, name, f));
      this.#types.set(name, { fields, serialize: entry.serialize });
    }
  }

  #entry(type: string): TypeEntry {
    const entry = this.#types.get(type);
    if (entry === undefined) throw new Error(`no message type ${type} under proto/`);
    return entry;
  }

  /** Encodes `init` as `type`. */
  encode(type: string, init: MessageInit): Uint8Array {
    return this.#entry(type).serialize(init);
  }

  /** Takes `bytes` apart; throws when they are not a message at all. `value` arrays are views into `bytes`. */
  decode(type: string, bytes: Uint8Array): WireMessage {
    const entry = this.#entry(type);
    const fields: WireField[] = [];
    let pos = 0;
    while (pos < bytes.length) {
      const tag = varint(bytes, pos);
      if (tag === undefined) throw new Error(`${type}: cut tag at byte ${pos}`);
      pos = tag.next;
      const known = entry.fields.get(Number(tag.value >> 3n));
      const name = known?.name ?? `#${tag.value >> 3n}`;
      const head = varint(bytes, pos);
      if (head === undefined) throw new Error(`${type}.${name}: cut value at byte ${pos}`);
      pos = head.next;
      if ((tag.value & 7n) === 0n) {
        const value = known?.kind === "signed" ? BigInt.asIntN(64, head.value) : head.value;
        fields.push({ name, value });
      } else if ((tag.value & 7n) === 2n) {
        const end = pos + Number(head.value);
        if (end > bytes.length) throw new Error(`${type}.${name}: cut bytes at ${pos}`);
        fields.push({ name, value: this.#lengthDelimited(known, bytes.subarray(pos, end)) });
        pos = end;
      } else {
        throw new Error(`${type}.${name}: wire type ${tag.value & 7n} does not occur in the API`);
      }
    }
    return { type, fields };
  }

  #lengthDelimited(known: FieldType | undefined, bytes: Uint8Array): WireValue {
    if (known?.kind === "message") return this.decode(known.message, bytes);
    if (known?.kind === "string") return Buffer.from(bytes).toString("utf8");
    return bytes;
  }
}

let loaded: WireSchema | undefined;

/** The schema of this repository, loaded once. */
export function wireSchema(): WireSchema {
  if (loaded === undefined) {
    const root = join(repoRoot, "proto");
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((f) =>
      f.endsWith(".proto"),
    );
    const definition = loadSync(files.sort(), {
      includeDirs: [root],
      keepCase: true,
      longs: String,
    });
    loaded = new WireSchema(definition);
  }
  return loaded;
}

/** The first value of field `name`, undefined when the field is absent. */
export function fieldOf(message: WireMessage | undefined, name: string): WireValue | undefined {
  return message?.fields.find((f) => f.name === name)?.value;
}

/** The first sub-message in field `name`. */
export function messageOf(message: WireMessage | undefined, name: string): WireMessage | undefined {
  const value = fieldOf(message, name);
  return typeof value === "object" && "fields" in value ? value : undefined;
}

/** Every sub-message in the repeated field `name`, in order. */
export function messagesOf(message: WireMessage | undefined, name: string): WireMessage[] {
  const found: WireMessage[] = [];
  for (const f of message?.fields ?? []) {
    if (f.name === name && typeof f.value === "object" && "fields" in f.value) found.push(f.value);
  }
  return found;
}

/** The integer in field `name`, 0n when absent. */
export function intOf(message: WireMessage | undefined, name: string): bigint {
  const value = fieldOf(message, name);
  return typeof value === "bigint" ? value : 0n;
}

/** The bytes in field `name` as a latin1 string, empty when absent. */
export function bytesOf(message: WireMessage | undefined, name: string): string {
  const value = fieldOf(message, name);
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : "";
}

/** Shows bytes readably and without loss: printable ASCII as it is, the rest as \xNN; long runs of one byte as `"x"*n`. */
export function quoteBytes(bytes: Uint8Array): string {
  const first = bytes[0];
  if (bytes.length > 40 && first !== undefined && bytes.every((b) => b === first)) {
    return `${quoteBytes(bytes.subarray(0, 1))}*${bytes.length}`;
  }
  let text = "";
  for (const b of bytes) {
    if (b === 0x22 || b === 0x5c) text += `\\${String.fromCharCode(b)}`;
    else if (b >= 0x20 && b < 0x7f) text += String.fromCharCode(b);
    else text += `\\x${b.toString(16).padStart(2, "0")}`;
  }
  return `"${text}"`;
}

/** One line of text for `message`, equal for two messages exactly when every field is equal and in equal order. */
export function renderWire(message: WireMessage): string {
  const parts = message.fields.map(({ name, value }) => {
    if (typeof value === "bigint") return `${name}:${value}`;
    if (typeof value === "string") return `${name}:${JSON.stringify(value)}`;
    if (value instanceof Uint8Array) return `${name}:${quoteBytes(value)}`;
    return `${name}${renderWire(value)}`;
  });
  return `{${parts.join(" ")}}`;
}
