// The .proto files as the generator sees them: files with messages, enums and RPCs, every field with its representation decided.
//
// protobufjs parses; what it leaves open (names, bigint or number, packed or not) is settled here, so that the emitters only print.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { fieldName } from "./names.ts";
import * as representation from "./representation.ts";

/** How a value looks in TypeScript and on the wire. "int53" and the like are 64-bit counters held in a number. */
export type Kind =
  | "bool"
  | "int32"
  | "uint32"
  | "int53"
  | "int53Clamped"
  | "uint53"
  | "int64"
  | "uint64"
  | "latin1"
  | "utf8"
  | "bytes"
  | "message";

export interface FieldModel {
  /** Name in TypeScript. */
  readonly name: string;
  readonly number: number;
  readonly kind: Kind;
  /** Of kind "message": the TypeScript name of its type. */
  readonly messageType: string | undefined;
  readonly repeated: boolean;
  /** Repeated scalars: written packed. Both forms are read. */
  readonly packed: boolean;
  /** Written even when zero. */
  readonly explicit: boolean;
  /** The other members, by TypeScript name, of the oneof this field belongs to; undefined if it belongs to none. */
  readonly oneofSiblings: readonly string[] | undefined;
  readonly comment: string | undefined;
}

export interface MessageModel {
  readonly name: string;
  readonly protoName: string;
  readonly comment: string | undefined;
  /** Ascending by field number, the order of writing. */
  readonly fields: readonly FieldModel[];
}

export interface EnumModel {
  readonly name: string;
  readonly protoName: string;
  readonly comment: string | undefined;
  readonly values: readonly (readonly [string, number])[];
}

export interface RpcModel {
  readonly service: string;
  readonly method: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: string;
  readonly responseType: string;
}

export interface FileModel {
  /** Relative to the proto folder, for example `mvccpb/kv.proto`. */
  readonly path: string;
  readonly comment: string;
  readonly messages: readonly MessageModel[];
  readonly enums: readonly EnumModel[];
  readonly rpcs: readonly RpcModel[];
}

/** Entries of the tables in representation.ts that were met; the rest would be mistakes. */
type Used = Set<string>;

/** Reads the files at `paths`, relative to `protoDir`, which must import nothing outside of themselves. */
export function loadSchema(protoDir: string, paths: readonly string[]): FileModel[] {
  const root = new protobuf.Root();
  const sources = new Map<string, string>();
  // Types remember the file they came from by this static, which the library's types do not list.
  const parser: { filename?: string | null } & typeof protobuf.parse = protobuf.parse;
  for (const path of paths) {
    const source = readFileSync(join(protoDir, path), "utf8");
    sources.set(path, source);
    parser.filename = path;
    parser(source, root, { keepCase: true, alternateCommentMode: true });
  }
  parser.filename = null;
  root.resolveAll();
  const used: Used = new Set();
  const files = paths.map((path) => fileModel(root, path, sources.get(path) ?? "", used));
  checkTables(used);
  checkNames(files);
  return files;
}

function fileModel(root: protobuf.Root, path: string, source: string, used: Used): FileModel {
  const messages: MessageModel[] = [];
  const enums: EnumModel[] = [];
  const rpcs: RpcModel[] = [];
  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const child of namespace.nestedArray) {
      if (child instanceof protobuf.Type) {
        if (child.filename === path) {
          messages.push(messageModel(child, used));
          for (const field of child.fieldsArray) {
            if (field instanceof protobuf.MapField) messages.push(mapEntryModel(field, used));
          }
        }
        visit(child);
      } else if (child instanceof protobuf.Enum) {
        if (child.filename === path) enums.push(enumModel(child, used));
      } else if (child instanceof protobuf.Service) {
        if (child.filename === path) rpcs.push(...rpcModels(child, used));
      } else if (child instanceof protobuf.Namespace) {
        visit(child);
      }
    }
  };
  visit(root);
  return { path, comment: headComment(source, path), messages, enums, rpcs };
}

/** The comment lines a file begins with. */
function headComment(source: string, path: string): string {
  const lines: string[] = [];
  for (const line of source.split("\n")) {
    if (!line.startsWith("//")) break;
    lines.push(line.slice(2).trim());
  }
  if (lines.length === 0) throw new Error(`${path} begins with no comment`);
  return lines.join("\n");
}

function protoNameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.slice(1);
}

function typeName(object: protobuf.ReflectionObject, used: Used): string {
  const protoName = protoNameOf(object);
  used.add(protoName);
  return representation.typeNames.get(protoName) ?? object.name;
}

function messageModel(type: protobuf.Type, used: Used): MessageModel {
  const fields = type.fieldsArray.map((field) => fieldModel(field, used));
  return {
    name: typeName(type, used),
    protoName: protoNameOf(type),
    comment: type.comment ?? undefined,
    fields: fields.sort((a, b) => a.number - b.number),
  };
}

function fieldModel(field: protobuf.Field, used: Used): FieldModel {
  const protoName = protoNameOf(field);
  used.add(protoName);
  used.add(field.name);
  const base = {
    name: fieldName(field.name),
    number: field.id,
    explicit: representation.explicitFields.has(protoName),
    comment: field.comment ?? undefined,
  };
  if (field instanceof protobuf.MapField) {
    // On the wire a map is a repeated message of its entries, and so it is here.
    const messageType = mapEntryName(field, used);
    return {
      ...base,
      kind: "message",
      messageType,
      repeated: true,
      packed: false,
      oneofSiblings: undefined,
    };
  }
  const kind = kindOf(field, protoName);
  const { resolvedType } = field;
  return {
    ...base,
    kind,
    messageType: resolvedType instanceof protobuf.Type ? typeName(resolvedType, used) : undefined,
    repeated: field.repeated,
    packed: field.repeated && field.packed && isVarint(kind),
    oneofSiblings: field.partOf?.fieldsArray
      .filter((other) => other !== field)
      .map((other) => fieldName(other.name)),
  };
}

function mapEntryName(field: protobuf.MapField, used: Used): string {
  const word = fieldName(field.name);
  const parent = field.parent as protobuf.Type;
  return `${typeName(parent, used)}${word.charAt(0).toUpperCase()}${word.slice(1)}Entry`;
}

function mapEntryModel(field: protobuf.MapField, used: Used): MessageModel {
  if (field.keyType !== "string" || !(field.resolvedType instanceof protobuf.Type)) {
    throw new Error(`${field.fullName}: only maps from string to a message are built`);
  }
  const common = {
    repeated: false,
    packed: false,
    explicit: false,
    oneofSiblings: undefined,
    comment: undefined,
  };
  const messageType = typeName(field.resolvedType, used);
  return {
    name: mapEntryName(field, used),
    protoName: `${protoNameOf(field)} (map entry)`,
    comment: `One entry of the map \`${field.name}\`; the last of one key counts.`,
    fields: [
      { ...common, name: "key", number: 1, kind: "utf8", messageType: undefined },
      { ...common, name: "value", number: 2, kind: "message", messageType },
    ],
  };
}

export function isVarint(kind: Kind): boolean {
  return kind !== "latin1" && kind !== "utf8" && kind !== "bytes" && kind !== "message";
}

function kindOf(field: protobuf.Field, protoName: string): Kind {
  if (field.resolvedType instanceof protobuf.Type) return "message";
  if (field.resolvedType instanceof protobuf.Enum) return "int32";
  const isId = representation.bigintFields.has(field.name);
  switch (field.type) {
    case "bool":
    case "int32":
    case "uint32":
      return field.type;
    case "int64":
      if (isId) return "int64";
      return representation.clampedFields.has(protoName) ? "int53Clamped" : "int53";
    case "uint64":
      return isId ? "uint64" : "uint53";
    case "string":
      return "utf8";
    case "bytes":
      return representation.latin1Fields.has(field.name) ||
        representation.latin1FieldsOf.has(protoName)
        ? "latin1"
        : "bytes";
    default:
      throw new Error(`${protoName}: type ${field.type} is not built`);
  }
}

function enumModel(type: protobuf.Enum, used: Used): EnumModel {
  return {
    name: typeName(type, used),
    protoName: protoNameOf(type),
    comment: type.comment ?? undefined,
    values: Object.entries(type.values),
  };
}

function rpcModels(service: protobuf.Service, used: Used): RpcModel[] {
  return service.methodsArray.map((method) => {
    method.resolve();
    const { resolvedRequestType, resolvedResponseType } = method;
    if (resolvedRequestType === null || resolvedResponseType === null) {
      throw new Error(`${method.fullName}: types are not known`);
    }
    return {
      service: protoNameOf(service),
      method: method.name,
      requestStream: method.requestStream ?? false,
      responseStream: method.responseStream ?? false,
      requestType: typeName(resolvedRequestType, used),
      responseType: typeName(resolvedResponseType, used),
    };
  });
}

function checkTables(used: Used): void {
  const tables = [
    representation.bigintFields,
    representation.latin1Fields,
    representation.latin1FieldsOf,
    representation.clampedFields,
    representation.explicitFields,
    [...representation.typeNames.keys()],
  ];
  for (const name of tables.flatMap((table) => [...table])) {
    if (!used.has(name)) throw new Error(`representation.ts names ${name}, which no .proto has`);
  }
}

function checkNames(files: readonly FileModel[]): void {
  const seen = new Map<string, string>();
  for (const { name, protoName } of files.flatMap((f) => [...f.messages, ...f.enums])) {
    const other = seen.get(name);
    if (other !== undefined) {
      throw new Error(`${protoName} and ${other} are both called ${name}: see representation.ts`);
    }
    seen.set(name, protoName);
  }
}
