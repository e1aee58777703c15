// How a log comes to be written: created for a new member, or resumed after reading it, a torn last save cut off.
// Source: etcd server/storage/wal/{wal.go Create, repair.go}; reference reliability.md B.2.7, B.2.11.

import { createHardState } from "../../proto/index.ts";
import { type Files, joinPath } from "../files.ts";
import { DiskWal, type WalOptions } from "./disk-wal.ts";
import type { WalReading } from "./read.ts";
import { SaveImage } from "./save-image.ts";
import { SEGMENT_BYTES, type SegmentName, segmentName } from "./segment.ts";
import { SegmentFile } from "./segment-file.ts";

/** Creates the log of a new member: its first segment, durable under its name, is what makes the member exist. */
export async function createWal(options: WalOptions, metadata: Uint8Array): Promise<DiskWal> {
  const { files, directory } = options;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const name = segmentName(directory, 0, 0);
  const temporary = joinPath(directory, "0.tmp");
  const image = new SaveImage();
  image.reset(0);
  image.crcRecord(0);
  image.metadata(metadata);
  image.snapshot({ index: 0, term: 0, confState: undefined });
  image.begin();
  image.seal(0, 1, 0);
  await (await files.create(temporary, "write")).close();
  const target = options.fillAhead === false ? 0 : segmentBytes;
  const file = await SegmentFile.open(files, temporary, 0, target);
  await file.log.write(image.buf, 0, image.end, 0);
  await file.sync();
  await files.rename(temporary, name.path);
  await files.syncDirectory(directory);
  file.filledBytes = image.end;
  return new DiskWal(options, metadata, [{ name, sizeBytes: image.end }], file, {
    offset: image.end,
    crc: image.crc,
    saves: 1,
    lastIndex: 0,
    state: createHardState(),
    snapshotIndex: 0,
    snapshotSequence: 0,
  });
}

/**
 * Makes a log that was read ready for appending: a torn last save is cut off (the original is kept as `<name>.broken`), leftovers are
 * deleted. Only the process that holds the data directory may call this.
 */
export async function resumeWal(options: WalOptions, reading: WalReading): Promise<DiskWal> {
  const { files, directory } = options;
  for (const name of (await files.list(directory)) ?? []) {
    if (/^\d+\.tmp$/.test(name)) await files.unlink(joinPath(directory, name));
  }
  for (const leftover of reading.leftovers) {
    await files.unlink(leftover.path);
    await files.syncDirectory(directory);
  }
  const { tail, contents } = reading;
  const last = reading.segments.at(-1) as SegmentName;
  const target = options.fillAhead === false ? 0 : (options.segmentBytes ?? SEGMENT_BYTES);
  const torn = tail.garbageEnd > tail.end || tail.end > tail.sizeBytes;
  if (torn) await keepBroken(files, directory, last, tail.garbageEnd);
  const file = await SegmentFile.open(files, last.path, tail.sizeBytes, target);
  // What a killed process wrote last may be in the system's cache only, and a durable write makes nothing durable but itself: without
  // this, a power failure later would leave a hole before saves that were acknowledged.
  if (torn) await file.truncate(tail.end);
  else await file.sync();
  await files.syncDirectory(directory);
  const segments = reading.segments.map((name, i) => ({
    name,
    sizeBytes: reading.sizes[i] as number,
  }));
  const wal = new DiskWal(options, contents.metadata, segments, file, {
    offset: tail.end,
    crc: reading.crc,
    saves: tail.saves,
    lastIndex: reading.lastIndex,
    state: contents.hardState,
    snapshotIndex: contents.snapshot.index,
    snapshotSequence: reading.snapshotSequence,
  });
  return wal;
}

/** Copies the used part of a torn segment aside. */
async function keepBroken(
  files: Files,
  directory: string,
  segment: SegmentName,
  bytes: number,
): Promise<void> {
  const from = await files.open(segment.path, "read");
  const to = await files.create(`${segment.path}.broken`, "write");
  const piece = Buffer.allocUnsafe(1024 * 1024);
  for (let at = 0; at < bytes; ) {
    const count = await from.read(piece, 0, Math.min(piece.length, bytes - at), at);
    if (count === 0) break;
    await to.write(piece, 0, count, at);
    at += count;
  }
  await to.sync();
  await to.close();
  await from.close();
  await files.syncDirectory(directory);
}
