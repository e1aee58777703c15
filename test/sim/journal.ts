// The log as the disk was asked to keep it, over all lives: what was handed to the WAL, what it said is durable, what it gave back.
//
// It stands between the WAL and the member, so it holds the truth of the disk whatever the member makes of it. After a restart the WAL
// must give back everything that was durable, unchanged, and nothing that was not handed to it.

import type { Entry, HardState } from "../../src/proto/index.ts";
import type { MemberStorage, Wal, WalContents, WalSnapshot } from "../../src/server/ports.ts";
import { demand } from "./violation.ts";

/** An entry and when it was handed to the WAL, on the machine's clock. */
export interface JournalEntry {
  readonly entry: Entry;
  readonly submittedMs: number;
}

/** Name of an entry's bytes. */
export function entryName(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
}

/** The log of one machine. */
export class Journal {
  /** By index - 1. */
  readonly entries: JournalEntry[] = [];
  /** Entries up to here were reported durable. */
  durableIndex = 0;
  readonly #nowMs: () => number;
  #hardState: HardState | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The storage, with its WAL listened to; compares what it gives back with what it was given. */
  attach(storage: MemberStorage): MemberStorage {
    this.#found(storage.found);
    return {
      wal: new JournaledWal(storage.wal, this),
      snap: storage.snap,
      backend: storage.backend,
      sideFiles: storage.sideFiles,
      found: storage.found,
      close: () => storage.close(),
    };
  }

  #found(found: WalContents | undefined): void {
    if (found === undefined) {
      demand(this.durableIndex === 0, `the log is gone; ${this.durableIndex} entries were durable`);
      this.entries.length = 0;
      return;
    }
    const { snapshot, entries, hardState } = found;
    const last = snapshot.index + entries.length;
    demand(
      last >= this.durableIndex,
      `the log ends at ${last}; entries up to ${this.durableIndex} were durable`,
    );
    demand(snapshot.index <= this.durableIndex, `the log begins after ${snapshot.index}`);
    for (const entry of entries) {
      const known = this.entries[entry.index - 1]?.entry;
      demand(
        known !== undefined && known.term === entry.term && known.type === entry.type,
        `entry ${entry.index} of term ${entry.term} was never handed to the log`,
      );
      demand(
        Buffer.compare(known.data, entry.data) === 0,
        `entry ${entry.index} is not what was handed to the log`,
      );
    }
    const before = this.#hardState;
    demand(before === undefined || hardState.term >= before.term, "the term went back");
    this.entries.length = last;
    this.durableIndex = last;
  }

  /** @internal */
  submitted(entries: readonly Entry[]): void {
    for (const entry of entries) {
      demand(entry.index <= this.entries.length + 1, `entry ${entry.index} leaves a gap`);
      demand(entry.index > this.durableIndex, `durable entry ${entry.index} is written again`);
      this.entries.length = entry.index - 1;
      this.entries.push({ entry, submittedMs: this.#nowMs() });
    }
  }

  /** @internal */
  durable(entries: readonly Entry[], state: HardState | undefined): void {
    this.durableIndex = Math.max(this.durableIndex, entries.at(-1)?.index ?? 0);
    if (state !== undefined) this.#hardState = state;
  }
}

class JournaledWal implements Wal {
  readonly #wal: Wal;
  readonly #journal: Journal;

  constructor(wal: Wal, journal: Journal) {
    this.#wal = wal;
    this.#journal = journal;
  }

  save(
    state: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: () => void,
  ): void {
    this.#journal.submitted(entries);
    this.#wal.save(state, entries, mustSync, () => {
      this.#journal.durable(entries, mustSync ? state : undefined);
      done();
    });
  }

  saveSnapshot(snapshot: WalSnapshot, done: () => void): void {
    this.#wal.saveSnapshot(snapshot, done);
  }

  releaseTo(index: number): void {
    this.#wal.releaseTo(index);
  }

  get sizeBytes(): number {
    return this.#wal.sizeBytes;
  }

  close(): Promise<void> {
    return this.#wal.close();
  }
}
