// Sizes of entries, by arithmetic. Two different measures are in use, and they must not be mixed:
// the encoded size (limits of messages and of the apply queue) and the payload size (uncommitted and inflight limits).
//
// The encoded size is that of etcd 3.7, whose entries carry no type field when they are normal.

import { type Entry, EntryType } from "../../proto/index.ts";

/** No limit on a size or count. */
export const NO_LIMIT: number = Number.POSITIVE_INFINITY;

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let bytes = 5;
  for (let rest = Math.floor(value / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 0x80)) {
    bytes++;
  }
  return bytes;
}

/** Bytes of `entry` as protobuf. */
export function entryBytes(entry: Entry): number {
  const dataBytes = entry.data.length;
  return (
    (entry.type === EntryType.EntryNormal ? 0 : 2) +
    (1 + varintBytes(entry.term)) +
    (1 + varintBytes(entry.index)) +
    (dataBytes === 0 ? 0 : 1 + varintBytes(dataBytes) + dataBytes)
  );
}

/** Sum of `entryBytes`. */
export function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += entryBytes(entries[i] as Entry);
  return bytes;
}

/** Sum of the payloads. An entry without data weighs nothing. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += (entries[i] as Entry).data.length;
  return bytes;
}

/**
 * End of the longest run of entries[from, to) whose encoded size is at most `bytesMax`; `entries[from]` is always in it, even when it
 * is larger alone. `from` when the range is empty. O(entries taken), or O(1) without a limit.
 */
export function endWithin(
  entries: readonly Entry[],
  from: number,
  to: number,
  bytesMax: number,
): number {
  if (bytesMax === NO_LIMIT || to - from <= 1) return to;
  let bytes = entryBytes(entries[from] as Entry);
  let end = from + 1;
  while (end < to) {
    bytes += entryBytes(entries[end] as Entry);
    if (bytes > bytesMax) break;
    end++;
  }
  return end;
}
