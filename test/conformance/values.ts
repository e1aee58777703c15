// Where a run's keys, ranges, values, revisions and ids come from: small pools, so that steps meet each other, with hostile members.

import type { Prng } from "../../src/base/index.ts";
import type { FieldValue, RequestFields, Token } from "./ops.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

/** Keys most steps use. */
const hotKeys: readonly Buffer[] = ["a", "b", "c", "a/1", "a/2", "a/3", "b/1", "zz"].map(latin1);

/** Keys at the edges of the order, of the encoding and of the length. */
const oddKeys: readonly Buffer[] = [
  "\0",
  "\0\0",
  "\xff",
  "\xff\xff",
  "a\0",
  "a/\xff",
  "\xc3\xa9",
  "\xc3",
  "a".repeat(300),
  "registry/pods/default/" + "x".repeat(80),
].map(latin1);

/** Integers at the edges of what a field, or a double, can hold. */
const hugeIntegers: readonly string[] = [
  "9223372036854775807",
  "-9223372036854775808",
  "9007199254740993",
  "-9007199254740993",
  "4294967296",
  "2147483648",
];

/** Lease ids a run grants, uses and revokes; any int64 but 0 is a valid id. */
const leaseIds: readonly string[] = ["1", "2", "3", "4", "5", "6", "-5", "9223372036854775807"];

/** An int64 nobody would send on purpose. */
export function hugeInteger(prng: Prng): string {
  return prng.pick([...hugeIntegers, "-1", "-2"]);
}

/** Key `n` of a family large enough for chunks and for sorting. */
function numberedKey(n: number): Buffer {
  return latin1(`k/${String(n).padStart(3, "0")}`);
}

/** A key that is not empty. */
export function someKey(prng: Prng): Buffer {
  const kind = prng.below(100);
  if (kind < 60) return prng.pick(hotKeys);
  if (kind < 75) return prng.pick(oddKeys);
  return numberedKey(prng.below(40));
}

/** A key, now and then the empty one, which is refused. */
export function anyKey(prng: Prng): Buffer {
  return prng.chance(0.015) ? Buffer.alloc(0) : someKey(prng);
}

/** The end of the range of all keys with prefix `key`. */
function prefixEnd(key: Buffer): Buffer {
  const end = Buffer.from(key);
  for (let i = end.length - 1; i >= 0; i--) {
    const b = end[i] as number;
    if (b < 0xff) {
      end[i] = b + 1;
      return end.subarray(0, i + 1);
    }
  }
  return latin1("\0");
}

/** `key` and `range_end` of a request, of every shape: one key, prefix, from-key, all, empty, turned around. */
export function someRange(prng: Prng): RequestFields {
  const key = anyKey(prng);
  const kind = prng.below(100);
  if (kind < 30) return { key };
  if (kind < 50) return { key, range_end: prefixEnd(key.subarray(0, 1)) };
  if (kind < 60) return { key, range_end: prefixEnd(key) };
  if (kind < 70) return { key, range_end: latin1("\0") };
  if (kind < 78) return { key: latin1("\0"), range_end: latin1("\0") };
  if (kind < 84) return { key: latin1("k/"), range_end: latin1("k0") };
  if (kind < 86) return { key, range_end: key };
  if (kind < 89) return { key, range_end: latin1(`${key.toString("latin1")}\0`) };
  if (kind < 91) return { key, range_end: latin1("\0\0") };
  return { key, range_end: someKey(prng) };
}

/** A range that a watcher accepts: never empty, never turned around. */
export function watchRange(prng: Prng): RequestFields {
  const kind = prng.below(10);
  const key = someKey(prng);
  if (kind < 4) return { key };
  if (kind < 6) return { key: latin1("a"), range_end: latin1("b") };
  if (kind < 7) return { key, range_end: latin1("\0") };
  if (kind < 8) return { key: latin1("k/"), range_end: latin1("k0") };
  if (kind < 9) return { range_end: latin1("\0") };
  return { key: latin1("\0"), range_end: latin1("\0") };
}

/** A value: mostly short and of a small set (so that values tie when sorted by), sometimes empty, binary or long. */
export function someValue(prng: Prng): Buffer {
  const kind = prng.below(1000);
  if (kind < 500) return latin1(`v${prng.below(12)}`);
  if (kind < 800) return latin1(`value-${prng.uint32()}`);
  if (kind < 870) return Buffer.alloc(0);
  if (kind < 930) return Buffer.from([0, 0xff, prng.below(256), 0x80]);
  if (kind < 990) return Buffer.alloc(1 + prng.below(300), prng.below(256));
  return Buffer.alloc(kind < 998 ? 5_000 : 70_000, 0x78);
}

/** A lease id: granted or not, now and then one no run grants. */
export function someLease(prng: Prng): string {
  return prng.chance(0.06) ? hugeInteger(prng) : prng.pick(leaseIds);
}

/** A revision to read at: the newest, a recent one, one at the edge of what is readable, or nonsense. */
export function someRevision(prng: Prng): FieldValue | undefined {
  const kind = prng.below(100);
  if (kind < 62) return undefined;
  if (kind < 84) return { $: "current", add: -prng.below(25) } satisfies Token;
  if (kind < 88) return { $: "current", add: 1 } satisfies Token;
  if (kind < 96) return { $: "compacted", add: prng.below(3) - 1 } satisfies Token;
  return hugeInteger(prng);
}
