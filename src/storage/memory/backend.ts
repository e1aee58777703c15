// The backend in memory: rows in maps, and the store that survives a crash kept apart from what was only committed.
//
// A batch is written after a latency, one at a time, as the LevelDB backend does; a crash keeps what was synced and, of what was not, a
// random prefix of whole batches. Every row carries its checksum here too, so that a damaged one is noticed, not served.
// Source: reference reliability.md C.2 (the kv model).

import { assert, type Prng } from "../../base/index.ts";
import type {
  AppliedMark,
  Backend,
  BackendBatch,
  BackendRow,
  Bucket,
  Clock,
  OnFatal,
} from "../../server/ports.ts";
import { DamagedFile } from "../files.ts";
import { ArenaPool, openValue, RowBatch, storedKey } from "../rows.ts";

/** Rows of one chunk of a scan at most; with values of 256 bytes about the 1 MiB of the port. */
const CHUNK_ROWS = 4096;
const CHUNK_BYTES = 1024 * 1024;

/** One batch as the store takes it: stored keys as latin1 strings, `undefined` for a deletion. */
interface StoredBatch {
  readonly rows: readonly (readonly [string, Buffer | undefined])[];
  readonly bytes: number;
  readonly mark: AppliedMark;
}

/** The disk of a memory backend: outlives the backends opened on it. */
export class MemoryStore {
  readonly #rows = new Map<string, Buffer>();
  #mark: AppliedMark = { index: 0, term: 0, confState: undefined };
  /** Written, not yet synced. */
  #unsynced: StoredBatch[] = [];
  /** Rises with each crash; a backend of an older life writes no more. */
  life = 0;

  get mark(): AppliedMark {
    return this.#mark;
  }

  get rows(): ReadonlyMap<string, Buffer> {
    return this.#rows;
  }

  write(batch: StoredBatch): void {
    this.#unsynced.push(batch);
  }

  sync(): void {
    for (const batch of this.#unsynced) this.#take(batch);
    this.#unsynced = [];
  }

  /** Power off: what is synced stays, and a random prefix of the rest. */
  crash(prng: Prng): void {
    this.life += 1;
    const kept = prng.below(this.#unsynced.length + 1);
    for (const batch of this.#unsynced.slice(0, kept)) this.#take(batch);
    this.#unsynced = [];
  }

  /** The process died, the machine did not: every batch written is there. */
  restart(): void {
    this.life += 1;
    this.sync();
  }

  /** Hazard: flips a bit of one stored row, chosen by `prng`; false if there is none. */
  damage(prng: Prng): boolean {
    const keys = [...this.#rows.keys()];
    if (keys.length === 0) return false;
    const key = prng.pick(keys);
    const value = Buffer.from(this.#rows.get(key) as Buffer);
    const at = prng.below(value.length);
    value[at] = (value[at] as number) ^ (1 << prng.below(8));
    this.#rows.set(key, value);
    return true;
  }

  #take(batch: StoredBatch): void {
    for (const [key, value] of batch.rows) {
      if (value === undefined) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
    this.#mark = batch.mark;
  }
}

/** How a memory backend behaves. */
export interface MemoryBackendOptions {
  readonly onFatal: OnFatal;
  readonly clock?: Pick<Clock, "after">;
  /** Time a batch takes to be synced; 0 without a clock: in a microtask. */
  readonly latencyMs?: () => number;
  /** Asked before each batch is written; an error it returns ends the backend, and the batch may be there after a crash or not. */
  readonly fault?: (bytes: number) => Error | undefined;
}

/** Rows of one bucket, with their keys in order on demand. */
class BucketRows {
  readonly #rows = new Map<string, Buffer>();
  /** All keys ever put, in order while `#sorted`; may hold deleted ones. */
  #order: string[] = [];
  #sorted = true;
  #stale = 0;

  get(key: string): Buffer | undefined {
    return this.#rows.get(key);
  }

  put(key: string, value: Buffer): void {
    if (!this.#rows.has(key)) {
      const last = this.#order.at(-1);
      if (last !== undefined && last >= key) this.#sorted = false;
      this.#order.push(key);
    }
    this.#rows.set(key, value);
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) this.#stale += 1;
  }

  /** Rows with from <= key < to, as they are now. */
  range(from: string, to: string | undefined): [string, Buffer][] {
    if (!this.#sorted || this.#stale > this.#order.length / 2) {
      this.#order = [...this.#rows.keys()].sort();
      this.#sorted = true;
      this.#stale = 0;
    }
    const rows: [string, Buffer][] = [];
    for (let i = lowerBound(this.#order, from); i < this.#order.length; i++) {
      const key = this.#order[i] as string;
      if (to !== undefined && key >= to) break;
      const value = this.#rows.get(key);
      if (value !== undefined) rows.push([key, value]);
    }
    return rows;
  }
}

function lowerBound(keys: readonly string[], from: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The port `Backend` over a `MemoryStore`. */
export class MemoryBackend implements Backend {
  readonly opened: AppliedMark;
  readonly #store: MemoryStore;
  readonly #life: number;
  readonly #options: MemoryBackendOptions;
  readonly #arenas: ArenaPool = new ArenaPool();
  readonly #buckets: BucketRows[] = [];
  readonly #queue: StoredBatch[] = [];
  #busy = false;
  #commits = 0;
  #syncedCommits = 0;
  #syncedIndex: number;
  #queuedBytes = 0;
  #sizeBytes = 0;
  #waiters: { readonly commits: number; readonly resolve: () => void }[] = [];
  #closed = false;
  /** Ends a close that waits for a sync. */
  #onFailure: (() => void) | undefined;

  constructor(store: MemoryStore, options: MemoryBackendOptions) {
    this.#store = store;
    this.#life = store.life;
    this.#options = options;
    this.opened = store.mark;
    this.#syncedIndex = store.mark.index;
    for (const [key, value] of store.rows) this.#place(key, value);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get syncedIndex(): number {
    return this.#syncedIndex;
  }

  /** Bytes of all keys and values. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  batch(): BackendBatch {
    return new RowBatch(this.#arenas);
  }

  commit(batch: BackendBatch, mark: AppliedMark): void {
    assert(batch instanceof RowBatch, "the batch was made by this backend");
    if (this.#closed) return;
    batch.seal();
    const rows: [string, Buffer | undefined][] = [];
    batch.forEach((key, value) => {
      const owned = value === undefined ? undefined : Buffer.from(value);
      const name = Buffer.from(key).toString("latin1");
      rows.push([name, owned]);
      this.#place(name, owned);
    });
    const bytes = batch.sizeBytes;
    batch.recycle();
    this.#queue.push({ rows, bytes, mark });
    this.#queuedBytes += bytes;
    this.#commits += 1;
    this.#pump();
  }

  sync(): Promise<void> {
    if (this.#syncedCommits >= this.#commits) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ commits: this.#commits, resolve });
    });
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    const stored = storedKey(bucket, key);
    const found = this.#buckets[bucket]?.get(stored.toString("latin1"));
    if (found === undefined) return undefined;
    return Buffer.from(this.#open(stored, found));
  }

  async *scan(
    bucket: Bucket,
    from?: Uint8Array,
    to?: Uint8Array,
  ): AsyncGenerator<readonly BackendRow[]> {
    const start = storedKey(bucket, from ?? new Uint8Array(0)).toString("latin1");
    const end = to === undefined ? undefined : storedKey(bucket, to).toString("latin1");
    const rows = this.#buckets[bucket]?.range(start, end) ?? [];
    let chunk: BackendRow[] = [];
    let bytes = 0;
    for (const [name, stored] of rows) {
      const key = Buffer.from(name, "latin1");
      const value = Buffer.from(this.#open(key, stored));
      chunk.push({ key: key.subarray(1), value });
      bytes += key.length + value.length;
      if (chunk.length === CHUNK_ROWS || bytes >= CHUNK_BYTES) {
        yield chunk;
        chunk = [];
        bytes = 0;
        await Promise.resolve();
      }
    }
    if (chunk.length > 0) yield chunk;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const failed = new Promise<void>((resolve) => {
      this.#onFailure = resolve;
    });
    await Promise.race([this.sync(), failed]);
    this.#closed = true;
  }

  #open(key: Buffer, stored: Buffer): Uint8Array {
    const value = openValue(key, stored);
    if (value !== undefined) return value;
    const detail = `damaged row ${key.toString("hex")}: checksum mismatch`;
    const error = new DamagedFile("memory", -1, detail);
    this.#fail(error);
    throw error;
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onFailure?.();
    this.#options.onFatal(error);
  }

  #place(key: string, value: Buffer | undefined): void {
    const number = key.charCodeAt(0);
    let bucket = this.#buckets[number];
    if (bucket === undefined) {
      bucket = new BucketRows();
      this.#buckets[number] = bucket;
    }
    const before = bucket.get(key);
    if (before !== undefined) this.#sizeBytes -= key.length + before.length;
    if (value === undefined) bucket.delete(key);
    else {
      bucket.put(key, value);
      this.#sizeBytes += key.length + value.length;
    }
  }

  #pump(): void {
    const batch = this.#queue[0];
    if (this.#busy || batch === undefined) return;
    this.#busy = true;
    if (this.#store.life !== this.#life) return;
    this.#store.write(batch);
    const error = this.#options.fault?.(batch.bytes);
    const synced = (): void => {
      if (this.#store.life !== this.#life) return;
      if (error !== undefined) return this.#fail(error);
      this.#store.sync();
      this.#busy = false;
      this.#queue.shift();
      this.#queuedBytes -= batch.bytes;
      this.#syncedCommits += 1;
      this.#syncedIndex = batch.mark.index;
      const due = this.#waiters.filter((w) => w.commits <= this.#syncedCommits);
      this.#waiters = this.#waiters.filter((w) => w.commits > this.#syncedCommits);
      for (const waiter of due) waiter.resolve();
      this.#pump();
    };
    const { clock, latencyMs } = this.#options;
    if (clock === undefined) queueMicrotask(synced);
    else clock.after(latencyMs?.() ?? 0, synced);
  }
}
