// One catch-up pass: reads rows from the oldest revision that any of its watchers misses to the newest, in slices, and gathers events
// per group of watchers that miss the same. Compaction waits for the pass, so what it reads cannot go away under it. Watchers of a
// single key with few changes follow that key's links instead, when the pass ends.
// Source: etcd server/storage/mvcc/watchable_store.go (syncWatchers), watcher_group.go (watcherBatch).

import { type EventBatch, EventList } from "./event-batch.ts";
import { NO_ROW, type RowChunk } from "./rows.ts";
import type { MvccState, Walk } from "./state.ts";
import { type WatchGroup, WatchGroups } from "./watch-groups.ts";
import type { Watcher } from "./watch-hub.ts";

/** Watchers of one pass at most. */
const WATCHERS_MAX = 512;
/** Distinct main revisions of one batch at most. */
const REVISIONS_MAX = 1000;
/** A pass ends with the revision that takes it past this, in bytes: its batches are encoded in one turn. */
const PASS_BYTES_MAX: number = 16 << 20;
/** Changes of a single key followed back from the newest; with more, reading the rows serves better. */
const CHAIN_MAX = 1024;

/** Watchers of one shape that miss the same revisions. */
interface Lag {
  readonly watchers: Watcher[];
  readonly from: number;
  readonly events: EventList;
  /** The batch is full: the pass gives nothing from this revision on. */
  cutAt: number;
}

export class CatchUp {
  readonly #state: MvccState;
  readonly #walk: Walk;
  /** Lags served by reading rows, and those of single keys. */
  readonly #scanned: Map<Lag, WatchGroup<Lag>> = new Map();
  readonly #followed: Lag[] = [];
  readonly #groups: WatchGroups<Lag> = new WatchGroups();
  /** Lags that became full while their groups were being visited. */
  readonly #full: Lag[] = [];
  #row: number;
  #bytes = 0;
  #lastMain = 0;
  /** The pass ends before this revision. */
  #endMain = Number.POSITIVE_INFINITY;

  private constructor(state: MvccState, from: number) {
    this.#state = state;
    this.#walk = { revision: state.compactRevision };
    this.#row = state.rows.firstRowOf(from);
    state.walks.add(this.#walk);
  }

  /** Begins a pass over the first of `watchers` that compaction has not overtaken; undefined if there are none. */
  static begin(state: MvccState, watchers: Iterable<Watcher>): CatchUp | undefined {
    const chosen: Watcher[] = [];
    let oldest = Number.POSITIVE_INFINITY;
    for (const watcher of watchers) {
      // Its cancel was not taken yet.
      if (watcher.nextRevision < state.compactRevision) continue;
      chosen.push(watcher);
      oldest = Math.min(oldest, watcher.nextRevision);
      if (chosen.length === WATCHERS_MAX) break;
    }
    if (chosen.length === 0) return undefined;
    const pass = new CatchUp(state, oldest);
    pass.#addAll(chosen);
    return pass;
  }

  #addAll(watchers: readonly Watcher[]): void {
    const known = new Map<string, Lag>();
    for (const watcher of watchers) {
      const { key, rangeEnd, noPut, noDelete, prevKv } = watcher.spec;
      const name = JSON.stringify([watcher.nextRevision, key, rangeEnd, noPut, noDelete, prevKv]);
      const lag = known.get(name);
      if (lag !== undefined) {
        lag.watchers.push(watcher);
        continue;
      }
      const fresh: Lag = {
        watchers: [watcher],
        from: watcher.nextRevision,
        events: new EventList(this.#state, prevKv, this.#state.compactRevision),
        cutAt: Number.POSITIVE_INFINITY,
      };
      known.set(name, fresh);
      if (rangeEnd === "" && this.#changesOf(fresh, key, CHAIN_MAX) !== undefined) {
        this.#followed.push(fresh);
      } else {
        this.#scanned.set(fresh, this.#groups.add(watcher.spec, fresh));
      }
    }
  }

  /** Rows of `key` the lag misses, newest first; undefined if there are more than `countMax`. */
  #changesOf(lag: Lag, key: string, countMax: number): number[] | undefined {
    const state = this.#state;
    const id = state.keys.get(key);
    const changes: number[] = [];
    let row = id === undefined ? NO_ROW : state.keys.latest(id);
    while (row !== NO_ROW) {
      const chunk = state.rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      if (chunk.main(slot) < lag.from) break;
      if (changes.push(row) > countMax) return undefined;
      row = state.previous(chunk, slot);
    }
    return changes;
  }

  #offer(lag: Lag, chunk: RowChunk, slot: number, row: number): void {
    const main = chunk.main(slot);
    if (main < lag.from || main >= lag.cutAt) return;
    const { noPut, noDelete } = (lag.watchers[0] as Watcher).spec;
    if (chunk.isTombstone(slot) ? noDelete : noPut) return;
    const { events } = lag;
    if (events.revisionCount === REVISIONS_MAX && main !== events.lastMain) {
      lag.cutAt = main;
      this.#full.push(lag);
      return;
    }
    const before = events.sizeBytes;
    events.add(chunk, slot, row);
    this.#bytes += events.sizeBytes - before;
    this.#lastMain = main;
  }

  /** Looks at about `rowsMax` rows; true when the pass has read what it is going to, in which turn `finish` is to be called. */
  step(rowsMax: number): boolean {
    const { rows, keys } = this.#state;
    let left = rowsMax;
    while (this.#groups.groupCount > 0) {
      const chunk = rows.chunkFrom(this.#row);
      if (chunk === undefined) return true;
      for (let slot = chunk.lowerSlot(this.#row); slot < chunk.count; slot++) {
        const row = chunk.rowAt(slot);
        if (left-- <= 0) {
          this.#row = row;
          return false;
        }
        if (!chunk.isLive(slot)) continue;
        const main = chunk.main(slot);
        if (this.#bytes > PASS_BYTES_MAX && main !== this.#lastMain) {
          this.#endMain = main;
          return true;
        }
        this.#groups.find(keys.keyOf(chunk.keyId(slot)), (group) => {
          for (const lag of group.members) this.#offer(lag, chunk, slot, row);
        });
        if (this.#full.length > 0) this.#dropFull();
      }
      this.#row = chunk.rowAt(chunk.count - 1) + 1;
    }
    return true;
  }

  /** Takes full lags out of the groups, which must not change while they are visited. */
  #dropFull(): void {
    for (const lag of this.#full) {
      const group = this.#scanned.get(lag);
      if (group !== undefined) this.#groups.remove(group, lag);
    }
    this.#full.length = 0;
  }

  /**
   * Ends the pass: calls `deliver` for each watcher with its events and the revision below which it then has everything. Header
   * revision of the batches: the newest.
   */
  finish(deliver: (watcher: Watcher, batch: EventBatch | undefined, next: number) => void): void {
    this.abort();
    for (const lag of this.#scanned.keys()) {
      this.#deliver(lag, Math.min(lag.cutAt, this.#endMain), deliver);
    }
    for (const lag of this.#followed) {
      if (this.#bytes > PASS_BYTES_MAX) {
        // Its turn comes with the next pass.
        for (const watcher of lag.watchers) deliver(watcher, undefined, lag.from);
        continue;
      }
      const { key } = (lag.watchers[0] as Watcher).spec;
      const changes = this.#changesOf(lag, key, Number.POSITIVE_INFINITY) ?? [];
      for (let i = changes.length - 1; i >= 0; i--) {
        const row = changes[i] as number;
        const chunk = this.#state.rows.chunkOf(row);
        this.#offer(lag, chunk, chunk.slotOf(row), row);
      }
      this.#deliver(lag, lag.cutAt, deliver);
    }
  }

  #deliver(
    lag: Lag,
    endMain: number,
    deliver: (watcher: Watcher, batch: EventBatch | undefined, next: number) => void,
  ): void {
    const { revision } = this.#state;
    const batch = lag.events.count === 0 ? undefined : lag.events.encode(revision);
    for (const watcher of lag.watchers) deliver(watcher, batch, Math.min(revision + 1, endMain));
  }

  /** Gives the pass up; its watchers stay as they were. */
  abort(): void {
    this.#state.walks.delete(this.#walk);
  }
}
