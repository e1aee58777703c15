// Raft snapshots: every so many applied entries, a `.snap` file and a WAL record at an index the backend has synced, so that the log
// before it may be let go.
//
// Order, each step durable before the next: backend synced up to index i -> .snap at i -> WAL record at i -> log and WAL released. The
// state itself is the backend; the file holds only the membership. Source: etcd server/etcdserver/server.go snapshot.

import { encodeV2Store, type RaftCluster } from "../core/membership/index.ts";
import type { MemoryLogStorage } from "../core/raft/index.ts";
import type { ConfState } from "../proto/index.ts";
import type { Backend, Clock, SnapStore, Wal } from "./ports.ts";
import type { ReadyLoop } from "./ready.ts";

/** Shortest time between two snapshots: at full speed the entry count alone would ask for twenty a second, each with its syncs. */
const INTERVAL_MIN_MS = 1000;
/** The log in memory is cut back each time it is this much longer than what is kept for followers. */
const COMPACT_STEP_ENTRIES = 1024;

/**
 * True if there is nobody else to send entries to; who joins later begins with a snapshot. Entries that are kept live just long enough to
 * be moved to the old generation: at full speed they cost 30 MB and a tenth of the collector's time.
 */
function isAlone({ voters, votersOutgoing, learners }: ConfState): boolean {
  return voters.length + votersOutgoing.length + learners.length === 1;
}

/** What the snapshotter works with. */
export interface SnapshotterParts {
  readonly backend: Backend;
  readonly snap: SnapStore;
  readonly wal: Wal;
  readonly log: MemoryLogStorage;
  readonly ready: ReadyLoop;
  readonly cluster: RaftCluster;
  readonly clock: Clock;
  /** Applied entries between two snapshots. */
  readonly snapshotCount: number;
  /** Entries kept in memory for slow followers. */
  readonly catchupEntries: number;
  /** `.snap` files that are kept; 0 keeps all. */
  readonly snapFilesMax: number;
  /** The process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** Takes snapshots of one member, one at a time. */
export class Snapshotter {
  readonly #parts: SnapshotterParts;
  #snapshotIndex: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> | undefined;
  #stopped = false;

  /** `snapshotIndex`: that of the newest snapshot record in the WAL. */
  constructor(parts: SnapshotterParts, snapshotIndex: number) {
    this.#parts = parts;
    this.#snapshotIndex = snapshotIndex;
  }

  /** Called after each apply pass; `confState` is that at `applied`. */
  onApplied(applied: number, confState: ConfState): void {
    const { log, catchupEntries, snapshotCount, clock } = this.#parts;
    const keptEntries = isAlone(confState) ? 0 : catchupEntries;
    if (applied - log.firstIndex() > keptEntries + COMPACT_STEP_ENTRIES) {
      log.compact(applied - keptEntries);
    }
    if (this.#busy !== undefined || this.#stopped) return;
    if (applied - this.#snapshotIndex <= snapshotCount) return;
    if (clock.nowMs() - this.#lastMs < INTERVAL_MIN_MS) return;
    this.#lastMs = clock.nowMs();
    this.#busy = this.#take(applied, confState)
      .catch((error: unknown) => this.#parts.onFatal(error))
      .finally(() => {
        this.#busy = undefined;
      });
  }

  /** Resolves when no snapshot is being taken; none is begun afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#busy;
  }

  async #take(index: number, confState: ConfState): Promise<void> {
    const { backend, snap, log, ready, cluster, wal, snapFilesMax } = this.#parts;
    const term = log.term(index);
    if (term === undefined) return;
    const data = encodeV2Store(cluster.state());
    await backend.sync();
    if (this.#stopped || backend.syncedIndex < index) return;
    await snap.save({ data, metadata: { confState, index, term } });
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      ready.saveSnapshot({ index, term, confState }, resolve);
    });
    this.#snapshotIndex = index;
    wal.releaseTo(index);
    if (snapFilesMax > 0) await snap.purge(snapFilesMax);
  }
}
