// Revisions as the backend's row keys: 8-byte big-endian main, '_', 8-byte big-endian sub, and 't' after a tombstone.
// Byte order of the keys is the order of revisions. Source: etcd server/storage/mvcc/revision.go.

/** Bytes of the row key of a put. */
export const REVISION_BYTES = 17;
/** Bytes of the row key of a tombstone. */
export const TOMBSTONE_REVISION_BYTES = 18;

const SEPARATOR = 0x5f;
const TOMBSTONE_MARK = 0x74;

/** A row key taken apart. */
export interface Revision {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
}

function writeUint64(buf: Uint8Array, pos: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  buf[pos] = high >>> 24;
  buf[pos + 1] = high >>> 16;
  buf[pos + 2] = high >>> 8;
  buf[pos + 3] = high;
  buf[pos + 4] = value >>> 24;
  buf[pos + 5] = value >>> 16;
  buf[pos + 6] = value >>> 8;
  buf[pos + 7] = value;
}

function readUint64(buf: Uint8Array, pos: number): number {
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 256 + (buf[pos + i] as number);
  return value;
}

/** Writes the row key at `pos` and returns the position after it: 17 bytes, 18 for a tombstone. */
export function writeRevision(
  buf: Uint8Array,
  pos: number,
  main: number,
  sub: number,
  tombstone: boolean,
): number {
  writeUint64(buf, pos, main);
  buf[pos + 8] = SEPARATOR;
  writeUint64(buf, pos + 9, sub);
  if (!tombstone) return pos + REVISION_BYTES;
  buf[pos + REVISION_BYTES] = TOMBSTONE_MARK;
  return pos + TOMBSTONE_REVISION_BYTES;
}

/** The row key as bytes of its own. */
export function revisionBytes(main: number, sub: number, tombstone = false): Uint8Array {
  const bytes = new Uint8Array(tombstone ? TOMBSTONE_REVISION_BYTES : REVISION_BYTES);
  writeRevision(bytes, 0, main, sub, tombstone);
  return bytes;
}

/** Takes a row key apart; undefined if it is none (wrong length, separator or mark, or beyond 2^53). */
export function readRevision(key: Uint8Array): Revision | undefined {
  const tombstone = key.length === TOMBSTONE_REVISION_BYTES;
  if (!tombstone && key.length !== REVISION_BYTES) return undefined;
  if (key[8] !== SEPARATOR) return undefined;
  if (tombstone && key[REVISION_BYTES] !== TOMBSTONE_MARK) return undefined;
  const main = readUint64(key, 0);
  const sub = readUint64(key, 9);
  if (!Number.isSafeInteger(main) || !Number.isSafeInteger(sub)) return undefined;
  return { main, sub, tombstone };
}
