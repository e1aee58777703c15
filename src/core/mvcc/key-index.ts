// The keys: a hash map for points and sorted leaves for ranges. A key has a small number, its id; everything else about it lies in
// typed arrays by id. Keys are latin1 strings: one char a byte, so string order is byte order.
//
// Two levels: `firsts[i]` is the smallest key of leaf i, a leaf is an ascending run of key ids. `live` counts the keys of a leaf that
// exist now (their last change is not a tombstone), which makes counting a range O(leaves). Changing an existing key touches no leaf.

import { assert, must } from "../../base/index.ts";
import { PointMap } from "./point-map.ts";
import { KEY_IDS_MAX, NO_ROW } from "./rows.ts";

/** Ids in one chunk of the per-key arrays: fixed chunks, so that nothing large is ever doubled. */
const KEYS_PER_CHUNK = 65_536;

/** An ascending run of key ids. */
export interface Leaf {
  readonly ids: Uint32Array;
  count: number;
  live: number;
}

export class KeyIndex {
  readonly #leafKeysMax: number;
  readonly #map: PointMap = new PointMap();
  /** Keys from here on may be missing from the map, which a restore fills afterwards; undefined: none. */
  #unmapped: string | undefined;
  readonly #strings: string[][] = [];
  readonly #latest: Float64Array[] = [];
  #idCount = 0;
  readonly #freeIds: number[] = [];
  /** Smallest key of each leaf at the time the leaf was made or got a smaller key; never above its smallest key. */
  firsts: string[] = [];
  leaves: Leaf[] = [];
  #keyCount = 0;

  constructor(leafKeysMax: number) {
    assert(leafKeysMax >= 4, "a leaf can be split");
    this.#leafKeysMax = leafKeysMax;
  }

  /** Keys in the index, those whose last change is a tombstone included. */
  get keyCount(): number {
    return this.#keyCount;
  }

  /** Ids are below this. */
  get idCount(): number {
    return this.#idCount;
  }

  /** Id of `key`, undefined if it is not in the index. */
  get(key: string): number | undefined {
    const id = this.#map.get(key);
    if (id !== undefined || this.#unmapped === undefined) return id;
    return key < this.#unmapped ? undefined : this.#search(key);
  }

  /** Finds a key in the leaves. */
  #search(key: string): number | undefined {
    const leaf = this.leaves[this.leafOf(key)];
    if (leaf === undefined) return undefined;
    const slot = this.slotIn(leaf, key);
    if (slot === leaf.count) return undefined;
    const id = leaf.ids[slot] as number;
    return this.keyOf(id) === key ? id : undefined;
  }

  /** Puts about `keysMax` keys of the leaves into the map; true when none is missing. */
  fillMap(keysMax: number): boolean {
    let left = keysMax;
    while (this.#unmapped !== undefined) {
      const place = this.leafOf(this.#unmapped);
      const leaf = this.leaves[place];
      if (leaf === undefined) {
        this.#unmapped = undefined;
        break;
      }
      for (let slot = this.slotIn(leaf, this.#unmapped); slot < leaf.count; slot++) {
        const id = leaf.ids[slot] as number;
        this.#map.set(this.keyOf(id), id);
        left--;
      }
      this.#unmapped = this.firsts[place + 1];
      if (left <= 0) break;
    }
    return this.#unmapped === undefined;
  }

  keyOf(id: number): string {
    return (this.#strings[id >>> 16] as string[])[id & 0xffff] as string;
  }

  /** Row of the last change of the key. */
  latest(id: number): number {
    return (this.#latest[id >>> 16] as Float64Array)[id & 0xffff] as number;
  }

  setLatest(id: number, row: number): void {
    (this.#latest[id >>> 16] as Float64Array)[id & 0xffff] = row;
  }

  /** Gives `key`, which must be new, an id, but no place in map or leaves: `insertSorted` or `bulkLoad` follows. */
  register(key: string): number {
    let id = this.#freeIds.pop();
    if (id === undefined) {
      id = this.#idCount++;
      assert(id < KEY_IDS_MAX, "key ids fit their bits");
      if (id % KEYS_PER_CHUNK === 0) {
        this.#strings.push([]);
        this.#latest.push(new Float64Array(KEYS_PER_CHUNK));
      }
    }
    (this.#strings[id >>> 16] as string[])[id & 0xffff] = key;
    this.setLatest(id, NO_ROW);
    this.#keyCount++;
    return id;
  }

  /** Adds a new key that exists now. */
  insert(key: string): number {
    const id = this.register(key);
    this.#map.set(key, id);
    this.insertSorted(id).live++;
    return id;
  }

  /** Puts a registered id in its leaf, not yet counted as live; returns the leaf. */
  insertSorted(id: number): Leaf {
    const key = this.keyOf(id);
    if (this.leaves.length === 0) this.#addLeaf(0, key);
    let place = this.leafOf(key);
    let leaf = this.leaves[place] as Leaf;
    let slot = this.slotIn(leaf, key);
    if (leaf.count === this.#leafKeysMax) {
      if (place === this.leaves.length - 1 && slot === leaf.count) {
        // Ascending inserts leave full leaves behind.
        leaf = this.#addLeaf(++place, key);
        slot = 0;
      } else {
        this.#split(place);
        place = this.leafOf(key);
        leaf = this.leaves[place] as Leaf;
        slot = this.slotIn(leaf, key);
      }
    }
    leaf.ids.copyWithin(slot + 1, slot, leaf.count);
    leaf.ids[slot] = id;
    leaf.count++;
    if (slot === 0) this.firsts[place] = key;
    return leaf;
  }

  #addLeaf(place: number, first: string): Leaf {
    const leaf: Leaf = { ids: new Uint32Array(this.#leafKeysMax), count: 0, live: 0 };
    this.leaves.splice(place, 0, leaf);
    this.firsts.splice(place, 0, first);
    return leaf;
  }

  /** Halves leaf `place`; how many of each half are live is asked of the rows through `isLive`. */
  #split(place: number): void {
    const left = this.leaves[place] as Leaf;
    const half = left.count >>> 1;
    const right = this.#addLeaf(place + 1, this.keyOf(left.ids[half] as number));
    right.ids.set(left.ids.subarray(half, left.count));
    right.count = left.count - half;
    left.count = half;
    if (left.live === half + right.count) {
      right.live = right.count;
    } else {
      for (let i = 0; i < right.count; i++) {
        if (this.isLive(right.ids[i] as number)) right.live++;
      }
    }
    left.live -= right.live;
  }

  /** True if the key of `id` exists now; set by the store, since only rows know. */
  isLive: (id: number) => boolean = () => true;

  /** Adds `change` to the live count of the key's leaf. */
  countLive(key: string, change: 1 | -1): void {
    const leaf = must(this.leaves[this.leafOf(key)], "a key of the index has a leaf");
    leaf.live += change;
  }

  /** Removes a key whose last change is a tombstone. Its id stays taken until `freeIds`. */
  remove(key: string): void {
    this.#map.delete(key);
    this.#keyCount--;
    const place = this.leafOf(key);
    const leaf = must(this.leaves[place], "a key of the index has a leaf");
    const slot = this.slotIn(leaf, key);
    assert(
      slot < leaf.count && this.keyOf(leaf.ids[slot] as number) === key,
      "a removed key was in its leaf",
    );
    leaf.ids.copyWithin(slot, slot + 1, leaf.count);
    leaf.count--;
    if (leaf.count === 0) {
      this.leaves.splice(place, 1);
      this.firsts.splice(place, 1);
    }
  }

  /** Lets ids of removed keys be given out again. */
  freeIds(ids: readonly number[]): void {
    for (const id of ids) {
      (this.#strings[id >>> 16] as string[])[id & 0xffff] = "";
      this.#freeIds.push(id);
    }
  }

  /** Place of the leaf that holds `key` if any does: the last one whose first key is <= `key`, else 0. */
  leafOf(key: string): number {
    const firsts = this.firsts;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if ((firsts[mid] as string) <= key) low = mid + 1;
      else high = mid;
    }
    return low === 0 ? 0 : low - 1;
  }

  /** First slot of `leaf` whose key is >= `key`; its count if none. */
  slotIn(leaf: Leaf, key: string): number {
    let low = 0;
    let high = leaf.count;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (this.keyOf(leaf.ids[mid] as number) < key) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /**
   * Replaces all leaves by ones over `sortedIds`, not counted as live: `recountLive` follows. Their keys are found in the leaves until
   * `fillMap` has put them into the map.
   */
  bulkLoad(sortedIds: Uint32Array, count: number): void {
    this.leaves = [];
    this.firsts = [];
    this.#unmapped = "";
    // Three quarters full: the next inserts in between do not split at once.
    const fill = Math.max(2, Math.floor((this.#leafKeysMax * 3) / 4));
    for (let from = 0; from < count; from += fill) {
      const size = Math.min(fill, count - from);
      const leaf: Leaf = { ids: new Uint32Array(this.#leafKeysMax), count: size, live: 0 };
      leaf.ids.set(sortedIds.subarray(from, from + size));
      this.leaves.push(leaf);
      this.firsts.push(this.keyOf(leaf.ids[0] as number));
    }
  }

  /** Counts the live keys of every leaf anew. */
  recountLive(): void {
    for (const leaf of this.leaves) {
      leaf.live = 0;
      for (let i = 0; i < leaf.count; i++) if (this.isLive(leaf.ids[i] as number)) leaf.live++;
    }
  }

  /** Live keys with from <= key < to (`to` undefined: no bound), from the leaves' counts. Cost: O(leaves). */
  countRange(from: string, to: string | undefined): number {
    if (this.leaves.length === 0 || (to !== undefined && to <= from)) return 0;
    const first = this.leafOf(from);
    const last = to === undefined ? this.leaves.length - 1 : this.leafOf(to);
    let count = 0;
    for (let place = first; place <= last; place++) {
      const leaf = this.leaves[place] as Leaf;
      const whole = place !== first && (place !== last || to === undefined);
      count += whole ? leaf.live : this.#countIn(leaf, from, to);
    }
    return count;
  }

  #countIn(leaf: Leaf, from: string, to: string | undefined): number {
    const start = this.slotIn(leaf, from);
    const end = to === undefined ? leaf.count : this.slotIn(leaf, to);
    if (leaf.live === leaf.count) return Math.max(0, end - start);
    let count = 0;
    for (let i = start; i < end; i++) if (this.isLive(leaf.ids[i] as number)) count++;
    return count;
  }
}
