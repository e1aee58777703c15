// Segment files of a WAL: names, and which of the files in the directory form the log.
// Source: etcd server/storage/wal/util.go; reference storage-formats.md 7.3, 7.4.

import { DamagedFile, type Files, joinPath } from "../files.ts";

/** Size at which a segment is full: etcd's, 64 * 10^6. */
export const SEGMENT_BYTES = 64_000_000;

/** A segment by its name. */
export interface SegmentName {
  readonly path: string;
  readonly name: string;
  /** Number of the segment, from 0, without holes. */
  readonly sequence: number;
  /** Every entry in an earlier segment has an index below this one. */
  readonly firstIndex: number;
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

function hex16(value: number): string {
  return value.toString(16).padStart(16, "0");
}

/** The name of segment `sequence`, whose entries begin at `firstIndex`. */
export function segmentName(directory: string, sequence: number, firstIndex: number): SegmentName {
  const name = `${hex16(sequence)}-${hex16(firstIndex)}.wal`;
  return { path: joinPath(directory, name), name, sequence, firstIndex };
}

/** True for the name of a segment file. */
export function isSegmentName(name: string): boolean {
  return NAME.test(name);
}

/**
 * The segments of the log, oldest first: the longest run without a hole that ends with the newest. Older files before a hole are
 * leftovers of a purge a crash interrupted (`leftovers`). Empty if there is no log.
 */
export async function listSegments(
  files: Files,
  directory: string,
): Promise<{ segments: SegmentName[]; leftovers: SegmentName[] }> {
  const all: SegmentName[] = [];
  for (const name of (await files.list(directory)) ?? []) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const sequence = Number.parseInt(match[1] as string, 16);
    const firstIndex = Number.parseInt(match[2] as string, 16);
    if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(firstIndex)) {
      throw new DamagedFile(joinPath(directory, name), -1, "the name is out of range");
    }
    all.push({ path: joinPath(directory, name), name, sequence, firstIndex });
  }
  all.sort((a, b) => a.sequence - b.sequence);
  let start = Math.max(0, all.length - 1);
  while (start > 0 && all[start - 1]?.sequence === (all[start] as SegmentName).sequence - 1)
    start--;
  const segments = all.slice(start);
  for (let i = 1; i < segments.length; i++) {
    const [before, after] = [segments[i - 1] as SegmentName, segments[i] as SegmentName];
    if (after.firstIndex < before.firstIndex) {
      throw new DamagedFile(after.path, -1, `the first index is below that of ${before.name}`);
    }
  }
  return { segments, leftovers: all.slice(0, start) };
}
