// Reads LevelDB's manifest: which tables and logs make up the store. What else lies in the folder is what an interrupted flush or
// compaction left, half-written tables included, and LevelDB deletes it when it opens.
//
//   record  tagged fields: 1 comparator (string) · 2 log number · 3 next file number · 4 last sequence · 5 compact pointer (level, key) ·
//           6 deleted file (level, number) · 7 new file (level, number, size, smallest, largest key) · 9 previous log number
//           numbers are varints, strings and keys are length-prefixed
//
// Source: google/leveldb db/version_edit.cc, db/version_set.cc Recover.

import { DamagedFile } from "../files.ts";
import { readLog } from "./log-check.ts";

/** A live table. */
export interface TableRecord {
  readonly number: number;
  readonly sizeBytes: number;
  /** First and last stored key in it. */
  readonly smallest: Buffer;
  readonly largest: Buffer;
}

/** The store as its manifest describes it. */
export interface Manifest {
  readonly path: string;
  /** Live tables by number. */
  readonly tables: ReadonlyMap<number, TableRecord>;
  /** Logs below it are done with, except `previousLog`. */
  readonly log: number;
  readonly previousLog: number;
  /** Highest sequence number when the last edit was made. */
  readonly lastSequence: bigint;
  /** Where a last record begins that is not whole: of an edit that was under way, or damaged since. */
  readonly tornAt: number | undefined;
}

/** Sequence number and type behind a stored key. */
const INTERNAL_BYTES = 8;

class Fields {
  readonly #bytes: Buffer;
  #pos = 0;
  failed = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get more(): boolean {
    return !this.failed && this.#pos < this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = this.#bytes[this.#pos++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.failed = true;
    return 0n;
  }

  number(): number {
    return Number(this.varint());
  }

  string(): Buffer {
    const length = this.number();
    const start = this.#pos;
    if (length > this.#bytes.length - start) this.failed = true;
    else this.#pos += length;
    return this.#bytes.subarray(start, this.#pos);
  }

  /** A key as tables order it: the stored key, then sequence and type. */
  internalKey(): Buffer {
    const key = this.string();
    if (key.length < INTERNAL_BYTES) this.failed = true;
    return key.subarray(0, Math.max(0, key.length - INTERNAL_BYTES));
  }

  table(): TableRecord {
    this.varint();
    const number = this.number();
    const sizeBytes = this.number();
    return { number, sizeBytes, smallest: this.internalKey(), largest: this.internalKey() };
  }
}

/** Parses the manifest in `buf`; throws DamagedFile. */
export function readManifest(path: string, buf: Buffer): Manifest {
  const tables = new Map<number, TableRecord>();
  let log = 0;
  let previousLog = 0;
  let lastSequence = 0n;
  const tornAt = readLog(path, buf, Number.POSITIVE_INFINITY, (pos, bytes) => {
    const fields = new Fields(bytes);
    while (fields.more) {
      const tag = fields.number();
      if (tag === 1) fields.string();
      else if (tag === 2) log = fields.number();
      else if (tag === 3) fields.varint();
      else if (tag === 4) lastSequence = fields.varint();
      else if (tag === 5) {
        fields.varint();
        fields.string();
      } else if (tag === 6) {
        fields.varint();
        tables.delete(fields.number());
      } else if (tag === 7) {
        const table = fields.table();
        tables.set(table.number, table);
      } else if (tag === 9) previousLog = fields.number();
      else fields.failed = true;
    }
    if (fields.failed) throw new DamagedFile(path, pos, "a record of the manifest is malformed");
  });
  return { path, tables, log, previousLog, lastSequence, tornAt };
}
