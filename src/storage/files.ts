// The file-system port of this folder: the few calls the WAL, the snapshot store and the side files need, each with its durability.
//
// Node serves it in node-files.ts, the simulated disk in memory/disk.ts; everything above runs unchanged on both. Invariants: a write
// is whole or an error (never a short success); positions are explicit; nothing is durable before the call that says so resolved;
// a failed sync is final and is never retried by anyone. Source: reference reliability.md B.2, C.1.

/** What went wrong with which file, in one line for the operator; `code` is the system's (EIO, ENOSPC, ENOENT, ...). */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: string;
  readonly path: string;

  constructor(operation: string, path: string, code: string, detail: string) {
    super(`${operation} ${path}: ${detail === "" ? code : `${detail} (${code})`}`);
    this.code = code;
    this.path = path;
  }
}

/** Stored bytes are not what was written: names the file, the offset where it shows, and what is wrong there. */
export class DamagedFile extends Error {
  override readonly name = "DamagedFile";
  readonly path: string;
  /** Offset in the file, -1 when it is the file as a whole. */
  readonly offset: number;

  constructor(path: string, offset: number, detail: string) {
    super(`${path}${offset >= 0 ? ` at offset ${offset}` : ""}: ${detail}`);
    this.path = path;
    this.offset = offset;
  }
}

/** The directory cannot be used as it is (in use, half there, not writable); nothing in it was changed. */
export class StorageRefusal extends Error {
  override readonly name = "StorageRefusal";
}

/** How a file is opened. "durable": for writing, each write is on disk when it completes (O_DSYNC). */
export type OpenMode = "read" | "write" | "durable";

/** An open file. Calls may overlap; the result of overlapping writes to one range is undefined, so nobody does that. */
export interface OpenFile {
  readonly path: string;
  /** Bytes read to buf[start, end) from `position`; less than asked only at the end of the file. */
  read(buf: Uint8Array, start: number, end: number, position: number): Promise<number>;
  /** Writes buf[start, end) at `position`, all of it or an error. Borrows `buf` until it settles. */
  write(buf: Uint8Array, start: number, end: number, position: number): Promise<void>;
  /**
   * `write` without a promise, for the hot path: calls `done` once, in a later turn or microtask. In mode "durable" the bytes are on
   * disk by then.
   */
  writeThen(
    buf: Uint8Array,
    start: number,
    end: number,
    position: number,
    done: (error: FileError | undefined) => void,
  ): void;
  /** Makes contents and size durable (fdatasync). A failure is final. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Directories and names. Every change of a name is durable only after `syncDirectory` of its parent. */
export interface Files {
  /** Opens an existing file. */
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Creates an empty file (mode 0600), replacing one of that name. */
  create(path: string, mode: "write" | "durable"): Promise<OpenFile>;
  /** Replaces `to` atomically. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Names in the directory, sorted; undefined if there is no such directory. */
  list(path: string): Promise<string[] | undefined>;
  /** Creates the directory (mode 0700); the parent must exist; nothing happens if it is there. */
  makeDirectory(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Bytes of the file. */
  sizeOf(path: string): Promise<number>;
  /** Makes the names in the directory durable. */
  syncDirectory(path: string): Promise<void>;
}

/** Joins with "/", which both implementations accept. */
export function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

/** Reads a whole file; undefined if there is none. For files known to be small or wanted whole. */
export async function readWhole(files: Files, path: string): Promise<Buffer | undefined> {
  if (!(await files.exists(path))) return undefined;
  const file = await files.open(path, "read");
  try {
    const buf = Buffer.allocUnsafe(await file.sizeBytes());
    const count = await file.read(buf, 0, buf.length, 0);
    return buf.subarray(0, count);
  } finally {
    await file.close();
  }
}

/** Writes `path` so that after a crash either the old or the new contents are there: temporary file, sync, rename, directory sync. */
export async function writeWhole(
  files: Files,
  directory: string,
  name: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = joinPath(directory, `${name}.tmp`);
  const file = await files.create(temporary, "write");
  try {
    let position = 0;
    for await (const piece of pieces) {
      await file.write(piece, 0, piece.length, position);
      position += piece.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, joinPath(directory, name));
  await files.syncDirectory(directory);
}
