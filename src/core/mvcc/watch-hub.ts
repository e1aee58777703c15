// The watch hub: who watches what, and the events each watcher still has to get. The rows of the store are the queue, so nothing is
// copied for a watcher that lags: it has a next revision, and rows from there on are read again.
//
//   synced    gets the rows of an apply pass from `flush`, one batch per group of watchers, encoded once
//   unsynced  its next revision lies in the past: `catchUp` reads the rows it missed, then it is synced
//   victim    its sink did not take a batch: it waits for `resume`, then is unsynced
// Every event at or above a watcher's next revision is delivered once, in (main, sub) order, or the watcher is cancelled because
// compaction removed rows it had not seen. All events of one main revision are in one batch.
// Source: etcd server/storage/mvcc/watchable_store.go.

import { CatchUp } from "./catch-up.ts";
import { type EventBatch, EventList } from "./event-batch.ts";
import type { MvccState } from "./state.ts";
import type { MvccStore } from "./store.ts";
import { type WatchGroup, WatchGroups, type WatchShape } from "./watch-groups.ts";

/** What to watch, as in a WatchCreateRequest. */
export interface WatchSpec extends WatchShape {
  /** First revision wanted; 0: after the newest. */
  readonly startRevision: number;
}

/** Where a watcher's events go; one sink may serve many watchers. Called inside `flush` and `catchUp`; may call `cancel`. */
export interface WatchSink {
  /**
   * Events for the watcher, to be sent as one response (or one run of fragments). False: not taken, nothing of it may be sent; the
   * watcher becomes a victim and gets the same events after `resume`.
   */
  onEvents(watcher: Watcher, batch: EventBatch): boolean;
  /** The watcher is over: revisions it had not seen were compacted. False: not taken, asked again in the next catch-up. */
  onCompacted(watcher: Watcher, compactRevision: number): boolean;
}

/** Why a watcher is not created. */
export type WatchRefusal = "compacted" | "emptyRange";

/** Synced watchers and others; see the top of the file. */
export type WatcherState = "synced" | "unsynced" | "victim" | "closed";

/** One watcher. Only the hub changes it. */
export class Watcher {
  readonly spec: WatchSpec;
  readonly sink: WatchSink;
  state: WatcherState = "closed";
  /** Next revision to deliver. */
  nextRevision: number;
  /** Group it is listed in while synced. */
  group: WatchGroup<Watcher> | undefined;

  constructor(spec: WatchSpec, sink: WatchSink, nextRevision: number) {
    this.spec = spec;
    this.sink = sink;
    this.nextRevision = nextRevision;
  }
}

/** All watchers of one store. */
export class WatchHub {
  #state: MvccState;
  readonly #groups: WatchGroups<Watcher> = new WatchGroups();
  /** Synced watchers know everything up to here. */
  #revision: number;
  /** First row not yet flushed. */
  #row: number;
  readonly #unsynced: Set<Watcher> = new Set();
  #catchUp: CatchUp | undefined;
  #watcherCount = 0;

  constructor(store: MvccStore) {
    this.#state = store.state;
    this.#revision = store.revision;
    this.#row = store.state.rows.next;
  }

  /** Watchers that are not closed. */
  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** Watchers waiting for `catchUp`. */
  get unsyncedCount(): number {
    return this.#unsynced.size;
  }

  /** Revision up to which synced watchers have got everything; never above the store's. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Creates a watcher. Its first events come from a later call, never from within this one. The `created` response carries the store's
   * revision of this moment.
   */
  watch(spec: WatchSpec, sink: WatchSink): Watcher | WatchRefusal {
    if (spec.startRevision < 0) return "compacted";
    const shape: WatchSpec = spec.key === "" ? { ...spec, key: "\0" } : spec;
    if (shape.rangeEnd !== "" && shape.rangeEnd !== "\0" && shape.rangeEnd <= shape.key) {
      return "emptyRange";
    }
    const current = this.#state.revision;
    const next = spec.startRevision === 0 ? current + 1 : spec.startRevision;
    const watcher = new Watcher(shape, sink, next);
    this.#watcherCount++;
    if (next > current) this.#toSynced(watcher);
    else this.#toUnsynced(watcher);
    return watcher;
  }

  /** Ends a watcher; it gets nothing any more. A closed one stays closed. */
  cancel(watcher: Watcher): void {
    if (watcher.state === "closed") return;
    this.#leave(watcher);
    watcher.state = "closed";
    this.#watcherCount--;
  }

  /** The sink of a victim takes batches again. */
  resume(watcher: Watcher): void {
    if (watcher.state === "victim") this.#toUnsynced(watcher);
  }

  #leave(watcher: Watcher): void {
    if (watcher.group !== undefined) this.#groups.remove(watcher.group, watcher);
    watcher.group = undefined;
    this.#unsynced.delete(watcher);
  }

  #toSynced(watcher: Watcher): void {
    this.#leave(watcher);
    watcher.state = "synced";
    watcher.group = this.#groups.add(watcher.spec, watcher);
  }

  #toUnsynced(watcher: Watcher): void {
    this.#leave(watcher);
    watcher.state = "unsynced";
    this.#unsynced.add(watcher);
  }

  #toVictim(watcher: Watcher): void {
    this.#leave(watcher);
    watcher.state = "victim";
  }

  // -------------------------------------------------------------------------------------------------------------- events

  /**
   * Delivers the rows written since the last flush to synced watchers; called at the end of an apply pass, and before a compaction is
   * applied. Header revision of a batch: that of its last event. Cost: O(rows x depth of the interval tree + watchers hit).
   */
  flush(): void {
    const state = this.#state;
    const { rows } = state;
    if (this.#row === rows.next) {
      this.#revision = state.revision;
      return;
    }
    if (this.#groups.groupCount > 0) this.#deliver(this.#collect());
    this.#row = rows.next;
    this.#revision = state.revision;
  }

  #collect(): Map<WatchGroup<Watcher>, EventList> {
    const state = this.#state;
    const { rows, keys } = state;
    const lists = new Map<WatchGroup<Watcher>, EventList>();
    for (let row = this.#row; row < rows.next; row++) {
      const chunk = rows.chunkOf(row);
      const slot = chunk.slotOf(row);
      const isDelete = chunk.isTombstone(slot);
      this.#groups.find(keys.keyOf(chunk.keyId(slot)), (group) => {
        if (isDelete ? group.shape.noDelete : group.shape.noPut) return;
        let list = lists.get(group);
        if (list === undefined) {
          list = new EventList(state, group.shape.prevKv, -1);
          lists.set(group, list);
        }
        list.add(chunk, slot, row);
      });
    }
    return lists;
  }

  #deliver(lists: Map<WatchGroup<Watcher>, EventList>): void {
    for (const [group, list] of lists) {
      const batch = list.encode(list.lastMain);
      for (const watcher of group.members) {
        const part = batch.since(watcher.nextRevision);
        if (part === undefined) continue;
        if (watcher.sink.onEvents(watcher, part)) {
          watcher.nextRevision = batch.lastMain + 1;
        } else if (watcher.state === "synced") {
          // Everything before these events it has.
          watcher.nextRevision = Math.max(watcher.nextRevision, part.firstMain);
          this.#toVictim(watcher);
        }
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------ catch-up

  /**
   * Brings unsynced watchers forward, looking at about `rowsMax` rows; true while there is more to do. One pass serves up to 512
   * watchers with one reading of the rows, and gives each at most 1000 revisions.
   */
  catchUp(rowsMax: number): boolean {
    // A watcher that becomes synced here must not be ahead of the others.
    this.flush();
    if (this.#catchUp === undefined) {
      this.#cancelCompacted();
      if (this.#unsynced.size === 0) return false;
      this.#catchUp = CatchUp.begin(this.#state, this.#unsynced);
      if (this.#catchUp === undefined) return false;
    }
    if (!this.#catchUp.step(rowsMax)) return true;
    this.#catchUp.finish((watcher, batch, next) => this.#caughtUp(watcher, batch, next));
    this.#catchUp = undefined;
    return this.#unsynced.size > 0;
  }

  /** `next`: the watcher has everything below it once the batch is taken. */
  #caughtUp(watcher: Watcher, batch: EventBatch | undefined, next: number): void {
    if (watcher.state !== "unsynced") return;
    const part = batch?.since(watcher.nextRevision);
    if (part !== undefined && !watcher.sink.onEvents(watcher, part)) {
      // The sink may have cancelled the watcher instead.
      if (this.#unsynced.has(watcher)) this.#toVictim(watcher);
      return;
    }
    if (!this.#unsynced.has(watcher)) return;
    watcher.nextRevision = Math.max(next, watcher.nextRevision);
    // To the end of the line, or to the synced ones.
    if (watcher.nextRevision > this.#state.revision) this.#toSynced(watcher);
    else this.#toUnsynced(watcher);
  }

  #cancelCompacted(): void {
    const compacted = this.#state.compactRevision;
    for (const watcher of this.#unsynced) {
      if (watcher.nextRevision >= compacted) continue;
      if (watcher.sink.onCompacted(watcher, compacted)) this.cancel(watcher);
    }
  }

  // ------------------------------------------------------------------------------------------------------------ progress

  /**
   * Revision to report as progress for `watchers` together, undefined if not all of them are synced and past their start, or there are
   * none. Every later event of theirs is above it.
   */
  progress(watchers: Iterable<Watcher>): number | undefined {
    let some = false;
    for (const watcher of watchers) {
      some = true;
      if (watcher.state !== "synced" || watcher.spec.startRevision > this.#revision)
        return undefined;
    }
    return some ? this.#revision : undefined;
  }

  /**
   * Goes over to another store, which a snapshot of the leader filled: every watcher reads on from its next revision; a start in the
   * future stays one.
   */
  rebind(store: MvccStore): void {
    this.#catchUp?.abort();
    this.#catchUp = undefined;
    const known = this.#revision;
    const synced: Watcher[] = [];
    this.#groups.each((group) => {
      for (const watcher of group.members) synced.push(watcher);
    });
    this.#state = store.state;
    this.#revision = store.revision;
    this.#row = store.state.rows.next;
    for (const watcher of synced) {
      watcher.nextRevision = Math.max(watcher.nextRevision, known + 1);
      if (watcher.nextRevision <= store.revision) this.#toUnsynced(watcher);
    }
  }
}
