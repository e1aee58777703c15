// One write transaction: its changes become rows, go to the sink as KeyValues encoded in place, and move lease bindings. All
// changes share the main revision after the current one; `end` makes it the current revision, if there was any change.
// Source: etcd server/storage/mvcc/kvstore_txn.go (put, deleteRange).

import { ALL_FIELDS, leaseOf, sizeKeyOnly, sizeKv, writeKeyOnly, writeKv } from "./key-value.ts";
import type { KeyRange } from "./range.ts";
import type { RowList } from "./row-list.ts";
import { NO_ROW, ROW_WORDS, TOMBSTONE, W_VALUE_BYTES } from "./rows.ts";
import type { MvccState } from "./state.ts";
import type { RevisionSink } from "./types.ts";

/** How a put treats what the key had. */
export interface PutChange {
  readonly key: string;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export class WriteTxn {
  readonly #state: MvccState;
  readonly #sink: RevisionSink;
  /** Main revision of every change. */
  readonly main: number;
  #sub = 0;

  constructor(state: MvccState, sink: RevisionSink) {
    this.#state = state;
    this.#sink = sink;
    this.main = state.revision + 1;
  }

  /** Changes so far. */
  get changeCount(): number {
    return this.#sub;
  }

  /** Revision a read inside the transaction sees and reports: the new one after the first change. */
  get readRevision(): number {
    return this.#sub === 0 ? this.#state.revision : this.main;
  }

  /** Makes the changes current; returns the revision to report. */
  end(): number {
    if (this.#sub > 0) this.#state.revision = this.main;
    return this.#state.revision;
  }

  #nextSub(): number {
    this.#state.headMain = this.main;
    return this.#sub++;
  }

  /**
   * Puts a key. The caller has checked that the lease exists, and that the key does if something of it is kept. Returns the row of
   * the put it replaces, NO_ROW if the key did not exist.
   */
  put(change: PutChange): number {
    const state = this.#state;
    const { keys, rows } = state;
    const { key } = change;
    let { value } = change;
    let id = keys.get(key);
    let prev = NO_ROW;
    let replaced = NO_ROW;
    let create = this.main;
    let version = 1;
    let leaseLow = 0;
    let leaseHigh = 0;
    let oldLow = 0;
    let oldHigh = 0;
    if (change.lease !== 0n) {
      leaseLow = Number(BigInt.asIntN(32, change.lease));
      leaseHigh = Number(BigInt.asIntN(32, change.lease >> 32n));
    }
    if (id === undefined) {
      id = keys.insert(key);
    } else {
      prev = keys.latest(id);
      const old = rows.chunkOf(prev);
      const slot = old.slotOf(prev);
      if (old.isTombstone(slot)) {
        keys.countLive(key, 1);
      } else {
        replaced = prev;
        create = old.create(slot);
        version = old.version(slot) + 1;
        oldLow = old.leaseLow(slot);
        oldHigh = old.leaseHigh(slot);
        if (change.ignoreValue) value = state.valueOf(old, slot);
        if (change.ignoreLease) {
          leaseLow = oldLow;
          leaseHigh = oldHigh;
        }
      }
    }
    const row = rows.next;
    const sub = this.#nextSub();
    const chunk = rows.tail();
    const slot = chunk.push(this.main, sub, create, version, prev, id);
    if (value.length > 0) state.storeValue(chunk, slot, value, 0, value.length);
    if (leaseLow !== 0 || leaseHigh !== 0) chunk.setLease(slot, leaseLow, leaseHigh);
    keys.setLatest(id, row);
    const size = sizeKv(state, chunk, slot, ALL_FIELDS);
    const offset = this.#sink.put(this.main, sub, false, size);
    writeKv(state, chunk, slot, ALL_FIELDS, this.#sink.buffer, offset);
    if (oldLow !== leaseLow || oldHigh !== leaseHigh) {
      if (oldLow !== 0 || oldHigh !== 0) state.leases.detach(join(oldLow, oldHigh), key);
      if (leaseLow !== 0 || leaseHigh !== 0) state.leases.attach(join(leaseLow, leaseHigh), key);
    }
    return replaced;
  }

  /** Deletes the keys that exist in the range, in key order; their last puts are added to `removed` if given. Returns how many. */
  deleteRange(range: KeyRange, removed: RowList | undefined): number {
    const { keys } = this.#state;
    if (range.point) {
      const id = keys.get(range.from);
      if (id === undefined || !this.#state.isLiveKey(id)) return 0;
      removed?.push(keys.latest(id));
      this.#bury(id);
      keys.countLive(range.from, -1);
      return 1;
    }
    const { from, to } = range;
    if (keys.leaves.length === 0 || (to !== undefined && to <= from)) return 0;
    let deleted = 0;
    const firstPlace = keys.leafOf(from);
    for (let place = firstPlace; place < keys.leaves.length; place++) {
      const leaf = keys.leaves[place];
      if (leaf === undefined || (to !== undefined && (keys.firsts[place] as string) >= to)) break;
      if (leaf.live === 0) continue;
      const begin = place === firstPlace ? keys.slotIn(leaf, from) : 0;
      const end = to === undefined ? leaf.count : keys.slotIn(leaf, to);
      for (let slot = begin; slot < end; slot++) {
        const id = leaf.ids[slot] as number;
        if (!this.#state.isLiveKey(id)) continue;
        removed?.push(keys.latest(id));
        this.#bury(id);
        leaf.live--;
        deleted++;
      }
    }
    return deleted;
  }

  /** Writes the tombstone of a key that exists. */
  #bury(id: number): void {
    const state = this.#state;
    const { keys, rows } = state;
    const key = keys.keyOf(id);
    const prev = keys.latest(id);
    const old = rows.chunkOf(prev);
    const oldSlot = old.slotOf(prev);
    const lease = leaseOf(old, oldSlot);
    const row = rows.next;
    const sub = this.#nextSub();
    const chunk = rows.tail();
    const slot = chunk.push(this.main, sub, 0, 0, prev, id);
    chunk.words[slot * ROW_WORDS + W_VALUE_BYTES] = TOMBSTONE;
    keys.setLatest(id, row);
    const offset = this.#sink.put(this.main, sub, true, sizeKeyOnly(key));
    writeKeyOnly(key, this.#sink.buffer, offset);
    if (lease !== 0n) state.leases.detach(lease, key);
  }
}

function join(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}
