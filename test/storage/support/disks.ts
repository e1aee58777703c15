// Disks for the storage tests: a temporary directory of the real one, or a simulated one.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../../src/base/index.ts";
import type { Clock } from "../../../src/server/ports.ts";
import type { Files } from "../../../src/storage/files.ts";
import type { LevelBackendOptions } from "../../../src/storage/leveldb/index.ts";
import { SimulatedDisk } from "../../../src/storage/memory/disk.ts";
import { NodeFiles } from "../../../src/storage/node-files.ts";

export interface Place {
  readonly files: Files;
  readonly directory: string;
  dispose(): Promise<void>;
}

export async function realPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "etcd-ts-storage-"));
  await mkdir(directory, { recursive: true });
  return {
    files: new NodeFiles(),
    directory,
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface SimulatedPlace extends Place {
  readonly disk: SimulatedDisk;
}

export async function simulatedPlace(seed = 1): Promise<SimulatedPlace> {
  const disk = new SimulatedDisk({ prng: new Prng(seed) });
  const files = disk.mount();
  await files.makeDirectory("/d");
  await files.syncDirectory("/");
  return { disk, files, directory: "/d", dispose: () => Promise.resolve() };
}

/** The real clock. */
export const realClock: Pick<Clock, "after" | "nowMs"> = {
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  nowMs: () => performance.now(),
};

/** Options of a LevelDB backend whose fatal errors fail the test. */
export function levelOptions(files: Files, onFatal?: (error: Error) => void): LevelBackendOptions {
  return {
    files,
    clock: realClock,
    onFatal:
      onFatal ??
      ((error): void => {
        throw error;
      }),
  };
}
