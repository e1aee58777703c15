// The file of the index checkpoint, and the row of the backend that says which file belongs to it.
//
//   file   stamp · blocks of the store (core/mvcc/checkpoint.ts), each after its length u32; the side file checks the bytes
//   row    Bucket.local "checkpoint": the stamps of the last file that was finished and of the one begun after it
//   stamp  version u8 · cluster id u64 · member id u64 · applied index, term, revision, wall clock in ms: u64 each
//
// The rule that makes a stale or foreign file harmless: the row that names a file is committed after every row the file speaks of, and is
// synced before the file gets its name. Batches of the backend survive in order, so a backend that holds the row holds all the file was
// made from; a backend that lost it, is older, or is another member's does not name the file, and the file is not used.

/** Name of the side file. */
export const CHECKPOINT_FILE = "index";
/** Key in Bucket.local. */
export const CHECKPOINT_KEY: Uint8Array = Buffer.from("checkpoint");

const VERSION = 1;
const STAMP_BYTES = 1 + 6 * 8;
const LENGTH_BYTES = 4;
/** A longer frame is no block: damage that happens to pass the checksum, or another format. A block holds one key at least. */
const FRAME_BYTES_MAX = 64 << 20;

/** Which state of which member a checkpoint shows; no two checkpoints of a member's life have the same. */
export interface CheckpointStamp {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Last entry applied when it was begun. */
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  readonly wallMs: number;
}

/** The stamp as bytes of fixed length. */
export function encodeStamp(stamp: CheckpointStamp): Buffer {
  const buf = Buffer.alloc(STAMP_BYTES);
  buf[0] = VERSION;
  buf.writeBigUInt64LE(stamp.clusterId, 1);
  buf.writeBigUInt64LE(stamp.memberId, 9);
  const rest = [stamp.index, stamp.term, stamp.revision, Math.floor(stamp.wallMs)];
  for (const [i, n] of rest.entries()) buf.writeBigUInt64LE(BigInt(n), 17 + 8 * i);
  return buf;
}

/** Undefined if the bytes are none of this version. */
export function decodeStamp(bytes: Uint8Array): CheckpointStamp | undefined {
  if (bytes.length !== STAMP_BYTES || bytes[0] !== VERSION) return undefined;
  const buf = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [index, term, revision, wallMs] = [17, 25, 33, 41].map((at) =>
    Number(buf.readBigUInt64LE(at)),
  ) as [number, number, number, number];
  return {
    clusterId: buf.readBigUInt64LE(1),
    memberId: buf.readBigUInt64LE(9),
    index,
    term,
    revision,
    wallMs,
  };
}

/** Value of the row; `finished` undefined while there is no finished file. */
export function encodeStamps(
  finished: CheckpointStamp | undefined,
  begun: CheckpointStamp,
): Buffer {
  const parts = finished === undefined ? [begun] : [finished, begun];
  return Buffer.concat(parts.map(encodeStamp));
}

/** True if the row's value names the file with this stamp. */
export function namesStamp(row: Uint8Array, stamp: CheckpointStamp): boolean {
  const wanted = encodeStamp(stamp);
  for (let at = 0; at + STAMP_BYTES <= row.length; at += STAMP_BYTES) {
    if (wanted.equals(row.subarray(at, at + STAMP_BYTES))) return true;
  }
  return false;
}

/** `bytes` after their length, as they stand in the file. */
export function frame(bytes: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + bytes.length);
  framed.writeUInt32LE(bytes.length, 0);
  framed.set(bytes, LENGTH_BYTES);
  return framed;
}

/** The frames in `pieces`, however they are cut; a frame that is not whole, or no frame, ends the iteration with an error. */
export async function* framesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    let buf = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    if (rest.length > 0) buf = Buffer.concat([rest, buf]);
    let at = 0;
    while (at + LENGTH_BYTES <= buf.length) {
      const length = buf.readUInt32LE(at);
      if (length > FRAME_BYTES_MAX) throw new Error("a block of the checkpoint is too long");
      if (at + LENGTH_BYTES + length > buf.length) break;
      yield buf.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length);
      at += LENGTH_BYTES + length;
    }
    rest = buf.subarray(at);
  }
  if (rest.length > 0) throw new Error("the checkpoint ends within a block");
}
