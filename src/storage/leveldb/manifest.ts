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

/** The store as its manifest describes it. */
export interface Manifest {
  /** Number to size of each live table. */
  readonly tables: ReadonlyMap<number, number>;
  /** Logs below it are done with, except `previousLog`. */
  readonly log: number;
  readonly previousLog: number;
  /** Highest sequence number when the last edit was made. */
  readonly lastSequence: bigint;
}

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

  skipString(): void {
    const length = this.number();
    if (length > this.#bytes.length - this.#pos) this.failed = true;
    else this.#pos += length;
  }
}

/** Parses the manifest in `buf`; throws DamagedFile. */
export function readManifest(path: string, buf: Buffer): Manifest {
  const tables = new Map<number, number>();
  let log = 0;
  let previousLog = 0;
  let lastSequence = 0n;
  readLog(path, buf, Number.POSITIVE_INFINITY, (pos, bytes) => {
    const fields = new Fields(bytes);
    while (fields.more) {
      const tag = fields.number();
      if (tag === 1) fields.skipString();
      else if (tag === 2) log = fields.number();
      else if (tag === 3) fields.varint();
      else if (tag === 4) lastSequence = fields.varint();
      else if (tag === 5) {
        fields.varint();
        fields.skipString();
      } else if (tag === 6) {
        fields.varint();
        tables.delete(fields.number());
      } else if (tag === 7) {
        fields.varint();
        tables.set(fields.number(), fields.number());
        fields.skipString();
        fields.skipString();
      } else if (tag === 9) previousLog = fields.number();
      else fields.failed = true;
    }
    if (fields.failed) throw new DamagedFile(path, pos, "a record of the manifest is malformed");
  });
  return { tables, log, previousLog, lastSequence };
}
