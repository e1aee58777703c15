// Keys and pairs as a program holds them. On the wire and in our codecs a key is a latin1 string (one character, one byte); here a
// key is text (sent as UTF-8) or bytes, and always bytes when it comes back, so that no key is ever damaged.

import type { KeyValue } from "../proto/index.ts";

/** A key to send: text in UTF-8, or any bytes. */
export type Key = string | Uint8Array;

/** A value to send: text in UTF-8, or any bytes. */
export type Value = string | Uint8Array;

/** A key with its value, as of one revision. */
export interface Pair {
  readonly key: Buffer;
  /** Empty if only keys were asked for. */
  readonly value: Buffer;
  /** Revision at which this life of the key began; 0 in an event that deletes. */
  readonly createRevision: number;
  /** Revision of its last change. */
  readonly modRevision: number;
  /** Changes in this life, from 1. */
  readonly version: number;
  /** 0n for none. */
  readonly lease: bigint;
}

/** Which keys: exactly one unless told otherwise; `prefix`, `end` and `onward` exclude each other. */
export interface KeyRange {
  /** Every key that starts with the one given; all keys if that is empty. */
  readonly prefix?: boolean;
  /** Every key from the one given up to and without this. */
  readonly end?: Key;
  /** Every key from the one given on. */
  readonly onward?: boolean;
}

/** `key` as codecs take it. */
export function wireKey(key: Key): string {
  return bytesOf(key).toString("latin1");
}

/** `value` as codecs take it. */
export function bytesOf(value: Value): Buffer {
  if (typeof value === "string") return Buffer.from(value);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** `key` and `range` as the two fields of a request. */
export function wireRange(key: Key, range: KeyRange): { key: string; rangeEnd: string } {
  const start = wireKey(key);
  if (range.end !== undefined) return { key: start, rangeEnd: wireKey(range.end) };
  if (range.onward === true) return { key: start === "" ? "\0" : start, rangeEnd: "\0" };
  if (range.prefix !== true) return { key: start, rangeEnd: "" };
  return start === "" ? { key: "\0", rangeEnd: "\0" } : { key: start, rangeEnd: prefixEnd(start) };
}

/** A pair from the wire; the value is a view of the answer's bytes. */
export function pairOf(kv: KeyValue): Pair {
  return {
    key: Buffer.from(kv.key, "latin1"),
    value: bytesOf(kv.value),
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}

/** The first key behind all that start with `prefix`; a zero byte, which stands for "no end", if there is none. */
function prefixEnd(prefix: string): string {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length--;
  if (length === 0) return "\0";
  const last = prefix.charCodeAt(length - 1) + 1;
  return prefix.slice(0, length - 1) + String.fromCharCode(last);
}
