// Raft snapshot files, "<term>-<index>.snap": snappb.Snapshot { crc 1, data 2 }, data = raftpb.Snapshot, crc = CRC-32C of data.
// A file that cannot be read is renamed to "<name>.broken" and an older one is used. Source: etcd server/etcdserver/api/snap/snapshotter.go;
// reference storage-formats.md 8.1.

import { crc32c } from "../../base/index.ts";
import {
  decodeSnapSnapshot,
  decodeSnapshot,
  encodeSnapSnapshot,
  encodeSnapshot,
  ProtoError,
  type Snapshot,
} from "../../proto/index.ts";
import type { SnapStore, WalSnapshot } from "../../server/ports.ts";
import { type Files, joinPath, readWhole, writeWhole } from "../files.ts";

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;

function hex16(value: number): string {
  return value.toString(16).padStart(16, "0");
}

/** The snapshot in the bytes of a file, or what is wrong with them. */
export function decodeSnapFile(buf: Buffer): Snapshot | string {
  const outer = decodeSnapSnapshot(buf, 0, buf.length);
  if (outer instanceof ProtoError) return outer.message;
  const { data } = outer;
  if (data.length === 0 || outer.crc === 0) return "the snapshot is empty";
  if (crc32c(data, 0, data.length) !== outer.crc) return "the checksum does not match";
  const snapshot = decodeSnapshot(data, 0, data.length);
  return snapshot instanceof ProtoError ? snapshot.message : snapshot;
}

export class DiskSnapStore implements SnapStore {
  readonly #files: Files;
  readonly #directory: string;
  readonly #onWarning: (message: string) => void;

  /** `onWarning` hears of files set aside. */
  constructor(files: Files, directory: string, onWarning: (message: string) => void) {
    this.#files = files;
    this.#directory = directory;
    this.#onWarning = onWarning;
  }

  async save(snapshot: Snapshot): Promise<void> {
    const { metadata } = snapshot;
    const name = `${hex16(metadata?.term ?? 0)}-${hex16(metadata?.index ?? 0)}.snap`;
    const data = encodeSnapshot(snapshot);
    const file = encodeSnapSnapshot({ crc: crc32c(data, 0, data.length), data });
    await writeWhole(this.#files, this.#directory, name, [file]);
  }

  async loadNewest(allowed: readonly WalSnapshot[]): Promise<Snapshot | undefined> {
    for (const name of (await this.#names()).reverse()) {
      const path = joinPath(this.#directory, name);
      const buf = await readWhole(this.#files, path);
      if (buf === undefined) continue;
      const snapshot = decodeSnapFile(buf);
      if (typeof snapshot === "string") {
        this.#onWarning(`${path} is damaged and set aside: ${snapshot}`);
        await this.#files.rename(path, `${path}.broken`);
        await this.#files.syncDirectory(this.#directory);
        continue;
      }
      const { index = 0, term = 0 } = snapshot.metadata ?? {};
      if (allowed.some((a) => a.index === index && a.term === term)) return snapshot;
    }
    return undefined;
  }

  async purge(keepCount: number): Promise<void> {
    const names = await this.#names();
    const doomed = names.slice(0, Math.max(0, names.length - keepCount));
    for (const name of doomed) await this.#files.unlink(joinPath(this.#directory, name));
    if (doomed.length > 0) await this.#files.syncDirectory(this.#directory);
  }

  /** Names of snapshot files, oldest (lowest term, then index) first. */
  async #names(): Promise<string[]> {
    return ((await this.#files.list(this.#directory)) ?? []).filter((name) => NAME.test(name));
  }
}
