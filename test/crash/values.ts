// Values that name the write they come from: a token `<operation>.<index>.<length>` and bytes that follow from it.
//
// A value read back is either exactly the bytes of some token or damaged; so the rest of the harness works with tokens alone and
// never keeps large values.

import { Prng } from "../../src/base/index.ts";

/** Longest filling of one value in bytes; etcd takes requests up to 1.5 MiB. */
export const FILLING_BYTES_MAX: number = 1024 * 1024;

function randomBytes(): Buffer {
  const prng = new Prng(0xe7cd);
  const bytes = Buffer.alloc(FILLING_BYTES_MAX * 2);
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(prng.uint32(), i);
  return bytes;
}

const filling = randomBytes();
const HEAD = /^(\d+)\.(\d+)\.(\d+)$/;
/** The token and its `;` are shorter than this. */
const HEAD_BYTES_MAX = 48;

/** Token of the value that put number `index` of operation `operation` writes, with `length` bytes of filling. */
export function valueToken(operation: number, index: number, length: number): string {
  return `${operation}.${index}.${length}`;
}

function fillingOf(operation: number, index: number, length: number): Buffer {
  const offset = (operation * 7919 + index * 104_729) % FILLING_BYTES_MAX;
  return filling.subarray(offset, offset + length);
}

/** The bytes a token stands for. */
export function valueBytes(token: string): Buffer {
  const [operation = 0, index = 0, length = 0] = token.split(".").map(Number);
  return Buffer.concat([Buffer.from(`${token};`), fillingOf(operation, index, length)]);
}

/** The token of a value read back; text that is no token when the bytes are not those of one. */
export function tokenOf(value: Uint8Array): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const head = bytes.subarray(0, HEAD_BYTES_MAX).indexOf(";");
  const token = bytes.toString("latin1", 0, Math.max(head, 0));
  const match = HEAD.exec(token);
  if (match !== null) {
    const [operation, index, length] = match.slice(1).map(Number) as [number, number, number];
    if (bytes.subarray(head + 1).equals(fillingOf(operation, index, length))) return token;
  }
  return `damaged (${bytes.length} bytes) ${JSON.stringify(bytes.toString("latin1", 0, 60))}`;
}
