// Walks the records of one segment: form, crc chain, saves; collects what they say, and decides where the log ends.
//
// In every segment but the last, anything that is not a record is damage. In the last one it may be a torn write: the last save, never
// acknowledged, of which the disk kept only some sectors. Then the save is dropped as a whole. What counts as torn is in `classify`;
// everything else is refused with file and offset and nothing is changed. Source: reference storage-formats.md 7.4, reliability.md B.2.

import { crc32c } from "../../base/index.ts";
import {
  decodeHardState,
  decodeWalSnapshot,
  type HardState,
  ProtoError,
} from "../../proto/index.ts";
import type { WalSnapshot } from "../../server/ports.ts";
import { DamagedFile } from "../files.ts";
import { type FoundRecord, FRAME_BYTES, RecordType, readRecord } from "./record.ts";
import {
  addShape,
  countZeroSectors,
  findSaveHeader,
  hasSaveHeaderMagic,
  readSaveHeader,
} from "./save-header.ts";
import type { SegmentName } from "./segment.ts";
import type { SegmentBytes } from "./segment-bytes.ts";

/** Where the data of the entry records of one segment lie. */
export interface EntryPlaces {
  readonly segment: SegmentName;
  readonly starts: number[];
  readonly ends: number[];
}

/** What the records of the log said so far, in file order. */
export interface LogFacts {
  metadata: Uint8Array | undefined;
  state: HardState | undefined;
  readonly snapshots: { readonly snapshot: WalSnapshot; readonly sequence: number }[];
  readonly entries: EntryPlaces[];
  /** Running crc; undefined before the first record. */
  crc: number | undefined;
}

/** How a segment ended. */
export interface SegmentEnd {
  /** Offset after the last good record. */
  readonly end: number;
  /** Saves in the segment that carry our header; 0 for one that etcd wrote or went on with. */
  readonly saves: number;
  /** Bytes after `end` that are not zero reach up to here; equal to `end` if there are none. */
  readonly garbageEnd: number;
}

interface OpenSave {
  readonly start: number;
  readonly end: number;
  readonly zeroSectors: number;
  readonly shape: number;
  /** Facts at its start, to go back to if it turns out torn. */
  readonly state: HardState | undefined;
  readonly snapshotCount: number;
  readonly entryCount: number;
  readonly crc: number;
}

interface Fault {
  readonly at: number;
  readonly kind: "end" | "cut" | "malformed" | "crc";
  readonly detail: string;
}

/** Header record with frame and padding: 8 + 2 + 6 + 2 + 28, padded. */
const HEADER_RECORD_BYTES = 48;

/** A save ends in bytes that are not zero: one zero there may be a flipped byte, this many are a missing end. */
const TAIL_ZEROS_MIN = 2;

/** Scans one segment; `bytes` gives its contents on demand. */
export class SegmentScan {
  readonly #bytes: SegmentBytes;
  readonly #facts: LogFacts;
  readonly #isLast: boolean;
  readonly #places: EntryPlaces;
  readonly #found: FoundRecord = { type: 0, crc: 0, dataStart: 0, dataEnd: 0, next: 0 };
  #pos = 0;
  #saves = 0;
  #records = 0;
  #save: OpenSave | undefined;
  #shape = 0;
  /** The last records stand outside any save although earlier ones did not: etcd went on with our segment. */
  #foreignTail = false;

  constructor(bytes: SegmentBytes, facts: LogFacts, isLast: boolean) {
    this.#bytes = bytes;
    this.#facts = facts;
    this.#isLast = isLast;
    this.#places = { segment: bytes.segment, starts: [], ends: [] };
    facts.entries.push(this.#places);
  }

  /** Throws DamagedFile. */
  async run(): Promise<SegmentEnd> {
    for (;;) {
      const fault = this.#walk();
      if (fault === undefined) {
        await this.#bytes.more();
        continue;
      }
      if (this.#records < 2) this.#refuse(fault);
      if (!this.#isLast) {
        if (fault.kind === "end" && this.#save === undefined) return this.#ended(this.#pos);
        this.#refuse(fault);
      }
      const dataEnd = await this.#bytes.dataEnd(this.#pos);
      if (fault.kind === "end" && this.#save === undefined && dataEnd <= this.#pos) {
        return this.#ended(this.#pos);
      }
      return this.#torn(fault, dataEnd);
    }
  }

  /** Steps over records until something else comes; undefined: more of the file is needed. */
  #walk(): Fault | undefined {
    const { buf } = this.#bytes;
    const loaded = this.#bytes.loadedBytes;
    const found = this.#found;
    for (;;) {
      const kind = readRecord(buf, this.#pos, loaded, found);
      if ((kind === "cut" || kind === "end") && !this.#bytes.complete) {
        // The end of what is loaded is not the end of the file, unless zeros were seen there.
        if (kind === "cut" || this.#pos + FRAME_BYTES > loaded) return undefined;
      }
      if (kind !== undefined) return this.#fault(kind, FAULT_DETAIL[kind]);
      if (this.#save !== undefined && found.next > this.#save.end) {
        return this.#fault("malformed", "the record reaches beyond its save");
      }
      const save = this.#save;
      const fault = this.#head(found) ?? this.#take(buf, found);
      if (fault !== undefined) return fault;
      if (save === undefined) this.#foreignTail = this.#saves > 0 && found.type !== RecordType.crc;
      else {
        this.#shape = addShape(this.#shape, found.type, found.dataEnd - found.dataStart);
        if (found.next === save.end) {
          if (this.#shape !== save.shape)
            return this.#fault("malformed", "a record changed its type");
          this.#save = undefined;
        }
      }
      this.#records += 1;
      this.#pos = found.next;
    }
  }

  /** The first two records of a segment are always crc and metadata. */
  #head(found: FoundRecord): Fault | undefined {
    const expected = [RecordType.crc, RecordType.metadata][this.#records];
    if (expected === undefined || expected === found.type) return undefined;
    return this.#fault("malformed", "the segment does not begin with crc and metadata");
  }

  #take(buf: Buffer, found: FoundRecord): Fault | undefined {
    const facts = this.#facts;
    if (found.type === RecordType.crc) return this.#takeCrc(buf, found);
    const crc = crc32c(buf, found.dataStart, found.dataEnd, facts.crc ?? 0);
    if (crc !== found.crc) return this.#fault("crc", "the checksum does not match");
    switch (found.type) {
      case RecordType.entry:
        this.#places.starts.push(found.dataStart);
        this.#places.ends.push(found.dataEnd);
        break;
      case RecordType.metadata: {
        const metadata = buf.subarray(found.dataStart, found.dataEnd);
        if (facts.metadata !== undefined && Buffer.compare(facts.metadata, metadata) !== 0) {
          return this.#fault("malformed", "the metadata differs from the segments before");
        }
        facts.metadata ??= Uint8Array.from(metadata);
        break;
      }
      case RecordType.state: {
        const state = decodeHardState(buf, found.dataStart, found.dataEnd);
        if (state instanceof ProtoError) return this.#fault("malformed", state.message);
        facts.state = state;
        break;
      }
      default: {
        const snapshot = decodeWalSnapshot(buf, found.dataStart, found.dataEnd);
        if (snapshot instanceof ProtoError) return this.#fault("malformed", snapshot.message);
        facts.snapshots.push({ snapshot, sequence: this.#bytes.segment.sequence });
      }
    }
    facts.crc = crc;
    return undefined;
  }

  #takeCrc(buf: Buffer, found: FoundRecord): Fault | undefined {
    const facts = this.#facts;
    if (facts.crc !== undefined && facts.crc !== found.crc) {
      return this.#fault("crc", "the running checksum does not match the records before");
    }
    facts.crc = found.crc;
    if (found.dataEnd === found.dataStart) return undefined;
    const { sequence } = this.#bytes.segment;
    const header = readSaveHeader(buf, found.dataStart, found.dataEnd, sequence, this.#pos);
    if (header === undefined) return this.#fault("malformed", "the save header is damaged");
    const end = this.#pos + header.imageBytes;
    if (this.#save !== undefined || header.number !== this.#saves + 1 || end < found.next) {
      return this.#fault("malformed", `save ${header.number} follows save ${this.#saves}`);
    }
    this.#saves += 1;
    if (end === found.next) return undefined;
    this.#shape = 0;
    this.#save = {
      start: this.#pos,
      end,
      zeroSectors: header.zeroSectors,
      shape: header.shape,
      state: facts.state,
      snapshotCount: facts.snapshots.length,
      entryCount: this.#places.starts.length,
      crc: found.crc,
    };
    return undefined;
  }

  /** The last segment does not end cleanly: drops the torn save, or refuses. */
  async #torn(fault: Fault, dataEnd: number): Promise<SegmentEnd> {
    await this.#bytes.all();
    const save = this.#save;
    const why = this.#classify(fault, dataEnd);
    if (why !== undefined) this.#refuse(fault, why);
    if (save === undefined) return this.#ended(this.#pos, dataEnd);
    const facts = this.#facts;
    facts.state = save.state;
    facts.snapshots.length = save.snapshotCount;
    facts.crc = save.crc;
    this.#places.starts.length = save.entryCount;
    this.#places.ends.length = save.entryCount;
    this.#saves -= 1;
    return this.#ended(save.start, dataEnd);
  }

  /** Undefined if the fault is what a torn last write leaves, else why it cannot be. */
  #classify(fault: Fault, dataEnd: number): string | undefined {
    const { buf, sizeBytes, segment } = this.#bytes;
    const save = this.#save;
    if (save !== undefined) {
      if (dataEnd > save.end) return "a later save follows, so these bytes were on disk";
      if (save.end > sizeBytes) return undefined;
      if (dataEnd + TAIL_ZEROS_MIN <= save.end) return undefined;
      const zero = countZeroSectors(buf, save.start, save.end, save.start);
      return zero > save.zeroSectors ? undefined : NOTHING_MISSING;
    }
    if (this.#foreignTail) return this.#tornByEtcdsRule(fault) ? undefined : NOTHING_MISSING;
    if (this.#saves === 0) {
      // Head and first save of a segment of ours were on disk before the segment got its name.
      if (hasSaveHeaderMagic(buf, 0, dataEnd)) return "the start of a segment is never torn";
      return this.#tornByEtcdsRule(fault) ? undefined : NOTHING_MISSING;
    }
    const later = findSaveHeader(buf, fault.at, dataEnd, segment.sequence, this.#saves + 2);
    if (later !== undefined) return `a later save follows at offset ${later}`;
    const headerEnd = fault.at + HEADER_RECORD_BYTES;
    if (headerEnd > sizeBytes || dataEnd <= headerEnd) return undefined;
    const zero = countZeroSectors(buf, fault.at, headerEnd, fault.at);
    return zero > 0 ? undefined : NOTHING_MISSING;
  }

  /** For segments without save headers: a record longer than the file, or one with a zero sector in its payload. */
  #tornByEtcdsRule(fault: Fault): boolean {
    if (fault.kind === "cut" || fault.kind === "end") return true;
    const { buf, sizeBytes } = this.#bytes;
    const start = fault.at + FRAME_BYTES;
    const end = Math.min(sizeBytes, start + buf.readUInt32LE(fault.at) + 7);
    return countZeroSectors(buf, start, end - (end % 8), start) > 0;
  }

  #ended(end: number, garbageEnd = end): SegmentEnd {
    const saves = this.#foreignTail ? 0 : this.#saves;
    return { end, saves, garbageEnd: Math.max(end, garbageEnd) };
  }

  #fault(kind: Fault["kind"], detail: string): Fault {
    return { at: this.#pos, kind, detail };
  }

  #refuse(fault: Fault, why?: string): never {
    const detail = why === undefined ? fault.detail : `${fault.detail} (not a torn write: ${why})`;
    throw new DamagedFile(this.#bytes.segment.path, fault.at, `damaged log: ${detail}`);
  }
}

const NOTHING_MISSING = "no sector of the last write is missing";

const FAULT_DETAIL = {
  end: "zeros where a record should be",
  cut: "the record is longer than the file",
  malformed: "not a record",
} as const;
