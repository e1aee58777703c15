// A simulated disk behind the `Files` port: what a program wrote, what a crash would leave of it, and faults on demand.
//
// Each file has its current bytes (what reads see) and its durable bytes (what survives for certain); 512-byte sectors that differ
// because of an unsynced write are "dirty". A crash keeps none, a prefix, any subset or all of the dirty sectors, and each pending
// name (create, rename, unlink not yet followed by syncDirectory) survives or vanishes. A failed sync marks sectors clean although
// they are not durable, as Linux does. Same seed, same outcome. Source: reference reliability.md C.2.

import type { Prng } from "../../base/index.ts";
import type { Clock } from "../../server/ports.ts";
import { FileError, type Files, type OpenFile, type OpenMode } from "../files.ts";

const SECTOR_BYTES = 512;

export type DiskOperationKind =
  | "open"
  | "create"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "rename"
  | "unlink"
  | "makeDirectory"
  | "syncDirectory";

/** One call as a fault rule sees it. `number` counts all operations of the disk from 1. */
export interface DiskOperation {
  readonly number: number;
  readonly kind: DiskOperationKind;
  readonly path: string;
  readonly position: number;
  readonly bytes: number;
}

/** "short": part of a write is done, then ENOSPC. "eio" and "enospc": nothing is done; for a sync, nothing becomes durable. */
export type DiskFault = "eio" | "enospc" | "short";

/** How a simulated disk behaves. */
export interface SimulatedDiskOptions {
  /** Decides what a crash keeps and how long calls take. */
  readonly prng: Prng;
  /** Calls take `latencyMs` on it; without a clock they finish in a microtask. */
  readonly clock?: Pick<Clock, "after">;
  readonly latencyMs?: (operation: DiskOperation) => number;
  /** False: nothing is kept for a crash, which then loses everything; half the memory. */
  readonly durable?: boolean;
}

interface Inode {
  current: Buffer;
  sizeBytes: number;
  durable: Buffer;
  durableSizeBytes: number;
  /** Sectors whose current bytes may or may not survive, in the order they became so. */
  readonly dirty: Set<number>;
}

type Node = Inode | "directory";
type NameChange =
  | { readonly kind: "link"; readonly parent: string; readonly path: string; readonly node: Node }
  | { readonly kind: "unlink"; readonly parent: string; readonly path: string }
  | {
      readonly kind: "rename";
      readonly parent: string;
      readonly from: string;
      readonly path: string;
      readonly node: Node;
    };

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

function grown(buf: Buffer, bytes: number): Buffer {
  if (buf.length >= bytes) return buf;
  const next = Buffer.alloc(Math.max(bytes, buf.length * 2, 4096));
  buf.copy(next);
  return next;
}

function copySector(from: Buffer, to: Buffer, sector: number): void {
  const start = sector * SECTOR_BYTES;
  const end = start + SECTOR_BYTES;
  if (start < to.length) to.fill(0, start, Math.min(end, to.length));
  if (start < from.length) from.copy(to, start, start, Math.min(end, from.length));
}

/** One disk over any number of lives of the program on it; see the head of this file. */
export class SimulatedDisk {
  /** Asked before each operation; a fault it returns happens. */
  fault: (operation: DiskOperation) => DiskFault | undefined = () => undefined;
  readonly #options: SimulatedDiskOptions;
  #names = new Map<string, Node>([["/", "directory"]]);
  #durableNames = new Map<string, Node>([["/", "directory"]]);
  #pendingNames: NameChange[] = [];
  #operations = 0;
  /** Rises with each crash; what was in flight before never completes. */
  #life = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#options = options;
  }

  /** Operations so far, over all lives. */
  get operations(): number {
    return this.#operations;
  }

  /** Power off and on: in-flight calls never complete, open files are dead, and only what the disk kept is there. */
  crash(): void {
    this.#life += 1;
    const { prng } = this.#options;
    const style = prng.below(3);
    const keepCount = prng.below(this.#pendingNames.length + 1);
    for (const [i, change] of this.#pendingNames.entries()) {
      const kept = style === 0 ? i < keepCount : style === 1 ? prng.chance(0.5) : false;
      if (kept) applyName(this.#durableNames, change);
    }
    this.#pendingNames = [];
    for (const path of this.#durableNames.keys()) {
      if (path !== "/" && !this.#durableNames.has(parentOf(path))) this.#durableNames.delete(path);
    }
    this.#names = new Map(this.#durableNames);
    for (const node of this.#names.values()) if (node !== "directory") crashInode(node, prng);
  }

  /** The process died, the machine did not: everything written is there, in-flight writes included. */
  restart(): void {
    this.#life += 1;
  }

  /** The bytes of a file as a read sees them, shared; undefined if there is none. */
  peek(path: string): Buffer | undefined {
    const node = this.#names.get(path);
    return node === undefined || node === "directory"
      ? undefined
      : node.current.subarray(0, node.sizeBytes);
  }

  /** Flips bits of one stored byte, on the disk and in the cache. */
  damage(path: string, offset: number, mask: number): void {
    const node = this.#names.get(path);
    if (node === undefined || node === "directory") throw new Error(`no file ${path}`);
    for (const buf of [node.current, node.durable]) {
      if (offset < buf.length) buf[offset] = (buf[offset] as number) ^ mask;
    }
  }

  /** The disk as one life of a program sees it: after a crash or restart, calls through an older mount have no effect and never end. */
  mount(): Files {
    return new MountedDisk(this, this.#life);
  }

  /** @internal */
  get names(): ReadonlyMap<string, Node> {
    return this.#names;
  }

  /** @internal One operation: the fault rule, then `work` at once, then the answer after the latency. */
  begin(
    kind: DiskOperationKind,
    path: string,
    position: number,
    bytes: number,
    life: number,
  ): Started | undefined {
    if (life !== this.#life) return undefined;
    const operation = this.#count(kind, path, position, bytes);
    const fault = this.fault(operation);
    const settle = (answer: () => void): void => {
      const run = (): void => {
        if (this.#life === life) answer();
      };
      const { clock, latencyMs } = this.#options;
      if (clock === undefined) queueMicrotask(run);
      else clock.after(latencyMs?.(operation) ?? 0, run);
    };
    return { fault, settle };
  }

  /** Counts an operation of the machine that is on no file of this disk (the store's), and asks the fault rule. */
  outside(kind: DiskOperationKind, path: string, bytes: number): DiskFault | undefined {
    return this.fault(this.#count(kind, path, 0, bytes));
  }

  #count(kind: DiskOperationKind, path: string, position: number, bytes: number): DiskOperation {
    this.#operations += 1;
    return { number: this.#operations, kind, path, position, bytes };
  }

  /** @internal */
  get keepsDurable(): boolean {
    return this.#options.durable !== false;
  }

  /** @internal */
  change(change: NameChange): void {
    applyName(this.#names, change);
    this.#pendingNames.push(change);
  }

  /** @internal */
  syncNames(parent: string): void {
    const rest: NameChange[] = [];
    for (const change of this.#pendingNames) {
      if (change.parent === parent) applyName(this.#durableNames, change);
      else rest.push(change);
    }
    this.#pendingNames = rest;
  }

  /** @internal */
  file(path: string): Inode {
    const node = this.#names.get(path);
    if (node === undefined)
      throw new FileError("open", path, "ENOENT", "no such file or directory");
    if (node === "directory") throw new FileError("open", path, "EISDIR", "is a directory");
    return node;
  }

  /** @internal */
  mustBeDirectory(path: string): void {
    if (this.#names.get(path) !== "directory") {
      throw new FileError("open", path, "ENOENT", "no such directory");
    }
  }
}

/** An operation that was begun: its fault, and how its answer comes back after the latency. */
interface Started {
  readonly fault: DiskFault | undefined;
  readonly settle: (answer: () => void) => void;
}

class MountedDisk implements Files {
  readonly #disk: SimulatedDisk;
  readonly #life: number;

  constructor(disk: SimulatedDisk, life: number) {
    this.#disk = disk;
    this.#life = life;
  }

  open(path: string, mode: OpenMode): Promise<OpenFile> {
    return this.#run(
      "open",
      path,
      () => new SimulatedFile(this.#disk, this.#life, path, this.#disk.file(path), mode),
    );
  }

  create(path: string, mode: "write" | "durable"): Promise<OpenFile> {
    return this.#run("create", path, () => {
      this.#disk.mustBeDirectory(parentOf(path));
      const node: Inode = {
        current: Buffer.alloc(0),
        sizeBytes: 0,
        durable: Buffer.alloc(0),
        durableSizeBytes: 0,
        dirty: new Set(),
      };
      this.#disk.change({ kind: "link", parent: parentOf(path), path, node });
      return new SimulatedFile(this.#disk, this.#life, path, node, mode);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", from, () => {
      const node = this.#disk.file(from);
      this.#disk.change({ kind: "rename", parent: parentOf(to), from, path: to, node });
    });
  }

  unlink(path: string): Promise<void> {
    return this.#run("unlink", path, () => {
      this.#disk.file(path);
      this.#disk.change({ kind: "unlink", parent: parentOf(path), path });
    });
  }

  list(path: string): Promise<string[] | undefined> {
    return this.#run("open", path, () => {
      if (this.#disk.names.get(path) !== "directory") return undefined;
      const prefix = path === "/" ? "/" : `${path}/`;
      const names: string[] = [];
      for (const name of this.#disk.names.keys()) {
        const rest = name.slice(prefix.length);
        if (name.startsWith(prefix) && rest !== "" && !rest.includes("/")) names.push(rest);
      }
      return names.sort();
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.#run("makeDirectory", path, () => {
      this.#disk.mustBeDirectory(parentOf(path));
      if (this.#disk.names.has(path)) return;
      this.#disk.change({ kind: "link", parent: parentOf(path), path, node: "directory" });
    });
  }

  exists(path: string): Promise<boolean> {
    return this.#run("open", path, () => this.#disk.names.has(path));
  }

  sizeOf(path: string): Promise<number> {
    return this.#run("open", path, () => this.#disk.file(path).sizeBytes);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run("syncDirectory", path, () => this.#disk.syncNames(path));
  }

  /** One operation: the fault rule, then `work` at once, then the answer. */
  #run<T>(kind: DiskOperationKind, path: string, work: () => T): Promise<T> {
    const started = this.#disk.begin(kind, path, 0, 0, this.#life);
    return new Promise((resolve, reject) => {
      if (started === undefined) return;
      const { fault, settle } = started;
      try {
        if (fault !== undefined) throw faultError(kind, path, fault);
        const result = work();
        settle(() => resolve(result));
      } catch (error) {
        settle(() => reject(error));
      }
    });
  }
}

/** The error a fault shows as. */
export function faultError(kind: DiskOperationKind, path: string, fault: DiskFault): FileError {
  return fault === "eio"
    ? new FileError(kind, path, "EIO", "i/o error")
    : new FileError(kind, path, "ENOSPC", "no space left on device");
}

function applyName(names: Map<string, Node>, change: NameChange): void {
  if (change.kind === "unlink") names.delete(change.path);
  else {
    if (change.kind === "rename") names.delete(change.from);
    names.set(change.path, change.node);
  }
}

function crashInode(node: Inode, prng: Prng): void {
  const dirty = [...node.dirty];
  const style = prng.below(4);
  const keepCount = style === 0 ? 0 : style === 1 ? prng.below(dirty.length + 1) : dirty.length;
  let size = node.durableSizeBytes;
  const kept = dirty.filter((_, i) => i < keepCount && (style !== 2 || prng.chance(0.5)));
  for (const sector of kept) {
    const end = Math.min((sector + 1) * SECTOR_BYTES, node.sizeBytes);
    if (end <= sector * SECTOR_BYTES) continue;
    node.durable = grown(node.durable, (sector + 1) * SECTOR_BYTES);
    copySector(node.current.subarray(0, node.sizeBytes), node.durable, sector);
    size = Math.max(size, end);
  }
  // The size may have reached the disk without the bytes, which then read as zeros; or a truncation without being asked to.
  if (dirty.length > 0 && prng.chance(0.25)) size = Math.max(size, node.sizeBytes);
  if (node.sizeBytes < node.durableSizeBytes && prng.chance(0.5)) size = node.sizeBytes;
  node.durable = grown(node.durable, size);
  node.durable.fill(0, size);
  node.durableSizeBytes = size;
  node.current = Buffer.from(node.durable);
  node.sizeBytes = size;
  node.dirty.clear();
}

class SimulatedFile implements OpenFile {
  readonly path: string;
  readonly #disk: SimulatedDisk;
  readonly #life: number;
  readonly #node: Inode;
  readonly #mode: OpenMode;

  constructor(disk: SimulatedDisk, life: number, path: string, node: Inode, mode: OpenMode) {
    this.#disk = disk;
    this.#life = life;
    this.path = path;
    this.#node = node;
    this.#mode = mode;
  }

  read(buf: Uint8Array, start: number, end: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const started = this.#begin("read", position, end - start);
      if (started === undefined) return;
      const { fault, settle } = started;
      if (fault !== undefined) {
        settle(() => reject(faultError("read", this.path, "eio")));
        return;
      }
      const node = this.#node;
      const count = Math.max(0, Math.min(end - start, node.sizeBytes - position));
      settle(() => {
        node.current.copy(buf, start, position, position + count);
        resolve(count);
      });
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
    const started = this.#begin("write", position, end - start);
    if (started === undefined) return;
    const { fault, settle } = started;
    const length = fault === undefined ? end - start : fault === "short" ? (end - start) >> 1 : 0;
    const sectors = this.#place(buf, start, start + length, position);
    settle(() => {
      if (fault !== undefined) return done(faultError("write", this.path, fault));
      if (this.#mode === "durable") this.#makeDurable(sectors);
      done(undefined);
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      const started = this.#begin("sync", 0, 0);
      if (started === undefined) return;
      const { fault, settle } = started;
      const sectors = [...this.#node.dirty];
      settle(() => {
        if (fault !== undefined) {
          for (const sector of sectors) this.#node.dirty.delete(sector);
          return reject(faultError("sync", this.path, fault));
        }
        this.#makeDurable(sectors);
        this.#node.durableSizeBytes = this.#node.sizeBytes;
        this.#node.durable.fill(0, Math.min(this.#node.durable.length, this.#node.sizeBytes));
        resolve();
      });
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const started = this.#begin("truncate", sizeBytes, 0);
      if (started === undefined) return;
      const { fault, settle } = started;
      if (fault !== undefined) {
        settle(() => reject(faultError("truncate", this.path, fault)));
        return;
      }
      const node = this.#node;
      node.current = grown(node.current, sizeBytes);
      if (sizeBytes < node.sizeBytes) {
        node.current.fill(0, sizeBytes, node.sizeBytes);
        this.#dirty(sizeBytes, node.sizeBytes);
      }
      node.sizeBytes = sizeBytes;
      settle(resolve);
    });
  }

  sizeBytes(): Promise<number> {
    return new Promise((resolve) => {
      this.#begin("open", 0, 0)?.settle(() => resolve(this.#node.sizeBytes));
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #begin(kind: DiskOperationKind, position: number, bytes: number): Started | undefined {
    return this.#disk.begin(kind, this.path, position, bytes, this.#life);
  }

  #place(buf: Uint8Array, start: number, end: number, position: number): number[] {
    if (end === start) return [];
    const node = this.#node;
    const last = position + end - start;
    node.current = grown(node.current, last);
    node.current.set(buf.subarray(start, end), position);
    node.sizeBytes = Math.max(node.sizeBytes, last);
    return this.#dirty(position, last);
  }

  #dirty(from: number, to: number): number[] {
    if (!this.#disk.keepsDurable) return [];
    const sectors: number[] = [];
    for (let s = Math.floor(from / SECTOR_BYTES); s * SECTOR_BYTES < to; s++) {
      this.#node.dirty.add(s);
      sectors.push(s);
    }
    return sectors;
  }

  #makeDurable(sectors: readonly number[]): void {
    const node = this.#node;
    const current = node.current.subarray(0, node.sizeBytes);
    for (const sector of sectors) {
      if (!node.dirty.delete(sector)) continue;
      const end = Math.min((sector + 1) * SECTOR_BYTES, node.sizeBytes);
      node.durable = grown(node.durable, (sector + 1) * SECTOR_BYTES);
      copySector(current, node.durable, sector);
      node.durableSizeBytes = Math.max(node.durableSizeBytes, end);
    }
  }
}
