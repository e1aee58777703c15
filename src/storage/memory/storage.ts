// A member's storage without a disk: the real WAL, snapshot store and side files over a simulated disk, and the backend in memory.
//
// `MemoryMachine` is what stays when the member is started again, in tests and in the simulator; `openMemoryStorage` alone gives a member
// that forgets everything when it stops, for `Etcd.start({ memory: true })`.

import { Prng } from "../../base/index.ts";
import type { Clock, MemberStorage, OnFatal } from "../../server/ports.ts";
import { StorageRefusal } from "../files.ts";
import { DiskSideFiles } from "../snap/side-files.ts";
import { DiskSnapStore } from "../snap/snap-store.ts";
import { createWal, readWal, resumeWal, type WalOptions } from "../wal/index.ts";
import { MemoryBackend, MemoryStore } from "./backend.ts";
import { type DiskOperation, faultError, SimulatedDisk } from "./disk.ts";

/** Small, because memory is what the segments are made of. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** How a simulated machine behaves. */
export interface MemoryMachineOptions {
  readonly prng: Prng;
  readonly clock?: Pick<Clock, "after">;
  /** Time of a disk operation on `clock`. */
  readonly latencyMs?: (operation: DiskOperation) => number;
  /** False: the disk keeps nothing for a crash. */
  readonly durable?: boolean;
}

/** Disk and store of one simulated machine. */
export class MemoryMachine {
  readonly disk: SimulatedDisk;
  readonly store: MemoryStore = new MemoryStore();
  readonly options: MemoryMachineOptions;

  constructor(options: MemoryMachineOptions) {
    this.options = options;
    this.disk = new SimulatedDisk({ ...options, prng: options.prng.fork("disk") });
  }

  /** Power off and on: see SimulatedDisk.crash and MemoryStore.crash. */
  crash(): void {
    this.disk.crash();
    this.store.crash(this.options.prng);
  }

  /** The process was killed, the machine goes on: everything written is there. */
  restart(): void {
    this.disk.restart();
    this.store.restart();
  }
}

/** What to open in memory, and who hears of what. */
export interface MemoryStorageOptions {
  /** The WAL's metadata record of a new member. */
  readonly metadata: Uint8Array;
  readonly onFatal: OnFatal;
  readonly onWarning?: (message: string) => void;
  /** Default: a machine of its own that keeps nothing. */
  readonly machine?: MemoryMachine;
  /** Default 4 MiB. */
  readonly segmentBytes?: number;
}

/** Opens, or creates, the storage of a member in memory. */
export async function openMemoryStorage(options: MemoryStorageOptions): Promise<MemberStorage> {
  const machine = options.machine ?? new MemoryMachine({ prng: new Prng(1), durable: false });
  const { clock, latencyMs } = machine.options;
  const warn = options.onWarning ?? ((): void => undefined);
  const files = machine.disk.mount();
  for (const [parent, name] of [
    ["/", "/wal"],
    ["/", "/snap"],
  ] as const) {
    await files.makeDirectory(name);
    await files.syncDirectory(parent);
  }
  const walOptions: WalOptions = {
    files,
    directory: "/wal",
    onFatal: options.onFatal,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    fillAhead: false,
    onWarning: (error) => warn(error.message),
    ...(clock === undefined ? {} : { clock }),
  };
  const backend = new MemoryBackend(machine.store, {
    onFatal: options.onFatal,
    ...(clock === undefined ? {} : { clock }),
    ...(latencyMs === undefined ? {} : { latencyMs: () => latencyMs(SYNC) }),
    fault: (bytes) => {
      const fault = machine.disk.outside("sync", SYNC.path, bytes);
      return fault === undefined ? undefined : faultError("sync", SYNC.path, fault);
    },
  });
  const reading = await readWal(files, "/wal");
  if (reading !== undefined) {
    const problem = mismatch(
      backend.opened.index,
      reading.contents.snapshot.index,
      reading.lastIndex,
    );
    if (problem !== undefined) throw new StorageRefusal(problem);
  }
  const wal =
    reading === undefined
      ? await createWal(walOptions, options.metadata)
      : await resumeWal(walOptions, reading);
  return {
    wal,
    snap: new DiskSnapStore(files, "/snap", warn),
    backend,
    sideFiles: new DiskSideFiles(files, "/snap"),
    found: reading?.contents,
    close: async () => {
      try {
        await wal.close();
      } finally {
        await backend.close();
      }
    },
  };
}

const SYNC: DiskOperation = { number: 0, kind: "sync", path: "store", position: 0, bytes: 0 };

/** Why store and log do not belong together; undefined if they do. */
export function mismatch(
  appliedIndex: number,
  snapshotIndex: number,
  lastIndex: number,
): string | undefined {
  if (appliedIndex < snapshotIndex) {
    return `the store is at applied index ${appliedIndex}, but the log begins after ${snapshotIndex}: entries between are missing`;
  }
  if (appliedIndex > lastIndex) {
    return `the store is at applied index ${appliedIndex}, but the log ends at ${lastIndex}: entries are missing`;
  }
  return undefined;
}
