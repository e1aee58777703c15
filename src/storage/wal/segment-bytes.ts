// The contents of one segment, read piece by piece: a segment is mostly zeros behind its last record, and those need not stay in memory.

import { DamagedFile, type Files, type OpenFile } from "../files.ts";
import type { SegmentName } from "./segment.ts";

const PIECE_BYTES = 1024 * 1024;

/** A segment larger than this is not ours nor etcd's: one save beyond the segment size is the most there is. */
const SEGMENT_BYTES_MAX = 2 ** 31;

/** `buf[0, loadedBytes)` is the start of the file; offsets in the buffer are offsets in the file. */
export class SegmentBytes {
  readonly segment: SegmentName;
  readonly sizeBytes: number;
  readonly buf: Buffer;
  loadedBytes = 0;
  readonly #file: OpenFile;

  private constructor(segment: SegmentName, file: OpenFile, sizeBytes: number) {
    this.segment = segment;
    this.sizeBytes = sizeBytes;
    this.#file = file;
    // Pages of it that are never touched cost nothing.
    this.buf = Buffer.allocUnsafeSlow(sizeBytes);
  }

  static async open(files: Files, segment: SegmentName): Promise<SegmentBytes> {
    const file = await files.open(segment.path, "read");
    const sizeBytes = await file.sizeBytes();
    if (sizeBytes > SEGMENT_BYTES_MAX) {
      await file.close();
      throw new DamagedFile(segment.path, -1, `${sizeBytes} bytes are too many for a segment`);
    }
    const bytes = new SegmentBytes(segment, file, sizeBytes);
    await bytes.more();
    return bytes;
  }

  /** True when the whole file is loaded. */
  get complete(): boolean {
    return this.loadedBytes === this.sizeBytes;
  }

  /** Loads the next piece. */
  async more(): Promise<void> {
    const end = Math.min(this.sizeBytes, this.loadedBytes + PIECE_BYTES);
    await this.#read(this.buf, this.loadedBytes, end, this.loadedBytes);
    this.loadedBytes = end;
  }

  /** Loads everything. */
  async all(): Promise<void> {
    while (!this.complete) await this.more();
  }

  /**
   * Offset after the last byte that is not zero, `from` if there is none behind it. Loads the file only if there is one.
   */
  async dataEnd(from: number): Promise<number> {
    let last = lastNonZero(this.buf, from, this.loadedBytes);
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, this.sizeBytes - this.loadedBytes));
    const zeros = Buffer.alloc(piece.length);
    for (let at = this.loadedBytes; at < this.sizeBytes; at += piece.length) {
      const count = Math.min(piece.length, this.sizeBytes - at);
      await this.#read(piece, 0, count, at);
      if (piece.compare(zeros, 0, count, 0, count) !== 0) {
        last = at + lastNonZero(piece, 0, count);
      }
    }
    if (last > this.loadedBytes) await this.all();
    return Math.max(last, from);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #read(buf: Buffer, start: number, end: number, position: number): Promise<void> {
    const count = await this.#file.read(buf, start, end, position);
    if (count !== end - start) {
      throw new DamagedFile(this.segment.path, position + count, "the file became shorter");
    }
  }
}

function lastNonZero(buf: Buffer, start: number, end: number): number {
  let last = end;
  while (last > start && buf[last - 1] === 0) last--;
  return last;
}
