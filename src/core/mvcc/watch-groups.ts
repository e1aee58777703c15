// Who watches what: groups of watchers that get the same events (same range, filters, prev_kv), found by key through a map for single
// keys and a tree of intervals for ranges. Finding the groups of a key costs the depth of the tree and the hits, never a scan.

import { must, Prng } from "../../base/index.ts";
import { type KeyRange, keyRange } from "./range.ts";

/** What a group is keyed by. */
export interface WatchShape {
  readonly key: string;
  readonly rangeEnd: string;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
}

/** Watchers that get the same events. */
export interface WatchGroup<T> {
  readonly shape: WatchShape;
  readonly range: KeyRange;
  readonly members: Set<T>;
}

/** Groups of one key or range, one per combination of filters and prev_kv. */
type Variants<T> = (WatchGroup<T> | undefined)[];

function variantOf(shape: WatchShape): number {
  return (shape.noPut ? 1 : 0) + (shape.noDelete ? 2 : 0) + (shape.prevKv ? 4 : 0);
}

interface Node<T> {
  readonly range: KeyRange;
  readonly variants: Variants<T>;
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** Largest end below and here; undefined: no bound. */
  reach: string | undefined;
}

/** Groups of watchers `T`. */
export class WatchGroups<T> {
  readonly #points: Map<string, Variants<T>> = new Map();
  #root: Node<T> | undefined;
  /** Priorities of the treap; any fixed seed will do. */
  readonly #prng: Prng = new Prng(0x7ea9);
  #groupCount = 0;

  /** Groups with members. */
  get groupCount(): number {
    return this.#groupCount;
  }

  /** Adds a member to the group of `shape` and returns the group. */
  add(shape: WatchShape, member: T): WatchGroup<T> {
    const range = keyRange(shape.key, shape.rangeEnd);
    const variants = range.point ? this.#pointVariants(shape.key) : this.#rangeVariants(range);
    const variant = variantOf(shape);
    let group = variants[variant];
    if (group === undefined) {
      group = { shape, range, members: new Set() };
      variants[variant] = group;
      this.#groupCount++;
    }
    group.members.add(member);
    return group;
  }

  #pointVariants(key: string): Variants<T> {
    let variants = this.#points.get(key);
    if (variants === undefined) {
      variants = [];
      this.#points.set(key, variants);
    }
    return variants;
  }

  #rangeVariants(range: KeyRange): Variants<T> {
    for (let node = this.#root; node !== undefined; ) {
      const order = compareRanges(range, node.range);
      if (order === 0) return node.variants;
      node = order < 0 ? node.left : node.right;
    }
    const node: Node<T> = {
      range,
      variants: [],
      priority: this.#prng.uint32(),
      left: undefined,
      right: undefined,
      reach: range.to,
    };
    this.#root = insert(this.#root, node);
    return node.variants;
  }

  /** Removes a member; a group without members goes. */
  remove(group: WatchGroup<T>, member: T): void {
    if (!group.members.delete(member) || group.members.size > 0) return;
    this.#groupCount--;
    const { range } = group;
    const variants = range.point
      ? must(this.#points.get(range.from), "a group is listed under its key")
      : this.#rangeVariants(range);
    variants[variantOf(group.shape)] = undefined;
    if (variants.some((other) => other !== undefined)) return;
    if (range.point) this.#points.delete(range.from);
    else this.#root = remove(this.#root, range);
  }

  /** Calls `visit` for every group. */
  each(visit: (group: WatchGroup<T>) => void): void {
    for (const variants of this.#points.values()) {
      for (const group of variants) if (group !== undefined) visit(group);
    }
    const nodes = [this.#root];
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      for (const group of node.variants) if (group !== undefined) visit(group);
      if (node.left !== undefined) nodes.push(node.left);
      if (node.right !== undefined) nodes.push(node.right);
    }
  }

  /** Calls `visit` for every group that watches `key`; groups must not be added or removed from within it. */
  find(key: string, visit: (group: WatchGroup<T>) => void): void {
    const variants = this.#points.get(key);
    if (variants !== undefined) for (const group of variants) if (group !== undefined) visit(group);
    if (this.#root !== undefined) stab(this.#root, key, visit);
  }
}

/** By start, then by end, no bound last. */
function compareRanges(a: KeyRange, b: KeyRange): number {
  if (a.from !== b.from) return a.from < b.from ? -1 : 1;
  if (a.to === b.to) return 0;
  if (a.to === undefined) return 1;
  return b.to === undefined || a.to < b.to ? -1 : 1;
}

function update<T>(node: Node<T>): void {
  let reach = node.range.to;
  for (const child of [node.left, node.right]) {
    if (child === undefined || reach === undefined) continue;
    if (child.reach === undefined || child.reach > reach) reach = child.reach;
  }
  node.reach = reach;
}

function insert<T>(root: Node<T> | undefined, node: Node<T>): Node<T> {
  if (root === undefined) return node;
  if (compareRanges(node.range, root.range) < 0) {
    root.left = insert(root.left, node);
    if (root.left.priority > root.priority) return rotate(root, "left", "right");
  } else {
    root.right = insert(root.right, node);
    if (root.right.priority > root.priority) return rotate(root, "right", "left");
  }
  update(root);
  return root;
}

/** Lifts the child on `side` above `root`. */
function rotate<T>(root: Node<T>, side: "left" | "right", other: "left" | "right"): Node<T> {
  const child = must(root[side], "a rotated child exists");
  root[side] = child[other];
  child[other] = root;
  update(root);
  update(child);
  return child;
}

function remove<T>(root: Node<T> | undefined, range: KeyRange): Node<T> | undefined {
  if (root === undefined) return undefined;
  const order = compareRanges(range, root.range);
  if (order < 0) root.left = remove(root.left, range);
  else if (order > 0) root.right = remove(root.right, range);
  else return merge(root.left, root.right);
  update(root);
  return root;
}

function merge<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right);
    update(left);
    return left;
  }
  right.left = merge(left, right.left);
  update(right);
  return right;
}

function stab<T>(node: Node<T>, key: string, visit: (group: WatchGroup<T>) => void): void {
  if (node.reach !== undefined && key >= node.reach) return;
  if (node.left !== undefined) stab(node.left, key, visit);
  if (key < node.range.from) return;
  if (node.range.to === undefined || key < node.range.to) {
    for (const group of node.variants) if (group !== undefined) visit(group);
  }
  if (node.right !== undefined) stab(node.right, key, visit);
}
