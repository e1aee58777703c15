// Rows on their way to the backend: one arena per batch, each row laid out as it is stored.
//
//   stored key    bucket (1 byte) · key
//   stored value  value · crc32c of stored key and value, little endian
//
// The crc is what LevelDB does not give: it checks its blocks neither when reading nor when compacting (reference reliability.md B.3).
// In the arena a row is stored key, value, crc in one run, so one pass of crc32c covers both.

import { assert, crc32c } from "../base/index.ts";
import type { BackendBatch, Bucket } from "../server/ports.ts";

/** Bytes a stored value has more than the value. */
export const ROW_CHECKSUM_BYTES = 4;

/** Seed of the checksum; another layout of rows gets another one, so that neither reads the other's rows. */
const ROW_FORMAT = 1;

/** Room for a few rows: a batch of one put is the smallest, and a hundred of them may wait for one write of the store. */
const ARENA_BYTES_MIN = 4 * 1024;
/** A larger arena is not kept for the next batch. */
const ARENA_BYTES_KEPT_MAX = 4 * 1024 * 1024;
/** Bytes of all arenas kept: what a burst needs again, so that steady load allocates none. */
const POOL_BYTES_MAX = 16 * 1024 * 1024;

const DELETED = -1;

/** The key in a stored key, a view. */
export function openKey(stored: Uint8Array): Uint8Array {
  return new Uint8Array(stored.buffer, stored.byteOffset + 1, stored.length - 1);
}

/** Stored key: bucket and key. */
export function storedKey(bucket: Bucket, key: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(1 + key.length);
  stored[0] = bucket;
  stored.set(key, 1);
  return stored;
}

/** The value in stored bytes, a view; undefined if the checksum says they are not what was stored under `key`. */
export function openValue(key: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  const end = stored.length - ROW_CHECKSUM_BYTES;
  if (end < 0) return undefined;
  const crc = crc32c(stored, 0, end, crc32c(key, 0, key.length, ROW_FORMAT));
  const found =
    ((stored[end] as number) |
      ((stored[end + 1] as number) << 8) |
      ((stored[end + 2] as number) << 16) |
      ((stored[end + 3] as number) << 24)) >>>
    0;
  return crc === found ? new Uint8Array(stored.buffer, stored.byteOffset, end) : undefined;
}

/** A batch; the backend that made it reads it through `forEach` and `find`, then `recycle`s it. */
export class RowBatch implements BackendBatch {
  buffer: Buffer;
  readonly #pool: ArenaPool;
  #end = 0;
  /** Per row: start of the stored key, end of it, end of the value or DELETED. */
  readonly #rows: number[] = [];
  #sealed = false;
  #index: Map<string, number> | undefined;

  constructor(pool: ArenaPool) {
    this.#pool = pool;
    this.buffer = pool.take();
  }

  get sizeBytes(): number {
    return this.#end;
  }

  get rowCount(): number {
    return this.#rows.length / 3;
  }

  put(bucket: Bucket, key: Uint8Array, value: Uint8Array): void {
    const at = this.reserve(bucket, key, value.length);
    this.buffer.set(value, at);
  }

  reserve(bucket: Bucket, key: Uint8Array, valueBytes: number): number {
    const keyEnd = this.#key(bucket, key, valueBytes + ROW_CHECKSUM_BYTES);
    this.#rows.push(this.#end, keyEnd, keyEnd + valueBytes);
    this.#end = keyEnd + valueBytes + ROW_CHECKSUM_BYTES;
    return keyEnd;
  }

  delete(bucket: Bucket, key: Uint8Array): void {
    const keyEnd = this.#key(bucket, key, 0);
    this.#rows.push(this.#end, keyEnd, DELETED);
    this.#end = keyEnd;
  }

  /** Adds the checksums; after it the batch takes no rows. */
  seal(): void {
    assert(!this.#sealed, "a batch is committed once");
    this.#sealed = true;
    const rows = this.#rows;
    const { buffer } = this;
    for (let i = 0; i < rows.length; i += 3) {
      const end = rows[i + 2] as number;
      if (end === DELETED) continue;
      const crc = crc32c(buffer, rows[i], end, ROW_FORMAT);
      buffer[end] = crc;
      buffer[end + 1] = crc >>> 8;
      buffer[end + 2] = crc >>> 16;
      buffer[end + 3] = crc >>> 24;
    }
  }

  /**
   * Calls `row` for each row in order with views of the arena, valid until `recycle`; `value` undefined for a deletion. The views are
   * plain Uint8Arrays: making one costs a third of what a Buffer's `subarray` does, 0.16 against 0.23 us for a row put to LevelDB.
   */
  forEach(row: (key: Uint8Array, value: Uint8Array | undefined) => void): void {
    const rows = this.#rows;
    const { buffer, byteOffset } = this.buffer;
    for (let i = 0; i < rows.length; i += 3) {
      const start = rows[i] as number;
      const keyEnd = rows[i + 1] as number;
      const end = rows[i + 2] as number;
      const key = new Uint8Array(buffer, byteOffset + start, keyEnd - start);
      if (end === DELETED) row(key, undefined);
      else row(key, new Uint8Array(buffer, byteOffset + keyEnd, end + ROW_CHECKSUM_BYTES - keyEnd));
    }
  }

  /** The last word of this batch on a stored key: a copy of the value, "deleted", or undefined if it says nothing. */
  find(key: Buffer): Buffer | "deleted" | undefined {
    const i = this.#lookup().get(key.toString("latin1"));
    if (i === undefined) return undefined;
    const end = this.#rows[i + 2] as number;
    return end === DELETED
      ? "deleted"
      : Buffer.from(this.buffer.subarray(this.#rows[i + 1] as number, end));
  }

  /** Gives the arena back; the batch is empty for good. */
  recycle(): void {
    this.#pool.give(this.buffer);
    this.buffer = EMPTY;
    this.#rows.length = 0;
    this.#end = 0;
    this.#index = undefined;
  }

  /** Made on the first read of a queued batch: most batches are written before anything asks for their rows. */
  #lookup(): Map<string, number> {
    if (this.#index !== undefined) return this.#index;
    const index = new Map<string, number>();
    const rows = this.#rows;
    for (let i = 0; i < rows.length; i += 3) {
      index.set(this.buffer.toString("latin1", rows[i], rows[i + 1]), i);
    }
    this.#index = index;
    return index;
  }

  #key(bucket: Bucket, key: Uint8Array, bytesBehind: number): number {
    assert(!this.#sealed, "a committed batch takes no rows");
    const keyEnd = this.#end + 1 + key.length;
    if (keyEnd + bytesBehind > this.buffer.length) this.#grow(keyEnd + bytesBehind);
    this.buffer[this.#end] = bucket;
    this.buffer.set(key, this.#end + 1);
    return keyEnd;
  }

  #grow(bytes: number): void {
    const next = Buffer.allocUnsafeSlow(Math.max(bytes, this.buffer.length * 2));
    this.buffer.copy(next, 0, 0, this.#end);
    this.buffer = next;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

/** Arenas between batches. */
export class ArenaPool {
  readonly #free: Buffer[] = [];
  #bytes = 0;

  take(): Buffer {
    const arena = this.#free.pop();
    if (arena === undefined) return Buffer.allocUnsafeSlow(ARENA_BYTES_MIN);
    this.#bytes -= arena.length;
    return arena;
  }

  give(arena: Buffer): void {
    if (arena.length > ARENA_BYTES_KEPT_MAX || this.#bytes + arena.length > POOL_BYTES_MAX) return;
    this.#free.push(arena);
    this.#bytes += arena.length;
  }
}
