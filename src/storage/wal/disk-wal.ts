// The write-ahead log being written: one save is one durable write; segments are cut, purged and filled between saves.
//
// Everything that touches the current segment happens one after another (`#pump`), so no two writes of it overlap and a save starts only
// when the one before it is on disk, which is what the save header tells a reader. A change of the commit index alone costs no write: it
// rides with the next save, and is written by itself when none comes for a while. A failed disk call is reported once and final.
// Source: etcd server/storage/wal/wal.go Save, cut, ReleaseLockTo; reference reliability.md B.2.

import { assert } from "../../base/index.ts";
import type { Entry, HardState } from "../../proto/index.ts";
import type { Clock, OnFatal, Wal, WalSnapshot } from "../../server/ports.ts";
import type { Files } from "../files.ts";
import { SaveImage } from "./save-image.ts";
import { SEGMENT_BYTES, type SegmentName, segmentName } from "./segment.ts";
import { type SegmentFile, SegmentPipeline } from "./segment-file.ts";

/** How long a changed commit index may stay unwritten while no save takes it along. */
const STATE_FLUSH_MS = 100;

/** Where a log lies and how it is written. */
export interface WalOptions {
  readonly files: Files;
  readonly directory: string;
  readonly onFatal: OnFatal;
  /** Times the write of a commit index that found no save to ride with; without it, it is written at close. */
  readonly clock?: Pick<Clock, "after">;
  /** Default 64,000,000. */
  readonly segmentBytes?: number;
  /** Fill segments with zeros ahead of the writes (default). Off where blocks cost nothing, as in memory. */
  readonly fillAhead?: boolean;
  /** A purge that failed; the log goes on. */
  readonly onWarning?: (error: Error) => void;
}

/** A save that waits for its write. */
interface PendingSave {
  readonly state: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: WalSnapshot | undefined;
  readonly done: () => void;
}

/** A segment of the log and its size on disk. */
export interface Segment {
  readonly name: SegmentName;
  sizeBytes: number;
}

const NO_ENTRIES: readonly Entry[] = [];

/** Where a log stands when writing goes on. */
export interface WalPosition {
  /** Offset of the next save in the last segment. */
  readonly offset: number;
  readonly crc: number;
  /** Saves with a header in the last segment; 0 if etcd wrote it. */
  readonly saves: number;
  readonly lastIndex: number;
  readonly state: HardState;
  /** Newest snapshot record a restart can begin with, and the segment that holds it. */
  readonly snapshotIndex: number;
  readonly snapshotSequence: number;
}

/** The port `Wal` over segment files. */
export class DiskWal implements Wal {
  readonly #options: WalOptions;
  readonly #metadata: Uint8Array;
  readonly #segmentBytes: number;
  readonly #pipeline: SegmentPipeline;
  readonly #image: SaveImage = new SaveImage();
  /** Oldest first; the last is the current one. */
  readonly #segments: Segment[];
  #file: SegmentFile;
  #offset: number;
  #crc: number;
  #saves: number;
  #lastIndex: number;
  #state: HardState;
  /** Newest state not yet written: only its commit index differs. */
  #deferred: HardState | undefined;
  #flushDue = false;
  #flushTimer = false;
  #snapshotIndex: number;
  #snapshotSequence: number;
  /** A snapshot record above the commit index, which counts once the commit index reaches it. */
  #snapshotAhead: { readonly index: number; readonly sequence: number } | undefined;
  #releaseIndex = 0;
  #purging: Promise<void> | undefined;
  #pending: PendingSave | undefined;
  /** A disk call on the current segment is in flight. */
  #busy = false;
  #failed = false;
  #closing: (() => void) | undefined;

  /** Use createWal or resumeWal. */
  constructor(
    options: WalOptions,
    metadata: Uint8Array,
    segments: Segment[],
    file: SegmentFile,
    at: WalPosition,
  ) {
    this.#options = options;
    this.#metadata = metadata;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    const fillAhead = options.fillAhead !== false;
    const { files, directory } = options;
    this.#pipeline = new SegmentPipeline(files, directory, this.#segmentBytes, fillAhead);
    this.#segments = segments;
    this.#file = file;
    this.#offset = at.offset;
    this.#crc = at.crc;
    this.#saves = at.saves;
    this.#lastIndex = at.lastIndex;
    this.#state = at.state;
    this.#snapshotIndex = at.snapshotIndex;
    this.#snapshotSequence = at.snapshotSequence;
    this.#pump();
  }

  get sizeBytes(): number {
    let sum = 0;
    for (const segment of this.#segments) sum += segment.sizeBytes;
    return sum;
  }

  save(
    state: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: () => void,
  ): void {
    if (this.#failed) return;
    assert(this.#pending === undefined, "one save of the WAL is outstanding at a time");
    assert(this.#closing === undefined, "a closed WAL takes no saves");
    if (entries.length === 0 && !mustSync) {
      if (state !== undefined) this.#defer(state);
      queueMicrotask(() => {
        if (!this.#failed) done();
      });
      return;
    }
    this.#pending = { state, entries, snapshot: undefined, done };
    this.#pump();
  }

  saveSnapshot(snapshot: WalSnapshot, done: () => void): void {
    if (this.#failed) return;
    assert(this.#pending === undefined, "one save of the WAL is outstanding at a time");
    assert(this.#closing === undefined, "a closed WAL takes no saves");
    this.#pending = { state: undefined, entries: NO_ENTRIES, snapshot, done };
    this.#pump();
  }

  releaseTo(index: number): void {
    if (index <= this.#releaseIndex) return;
    this.#releaseIndex = index;
    this.#purge();
  }

  async close(): Promise<void> {
    if (this.#closing !== undefined) return;
    if (this.#deferred !== undefined) this.#flushDue = true;
    await new Promise<void>((resolve) => {
      this.#closing = resolve;
      this.#pump();
    });
    await this.#pipeline.stop();
    await this.#purging;
    await this.#file.close();
  }

  /** Keeps a state of which only the commit index is new for the next save. */
  #defer(state: HardState): void {
    this.#deferred = state;
    const { clock } = this.#options;
    if (clock === undefined || this.#flushTimer) return;
    this.#flushTimer = true;
    clock.after(STATE_FLUSH_MS, () => {
      this.#flushTimer = false;
      if (this.#deferred === undefined || this.#closing !== undefined) return;
      this.#flushDue = true;
      this.#pump();
    });
  }

  /** Starts the next thing the current segment waits for, if nothing is in flight. */
  #pump(): void {
    if (this.#busy) return;
    if (this.#failed) {
      this.#closing?.();
      return;
    }
    if (this.#pending !== undefined || (this.#flushDue && this.#deferred !== undefined)) {
      // A segment without save headers was written by etcd: ours begin in a segment of their own.
      if (this.#offset >= this.#segmentBytes || this.#saves === 0) this.#start(this.#cut());
      else this.#write(this.#pending);
      return;
    }
    if (this.#closing !== undefined) {
      this.#closing();
      return;
    }
    if (this.#offset >= this.#segmentBytes) this.#start(this.#cut());
    else if (this.#file.needsFilling) this.#start(this.#fill());
  }

  #start(work: Promise<void>): void {
    this.#busy = true;
    work.then(
      () => {
        this.#busy = false;
        this.#pump();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** Writes one save: entries, then the state, then the snapshot record. */
  #write(pending: PendingSave | undefined): void {
    const image = this.#image;
    const segment = this.#segments.at(-1) as Segment;
    const state = pending?.state ?? this.#deferred;
    this.#deferred = undefined;
    this.#flushDue = false;
    image.reset(this.#crc);
    image.begin();
    if (pending !== undefined) for (const entry of pending.entries) image.entry(entry);
    if (state !== undefined) {
      image.state(state);
      this.#state = state;
    }
    if (pending?.snapshot !== undefined) image.snapshot(pending.snapshot);
    image.seal(segment.name.sequence, this.#saves + 1, this.#offset);
    this.#busy = true;
    this.#file.log.writeThen(image.buf, 0, image.end, this.#offset, (error) => {
      if (error !== undefined) return this.#fail(error);
      this.#written(pending, segment);
    });
  }

  #written(pending: PendingSave | undefined, segment: Segment): void {
    this.#busy = false;
    this.#offset += this.#image.end;
    this.#crc = this.#image.crc;
    this.#saves += 1;
    segment.sizeBytes = Math.max(segment.sizeBytes, this.#offset);
    if (this.#offset > this.#segmentBytes / 2) this.#pipeline.prepare();
    const last = pending?.entries.at(-1);
    if (last !== undefined) this.#lastIndex = last.index;
    if (pending?.snapshot !== undefined) {
      const { index } = pending.snapshot;
      this.#snapshotAhead = { index, sequence: segment.name.sequence };
      this.#lastIndex = Math.max(this.#lastIndex, index);
    }
    this.#useSnapshotRecord();
    if (pending !== undefined) {
      this.#pending = undefined;
      pending.done();
    }
    // Otherwise this was a commit index alone, and a save may have come meanwhile.
    this.#pump();
  }

  /** A restart begins with the newest snapshot record at or below the commit index. */
  #useSnapshotRecord(): void {
    const ahead = this.#snapshotAhead;
    if (ahead === undefined || ahead.index > this.#state.commit) return;
    this.#snapshotAhead = undefined;
    this.#snapshotIndex = ahead.index;
    this.#snapshotSequence = ahead.sequence;
    this.#purge();
  }

  async #fill(): Promise<void> {
    const segment = this.#segments.at(-1) as Segment;
    const file = this.#file;
    await file.fillStep(this.#offset);
    segment.sizeBytes = Math.max(this.#offset, file.filledBytes);
    // Saves go on while the zeros reach the disk.
    if (!file.needsFilling) file.sync().catch((error: unknown) => this.#fail(error));
  }

  /** Ends the current segment and begins the next: cut to length, new head durable, then its name, then the directory. */
  async #cut(): Promise<void> {
    const { files, directory } = this.#options;
    const next = await this.#pipeline.take();
    const segment = this.#segments.at(-1) as Segment;
    await this.#file.truncate(this.#offset);
    segment.sizeBytes = this.#offset;
    const name = segmentName(directory, segment.name.sequence + 1, this.#lastIndex + 1);
    const image = this.#image;
    image.reset(this.#crc);
    image.crcRecord(0);
    image.metadata(this.#metadata);
    image.begin();
    image.state(this.#deferred ?? this.#state);
    image.seal(name.sequence, 1, 0);
    await next.file.log.write(image.buf, 0, image.end, 0);
    await next.file.sync();
    await files.rename(next.path, name.path);
    await files.syncDirectory(directory);
    const before = this.#file;
    this.#state = this.#deferred ?? this.#state;
    this.#deferred = undefined;
    this.#flushDue = false;
    this.#file = next.file;
    this.#file.filledBytes = Math.max(this.#file.filledBytes, image.end);
    this.#offset = image.end;
    this.#crc = image.crc;
    this.#saves = 1;
    this.#segments.push({ name, sizeBytes: this.#file.filledBytes });
    await before.close();
    this.#useSnapshotRecord();
    this.#purge();
  }

  /** Deletes released segments, oldest first, each name gone for good before the next. */
  #purge(): void {
    if (this.#purging !== undefined || this.#failed) return;
    if (!this.#oldestReleased()) return;
    const { files, directory, onWarning } = this.#options;
    const run = async (): Promise<void> => {
      while (this.#oldestReleased()) {
        const [oldest] = this.#segments as [Segment];
        await files.unlink(oldest.name.path);
        await files.syncDirectory(directory);
        this.#segments.shift();
      }
    };
    this.#purging = run()
      .catch((error: unknown) => onWarning?.(error as Error))
      .finally(() => {
        this.#purging = undefined;
      });
  }

  /** True if a restart needs nothing of the oldest segment: neither an entry behind the snapshot it begins with, nor that record. */
  #oldestReleased(): boolean {
    const following = this.#segments[1];
    if (following === undefined) return false;
    const index = Math.min(this.#releaseIndex, this.#snapshotIndex);
    return (
      following.name.firstIndex - 1 <= index && following.name.sequence <= this.#snapshotSequence
    );
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#busy = false;
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    this.#closing?.();
  }
}
