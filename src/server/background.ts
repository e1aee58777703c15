// What a member does besides serving: removes compacted rows, takes Raft snapshots, writes index checkpoints, and after a start from one
// brings values to memory. All of it in slices, none of it waited for by a client.

import type { Logger } from "../base/index.ts";
import type { ConfState } from "../proto/index.ts";
import type { Applier } from "./apply/applier.ts";
import type { RaftParts } from "./bootstrap.ts";
import { Checkpointer, defaultCheckpoints } from "./checkpointer.ts";
import { Compactor } from "./compactor.ts";
import type { MemberSettings, MemberState } from "./member.ts";
import type { Clock, MemberStorage } from "./ports.ts";
import type { ReadyLoop } from "./ready.ts";
import { Snapshotter } from "./snapshotter.ts";
import { ValueFiller } from "./value-fill.ts";

interface BackgroundParts {
  readonly settings: MemberSettings;
  readonly state: MemberState;
  readonly storage: MemberStorage;
  readonly raft: RaftParts;
  readonly ready: ReadyLoop;
  readonly applier: Applier;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The member must end. */
  readonly onFatal: (error: unknown) => void;
}

/** The background work of one member. */
export class Background {
  readonly compactor: Compactor;
  readonly #snapshotter: Snapshotter;
  readonly #checkpointer: Checkpointer;
  readonly #filler: ValueFiller | undefined;

  constructor(parts: BackgroundParts) {
    const { settings, state, storage, raft, ready, applier, clock, logger, onFatal } = parts;
    const { store, checkpoint } = state;
    const { backend } = storage;
    this.compactor = new Compactor(
      { store, applier, queuedBytes: () => backend.queuedBytes, clock },
      settings.compaction,
    );
    this.#snapshotter = new Snapshotter(
      {
        backend,
        snap: storage.snap,
        wal: storage.wal,
        log: raft.log,
        ready,
        cluster: state.cluster,
        clock,
        snapshotCount: settings.snapshotCount,
        catchupEntries: settings.catchupEntries,
        snapFilesMax: settings.snapFilesMax,
        onFatal,
      },
      storage.found?.snapshot.index ?? 0,
    );
    this.#checkpointer = new Checkpointer(
      {
        store,
        applier,
        backend,
        sideFiles: storage.sideFiles,
        clock,
        clusterId: settings.clusterId,
        memberId: settings.id,
        onWarning: (message) => logger.warn(message),
      },
      settings.checkpoints ?? defaultCheckpoints,
      checkpoint,
    );
    if (checkpoint !== undefined) {
      this.#filler = new ValueFiller(
        { store, backend, compactor: this.compactor, clock, onFatal },
        checkpoint.revision,
      );
    }
  }

  start(): void {
    this.compactor.start();
    this.#checkpointer.start();
    this.#filler?.start();
  }

  /** Called after each apply pass. */
  onApplied(applied: number, confState: ConfState): void {
    this.#snapshotter.onApplied(applied, confState);
  }

  /** Ends in order; resolves when nothing touches the storage any more. The storage must still work. */
  async stop(): Promise<void> {
    this.compactor.stop();
    const filled = this.#filler?.stop() ?? Promise.resolve();
    await Promise.all([this.#snapshotter.stop(), filled, this.#checkpointer.stop()]);
  }

  /** Ends at once, for a storage that broke: what is under way may wait for ever. */
  abandon(): void {
    this.compactor.stop();
    this.#checkpointer.abandon();
    void this.#snapshotter.stop();
    void this.#filler?.stop();
  }
}
