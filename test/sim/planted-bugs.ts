// Bugs put under the member on purpose, to see that the simulator finds them: each is one that a storage engine or a server has had.
// They live in the tests alone, as wrappers of the ports and of methods of one member.

import type { Entry, HardState } from "../../src/proto/index.ts";
import type { Member } from "../../src/server/index.ts";
import {
  type AppliedMark,
  type Backend,
  type BackendBatch,
  type BackendRow,
  Bucket,
  type Clock,
  type MemberStorage,
  type Wal,
  type WalSnapshot,
} from "../../src/server/ports.ts";
import type { Tampering } from "./simulation.ts";

/** A bug, and what its discovery must say. */
export interface PlantedBug {
  readonly name: string;
  /** Seeds within which it must be found. */
  readonly seeds: number;
  readonly found: RegExp;
  readonly tampering: Tampering;
}

/** Everything as it is; bugs override what they break. */
class PlainBackend implements Backend {
  protected readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
  }

  get opened(): AppliedMark {
    return this.inner.opened;
  }

  get queuedBytes(): number {
    return this.inner.queuedBytes;
  }

  get syncedIndex(): number {
    return this.inner.syncedIndex;
  }

  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }

  batch(): BackendBatch {
    return this.inner.batch();
  }

  commit(batch: BackendBatch, mark: AppliedMark): void {
    this.inner.commit(batch, mark);
  }

  sync(): Promise<void> {
    return this.inner.sync();
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    return this.inner.get(bucket, key);
  }

  scan(bucket: Bucket, from?: Uint8Array, to?: Uint8Array): AsyncIterable<readonly BackendRow[]> {
    return this.inner.scan(bucket, from, to);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Says that a save is done after `delayMs`, whatever the disk says. */
class HastyWal implements Wal {
  readonly #inner: Wal;
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #queue: ((done: () => void) => void)[] = [];
  #busy = false;

  constructor(inner: Wal, clock: Clock, delayMs: number) {
    this.#inner = inner;
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  save(
    state: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    done: () => void,
  ): void {
    this.#run((saved) => this.#inner.save(state, entries, mustSync, saved), done);
  }

  saveSnapshot(snapshot: WalSnapshot, done: () => void): void {
    this.#run((saved) => this.#inner.saveSnapshot(snapshot, saved), done);
  }

  releaseTo(index: number): void {
    this.#inner.releaseTo(index);
  }

  /** What it has not handed over by now is lost. */
  close(): Promise<void> {
    this.#queue.length = 0;
    this.#busy = true;
    return Promise.resolve();
  }

  #run(work: (saved: () => void) => void, done: () => void): void {
    let told = false;
    const tell = (): void => {
      if (!told) done();
      told = true;
    };
    this.#queue.push((saved) =>
      work(() => {
        saved();
        tell();
      }),
    );
    this.#clock.after(this.#delayMs, tell);
    this.#next();
  }

  #next(): void {
    if (this.#busy) return;
    const work = this.#queue.shift();
    if (work === undefined) return;
    this.#busy = true;
    work(() => {
      this.#busy = false;
      this.#next();
    });
  }
}

class SkipsReplay extends PlainBackend {
  readonly #opened: AppliedMark;

  constructor(inner: Backend, last: Entry | undefined) {
    super(inner);
    const { opened } = inner;
    this.#opened = last === undefined ? opened : { ...opened, index: last.index, term: last.term };
  }

  override get opened(): AppliedMark {
    return this.#opened;
  }
}

class SaysSynced extends PlainBackend {
  #committed = 0;

  override commit(batch: BackendBatch, mark: AppliedMark): void {
    this.#committed = mark.index;
    super.commit(batch, mark);
  }

  override get syncedIndex(): number {
    return this.#committed;
  }

  override sync(): Promise<void> {
    return Promise.resolve();
  }
}

class MarksAhead extends PlainBackend {
  override commit(batch: BackendBatch, mark: AppliedMark): void {
    super.commit(super.batch(), mark);
    super.commit(batch, mark);
  }
}

class LosesLastRow extends PlainBackend {
  override async *scan(
    bucket: Bucket,
    from?: Uint8Array,
    to?: Uint8Array,
  ): AsyncGenerator<readonly BackendRow[]> {
    const rows: BackendRow[] = [];
    for await (const chunk of super.scan(bucket, from, to)) rows.push(...chunk);
    if (bucket === Bucket.key) rows.pop();
    yield rows;
  }
}

class ForgetsCompactions extends PlainBackend {
  override get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    return bucket === Bucket.meta ? undefined : super.get(bucket, key);
  }
}

class KeepsRemovedRows extends PlainBackend {
  override batch(): BackendBatch {
    const batch = super.batch();
    const remove = batch.delete.bind(batch);
    batch.delete = (bucket, key): void => {
      if (bucket !== Bucket.key) remove(bucket, key);
    };
    return batch;
  }
}

class KeepsEndedLeases extends PlainBackend {
  override batch(): BackendBatch {
    const batch = super.batch();
    const remove = batch.delete.bind(batch);
    batch.delete = (bucket, key): void => {
      if (bucket !== Bucket.lease) remove(bucket, key);
    };
    return batch;
  }
}

type MakeBackend = (inner: Backend, storage: MemberStorage) => Backend;

function withBackend(make: MakeBackend): Tampering {
  return {
    storage: (storage) => ({
      ...parts(storage),
      backend: make(storage.backend, storage),
    }),
  };
}

function withHastyWal(delayMs: number): Tampering {
  return {
    storage: (storage, clock) => {
      const wal = new HastyWal(storage.wal, clock, delayMs);
      const close = (): Promise<void> => wal.close().then(() => storage.close());
      return { ...parts(storage), wal, close };
    },
  };
}

function parts(storage: MemberStorage): MemberStorage {
  const { wal, snap, backend, sideFiles, found } = storage;
  return { wal, snap, backend, sideFiles, found, close: () => storage.close() };
}

/** All of them. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "a request is answered before the log has it",
    seeds: 10,
    found: /answered and is not in the log|is lost|was told, the store is at|the log ends at/,
    tampering: withHastyWal(0),
  },
  {
    name: "a write of the log that takes long, or fails, counts as done",
    seeds: 60,
    found: /after the failure|not in the log|is lost|was told, the store is at|the log ends at/,
    tampering: withHastyWal(20),
  },
  {
    name: "a restart takes everything in the log for applied",
    seeds: 10,
    found: /the store is at revision|leases are|cluster version/,
    tampering: withBackend((b, { found }) => new SkipsReplay(b, found?.entries.at(-1))),
  },
  {
    name: "the log is released beyond what the store has synced",
    seeds: 200,
    found: /does not start.*applied index|refused without a fault.*applied index/s,
    tampering: withBackend((b) => new SaysSynced(b)),
  },
  {
    name: "the mark of the store is ahead of its rows",
    seeds: 20,
    found: /the store is at revision|keys at revision|leases are|cluster version|is in the cluster/,
    tampering: withBackend((b) => new MarksAhead(b)),
  },
  {
    name: "a restart loses the newest row, and its revision is given again",
    seeds: 10,
    found: /the store is at revision|keys at revision|after \d+ was told|lost rows of the index/,
    tampering: withBackend((b) => new LosesLastRow(b)),
  },
  {
    name: "a restart forgets which keys a lease holds",
    seeds: 20,
    found: /lease -?\d+ holds keys|was answered|the store is at revision/,
    tampering: {
      member: ({ lessor }: Member): void => {
        for (const id of lessor.leases()) {
          for (const key of [...lessor.keysOf(id)].toSorted()) lessor.detach(id, key);
        }
      },
    },
  },
  {
    name: "a restart forgets compactions",
    seeds: 20,
    found: /compacted at|below compact revision|refused with|HashKV/,
    tampering: withBackend((b) => new ForgetsCompactions(b)),
  },
  {
    name: "compacted rows come back with a restart",
    seeds: 60,
    found: /HashKV|keys at revision|watch of/,
    tampering: withBackend((b) => new KeepsRemovedRows(b)),
  },
  {
    name: "ended leases come back with a restart",
    seeds: 30,
    found: /leases are|the store is at revision|was answered/,
    tampering: withBackend((b) => new KeepsEndedLeases(b)),
  },
  {
    name: "a request goes into the log twice",
    seeds: 10,
    found: /in the log twice|takes|disagree|was answered/,
    tampering: {
      member: (member): void => {
        const propose = member.propose.bind(member);
        let count = 0;
        member.propose = (arm, request, staged, waiter): void => {
          propose(arm, request, staged, waiter);
          const nobody = { onApplied: () => {}, onRefused: () => {} };
          if (++count % 20 === 0) propose(arm, request, staged, nobody);
        };
      },
    },
  },
  {
    name: "reads do not wait for what was acknowledged before",
    seeds: 200,
    found: /a read at revision .* after \d+ was told/,
    tampering: {
      member: ({ reads }): void => {
        reads.wait = (reader): void => reader.onReadable();
      },
    },
  },
  {
    name: "a watch from an old revision begins one too late",
    seeds: 20,
    found: /watch of/,
    tampering: {
      member: ({ watches: { hub }, store }): void => {
        const watch = hub.watch.bind(hub);
        hub.watch = (spec, sink) => {
          const { startRevision } = spec;
          const isOld = startRevision > 0 && startRevision < store.revision;
          return watch({ ...spec, startRevision: isOld ? startRevision + 1 : startRevision }, sink);
        };
      },
    },
  },
  {
    name: "leases end before their time",
    seeds: 30,
    found: /before its time/,
    tampering: {
      member: ({ lessor }): void => {
        const expired = lessor.expired.bind(lessor);
        lessor.expired = (nowMs, limit): bigint[] => expired(nowMs + 900, limit);
      },
    },
  },
];
