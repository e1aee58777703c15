// Range: collect in key order -> filter -> sort -> cut to the limit -> size, in steps so that a list of a million keys never holds up
// the turn. A list begun at revision R sees R throughout, whatever is written between its steps.
// Source: etcd server/etcdserver/txn/range.go and server/storage/mvcc/kvstore_txn.go (rangeKeys).

import { type RangeRequest, SortOrder, SortTarget } from "../../proto/index.ts";
import { ALL_FIELDS, type KvFields } from "./key-value.ts";
import { KvList } from "./kv-list.ts";
import { MergeSort } from "./merge-sort.ts";
import { RangeResult } from "./results.ts";
import { RowList } from "./row-list.ts";
import { NO_ROW } from "./rows.ts";
import type { MvccState, Walk } from "./state.ts";
import type { MvccRefusal } from "./types.ts";

/** Keys from `from` up to, not including, `to`; `to` undefined: no bound. `point`: `from` alone. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
  readonly point: boolean;
}

/** The range a request names: an empty `rangeEnd` is the key alone, one zero byte is everything from the key on. */
export function keyRange(key: string, rangeEnd: string): KeyRange {
  if (rangeEnd === "") return { from: key, to: `${key}\0`, point: true };
  return { from: key, to: rangeEnd === "\0" ? undefined : rangeEnd, point: false };
}

/** True if `key` lies in the range. */
export function inRange(range: KeyRange, key: string): boolean {
  return key >= range.from && (range.to === undefined || key < range.to);
}

/**
 * Calls `visit` for each put visible at `main` in the range, in key order, from key `start` on, until it returns false or `keysMax`
 * keys were looked at. Returns the key to go on from, undefined at the end.
 */
export function eachVisible(
  state: MvccState,
  range: KeyRange,
  start: string,
  main: number,
  keysMax: number,
  visit: (row: number) => boolean,
): string | undefined {
  const { keys } = state;
  const { to } = range;
  if (keys.leaves.length === 0 || (to !== undefined && to <= start)) return undefined;
  let looked = 0;
  const firstPlace = keys.leafOf(start);
  for (let place = firstPlace; place < keys.leaves.length; place++) {
    const leaf = keys.leaves[place];
    if (leaf === undefined) break;
    const begin = place === firstPlace ? keys.slotIn(leaf, start) : 0;
    const isLast = to !== undefined && !((keys.firsts[place + 1] ?? to) < to);
    const end = isLast ? keys.slotIn(leaf, to) : leaf.count;
    state.touchKeys(leaf.ids, begin, Math.min(end, begin + keysMax));
    for (let slot = begin; slot < end; slot++) {
      const id = leaf.ids[slot] as number;
      if (looked++ >= keysMax) return keys.keyOf(id);
      const row = state.visibleAt(id, main);
      if (row !== NO_ROW && !visit(row)) return undefined;
    }
    if (isLast) break;
  }
  return undefined;
}

const NO_VALUE: KvFields = { value: false, lease: true };
const INDEX_ONLY: KvFields = { value: false, lease: false };

function fieldsOf(request: RangeRequest): KvFields {
  if (!request.keysOnly) return ALL_FIELDS;
  return request.sortTarget === SortTarget.VALUE ? NO_VALUE : INDEX_ONLY;
}

function hasFilter(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/** Checks a revision to read at against `current`; gives the revision read, or the refusal. 0 and below mean the newest. */
export function readRevisionOf(
  state: MvccState,
  revision: number,
  current: number,
): number | MvccRefusal {
  if (revision > current) return "futureRev";
  if (revision <= 0) return current;
  return revision < state.compactRevision ? "compacted" : revision;
}

type Phase = "collect" | "sort" | "size" | "done";

/** A Range under way. Ends by `step` returning true, or by `abort`. */
export class RangeWork implements Walk {
  /** Revision read at. */
  readonly revision: number;
  readonly #state: MvccState;
  readonly #request: RangeRequest;
  readonly #range: KeyRange;
  readonly #headerRevision: number;
  /** Rows to collect at most. */
  readonly #rowsMax: number;
  readonly #filters: boolean;
  readonly #limit: number;
  readonly #sizeNow: boolean;
  #kvs: KvList;
  #count = 0;
  readonly #countKnown: boolean;
  #next: string | undefined;
  #phase: Phase = "collect";
  #sort: MergeSort | undefined;
  #more = false;
  #epoch = -1;

  /**
   * `main` is the revision to read at, checked; `headerRevision` the current one. With `noCount` the count is not wanted and the work
   * ends with the last row.
   */
  constructor(
    state: MvccState,
    request: RangeRequest,
    main: number,
    headerRevision: number,
    noCount = false,
  ) {
    this.#state = state;
    this.#request = request;
    this.revision = main;
    this.#headerRevision = headerRevision;
    this.#range = keyRange(request.key, request.rangeEnd);
    this.#next = this.#range.from;
    this.#filters = hasFilter(request);
    this.#limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    this.#sizeNow = this.#isNaturalOrder();
    this.#kvs = new KvList(state, fieldsOf(request));
    const fetchAll =
      this.#filters || (request.sortOrder !== SortOrder.NONE && !this.#isNaturalOrder());
    // One more than the limit: (NONE, other target) sorts just these, and `more` is told from it.
    this.#rowsMax = request.countOnly
      ? 0
      : fetchAll || request.limit <= 0
        ? Number.POSITIVE_INFINITY
        : request.limit + 1;
    const isHead = main >= state.headMain;
    this.#countKnown = noCount || isHead;
    if (isHead && !noCount) {
      this.#count = state.keys.countRange(this.#range.from, this.#range.to);
    }
  }

  #isNaturalOrder(): boolean {
    const { sortOrder, sortTarget } = this.#request;
    return sortTarget === SortTarget.KEY && sortOrder !== SortOrder.DESCEND;
  }

  /** Makes the work survive the turn: from here on compaction waits for it and its rows are kept. */
  hold(): void {
    this.#state.walks.add(this);
    this.#epoch = this.#kvs.epoch;
    this.#state.pin(this.#epoch);
  }

  /** Looks at about `keysMax` keys; true when `result` is ready. */
  step(keysMax: number): boolean {
    switch (this.#phase) {
      case "collect":
        this.#collect(keysMax);
        break;
      case "sort":
        if ((this.#sort as MergeSort).step(keysMax)) this.#takeOrder();
        break;
      case "size":
        if (this.#kvs.sizeSome(keysMax)) this.#phase = "done";
        break;
      case "done":
        break;
    }
    return this.#phase === "done";
  }

  #collect(keysMax: number): void {
    const enough = this.#countKnown && this.#rowsMax === 0;
    if (this.#next !== undefined && !enough) {
      this.#next = eachVisible(
        this.#state,
        this.#range,
        this.#next,
        this.revision,
        keysMax,
        this.#visit,
      );
      if (this.#next !== undefined) return;
    }
    this.#endWalk();
    const { sortOrder, sortTarget } = this.#request;
    if (this.#kvs.count > 1 && !this.#isNaturalOrder()) {
      this.#sort = new MergeSort(
        this.#kvs.count,
        orderOf(this.#state, this.#kvs.rows, sortTarget, sortOrder === SortOrder.DESCEND),
      );
      this.#phase = "sort";
    } else {
      this.#cut();
    }
  }

  readonly #visit = (row: number): boolean => {
    if (!this.#countKnown) this.#count++;
    if (this.#kvs.rows.length < this.#rowsMax && (!this.#filters || this.#passes(row))) {
      this.#kvs.rows.push(row);
      // Sized while the row is at hand, if it is sure to stay.
      if (this.#sizeNow && this.#kvs.rows.length <= this.#limit) this.#kvs.sizeSome(1);
    }
    return !this.#countKnown || this.#kvs.rows.length < this.#rowsMax;
  };

  #passes(row: number): boolean {
    const request = this.#request;
    const chunk = this.#state.rows.chunkOf(row);
    const slot = chunk.slotOf(row);
    const mod = chunk.main(slot);
    const create = chunk.create(slot);
    return (
      (request.maxModRevision === 0 || mod <= request.maxModRevision) &&
      (request.minModRevision === 0 || mod >= request.minModRevision) &&
      (request.maxCreateRevision === 0 || create <= request.maxCreateRevision) &&
      (request.minCreateRevision === 0 || create >= request.minCreateRevision)
    );
  }

  #takeOrder(): void {
    const order = (this.#sort as MergeSort).order;
    const rows = this.#kvs.rows;
    const { limit } = this.#request;
    const sorted = new RowList();
    const count = limit > 0 ? Math.min(limit + 1, order.length) : order.length;
    for (let i = 0; i < count; i++) sorted.push(rows.at(order[i] as number));
    this.#kvs = new KvList(this.#state, this.#kvs.fields, sorted, this.#kvs.epoch);
    this.#sort = undefined;
    this.#cut();
  }

  #cut(): void {
    const { limit } = this.#request;
    if (limit > 0 && this.#kvs.count > limit) {
      this.#kvs.rows.truncate(limit);
      this.#more = true;
    }
    this.#phase = "size";
  }

  #endWalk(): void {
    this.#state.walks.delete(this);
  }

  /** The outcome, once `step` returned true. With `hold` it stays valid until `release`. */
  result(): RangeResult {
    return new RangeResult(this.#headerRevision, this.#kvs, this.#more, this.#count);
  }

  /** Lets go of what `hold` held: the rows of a result that is written or has a source of its own, or work given up. */
  release(): void {
    this.#endWalk();
    if (this.#epoch >= 0) this.#state.unpin(this.#epoch);
    this.#epoch = -1;
  }
}

/** Compares positions in `rows` by `target`; equal ones stay in key order, also when descending. */
function orderOf(
  state: MvccState,
  rows: RowList,
  target: number,
  descending: boolean,
): (a: number, b: number) => number {
  const sign = descending ? -1 : 1;
  if (target === SortTarget.KEY) return (a, b) => sign * (a - b);
  if (target === SortTarget.VALUE) {
    const values: Uint8Array[] = [];
    for (let i = 0; i < rows.length; i++) {
      const chunk = state.rows.chunkOf(rows.at(i));
      values.push(state.valueOf(chunk, chunk.slotOf(rows.at(i))));
    }
    return (a, b) =>
      sign * Buffer.compare(values[a] as Uint8Array, values[b] as Uint8Array) || a - b;
  }
  const numbers = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const chunk = state.rows.chunkOf(rows.at(i));
    const slot = chunk.slotOf(rows.at(i));
    if (target === SortTarget.VERSION) numbers[i] = chunk.version(slot);
    else numbers[i] = target === SortTarget.CREATE ? chunk.create(slot) : chunk.main(slot);
  }
  return (a, b) => sign * ((numbers[a] as number) - (numbers[b] as number)) || a - b;
}

/** The newest state of one key, the commonest read of all. */
function rangePoint(
  state: MvccState,
  request: RangeRequest,
  main: number,
  headerRevision: number,
): RangeResult {
  const kvs = new KvList(state, request.keysOnly ? INDEX_ONLY : ALL_FIELDS);
  const id = state.keys.get(request.key);
  const row = id === undefined ? NO_ROW : state.visibleAt(id, main);
  if (row === NO_ROW) return new RangeResult(headerRevision, kvs, false, 0);
  if (!request.countOnly) kvs.rows.push(row);
  return new RangeResult(headerRevision, kvs, false, 1);
}

/**
 * Begins a Range on the newest state `current` (inside a write transaction: the main revision being written). Revision rules of
 * a plain Range apply.
 */
export function beginRange(
  state: MvccState,
  request: RangeRequest,
  current: number,
): RangeWork | MvccRefusal {
  const main = readRevisionOf(state, request.revision, current);
  if (typeof main === "string") return main;
  return new RangeWork(state, request, main, current);
}

/** A whole Range in one go. */
export function readRange(
  state: MvccState,
  request: RangeRequest,
  current: number,
): RangeResult | MvccRefusal {
  const main = readRevisionOf(state, request.revision, current);
  if (typeof main === "string") return main;
  if (request.rangeEnd === "" && request.sortTarget !== SortTarget.VALUE && !hasFilter(request)) {
    return rangePoint(state, request, main, current);
  }
  const work = new RangeWork(state, request, main, current);
  while (!work.step(Number.POSITIVE_INFINITY));
  return work.result();
}
