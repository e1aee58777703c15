// Opens the data directory of a member, or creates it.
//
//   <data-dir>/member/snap/           .snap files, side files
//   <data-dir>/member/snap/db/        the LevelDB store; its LOCK is the lock of the whole directory
//   <data-dir>/member/wal/            the log (or the WAL directory of the options)
//
// Creation order: directories, then the store with its first marker, then the first segment of the log, whose name appears last and
// durable: a directory holds a member if and only if it holds a segment. So a crash in between leaves either nothing or an unused
// store, which the next start throws away; a log without a store, or a used store without a log, is somebody's loss and is refused.
// Source: reference operations.md 2.5, reliability.md B.2, B.3; etcd server/etcdserver/bootstrap.go, server/embed/etcd.go.

import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Clock, MemberStorage, OnFatal } from "../server/ports.ts";
import { type Files, joinPath, StorageRefusal } from "./files.ts";
import { createLevelBackend, isUnusedStore, openLevelBackend } from "./leveldb/index.ts";
import { lockHolder } from "./lock.ts";
import { mismatch } from "./memory/storage.ts";
import { NodeFiles } from "./node-files.ts";
import { DiskSideFiles, isSideFileName } from "./snap/side-files.ts";
import { DiskSnapStore } from "./snap/snap-store.ts";
import { createWal, isSegmentName, readWal, resumeWal, type WalOptions } from "./wal/index.ts";

const DIRECTORY_MODE = 0o700;

/** What to open on disk, and who hears of what. */
export interface StorageOptions {
  /** The WAL's metadata record (walpb.Metadata) of a new member; not used for an existing one. */
  readonly metadata: Uint8Array;
  readonly clock: Pick<Clock, "after" | "nowMs">;
  readonly onFatal: OnFatal;
  /** Things an operator should know, as one line each. */
  readonly onWarning?: (message: string) => void;
  /** Default `<data-dir>/member/wal`. */
  readonly walDirectory?: string;
  /** Default 64,000,000. */
  readonly segmentBytes?: number;
}

interface Places {
  readonly data: string;
  readonly member: string;
  readonly snap: string;
  readonly db: string;
  readonly wal: string;
}

/** True if the directory holds a member: a segment of its log. Changes nothing. */
export async function hasMember(dataDirectory: string, walDirectory?: string): Promise<boolean> {
  const { wal } = placesOf(dataDirectory, walDirectory);
  return ((await new NodeFiles().list(wal)) ?? []).some(isSegmentName);
}

/**
 * Opens the member in `dataDirectory`, or creates one. Throws StorageRefusal, DamagedFile or FileError, each naming the file; nothing but a
 * torn last save of the log is changed before everything was found whole.
 */
export async function openStorage(
  dataDirectory: string,
  options: StorageOptions,
): Promise<MemberStorage> {
  const files = new NodeFiles();
  const places = placesOf(dataDirectory, options.walDirectory);
  const warn = options.onWarning ?? ((): void => undefined);
  await prepareDirectories(files, places, warn);
  const holder = await lockHolder(joinPath(places.db, "LOCK"));
  if (holder !== undefined) throw inUse(places, holder);
  const walOptions: WalOptions = {
    files,
    directory: places.wal,
    onFatal: options.onFatal,
    clock: options.clock,
    onWarning: (error) => warn(error.message),
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  };
  const isNew = !((await files.list(places.wal)) ?? []).some(isSegmentName);
  const opened = isNew
    ? await create(files, places, options, walOptions)
    : await resume(files, places, options, walOptions);
  return {
    ...opened,
    snap: new DiskSnapStore(files, places.snap, warn),
    sideFiles: new DiskSideFiles(files, places.snap),
    close: async () => {
      try {
        await opened.wal.close();
      } finally {
        await opened.backend.close();
      }
    },
  };
}

type Opened = Pick<MemberStorage, "wal" | "backend" | "found">;

async function resume(
  files: Files,
  places: Places,
  options: StorageOptions,
  walOptions: WalOptions,
): Promise<Opened> {
  await refuseForeignStore(places);
  if (!(await files.exists(joinPath(places.db, "CURRENT")))) {
    throw new StorageRefusal(`database file (${places.db}) of the backend is missing`);
  }
  // Side files may spare the next reader a scan of all keys.
  const keysLater = ((await files.list(places.snap)) ?? []).some(isSideFileName);
  // Reading the log changes nothing, so it may go on while the store is checked and locked.
  const [reading, backend] = await Promise.allSettled([
    readWal(files, places.wal),
    openLevelBackend(
      places.db,
      { files, clock: options.clock, onFatal: options.onFatal },
      keysLater,
    ),
  ]);
  try {
    if (backend.status === "rejected") throw backend.reason;
    if (reading.status === "rejected") throw reading.reason;
    if (reading.value === undefined) throw new StorageRefusal(`the log in ${places.wal} is gone`);
    const { contents, lastIndex } = reading.value;
    const problem = mismatch(backend.value.opened.index, contents.snapshot.index, lastIndex);
    if (problem !== undefined) throw new StorageRefusal(`${places.data}: ${problem}`);
    const wal = await resumeWal(walOptions, reading.value);
    return { wal, backend: backend.value, found: contents };
  } catch (error) {
    if (backend.status === "fulfilled") await backend.value.close();
    // A process that is just starting on the directory explains whatever looked damaged.
    const holder = await lockHolder(joinPath(places.db, "LOCK"));
    if (holder !== undefined && holder !== process.pid) throw inUse(places, holder);
    throw error;
  }
}

async function create(
  files: Files,
  places: Places,
  options: StorageOptions,
  walOptions: WalOptions,
): Promise<Opened> {
  await refuseForeignStore(places);
  if (await files.exists(places.db)) await removeUnusedStore(files, places);
  await files.makeDirectory(places.db);
  const backend = await createLevelBackend(places.db, {
    files,
    clock: options.clock,
    onFatal: options.onFatal,
  });
  try {
    await files.syncDirectory(places.snap);
    return { wal: await createWal(walOptions, options.metadata), backend, found: undefined };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** Throws away what a start that did not finish left; refuses a store that was used. */
async function removeUnusedStore(files: Files, places: Places): Promise<void> {
  if (!(await isUnusedStore(files, places.db))) {
    throw new StorageRefusal(
      `the store in ${places.db} is there, but the log in ${places.wal} is missing: restore the log, or move the store away to start empty`,
    );
  }
  await rm(places.db, { recursive: true });
  await files.syncDirectory(places.snap);
}

/** A bbolt database of etcd where our store would be. */
async function refuseForeignStore(places: Places): Promise<void> {
  const found = await stat(places.db).catch(() => undefined);
  if (found?.isFile() === true) {
    throw new StorageRefusal(
      `${places.db} is a database of etcd itself; start with a new data directory, or restore a snapshot of it`,
    );
  }
}

function inUse(places: Places, holder: number | "unknown"): StorageRefusal {
  const who = holder === "unknown" ? "another process" : `process ${holder}`;
  return new StorageRefusal(`the data directory ${places.data} is in use by ${who}`);
}

function placesOf(dataDirectory: string, walDirectory: string | undefined): Places {
  const data = resolve(dataDirectory);
  const member = joinPath(data, "member");
  const snap = joinPath(member, "snap");
  return {
    data,
    member,
    snap,
    db: joinPath(snap, "db"),
    wal: walDirectory === undefined ? joinPath(member, "wal") : resolve(walDirectory),
  };
}

/** Makes `path` and what is missing above it. */
async function makePath(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    // Node calls it ENOENT, too, when the file system is read-only; asked for the last directory alone it tells the reason.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") await mkdir(path, DIRECTORY_MODE);
    throw error;
  }
}

/** Makes the directories, durably; checks that they are ours to write. */
async function prepareDirectories(
  files: Files,
  places: Places,
  warn: (message: string) => void,
): Promise<void> {
  try {
    await makePath(places.data);
    await refuseStrangers(places, warn);
    for (const path of [places.data, places.member, places.snap]) {
      await files.makeDirectory(path);
      await files.syncDirectory(dirname(path));
    }
    await makePath(places.wal);
    await files.syncDirectory(dirname(places.wal));
    for (const path of [places.data, places.member, places.snap, places.wal]) {
      const mode = (await stat(path)).mode & 0o777;
      if (mode !== DIRECTORY_MODE) {
        warn(
          `check file permission: directory ${path} exists with mode ${mode.toString(8)}, 700 is recommended`,
        );
      }
    }
    for (const path of [places.member, places.wal]) {
      const touch = joinPath(path, ".touch");
      await (await files.create(touch, "write")).close();
      await files.unlink(touch);
    }
  } catch (error) {
    if (error instanceof StorageRefusal) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new StorageRefusal(`cannot access data directory ${places.data}: ${text}`);
  }
}

async function refuseStrangers(places: Places, warn: (message: string) => void): Promise<void> {
  const names = await readdir(places.data);
  if (names.includes("member") && names.includes("proxy")) {
    throw new StorageRefusal("invalid datadir; both member and proxy directories exist");
  }
  const known = new Set(["member", "proxy", "fixtures", "lost+found"]);
  for (const name of names) {
    if (!known.has(name)) warn(`found invalid file under data directory: ${name}`);
  }
}
