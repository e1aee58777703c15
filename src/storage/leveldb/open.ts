// Opens or creates the LevelDB folder of a member and proves it whole before anything is read from it.
// Source: reference reliability.md B.3 (rules 1, 2, 4, 5), B.2.10.

import { type AppliedMark, Bucket } from "../../server/ports.ts";
import { decodeMarker, MARKER_RANGE, type Marker, newestMarker } from "../applied-marker.ts";
import { DamagedFile, type Files, joinPath, readWhole, StorageRefusal } from "../files.ts";
import { openValue } from "../rows.ts";
import { LevelBackend, type LevelBackendOptions, putMarker } from "./backend.ts";
import { checkStore, type KeyBounds, type UncheckedTables } from "./check.ts";
import { LevelEngine } from "./engine.ts";

/** Stored keys of Bucket.key. */
const KEY_ROWS: KeyBounds = { from: Buffer.from([Bucket.key]), to: Buffer.from([Bucket.key + 1]) };

const EMPTY: AppliedMark = { index: 0, term: 0, confState: undefined };

/** Creates the store of a new member, with the marker of batch 1: nothing applied. */
export async function createLevelBackend(
  path: string,
  options: LevelBackendOptions,
): Promise<LevelBackend> {
  const engine = await LevelEngine.open(path, true);
  const marker: Marker = { number: 1, from: 0, mark: EMPTY };
  const native = engine.nativeBatch();
  putMarker(native, marker);
  await native.write();
  await options.files.syncDirectory(path);
  return started(engine, marker, options);
}

/**
 * Opens the store of an existing member; throws StorageRefusal or DamagedFile. With `keysLater` tables that hold nothing but rows of
 * Bucket.key are checked only before they are scanned.
 */
export async function openLevelBackend(
  path: string,
  options: LevelBackendOptions,
  keysLater = false,
): Promise<LevelBackend> {
  const later = keysLater ? KEY_ROWS : undefined;
  const { torn, unchecked } = await checkStore(options.files, path, later);
  const engine = await LevelEngine.open(path, false);
  try {
    if (!torn) await refuseDrops(path, options);
    return await started(engine, await readMarker(engine), options, unchecked);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Checks the marker chain; throws DamagedFile. */
async function readMarker(engine: LevelEngine): Promise<Marker> {
  const markers: Marker[] = [];
  for await (const rows of engine.rows(MARKER_RANGE.from, MARKER_RANGE.to)) {
    for (const [key, stored] of rows) {
      const value = openValue(key, stored);
      const marker = value === undefined ? "a marker has a bad checksum" : decodeMarker(value);
      if (typeof marker === "string")
        throw new DamagedFile(engine.path, -1, `damaged store: ${marker}`);
      markers.push(marker);
    }
  }
  const newest = newestMarker(markers);
  if (newest === undefined) {
    throw new DamagedFile(engine.path, -1, "damaged store: it holds no marker of any batch");
  }
  if (typeof newest === "string") {
    throw new DamagedFile(engine.path, -1, `damaged store: ${newest}`);
  }
  return newest;
}

/** LevelDB says only in its own log that it left records out; with logs that were whole it must not have. */
async function refuseDrops(path: string, options: LevelBackendOptions): Promise<void> {
  const logPath = joinPath(path, "LOG");
  const text = (await readWhole(options.files, logPath))?.toString("latin1") ?? "";
  for (const line of text.split("\n")) {
    if (/dropping \d+ bytes|ignoring error/i.test(line)) {
      throw new DamagedFile(logPath, -1, `the store left records out when opening: ${line.trim()}`);
    }
  }
}

async function started(
  engine: LevelEngine,
  marker: Marker,
  options: LevelBackendOptions,
  unchecked?: UncheckedTables,
): Promise<LevelBackend> {
  const backend = new LevelBackend(engine, marker, options, unchecked);
  await backend.measure();
  return backend;
}

/** LevelDB's log holding nothing but the first marker takes less than this. */
const FIRST_MARKER_BYTES_MAX = 128;

/**
 * True if the folder is what a bootstrap leaves that did not finish: a store with no batch but the first, or one not even that far. Throws
 * StorageRefusal when the store is in use.
 */
export async function isUnusedStore(files: Files, path: string): Promise<boolean> {
  let engine: LevelEngine | undefined;
  try {
    engine = await LevelEngine.open(path, false);
    return (await readMarker(engine)).number === 1;
  } catch (error) {
    if (error instanceof StorageRefusal && error.message.includes("in use")) throw error;
  } finally {
    await engine?.close();
  }
  let logBytes = 0;
  for (const name of (await files.list(path)) ?? []) {
    if (/\.(ldb|sst)$/.test(name)) return false;
    if (name.endsWith(".log")) logBytes += await files.sizeOf(joinPath(path, name));
  }
  return logBytes <= FIRST_MARKER_BYTES_MAX;
}
