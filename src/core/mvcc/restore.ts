// Builds a store from what the disk holds: an index checkpoint if there is one, then the backend's rows in revision order. Keys are
// collected first and sorted once. Source of the rules: etcd server/storage/mvcc/kvstore.go (restore).

import { assert } from "../../base/index.ts";
import { CheckpointReader } from "./checkpoint.ts";
import { KeyDedup } from "./key-dedup.ts";
import { DecodedKv, leaseOf } from "./key-value.ts";
import { NO_ROW, ROW_WORDS, TOMBSTONE, W_VALUE_BYTES } from "./rows.ts";
import { sortByKey } from "./sort-keys.ts";
import type { MvccState } from "./state.ts";
import { MvccStore } from "./store.ts";
import type { StoreOptions } from "./types.ts";
import { readChars } from "./wire.ts";

/** Compactions as the backend remembers them; -1 for none. */
export interface StoredCompactions {
  readonly scheduled: number;
  readonly finished: number;
}

export class StoreBuilder {
  readonly #store: MvccStore;
  readonly #state: MvccState;
  readonly #kv: DecodedKv = new DecodedKv();
  readonly #checkpoint: CheckpointReader;
  #lastMain = 0;
  #lastSub = 0;
  #hasLeases = false;
  #hasLeaves = false;
  readonly #dedup: KeyDedup;
  readonly #register: (key: string) => number;

  constructor(options: StoreOptions) {
    this.#store = new MvccStore(options);
    this.#state = this.#store.state;
    this.#checkpoint = new CheckpointReader(this.#state);
    const { keys } = this.#state;
    this.#dedup = new KeyDedup((id) => keys.keyOf(id));
    this.#register = (key) => keys.register(key);
  }

  /**
   * Takes the next block of a checkpoint, all of which come before the first row; false if it is damaged: begin again with a new
   * builder and all rows of the backend.
   */
  checkpointBlock(block: Uint8Array): boolean {
    return this.#checkpoint.block(block);
  }

  /** Revision of the checkpoint taken, 0 without one: rows are given from the revision after it. */
  get checkpointRevision(): number {
    return this.#checkpoint.ended ? this.#checkpoint.revision : 0;
  }

  /** Compact revision of the checkpoint taken, -1 for none. */
  get checkpointCompactRevision(): number {
    return this.#checkpoint.ended ? this.#state.compactRevision : -1;
  }

  /**
   * Takes the next row of the backend, in revision order, its bytes borrowed; false if it is damaged or out of order. Values are
   * kept in memory up to the store's limit.
   */
  row(main: number, sub: number, tombstone: boolean, value: Uint8Array): boolean {
    if (main <= this.checkpointRevision) return false;
    if (main < this.#lastMain || (main === this.#lastMain && sub <= this.#lastSub)) return false;
    const kv = this.#kv;
    if (!kv.decode(value)) return false;
    if (!tombstone && value.length > 0 && kv.mod !== main) return false;
    this.#lastMain = main;
    this.#lastSub = sub;
    const state = this.#state;
    const { keys, rows } = state;
    const id = this.#idOf(value);
    const row = rows.next;
    const chunk = rows.tail();
    const prev = keys.latest(id);
    keys.setLatest(id, row);
    if (tombstone) {
      const slot = chunk.push(main, sub, 0, 0, prev, id);
      chunk.words[slot * ROW_WORDS + W_VALUE_BYTES] = TOMBSTONE;
      return true;
    }
    const slot = chunk.push(main, sub, kv.create, kv.version, prev, id);
    const size = kv.valueEnd - kv.valueStart;
    if (size > 0) {
      if (state.values.residentBytes < state.valueBytesMax) {
        state.storeValue(chunk, slot, value, kv.valueStart, kv.valueEnd);
      } else {
        chunk.words[slot * ROW_WORDS + W_VALUE_BYTES] = size;
      }
    }
    if (kv.leaseLow !== 0 || kv.leaseHigh !== 0) {
      chunk.setLease(slot, kv.leaseLow, kv.leaseHigh);
      this.#hasLeases = true;
    }
    return true;
  }

  /** Id of the key in the row just decoded, a new one if need be. */
  #idOf(row: Uint8Array): number {
    const { keys } = this.#state;
    const { keyStart, keyEnd } = this.#kv;
    if (!this.#checkpoint.started) return this.#dedup.idOf(row, keyStart, keyEnd, this.#register);
    this.#loadLeaves();
    const key = readChars(row, keyStart, keyEnd);
    return keys.get(key) ?? keys.insert(key);
  }

  /**
   * Completes the store: sorts the keys, binds keys to leases (those that exist), and queues compactions that did not finish. The
   * builder is used up. Cost: a few 100 ms for a million keys, in one go. Points are found in the leaves until `reclaim` has filled
   * the map, in slices.
   */
  finish(stored: StoredCompactions): MvccStore {
    const state = this.#state;
    assert(this.#checkpoint.ended === this.#checkpoint.started, "a checkpoint is taken whole");
    // Such a compaction may have removed tombstones of which the checkpoint knows nothing: deleted keys would come back.
    assert(
      this.checkpointRevision === 0 ||
        Math.max(stored.scheduled, stored.finished) <= this.checkpointRevision,
      "no compaction was ordered beyond the revision of the checkpoint",
    );
    this.#loadLeaves();
    state.keys.recountLive();
    if (this.#hasLeases || this.#checkpoint.hasLeases) this.#attachLeases();
    state.revision = Math.max(
      1,
      this.#lastMain,
      this.checkpointRevision,
      stored.finished,
      stored.scheduled,
    );
    state.headMain = state.revision;
    const { compactor } = this.#store;
    if (this.checkpointRevision === 0) state.compactRevision = stored.finished;
    // Rows of the checkpoint that were compacted after it was made: the backend has lost them already, the index has not.
    else if (stored.finished > state.compactRevision) compactor.schedule(stored.finished, false);
    if (stored.scheduled > state.compactRevision) compactor.schedule(stored.scheduled, false);
    return this.#store;
  }

  #loadLeaves(): void {
    const { keys } = this.#state;
    if (!this.#hasLeaves) {
      const count = keys.idCount;
      assert(count === keys.keyCount, "ids of a store being built are not reused");
      const ids = new Uint32Array(count);
      for (let i = 0; i < count; i++) ids[i] = i;
      // Those of a checkpoint came in order.
      if (!this.#checkpoint.started) sortByKey(ids, count, (id) => keys.keyOf(id));
      keys.bulkLoad(ids, count);
      this.#hasLeaves = true;
    }
  }

  #attachLeases(): void {
    const { keys, rows, leases } = this.#state;
    for (let id = 0; id < keys.idCount; id++) {
      const row = keys.latest(id);
      if (row === NO_ROW) continue;
      const chunk = rows.chunkOf(row);
      const lease = leaseOf(chunk, chunk.slotOf(row));
      if (lease !== 0n) leases.attach(lease, keys.keyOf(id));
    }
  }
}
