// Key to key id, for points. Many maps instead of one: V8 doubles a map in one go, which for one map of a million keys holds up the
// turn for 100 ms and more (measured), and a map holds 2^24 entries at most.

/** log2 of the number of maps. */
const SHARD_BITS = 6;

/** Which map a key belongs to; chars from its end and middle, since keys share their beginnings. */
function shardOf(key: string): number {
  const n = key.length;
  if (n < 8) return n === 0 ? 0 : key.charCodeAt(n - 1) & ((1 << SHARD_BITS) - 1);
  const h =
    key.charCodeAt(n - 1) +
    31 * key.charCodeAt(n - 2) +
    961 * key.charCodeAt(n - 4) +
    29_791 * key.charCodeAt(n >>> 1) +
    923_521 * key.charCodeAt(n - 6);
  return Math.imul(h, 0x9e37_79b1) >>> (32 - SHARD_BITS);
}

export class PointMap {
  readonly #shards: Map<string, number>[] = Array.from(
    { length: 1 << SHARD_BITS },
    () => new Map<string, number>(),
  );

  get(key: string): number | undefined {
    return (this.#shards[shardOf(key)] as Map<string, number>).get(key);
  }

  set(key: string, id: number): void {
    (this.#shards[shardOf(key)] as Map<string, number>).set(key, id);
  }

  /** True if the key was there. */
  delete(key: string): boolean {
    return (this.#shards[shardOf(key)] as Map<string, number>).delete(key);
  }
}
