// Immutable sets of node ids, kept as ascending arrays without repetition.
//
// Groups have a handful of members, so a linear scan beats hashing, the order is the order of every list a person sees, and
// sharing an array between two configurations needs no copy.

/** Node ids, ascending, each once. Never mutated: every operation returns a set, possibly the same one. */
export type IdSet = readonly bigint[];

/** The set with no ids. */
export const NO_IDS: IdSet = [];

/** The set of the ids in `ids`, which may come in any order and repeat. */
export function idSet(ids: Iterable<bigint>): IdSet {
  const sorted = [...new Set(ids)].sort((a, b) => (a < b ? -1 : 1));
  return sorted.length === 0 ? NO_IDS : sorted;
}

/** `set` with `id`. */
export function addId(set: IdSet, id: bigint): IdSet {
  return set.includes(id) ? set : idSet([...set, id]);
}

/** `set` without `id`. */
export function removeId(set: IdSet, id: bigint): IdSet {
  return set.includes(id) ? set.filter((other) => other !== id) : set;
}

/** Ids in `a` or in `b`. */
export function unionIds(a: IdSet, b: IdSet): IdSet {
  if (b.length === 0) return a;
  return idSet([...a, ...b]);
}

/** How many ids are in exactly one of the two sets. */
export function countDifferingIds(a: IdSet, b: IdSet): number {
  let shared = 0;
  for (const id of a) if (b.includes(id)) shared++;
  return a.length + b.length - 2 * shared;
}

/** Ids in hexadecimal, as logs show them: `(1 2 a)`. */
export function describeIds(set: IdSet): string {
  return `(${set.map((id) => id.toString(16)).join(" ")})`;
}
