// The file-system port over node:fs. Every call takes one hop through libuv's pool.
//
// Measured on ext4, 256-byte writes to a zero-filled segment, p50: write + fdatasync 0.16-0.21 ms and 95-132 us of CPU; one write to a
// descriptor opened O_DSYNC 0.15-0.19 ms and 82-106 us; the same on an own thread woken by Atomics 0.14-0.17 ms and 68-79 us;
// synchronously 0.13 ms and 50 us, which would stop the loop whenever the disk is slow. O_DSYNC in the pool is the simple one of
// the good ones; what else uses the pool is bounded (one LevelDB batch, one scan step, one fill), so the WAL finds a free thread.

import { close, constants, fdatasync, fstat, fsync, ftruncate, open, read, write } from "node:fs";
import { mkdir, readdir, rename, stat, unlink } from "node:fs/promises";
import { promisify } from "node:util";
import { FileError, type Files, type OpenFile, type OpenMode } from "./files.ts";

const openAsync = promisify(open);
const closeAsync = promisify(close);
const syncAsync = promisify(fdatasync);
const fullSyncAsync = promisify(fsync);
const truncateAsync = promisify(ftruncate);
const statAsync = promisify(fstat);

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

function failure(operation: string, path: string, cause: unknown): FileError {
  const code =
    cause instanceof Error && "code" in cause && typeof cause.code === "string"
      ? cause.code
      : "UNKNOWN";
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new FileError(operation, path, code, detail);
}

async function attempt<T>(operation: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw failure(operation, path, cause);
  }
}

class NodeFile implements OpenFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  read(buf: Uint8Array, start: number, end: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let at = start;
      const next = (): void => {
        read(this.#fd, buf, at, end - at, position + at - start, (error, count) => {
          if (error !== null) return reject(failure("read", this.path, error));
          at += count;
          if (count === 0 || at === end) return resolve(at - start);
          next();
        });
      };
      if (start === end) resolve(0);
      else next();
    });
  }

  write(buf: Uint8Array, start: number, end: number, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writeThen(buf, start, end, position, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  writeThen(
    buf: Uint8Array,
    start: number,
    end: number,
    position: number,
    done: (error: FileError | undefined) => void,
  ): void {
    const length = end - start;
    write(this.#fd, buf, start, length, position, (error, written) => {
      if (error !== null) done(failure("write", this.path, error));
      else if (written !== length) {
        const detail = `short write of ${written} of ${length} bytes at offset ${position}`;
        done(new FileError("write", this.path, "ENOSPC", detail));
      } else done(undefined);
    });
  }

  async sync(): Promise<void> {
    await attempt("sync", this.path, syncAsync(this.#fd));
  }

  async truncate(sizeBytes: number): Promise<void> {
    await attempt("truncate", this.path, truncateAsync(this.#fd, sizeBytes));
  }

  async sizeBytes(): Promise<number> {
    return (await attempt("stat", this.path, statAsync(this.#fd))).size;
  }

  async close(): Promise<void> {
    await attempt("close", this.path, closeAsync(this.#fd));
  }
}

function flagsOf(mode: OpenMode): number {
  if (mode === "read") return constants.O_RDONLY;
  // Windows has no O_DSYNC; the constant is undefined there and durability would be lost silently, so it is refused at the call.
  return mode === "write" ? constants.O_RDWR : constants.O_RDWR | constants.O_DSYNC;
}

/** The real disk. Stateless; one instance serves a process. */
export class NodeFiles implements Files {
  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    return new NodeFile(path, await attempt("open", path, openAsync(path, flagsOf(mode))));
  }

  async create(path: string, mode: "write" | "durable"): Promise<OpenFile> {
    const flags = flagsOf(mode) | constants.O_CREAT | constants.O_TRUNC;
    return new NodeFile(path, await attempt("create", path, openAsync(path, flags, FILE_MODE)));
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt("rename", from, rename(from, to));
  }

  async unlink(path: string): Promise<void> {
    await attempt("remove", path, unlink(path));
  }

  async list(path: string): Promise<string[] | undefined> {
    try {
      return (await readdir(path)).sort();
    } catch (cause) {
      const error = failure("list", path, cause);
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: DIRECTORY_MODE });
    } catch (cause) {
      const error = failure("create directory", path, cause);
      if (error.code !== "EEXIST") throw error;
    }
  }

  async exists(path: string): Promise<boolean> {
    try {
      await stat(path);
      return true;
    } catch (cause) {
      const error = failure("stat", path, cause);
      if (error.code === "ENOENT") return false;
      throw error;
    }
  }

  async sizeOf(path: string): Promise<number> {
    return (await attempt("stat", path, stat(path))).size;
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = await attempt("open", path, openAsync(path, constants.O_RDONLY));
    try {
      await attempt("sync directory", path, fullSyncAsync(fd));
    } finally {
      await attempt("close", path, closeAsync(fd));
    }
  }
}
