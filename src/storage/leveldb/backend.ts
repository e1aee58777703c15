// The backend over LevelDB: batches of rows behind the WAL, written in order, one in flight, each synced, each with its marker.
//
// Batches committed while a write is in flight, or within WRITE_DELAY_MS of the first, join one LevelDB batch: a sync costs as much for
// one row as for ten thousand, and nobody waits for it. `syncedIndex` moves only after batch and directory are synced, so the WAL always
// covers what a crash can take. Reads see queued batches through their arenas. Every row is checked when it is read.
// Source: reference reliability.md B.3, B.4; fast-path.md 3.7, 5.

import { assert } from "../../base/index.ts";
import type {
  AppliedMark,
  Backend,
  BackendBatch,
  BackendRow,
  Bucket,
  Clock,
  OnFatal,
} from "../../server/ports.ts";
import { encodeMarker, type Marker, markerKey, OWN_BUCKET } from "../applied-marker.ts";
import { DamagedFile, type Files, joinPath } from "../files.ts";
import { ArenaPool, openKey, openValue, RowBatch, storedKey } from "../rows.ts";
import { findDamage, type UncheckedTables } from "./check.ts";
import type { LevelEngine, NativeBatch } from "./engine.ts";

/** Makes a key the least one behind it. */
const AFTER: Buffer = Buffer.alloc(1);

/** How long the first row of a write waits for others to join: etcd's batch interval. Each write's sync holds up the WAL's. */
const WRITE_DELAY_MS = 100;
/** A write of this size waits no longer. */
const WRITE_BYTES_EAGER = 2 * 1024 * 1024;
/** Rows joined to one write at most: what LevelDB's writer is busy with at a time. */
const WRITE_BYTES_MAX = 8 * 1024 * 1024;
/** Age at which the size on disk is measured again when somebody asks. */
const SIZE_AGE_MS = 2000;

/** What the backend asks of the world. */
export interface LevelBackendOptions {
  readonly files: Files;
  readonly clock: Pick<Clock, "after" | "nowMs">;
  readonly onFatal: OnFatal;
}

/** Batches that are, or will be, one LevelDB batch. */
interface Write {
  readonly native: NativeBatch;
  readonly batches: RowBatch[];
  bytes: number;
  mark: AppliedMark;
}

interface Waiter {
  /** Commits that must be synced. */
  readonly commits: number;
  readonly resolve: () => void;
}

/** The port `Backend` over one LevelDB folder. */
export class LevelBackend implements Backend {
  readonly opened: AppliedMark;
  readonly #engine: LevelEngine;
  readonly #options: LevelBackendOptions;
  readonly #unchecked: UncheckedTables | undefined;
  readonly #arenas: ArenaPool = new ArenaPool();
  readonly #freeNative: NativeBatch[] = [];
  #marker: Marker;
  #inFlight: Write | undefined;
  /** Oldest first; the last takes new batches. */
  readonly #queue: Write[] = [];
  #queuedBytes = 0;
  #commits = 0;
  #syncedCommits = 0;
  #syncedIndex: number;
  #waiters: Waiter[] = [];
  #timerArmed = false;
  /** Nothing is written any more: a failure, or the end. */
  #stopped = false;
  #closed = false;
  /** Ends a close that waits for a sync. */
  #onFailure: (() => void) | undefined;
  #sizeBytes = 0;
  #sizeAtMs = Number.NEGATIVE_INFINITY;
  #measuring = false;

  /** `marker`: of the last batch in the store. `unchecked`: tables to be checked before they are scanned. */
  constructor(
    engine: LevelEngine,
    marker: Marker,
    options: LevelBackendOptions,
    unchecked?: UncheckedTables,
  ) {
    this.#unchecked = unchecked;
    this.#engine = engine;
    this.#options = options;
    this.#marker = marker;
    this.opened = marker.mark;
    this.#syncedIndex = marker.mark.index;
  }

  batch(): BackendBatch {
    return new RowBatch(this.#arenas);
  }

  commit(batch: BackendBatch, mark: AppliedMark): void {
    assert(batch instanceof RowBatch, "the batch was made by this backend");
    if (this.#stopped) return;
    batch.seal();
    const write = this.#writeFor(batch.sizeBytes);
    const { native } = write;
    batch.forEach((key, value) => {
      if (value === undefined) native.delete(key);
      else native.put(key, value);
    });
    write.batches.push(batch);
    write.bytes += batch.sizeBytes;
    write.mark = mark;
    this.#queuedBytes += batch.sizeBytes;
    this.#commits += 1;
    if (write.bytes >= WRITE_BYTES_EAGER) this.#pump(true);
    else this.#armTimer();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get syncedIndex(): number {
    return this.#syncedIndex;
  }

  get sizeBytes(): number {
    if (!this.#measuring && !this.#closed) {
      if (this.#options.clock.nowMs() - this.#sizeAtMs > SIZE_AGE_MS) void this.measure();
    }
    return this.#sizeBytes;
  }

  sync(): Promise<void> {
    if (this.#syncedCommits >= this.#commits) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ commits: this.#commits, resolve });
      this.#pump(true);
    });
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    const stored = storedKey(bucket, key);
    const queued = this.#findQueued(stored);
    if (queued === "deleted") return undefined;
    if (queued !== undefined) return queued;
    const found = this.#engine.get(stored);
    if (found === undefined) return undefined;
    const value = openValue(stored, found);
    if (value !== undefined) return value;
    const error = this.#damagedRow(stored);
    this.#fail(error);
    throw error;
  }

  async *scan(
    bucket: Bucket,
    from?: Uint8Array,
    to?: Uint8Array,
  ): AsyncGenerator<readonly BackendRow[]> {
    await this.sync();
    const start = from === undefined ? Buffer.from([bucket]) : storedKey(bucket, from);
    const end = to === undefined ? Buffer.from([bucket + 1]) : storedKey(bucket, to);
    let checkedTo: Buffer = start;
    for await (const rows of this.#engine.rows(start, end)) {
      const opened: BackendRow[] = [];
      // Whatever should have been between these rows and the ones before is in a table that is whole.
      const behind = Buffer.concat([rows.at(-1)?.[0] ?? start, AFTER]);
      await this.#checkTables(checkedTo, behind);
      checkedTo = behind;
      for (const [key, stored] of rows) {
        const value = openValue(key, stored);
        if (value === undefined) await this.#refuseRow(key);
        else opened.push({ key: openKey(key), value });
      }
      yield opened;
    }
    await this.#checkTables(checkedTo, end);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#stopped) {
      const failed = new Promise<void>((resolve) => {
        this.#onFailure = resolve;
      });
      await Promise.race([this.sync(), failed]);
    }
    this.#stopped = true;
    await this.#engine.close();
  }

  /** Measures the files of the store. */
  async measure(): Promise<void> {
    this.#measuring = true;
    try {
      this.#sizeBytes = await directoryBytes(this.#options.files, this.#engine.path);
      this.#sizeAtMs = this.#options.clock.nowMs();
    } finally {
      this.#measuring = false;
    }
  }

  async #checkTables(from: Buffer, to: Buffer): Promise<void> {
    try {
      await this.#unchecked?.check({ from, to });
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** Finds the file and offset that made a row unreadable, reports it and throws. */
  async #refuseRow(key: Uint8Array): Promise<never> {
    const found = await findDamage(this.#options.files, this.#engine.path);
    const error = found ?? this.#damagedRow(key);
    this.#fail(error);
    throw error;
  }

  #damagedRow(key: Uint8Array): DamagedFile {
    const row = Buffer.from(key).toString("hex");
    return new DamagedFile(this.#engine.path, -1, `damaged row ${row}: checksum mismatch`);
  }

  #findQueued(key: Buffer): Buffer | "deleted" | undefined {
    for (let w = this.#queue.length - 1; w >= -1; w--) {
      const batches = (w < 0 ? this.#inFlight : this.#queue[w])?.batches ?? [];
      for (let b = batches.length - 1; b >= 0; b--) {
        const found = batches[b]?.find(key);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  /** The write new rows join. */
  #writeFor(bytes: number): Write {
    const last = this.#queue.at(-1);
    if (last !== undefined && last.bytes + bytes <= WRITE_BYTES_MAX) return last;
    const native = this.#freeNative.pop() ?? this.#engine.nativeBatch();
    const write: Write = { native, batches: [], bytes: 0, mark: this.#marker.mark };
    this.#queue.push(write);
    return write;
  }

  #armTimer(): void {
    if (this.#timerArmed) return;
    this.#timerArmed = true;
    this.#options.clock.after(WRITE_DELAY_MS, () => {
      this.#timerArmed = false;
      this.#pump(true);
    });
  }

  /** Starts the next write if none is in flight and one is due. */
  #pump(due: boolean): void {
    if (this.#inFlight !== undefined || this.#stopped) return;
    const next = this.#queue[0];
    if (next === undefined) return;
    const wanted = due || this.#waiters.length > 0 || next.bytes >= WRITE_BYTES_EAGER;
    if (!wanted) return this.#armTimer();
    this.#queue.shift();
    this.#inFlight = next;
    this.#write(next).then(
      () => this.#written(next),
      (error: unknown) => this.#fail(error),
    );
  }

  async #write(write: Write): Promise<void> {
    const marker: Marker = {
      number: this.#marker.number + 1,
      from: this.#marker.mark.index,
      mark: write.mark,
    };
    putMarker(write.native, marker);
    await write.native.write();
    // LevelDB may have begun a new log for this batch, and does not make its name durable.
    await this.#options.files.syncDirectory(this.#engine.path);
    this.#marker = marker;
  }

  #written(write: Write): void {
    this.#inFlight = undefined;
    this.#syncedCommits += write.batches.length;
    this.#syncedIndex = write.mark.index;
    this.#queuedBytes -= write.bytes;
    this.#sizeBytes += write.bytes;
    for (const batch of write.batches) batch.recycle();
    write.native.clear();
    if (this.#freeNative.length < 2) this.#freeNative.push(write.native);
    const rest: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.commits <= this.#syncedCommits) waiter.resolve();
      else rest.push(waiter);
    }
    this.#waiters = rest;
    this.#pump(false);
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#onFailure?.();
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Adds the marker row. */
export function putMarker(native: NativeBatch, marker: Marker): void {
  const rows = new RowBatch(new ArenaPool());
  rows.put(OWN_BUCKET as Bucket, markerKey(marker.number), encodeMarker(marker));
  rows.seal();
  rows.forEach((key, value) => {
    if (value !== undefined) native.put(key, value);
  });
}

async function directoryBytes(files: Files, directory: string): Promise<number> {
  let sum = 0;
  for (const name of (await files.list(directory)) ?? []) {
    try {
      sum += await files.sizeOf(joinPath(directory, name));
    } catch {
      // Compaction deletes tables at any time.
    }
  }
  return sum;
}
