// The one place that touches `level`: opening, reading, iterating and the native batch.
//
// The native batch is used through the two methods abstract-level calls on its adapters (`_put`, `_del`), with one batch object written
// and cleared again and again. The public chained batch costs 0.41 us of main thread per row instead of 0.25, and each one's native
// memory lives until the garbage collector, which does not see its size, finds it (measured: +35 MB after 90 MB of writes). The
// version of `level` is pinned, and `nativeBatch` refuses to start with one that lacks the methods.

import { type DatabaseOptions, Level } from "level";
import { DamagedFile, StorageRefusal } from "../files.ts";

/** Rows collect in memory up to here before LevelDB turns them to a table; twice that is replayed at worst when opening. */
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Uncompressed blocks LevelDB keeps; the values in use are cached above it. */
const BLOCK_CACHE_BYTES = 16 * 1024 * 1024;
/** Larger tables mean fewer files to open and check. */
const TABLE_BYTES = 8 * 1024 * 1024;
const OPEN_FILES_MAX = 1000;

/** Bytes of rows one step of an iterator returns at most, roughly. */
const STEP_BYTES = 256 * 1024;
const STEP_ROWS_MAX = 16_384;

type Db = Level<Uint8Array, Uint8Array>;

/** A write batch in native memory; `put` and `delete` copy. */
export interface NativeBatch {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  clear(): void;
  /** Writes the batch and syncs LevelDB's log. */
  write(): Promise<void>;
}

/** A stored row as LevelDB gives it. */
export type StoredRow = readonly [key: Uint8Array, value: Uint8Array];

/** Key and value, key, nothing, or options; what comes back matters only for `_write`. */
type BareMethod = (...args: readonly (Uint8Array | { readonly sync: boolean })[]) => unknown;

/** The method behind abstract-level's checks. */
function bareMethod(batch: object, name: string): BareMethod {
  const method: unknown = Reflect.get(batch, name);
  if (typeof method !== "function") {
    throw new StorageRefusal(`this version of the package level has no method ${name}`);
  }
  return method.bind(batch) as BareMethod;
}

/** One open LevelDB folder. */
export class LevelEngine {
  readonly path: string;
  readonly #db: Db;
  #lastStep: Promise<unknown> = Promise.resolve();

  private constructor(path: string, db: Db) {
    this.path = path;
    this.#db = db;
  }

  /** Opens the store; it must exist unless `create`. Refuses one in use; names the file of one LevelDB finds damaged. */
  static async open(path: string, create: boolean): Promise<LevelEngine> {
    const options: DatabaseOptions<Uint8Array, Uint8Array> = {
      keyEncoding: "view",
      valueEncoding: "view",
      createIfMissing: create,
      errorIfExists: create,
      compression: true,
      writeBufferSize: WRITE_BUFFER_BYTES,
      cacheSize: BLOCK_CACHE_BYTES,
      maxFileSize: TABLE_BYTES,
      maxOpenFiles: OPEN_FILES_MAX,
    };
    const db: Db = new Level(path, options);
    try {
      await db.open();
    } catch (error) {
      throw openFailure(path, error);
    }
    return new LevelEngine(path, db);
  }

  nativeBatch(): NativeBatch {
    const batch = this.#db.batch();
    const write = bareMethod(batch, "_write");
    return {
      put: bareMethod(batch, "_put"),
      delete: bareMethod(batch, "_del"),
      clear: bareMethod(batch, "_clear"),
      write: async () => {
        await write({ sync: true });
      },
    };
  }

  /** Blocks for the read; a few microseconds when the block is cached. */
  get(key: Uint8Array): Uint8Array | undefined {
    return this.#db.getSync(key);
  }

  /** Rows with from <= key < to in order, over the state when the first step is asked for, in steps. */
  async *rows(from: Uint8Array, to: Uint8Array): AsyncGenerator<readonly StoredRow[]> {
    const iterator = this.#db.iterator({
      gte: from,
      lt: to,
      fillCache: false,
      highWaterMarkBytes: STEP_BYTES,
    });
    try {
      // The next step is read while the last one is used.
      const step = (): Promise<StoredRow[]> => this.#step(() => iterator.nextv(STEP_ROWS_MAX));
      let ahead = step();
      for (;;) {
        const rows = await ahead;
        if (rows.length === 0) return;
        ahead = step();
        // A consumer that stops leaves `ahead` behind; closing the iterator waits for it.
        ahead.catch(() => undefined);
        yield rows;
      }
    } finally {
      await iterator.close();
    }
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  /** One step of one iterator at a time, so that scans never take all threads of libuv's pool from the WAL. */
  #step(read: () => Promise<StoredRow[]>): Promise<StoredRow[]> {
    const result = this.#lastStep.then(read);
    this.#lastStep = result.catch(() => undefined);
    return result;
  }
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function openFailure(path: string, error: unknown): Error {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (codeOf(cause) === "LEVEL_LOCKED") {
    return new StorageRefusal(
      `the data directory is in use by another process (${path} is locked)`,
    );
  }
  if (codeOf(cause) === "LEVEL_CORRUPTION")
    return new DamagedFile(path, -1, `damaged store: ${text}`);
  return new StorageRefusal(`the store in ${path} cannot be opened: ${text}`);
}
