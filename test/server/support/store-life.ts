// A store with its backend, side files and checkpointer on a simulated machine, driven without a log: what a member does to them, and what
// is left after a crash, a restart, or when somebody mixes files of different times.

import { Prng } from "../../../src/base/index.ts";
import { type MvccStore, revisionBytes } from "../../../src/core/mvcc/index.ts";
import { FINISHED_COMPACT_KEY, SCHEDULED_COMPACT_KEY } from "../../../src/server/apply/applier.ts";
import { BatchSink } from "../../../src/server/apply/batch-sink.ts";
import { Checkpointer, type CheckpointOptions } from "../../../src/server/checkpointer.ts";
import {
  type BackendBatch,
  type BackendRow,
  Bucket,
  type SideFiles,
} from "../../../src/server/ports.ts";
import { type RestoredStore, restoreStore } from "../../../src/server/restore-store.ts";
import { readWhole, writeWhole } from "../../../src/storage/files.ts";
import { MemoryBackend, MemoryStore, SimulatedDisk } from "../../../src/storage/index.ts";
import { DiskSideFiles } from "../../../src/storage/snap/side-files.ts";
import { MemoryLeases } from "../../core/mvcc/memory.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Lets promises that are ready go on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const eager: CheckpointOptions = {
  rowsMin: 1,
  newPart: 0,
  intervalMinMs: 0,
  pollMs: 20,
  pauseMs: 1,
  stopMs: 200,
};

const noSideFiles: SideFiles = {
  save: () => Promise.resolve(),
  load: () => Promise.resolve(undefined),
  remove: () => Promise.resolve(),
};

/** The files of a store at one time. */
export interface Copy {
  readonly rows: readonly (readonly [string, Buffer])[];
  readonly index: number;
  readonly file: Buffer | undefined;
}

/** The machine, and the store that runs on it. */
export class StoreLife {
  readonly clock: VirtualClock = new VirtualClock();
  readonly prng: Prng;
  readonly warnings: string[] = [];
  readonly options: CheckpointOptions;
  disk: SimulatedDisk;
  rows: MemoryStore = new MemoryStore();
  leases: MemoryLeases = new MemoryLeases();
  memberId = 7n;
  #backend: MemoryBackend;
  #sideFiles: DiskSideFiles;
  #restored: RestoredStore | undefined;
  #checkpointer: Checkpointer | undefined;
  readonly #sink: BatchSink = new BatchSink();
  index = 0;

  constructor(seed: number, options: Partial<CheckpointOptions> = {}) {
    this.prng = new Prng(seed);
    this.options = { ...eager, ...options };
    const latencyMs = (): number => this.prng.below(4);
    this.disk = new SimulatedDisk({ prng: this.prng.fork("disk"), clock: this.clock, latencyMs });
    this.#backend = this.#open();
    this.#sideFiles = new DiskSideFiles(this.disk.mount(), "/");
  }

  get store(): MvccStore {
    return this.restored.store;
  }

  get restored(): RestoredStore {
    if (this.#restored === undefined) throw new Error("not started");
    return this.#restored;
  }

  get backend(): MemoryBackend {
    return this.#backend;
  }

  get sideFiles(): SideFiles {
    return this.#sideFiles;
  }

  #open(): MemoryBackend {
    return new MemoryBackend(this.rows, {
      onFatal: (error) => this.warnings.push(error.message),
      clock: this.clock,
      latencyMs: () => this.prng.below(8),
    });
  }

  /** Time goes on, and everything that waits for it. */
  async advance(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.clock.advance(1);
      await settle();
    }
  }

  /** Waits for `promise` while time goes on. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const outcome = { settled: false };
    const watched = promise.finally(() => {
      outcome.settled = true;
    });
    watched.catch(() => undefined);
    for (let ms = 0; ms < 100_000 && !outcome.settled; ms++) await this.advance(1);
    if (!outcome.settled) throw new Error("nothing happens any more");
    return watched;
  }

  /** Opens backend and side files and restores the store, with or without the checkpoint. */
  restore(withCheckpoint = true): Promise<RestoredStore> {
    const lessor = new MemoryLeases();
    for (const id of this.leases.granted) lessor.granted.add(id);
    this.leases = lessor;
    return this.until(
      restoreStore({
        backend: this.#backend,
        sideFiles: withCheckpoint ? this.#sideFiles : noSideFiles,
        clusterId: 1n,
        memberId: this.memberId,
        lessor,
        valueBytesMax: 1 << 20,
        onWarning: (message) => this.warnings.push(message),
      }),
    );
  }

  /** Begins a life on what is there. */
  async start(): Promise<void> {
    this.#backend = this.#open();
    this.#sideFiles = new DiskSideFiles(this.disk.mount(), "/");
    this.index = this.#backend.opened.index;
    this.#restored = await this.restore();
    const applier = {
      index: this.index,
      term: 1,
      background: (write: (sink: BatchSink, batch: BackendBatch) => void) => this.commit(write),
    };
    Object.defineProperty(applier, "index", { get: () => this.index });
    this.#checkpointer = new Checkpointer(
      {
        store: this.store,
        applier,
        backend: this.#backend,
        sideFiles: this.#sideFiles,
        clock: this.clock,
        clusterId: 1n,
        memberId: this.memberId,
        onWarning: (message) => this.warnings.push(message),
      },
      this.options,
      this.restored.checkpoint,
    );
    this.#checkpointer.start();
  }

  commit(write: (sink: BatchSink, batch: BackendBatch) => void): void {
    const batch = this.#backend.batch();
    this.#sink.batch = batch;
    write(this.#sink, batch);
    this.#backend.commit(batch, { index: this.index, term: 1, confState: undefined });
  }

  /** Applies one entry. */
  apply(write: (store: MvccStore, sink: BatchSink, batch: BackendBatch) => void): void {
    this.index += 1;
    this.commit((sink, batch) => write(this.store, sink, batch));
  }

  compact(revision: number): void {
    this.apply((store, _sink, batch) => {
      if (store.compact(revision) !== undefined) return;
      batch.put(Bucket.meta, SCHEDULED_COMPACT_KEY, revisionBytes(revision, 0));
    });
  }

  /** One slice of the compaction under way. */
  stepCompaction(store: MvccStore = this.store, rows = 5): void {
    this.commit((sink, batch) => {
      const step = store.stepCompaction(sink, rows);
      if (step.kind !== "finished") return;
      batch.put(Bucket.meta, FINISHED_COMPACT_KEY, revisionBytes(step.revision, 0));
    });
  }

  /** Ends the life as SIGTERM does. */
  async stop(): Promise<void> {
    await this.until(this.#checkpointer?.stop() ?? Promise.resolve());
    await this.until(this.#backend.close());
  }

  /** Power off. */
  crash(): void {
    this.#checkpointer?.abandon();
    this.disk.crash();
    this.rows.crash(this.prng);
  }

  /** All rows of the key bucket. */
  async keyRows(): Promise<BackendRow[]> {
    const all: BackendRow[] = [];
    const scan = (async () => {
      for await (const rows of this.#backend.scan(Bucket.key)) all.push(...rows);
    })();
    await this.until(scan);
    return all;
  }

  /** What is on disk now. */
  async copy(): Promise<Copy> {
    return {
      rows: [...this.rows.rows],
      index: this.rows.mark.index,
      file: await this.until(this.#readFile()),
    };
  }

  async #readFile(): Promise<Buffer | undefined> {
    const pieces = await this.#sideFiles.load("index").catch(() => undefined);
    if (pieces === undefined) return undefined;
    const parts: Uint8Array[] = [];
    for await (const piece of pieces) parts.push(piece);
    return Buffer.concat(parts);
  }

  /** Replaces the backend on disk by that of `copy`; the life must have ended. */
  putBackend(copy: Copy): void {
    this.rows = new MemoryStore();
    const rows = copy.rows.map(([key, value]) => [key, value] as const);
    this.rows.write({ rows, bytes: 0, mark: { index: copy.index, term: 1, confState: undefined } });
    this.rows.sync();
  }

  /** Replaces the checkpoint by that of `copy`; the life must have ended. */
  async putFile(copy: Copy): Promise<void> {
    if (copy.file === undefined) return;
    const files = new DiskSideFiles(this.disk.mount(), "/");
    await this.until(files.save("index", [copy.file]));
  }

  /** The checkpoint's file as it is on disk. */
  async rawFile(): Promise<Buffer> {
    const bytes = await this.until(readWhole(this.disk.mount(), "/index.side"));
    if (bytes === undefined) throw new Error("there is no checkpoint");
    return bytes;
  }

  /** Replaces it, whatever the bytes. */
  async putRawFile(bytes: Uint8Array): Promise<void> {
    await this.until(writeWhole(this.disk.mount(), "/", "index.side", [bytes]));
  }
}
