// Prints one message: interface, create, decode, size, write, encode, codec. What a value of each kind needs is in the table `kinds`.
//
// The printed decoder `merge<M>` works into an existing object, because a sub-message that occurs twice is merged; it is exported for
// other generated files only.

import type { FieldModel, Kind, MessageModel } from "./schema.ts";
import { isVarint } from "./schema.ts";

interface KindRow {
  /** TypeScript type. */
  readonly type: string;
  /** Default value. */
  readonly zero: string;
  /** Expression: `v` is not the default. */
  readonly isSet: (v: string) => string;
  /** Expression reading the value: at `p` for varints, `length` bytes at `at.pos` otherwise. */
  readonly read: string;
  /** Expression: bytes without the tag. */
  readonly size: (v: string) => string;
  /** Statement writing the value without the tag. */
  readonly write: (v: string) => string;
}

const nonZero = (v: string): string => `${v} !== 0`;
const nonEmpty = (v: string): string => `${v}.length !== 0`;
const nonZeroId = (v: string): string => `${v} !== 0n`;

function varintRow(type: string, zero: string, name: string, write: string): KindRow {
  return {
    type,
    zero,
    isSet: zero === "0n" ? nonZeroId : nonZero,
    read: `read${name}(buf, p, end)`,
    size: (v) => `size${write}(${v})`,
    write: (v) => `p = write${write}(buf, p, ${v});`,
  };
}

function bytesRow(type: string, zero: string, read: string, write: string): KindRow {
  return {
    type,
    zero,
    isSet: nonEmpty,
    read: `${read}(buf, at.pos, length)`,
    size: (v) => `sizeDelimited(${v}.length)`,
    write: (v) => `p = ${write}(buf, p, ${v});`,
  };
}

const kinds: Readonly<Record<Exclude<Kind, "message">, KindRow>> = {
  bool: {
    type: "boolean",
    zero: "false",
    isSet: (v) => v,
    read: "readBool(buf, p, end)",
    size: () => "1",
    write: (v) => `buf[p++] = ${v} ? 1 : 0;`,
  },
  int32: varintRow("number", "0", "Int32", "Int32"),
  uint32: varintRow("number", "0", "Uint32", "Uint32"),
  int53: varintRow("number", "0", "Int53", "Int53"),
  int53Clamped: varintRow("number", "0", "Int53Clamped", "Int53"),
  uint53: varintRow("number", "0", "Uint53", "Int53"),
  int64: varintRow("bigint", "0n", "Int64", "Bigint"),
  uint64: varintRow("bigint", "0n", "Uint64", "Bigint"),
  latin1: bytesRow("string", '""', "readLatin1", "writeLatin1"),
  bytes: bytesRow("Uint8Array", "EMPTY_BYTES", "viewBytes", "writeBytes"),
  utf8: {
    ...bytesRow("string", '""', "readUtf8", "writeUtf8"),
    size: (v) => `sizeDelimited(utf8Bytes(${v}))`,
  },
};

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

/** Kind row of a field that is no message. */
function rowOf(field: FieldModel): KindRow {
  if (field.kind === "message") throw new Error(`${field.name} is a message`);
  return kinds[field.kind];
}

function tagOf(field: FieldModel, wireType: number): number {
  return field.number * 8 + wireType;
}

/** The bytes of a tag as it is written. */
function tagBytes(tag: number): number[] {
  const bytes: number[] = [];
  let rest = tag;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

function indent(lines: readonly string[], depth: number): string[] {
  return lines.map((line) => (line === "" ? "" : "  ".repeat(depth) + line));
}

/** A doc comment of one or more lines. */
export function docComment(comment: string): string[] {
  const lines = comment.split("\n");
  if (lines.length === 1) return [`/** ${lines[0]} */`];
  return ["/**", ...lines.map((line) => ` * ${line}`.trimEnd()), " */"];
}

function fieldType(field: FieldModel): string {
  const type = field.messageType ?? rowOf(field).type;
  if (field.repeated) return `${type}[]`;
  const optional = field.kind === "message" || field.oneofSiblings !== undefined;
  return optional ? `${type} | undefined` : type;
}

function fieldZero(field: FieldModel): string {
  if (field.repeated) return "[]";
  const optional = field.kind === "message" || field.oneofSiblings !== undefined;
  return optional ? "undefined" : rowOf(field).zero;
}

function emitInterface(message: MessageModel): string[] {
  const lines = docComment(message.comment ?? `\`${message.protoName}\`.`);
  if (message.fields.length === 0) {
    lines.push(`export type ${message.name} = Record<string, never>;`);
    return lines;
  }
  lines.push(`export interface ${message.name} {`);
  for (const field of message.fields) {
    if (field.comment !== undefined) lines.push(...indent(docComment(field.comment), 1));
    lines.push(`  ${field.name}: ${fieldType(field)};`);
  }
  lines.push("}");
  return lines;
}

function emitCreate({ name, fields }: MessageModel): string[] {
  if (fields.length === 0) {
    return [
      `export function empty${name}(): ${name} {`,
      "  return {};",
      "}",
      "",
      `export function create${name}(): ${name} {`,
      "  return {};",
      "}",
    ];
  }
  // Two literals with the same names in the same order: V8 gives their objects one shape.
  const zeros = fields.map((f) => `    ${f.name}: ${fieldZero(f)},`);
  const given = fields.map((f) => {
    const zero = fieldZero(f);
    return `    ${f.name}: init.${f.name}${zero === "undefined" ? "" : ` ?? ${zero}`},`;
  });
  return [
    `export function empty${name}(): ${name} {`,
    "  return {",
    ...zeros,
    "  };",
    "}",
    "",
    "/** Every field present: as in `init`, or else its default. */",
    `export function create${name}(init?: Partial<${name}>): ${name} {`,
    `  if (init === undefined) return empty${name}();`,
    "  return {",
    ...given,
    "  };",
    "}",
  ];
}

function clearSiblings(field: FieldModel): string[] {
  return (field.oneofSiblings ?? []).map((sibling) => `m.${sibling} = undefined;`);
}

/** Cases of the decoder's switch for one field. */
function decodeCases(message: MessageModel, field: FieldModel): string[] {
  const path = JSON.stringify(`${message.name}.${field.name}`);
  if (field.kind === "message") return decodeMessageCase(field, field.messageType ?? "", path);
  const { read } = rowOf(field);
  const store = field.repeated ? `m.${field.name}.push(${read});` : `m.${field.name} = ${read};`;
  if (!isVarint(field.kind)) {
    return [
      `case ${tagOf(field, WIRE_BYTES)}: {`,
      "  const length = readLength(buf, p, end);",
      `  if (length < 0) return fault(${path});`,
      `  ${store}`,
      ...indent(clearSiblings(field), 1),
      "  p = at.pos;",
      ...(field.kind === "utf8" ? [`  if (p < 0) return fault(${path});`] : []),
      "  break;",
      "}",
    ];
  }
  const lines = [
    `case ${tagOf(field, WIRE_VARINT)}:`,
    `  ${store}`,
    ...indent(clearSiblings(field), 1),
    "  p = at.pos;",
    `  if (p < 0) return fault(${path});`,
    "  break;",
  ];
  return field.repeated ? [...lines, ...decodePackedCase(field, store, path)] : lines;
}

function decodePackedCase(field: FieldModel, store: string, path: string): string[] {
  return [
    `case ${tagOf(field, WIRE_BYTES)}: {`,
    "  const length = readLength(buf, p, end);",
    `  if (length < 0) return fault(${path});`,
    "  p = at.pos;",
    "  const stop = p + length;",
    "  while (p < stop) {",
    `    ${store.replace("(buf, p, end)", "(buf, p, stop)")}`,
    "    p = at.pos;",
    `    if (p < 0) return fault(${path});`,
    "  }",
    "  break;",
    "}",
  ];
}

function decodeMessageCase(field: FieldModel, type: string, path: string): string[] {
  const target = field.repeated ? `empty${type}()` : `m.${field.name} ?? empty${type}()`;
  return [
    `case ${tagOf(field, WIRE_BYTES)}: {`,
    "  const length = readLength(buf, p, end);",
    `  if (length < 0) return fault(${path});`,
    `  if (depth >= MESSAGE_DEPTH_MAX) return depthFault(${path}, p);`,
    "  p = at.pos + length;",
    `  const sub = ${target};`,
    `  const bad = merge${type}(sub, buf, at.pos, p, depth + 1);`,
    "  if (bad !== undefined) return bad;",
    field.repeated ? `  m.${field.name}.push(sub);` : `  m.${field.name} = sub;`,
    ...indent(clearSiblings(field), 1),
    "  break;",
    "}",
  ];
}

function emitDecode(message: MessageModel): string[] {
  const { name, fields } = message;
  const skip = [
    "p = skipField(buf, p, end, tag, depth);",
    `if (p < 0) return fault(${JSON.stringify(name)});`,
  ];
  const body =
    fields.length === 0
      ? indent(skip, 2)
      : [
          "    switch (tag) {",
          ...indent(
            fields.flatMap((field) => decodeCases(message, field)),
            3,
          ),
          "      default:",
          ...indent(skip, 4),
          "    }",
        ];
  return [
    `export function merge${name}(`,
    `  ${fields.length === 0 ? "_" : ""}m: ${name},`,
    "  buf: Uint8Array,",
    "  start: number,",
    "  end: number,",
    "  depth: number,",
    "): ProtoError | undefined {",
    "  let p = start;",
    "  while (p < end) {",
    "    let tag = buf[p++] as number;",
    "    if (tag >= 0x80) {",
    "      tag = readTag(buf, p - 1, end);",
    "      p = at.pos;",
    "    }",
    ...body,
    "  }",
    "  return undefined;",
    "}",
    "",
    `/** Decodes buf[start, end); byte values are views of \`buf\`. */`,
    `export function decode${name}(buf: Uint8Array, start: number, end: number): ${name} | ProtoError {`,
    `  const m = empty${name}();`,
    `  return merge${name}(m, buf, start, end, 0) ?? m;`,
    "}",
  ];
}

/** Statements under the condition that makes a field be written. */
function guarded(field: FieldModel, body: (v: string) => string[]): string[] {
  const v = `m.${field.name}`;
  if (field.repeated) return [`for (const v of ${v}) {`, ...indent(body("v"), 1), "}"];
  if (field.kind === "message" || field.oneofSiblings !== undefined) {
    return [`if (${v} !== undefined) {`, ...indent(body(v), 1), "}"];
  }
  if (field.explicit) return body(v);
  return [`if (${rowOf(field).isSet(v)}) {`, ...indent(body(v), 1), "}"];
}

function sizeField(field: FieldModel): string[] {
  const tagSize = tagBytes(tagOf(field, WIRE_VARINT)).length;
  if (field.packed) {
    return [
      `if (m.${field.name}.length !== 0) {`,
      "  let packed = 0;",
      `  for (const v of m.${field.name}) packed += ${rowOf(field).size("v")};`,
      `  size += ${tagSize} + sizeDelimited(packed);`,
      "}",
    ];
  }
  return guarded(field, (v) => {
    const bytes =
      field.kind === "message"
        ? `sizeDelimited(size${field.messageType}(${v}))`
        : rowOf(field).size(v);
    return [`size += ${tagSize} + ${bytes};`];
  });
}

function writeField(field: FieldModel): string[] {
  const wireType = field.packed || !isVarint(field.kind) ? WIRE_BYTES : WIRE_VARINT;
  const tag = tagBytes(tagOf(field, wireType)).map((byte) => `buf[p++] = ${byte};`);
  if (field.packed) {
    return [
      `if (m.${field.name}.length !== 0) {`,
      "  let packed = 0;",
      `  for (const v of m.${field.name}) packed += ${rowOf(field).size("v")};`,
      ...indent(tag, 1),
      "  p = writeUint32(buf, p, packed);",
      `  for (const v of m.${field.name}) ${rowOf(field).write("v")}`,
      "}",
    ];
  }
  return guarded(field, (v) =>
    field.kind === "message"
      ? [
          ...tag,
          `p = writeUint32(buf, p, size${field.messageType}(${v}));`,
          `p = write${field.messageType}(${v}, buf, p);`,
        ]
      : [...tag, rowOf(field).write(v)],
  );
}

function emitEncode({ name, fields }: MessageModel): string[] {
  const head = [`/** Encoded size in bytes. */`];
  const tail = [
    "",
    `/** The message in its own buffer. */`,
    `export function encode${name}(m: ${name}): Uint8Array {`,
    `  const buf = Buffer.allocUnsafe(size${name}(m));`,
    `  write${name}(m, buf, 0);`,
    "  return buf;",
    "}",
  ];
  if (fields.length === 0) {
    return [
      ...head,
      `export function size${name}(_m: ${name}): number {`,
      "  return 0;",
      "}",
      "",
      "/** Writes nothing; returns `pos`. */",
      `export function write${name}(_m: ${name}, _buf: Uint8Array, pos: number): number {`,
      "  return pos;",
      "}",
      ...tail,
    ];
  }
  return [
    ...head,
    `export function size${name}(m: ${name}): number {`,
    "  let size = 0;",
    ...indent(fields.flatMap(sizeField), 1),
    "  return size;",
    "}",
    "",
    `/** Writes size${name}(m) bytes at \`pos\`; returns the position after them. */`,
    `export function write${name}(m: ${name}, buf: Uint8Array, pos: number): number {`,
    "  let p = pos;",
    ...indent(fields.flatMap(writeField), 1),
    "  return p;",
    "}",
    ...tail,
  ];
}

/** Everything of one message, as lines. */
export function emitMessage(message: MessageModel): string[] {
  const { name } = message;
  return [
    ...emitInterface(message),
    "",
    ...emitCreate(message),
    "",
    ...emitDecode(message),
    "",
    ...emitEncode(message),
    "",
    `export const ${name}Codec: Codec<${name}> = {`,
    `  size: size${name},`,
    `  write: write${name},`,
    `  decode: decode${name},`,
    "};",
    "",
  ];
}
