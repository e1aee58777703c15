// The marker row every backend batch carries: which batch it is and where the store stands in the Raft log once it is in.
//
// Markers go round in a ring of slots, so that the last RING batches each leave their own: at open they must form an unbroken chain, or
// a batch before the newest is missing and the store is refused. Marker and rows of a batch are one LevelDB write: both or neither.
// Source: reference reliability.md B.3 rule 4, B.4.

import { type ConfState, decodeConfState, encodeConfState, ProtoError } from "../proto/index.ts";
import type { AppliedMark } from "../server/ports.ts";

/**
 * Slots of the ring. A store can lose only batches of logs it has not yet turned to tables, two write buffers full, and those logs are
 * checked record by record as well (leveldb/log-check.ts); reading all slots takes a few milliseconds.
 */
export const MARKER_RING = 4096;

/** First byte of the store's own rows; no bucket has it. */
export const OWN_BUCKET = 0;
const MARKER_KIND = 0x6d;
const VERSION = 1;
const FIXED_BYTES = 1 + 4 * 8;

/** One batch: its number and where the store stands after it. */
export interface Marker {
  /** Number of the batch, from 1. */
  readonly number: number;
  /** Applied index of the batch before. */
  readonly from: number;
  readonly mark: AppliedMark;
}

/** Bounds of all marker keys: from <= key < to. */
export const MARKER_RANGE: { readonly from: Buffer; readonly to: Buffer } = {
  from: Buffer.from([OWN_BUCKET, MARKER_KIND]),
  to: Buffer.from([OWN_BUCKET, MARKER_KIND + 1]),
};

/** The key of batch `number`'s marker, without the bucket byte. */
export function markerKey(number: number): Buffer {
  const slot = number % MARKER_RING;
  return Buffer.from([MARKER_KIND, slot >>> 8, slot & 0xff]);
}

/** The value of a marker row. */
export function encodeMarker(marker: Marker): Buffer {
  const { mark } = marker;
  const conf = mark.confState === undefined ? undefined : encodeConfState(mark.confState);
  const buf = Buffer.alloc(FIXED_BYTES + (conf?.length ?? 0));
  buf[0] = VERSION | (conf === undefined ? 0 : 0x80);
  buf.writeBigUInt64LE(BigInt(marker.number), 1);
  buf.writeBigUInt64LE(BigInt(marker.from), 9);
  buf.writeBigUInt64LE(BigInt(mark.index), 17);
  buf.writeBigUInt64LE(BigInt(mark.term), 25);
  if (conf !== undefined) buf.set(conf, FIXED_BYTES);
  return buf;
}

/** The marker, or what is wrong with it. */
export function decodeMarker(value: Uint8Array): Marker | string {
  if (value.length < FIXED_BYTES) return "a marker is too short";
  const buf = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (((buf[0] as number) & 0x7f) !== VERSION) return `store format ${buf[0]} is not known`;
  const numbers = [1, 9, 17, 25].map((at) => Number(buf.readBigUInt64LE(at)));
  if (!numbers.every(Number.isSafeInteger)) return "a marker is out of range";
  const [number, from, index, term] = numbers as [number, number, number, number];
  let confState: ConfState | undefined;
  if (((buf[0] as number) & 0x80) !== 0) {
    const conf = decodeConfState(buf, FIXED_BYTES, buf.length);
    if (conf instanceof ProtoError) return conf.message;
    confState = conf;
  }
  return { number, from, mark: { index, term, confState } };
}

/** The newest of all markers found, or why they are not the markers of a whole store; undefined if there are none. */
export function newestMarker(markers: readonly Marker[]): Marker | string | undefined {
  const byNumber = new Map(markers.map((m) => [m.number, m]));
  let newest: Marker | undefined;
  for (const marker of markers) {
    if (newest === undefined || marker.number > newest.number) newest = marker;
  }
  if (newest === undefined) return undefined;
  const oldest = Math.max(1, newest.number - MARKER_RING + 1);
  for (let marker = newest; marker.number > oldest; ) {
    const before = byNumber.get(marker.number - 1);
    if (before === undefined) {
      return `batch ${marker.number - 1} is missing although batch ${newest.number} is there`;
    }
    if (before.mark.index !== marker.from) {
      return `batch ${marker.number} follows applied index ${marker.from}, batch ${before.number} ends at ${before.mark.index}`;
    }
    marker = before;
  }
  return newest;
}
