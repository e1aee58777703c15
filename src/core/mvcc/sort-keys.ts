// Sorts many keys at once: by three bytes at a time as machine integers, which beats comparing strings that share long prefixes.
//
// A group of keys that agree up to `depth` is sorted by its next three bytes: (bytes << 32 | id) as one uint64 in the engine's native
// sort; keys that still agree form the next groups. A byte counts as byte+1, so that the end of a key (0) sorts first: 9 bits each.

/** Groups up to this many are sorted by comparing. */
const SMALL = 24;
/** Bytes of a key looked at in one round: each takes 9 bits (0 = end of key). */
const DIGITS = 3;

interface Group {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** Sorts ids[0, count) by their keys, in place. Keys are distinct. */
export function sortByKey(ids: Uint32Array, count: number, keyOf: (id: number) => string): void {
  if (isSorted(ids, count, keyOf)) return;
  const pairs = new BigUint64Array(count);
  // Native order is little-endian on every platform Node runs on: low word first.
  const words = new Uint32Array(pairs.buffer);
  const groups: Group[] = [{ from: 0, to: count, depth: 0 }];
  for (;;) {
    const group = groups.pop();
    if (group === undefined) return;
    const { from, to } = group;
    if (to - from <= SMALL) {
      insertionSort(ids, from, to, keyOf);
      continue;
    }
    const depth = commonDepth(ids, group, keyOf);
    for (let i = from; i < to; i++) {
      const id = ids[i] as number;
      const key = keyOf(id);
      words[2 * i] = id;
      words[2 * i + 1] = digitsAt(key, depth);
    }
    pairs.subarray(from, to).sort();
    let start = from;
    for (let i = from; i < to; i++) {
      ids[i] = words[2 * i] as number;
      if (i > from && words[2 * i + 1] !== words[2 * i - 1]) {
        if (i - start > 1) groups.push({ from: start, to: i, depth: depth + DIGITS });
        start = i;
      }
    }
    if (to - start > 1) groups.push({ from: start, to, depth: depth + DIGITS });
  }
}

function digitsAt(key: string, depth: number): number {
  const left = key.length - depth;
  if (left >= 3) {
    return (
      ((key.charCodeAt(depth) + 1) << 18) |
      ((key.charCodeAt(depth + 1) + 1) << 9) |
      (key.charCodeAt(depth + 2) + 1)
    );
  }
  let digits = 0;
  if (left >= 1) digits = (key.charCodeAt(depth) + 1) << 18;
  if (left === 2) digits |= (key.charCodeAt(depth + 1) + 1) << 9;
  return digits;
}

function isSorted(ids: Uint32Array, count: number, keyOf: (id: number) => string): boolean {
  for (let i = 1; i < count; i++) {
    if (keyOf(ids[i - 1] as number) > keyOf(ids[i] as number)) return false;
  }
  return true;
}

/** How many bytes all keys of the group share, at least its depth. */
function commonDepth(ids: Uint32Array, group: Group, keyOf: (id: number) => string): number {
  const first = keyOf(ids[group.from] as number);
  let shared = first.length;
  for (let i = group.from + 1; i < group.to && shared > group.depth; i++) {
    const key = keyOf(ids[i] as number);
    let at = group.depth;
    const end = Math.min(shared, key.length);
    while (at < end && key.charCodeAt(at) === first.charCodeAt(at)) at++;
    shared = at;
  }
  return Math.max(shared, group.depth);
}

function insertionSort(
  ids: Uint32Array,
  from: number,
  to: number,
  keyOf: (id: number) => string,
): void {
  for (let i = from + 1; i < to; i++) {
    const id = ids[i] as number;
    const key = keyOf(id);
    let at = i;
    while (at > from && keyOf(ids[at - 1] as number) > key) {
      ids[at] = ids[at - 1] as number;
      at--;
    }
    ids[at] = id;
  }
}
