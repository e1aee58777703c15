// The 64-bit gate: where 64-bit integers of the wire become `number` or `bigint` and back.
//
// Counters (revisions, terms, indexes, sizes) are numbers and must be safe integers, ids are bigints. The two views below share eight
// bytes; going through them costs no allocation but the bigint itself, whose parts V8 then never handles as objects.

import { assert } from "../base/index.ts";

const signed = new BigInt64Array(1);
const unsigned = new BigUint64Array(signed.buffer);
const halves = new Uint32Array(signed.buffer);
const lowFirst = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const LOW = lowFirst ? 0 : 1;
const HIGH = lowFirst ? 1 : 0;

const TWO_32 = 0x1_0000_0000;
/** Upper halves of numbers in +-(2^53 - 1) lie below this, and at or above its complement when negative. */
const HIGH_HALF_END = 0x20_0000;

/**
 * The signed integer high:low as a number, NaN if it is beyond +-(2^53 - 1). Both halves are unsigned 32 bits.
 */
export function int64ToNumber(high: number, low: number): number {
  if (high < HIGH_HALF_END) return high * TWO_32 + low;
  const negative = (high | 0) * TWO_32 + low;
  return negative < 0 && negative >= Number.MIN_SAFE_INTEGER ? negative : Number.NaN;
}

/**
 * The same with values beyond the range moved to its nearest end. For fields of requests that are only compared with revisions or
 * limits, which never come near 2^53: the outcome equals that of the exact value.
 */
export function int64Clamped(high: number, low: number): number {
  const exact = int64ToNumber(high, low);
  if (!Number.isNaN(exact)) return exact;
  return high < 0x8000_0000 ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER;
}

/** The unsigned integer high:low as a number, NaN if it is beyond 2^53 - 1. */
export function uint64ToNumber(high: number, low: number): number {
  return high < HIGH_HALF_END ? high * TWO_32 + low : Number.NaN;
}

/** The signed integer high:low as a bigint. */
export function int64ToBigint(high: number, low: number): bigint {
  if (high === 0) return low === 0 ? 0n : BigInt(low);
  halves[LOW] = low;
  halves[HIGH] = high;
  return signed[0] as bigint;
}

/** The unsigned integer high:low as a bigint. */
export function uint64ToBigint(high: number, low: number): bigint {
  if (high === 0) return low === 0 ? 0n : BigInt(low);
  halves[LOW] = low;
  halves[HIGH] = high;
  return unsigned[0] as bigint;
}

/** Loads a bigint, signed or unsigned, modulo 2^64; `loadedLow` and `loadedHigh` then give its halves. */
export function loadBigint(value: bigint): void {
  unsigned[0] = value;
}

/** Loads a safe integer in two's complement. */
export function loadNumber(value: number): void {
  assert(Number.isSafeInteger(value), "a number to encode is a safe integer");
  halves[LOW] = value >>> 0;
  halves[HIGH] = Math.floor(value / TWO_32) >>> 0;
}

/** Lower half of what was loaded last. */
export function loadedLow(): number {
  return halves[LOW] as number;
}

/** Upper half of what was loaded last. */
export function loadedHigh(): number {
  return halves[HIGH] as number;
}
