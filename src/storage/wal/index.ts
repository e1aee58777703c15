// The face of the write-ahead log to the rest of storage.

export { DiskWal, type WalOptions } from "./disk-wal.ts";
export { createWal, resumeWal } from "./open-wal.ts";
export { readWal, verifyWal, type WalReading, type WalVerification } from "./read.ts";
export { isSegmentName, SEGMENT_BYTES } from "./segment.ts";
