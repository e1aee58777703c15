// LevelDB files that are damaged, cut or missing. Goal: refused with the file named, or opened with exactly a state that was committed, at
// or above what the log no longer covers; never a silent difference.
// Method: a store with tables and a log is copied, hurt in one place and opened.

import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { test } from "node:test";
import { Prng } from "../../../src/base/index.ts";
import { type Backend, Bucket } from "../../../src/server/ports.ts";
import { DamagedFile, StorageRefusal } from "../../../src/storage/files.ts";
import {
  checkStore,
  createLevelBackend,
  LevelEngine,
  openLevelBackend,
} from "../../../src/storage/leveldb/index.ts";
import { unsnappy } from "../../../src/storage/leveldb/table-check.ts";
import { NodeFiles } from "../../../src/storage/node-files.ts";
import { all } from "../../suites/backend-suite.ts";
import { levelOptions, realPlace } from "../support/disks.ts";

const files = new NodeFiles();
const BATCHES = 30;

function key(i: number): Buffer {
  return Buffer.from(String(i).padStart(8, "0"));
}

/** Batch n: twenty rows, one deletion of an older row. */
function commitBatch(backend: Backend, n: number, prng: Prng): void {
  const batch = backend.batch();
  for (let k = 0; k < 20; k++) {
    const value = Buffer.alloc(20 + prng.below(120), k);
    value.write(`${n}.${k}.${prng.uint32()}`);
    batch.put(Bucket.key, key(n * 20 + k), value);
  }
  if (n > 3) batch.delete(Bucket.key, key((n - 3) * 20));
  backend.commit(batch, { index: n, term: 1, confState: undefined });
}

/** A store of BATCHES batches, half of them in a table; and what it held after each batch. */
async function sample(directory: string): Promise<Map<number, string>> {
  const prng = new Prng(3);
  const states = new Map<number, string>();
  let backend = await createLevelBackend(directory, levelOptions(files));
  for (let n = 1; n <= BATCHES; n++) {
    commitBatch(backend, n, prng);
    await backend.sync();
    states.set(n, JSON.stringify(await all(backend)));
    if (n === BATCHES / 2) {
      // Opening again turns the log to a table.
      await backend.close();
      backend = await openLevelBackend(directory, levelOptions(files));
    }
  }
  await backend.close();
  return states;
}

/** Opens the hurt copy: "refused", or the applied index it came up with, its rows being those of that index. */
async function outcome(
  directory: string,
  states: Map<number, string>,
  label: string,
): Promise<number | "refused"> {
  let backend: Backend | undefined;
  try {
    backend = await openLevelBackend(
      directory,
      levelOptions(files, () => undefined),
    );
    const rows = JSON.stringify(await all(backend));
    const { index } = backend.opened;
    assert.equal(rows, states.get(index), `${label}: rows are not those of index ${index}`);
    return index;
  } catch (error) {
    const isRefusal = error instanceof DamagedFile || error instanceof StorageRefusal;
    assert.ok(isRefusal, `${label}: ${String(error)}`);
    assert.ok(error.message.includes(directory), `${label}: names the file: ${error.message}`);
    return "refused";
  } finally {
    await backend?.close();
  }
}

test("LevelDB store: flipped bytes in every kind of file are refused or make no difference", async () => {
  const place = await realPlace();
  const original = join(place.directory, "original");
  const states = await sample(original);
  const prng = new Prng(8);
  const results = new Map<string, number>();
  for (const name of await readdir(original)) {
    const kind = name.replace(/\d+/, "").replace(/^\./, "");
    if (kind === "LOG" || kind === "LOG.old" || kind === "LOCK") continue;
    const bytes = await readFile(join(original, name));
    const offsets = new Set<number>([0, bytes.length - 1]);
    while (offsets.size < Math.min(bytes.length, 60)) offsets.add(prng.below(bytes.length));
    for (const offset of offsets) {
      const copy = join(place.directory, "copy");
      await cp(original, copy, { recursive: true });
      const hurt = Buffer.from(bytes);
      hurt[offset] = (hurt[offset] as number) ^ (1 << prng.below(8));
      await writeFile(join(copy, name), hurt);
      const label = `${name} offset ${offset}`;
      const result = await outcome(copy, states, label);
      // The newest batch may be taken for a torn one: the log still has its entries, the mark says so.
      if (typeof result === "number") {
        assert.ok(result >= BATCHES - 1, `${label}: came up with index ${result}`);
      }
      if (name.endsWith(".ldb")) assert.equal(result, "refused", label);
      results.set(`${kind} ${result}`, (results.get(`${kind} ${result}`) ?? 0) + 1);
      await rm(copy, { recursive: true });
    }
  }
  assert.ok((results.get("log refused") ?? 0) > 40, JSON.stringify([...results]));
  await place.dispose();
});

test("LevelDB store: a log cut anywhere loses only its last batches, and says so by its mark", async () => {
  const place = await realPlace();
  const original = join(place.directory, "original");
  const states = await sample(original);
  const log = (await readdir(original)).find((n) => n.endsWith(".log")) as string;
  const size = (await readFile(join(original, log))).length;
  for (let bytes = size; bytes >= 0; bytes -= 311) {
    const copy = join(place.directory, "copy");
    await cp(original, copy, { recursive: true });
    await truncate(join(copy, log), bytes);
    const result = await outcome(copy, states, `cut at ${bytes}`);
    assert.notEqual(result, "refused", `cut at ${bytes}`);
    await rm(copy, { recursive: true });
  }
  await place.dispose();
});

test("LevelDB store: zeroed pages in the middle of a log are refused", async () => {
  const place = await realPlace();
  const original = join(place.directory, "original");
  const states = await sample(original);
  const log = (await readdir(original)).find((n) => n.endsWith(".log")) as string;
  const bytes = await readFile(join(original, log));
  for (let at = 0; at + 1024 < bytes.length - 4096; at += 1024) {
    const copy = join(place.directory, "copy");
    await cp(original, copy, { recursive: true });
    const hurt = Buffer.from(bytes);
    hurt.fill(0, at, at + 512);
    await writeFile(join(copy, log), hurt);
    assert.equal(await outcome(copy, states, `zeros at ${at}`), "refused");
    await rm(copy, { recursive: true });
  }
  await place.dispose();
});

test("LevelDB store: a missing file is refused", async () => {
  const place = await realPlace();
  const original = join(place.directory, "original");
  const states = await sample(original);
  for (const name of await readdir(original)) {
    if (name.startsWith("LO")) continue;
    const copy = join(place.directory, "copy");
    await cp(original, copy, { recursive: true });
    await rm(join(copy, name));
    const result = await outcome(copy, states, `without ${name}`);
    assert.equal(result, "refused", `without ${name}`);
    await rm(copy, { recursive: true });
  }
  await place.dispose();
});

test("LevelDB store: a batch left out of the chain of markers is refused", async () => {
  const place = await realPlace();
  const path = join(place.directory, "db");
  await sample(path);
  const engine = await LevelEngine.open(path, false);
  const native = engine.nativeBatch();
  // The marker of batch 12 lies in slot 12.
  native.delete(Buffer.from([0, 0x6d, 0, 12]));
  await native.write();
  await engine.close();
  await assert.rejects(openLevelBackend(path, levelOptions(files)), /batch 12 is missing/);
  await place.dispose();
});

test("LevelDB store: a row damaged while it is open stops the backend instead of being served", async () => {
  const place = await realPlace();
  const path = join(place.directory, "db");
  await sample(path);
  const engine = await LevelEngine.open(path, false);
  const native = engine.nativeBatch();
  const stored = Buffer.concat([Buffer.from([Bucket.key]), key(599)]);
  native.put(stored, Buffer.from("not what was stored"));
  await native.write();
  await engine.close();
  const fatal: Error[] = [];
  const backend = await openLevelBackend(
    path,
    levelOptions(files, (error) => void fatal.push(error)),
  );
  assert.throws(() => backend.get(Bucket.key, key(599)), DamagedFile);
  await assert.rejects(all(backend), DamagedFile);
  assert.equal(fatal.length, 1);
  await backend.close();
  await place.dispose();
});

test("checkStore() accepts a large store with compressed and compacted tables", async () => {
  const place = await realPlace();
  const path = join(place.directory, "db");
  const backend = await createLevelBackend(path, levelOptions(files));
  const prng = new Prng(4);
  for (let n = 1; n <= 24; n++) {
    const batch = backend.batch();
    for (let k = 0; k < 4000; k++) {
      const value = Buffer.alloc(300, "abcdefgh");
      for (let i = 0; i < 150; i++) value[i] = prng.below(256);
      batch.put(Bucket.key, key((k * 24 + n) % 30_000), value);
    }
    backend.commit(batch, { index: n, term: 1, confState: undefined });
    await backend.sync();
  }
  await backend.close();
  const found = await checkStore(files, path);
  assert.ok(found.tables > 1 && found.bytes > 4_000_000 && !found.torn);
  const again = await openLevelBackend(path, levelOptions(files));
  assert.equal((await all(again)).length, 30_000);
  await again.close();
  await place.dispose();
});

test("tables left for later are checked before rows they may hold are given out", async () => {
  const place = await realPlace();
  const path = join(place.directory, "db");
  const backend = await createLevelBackend(path, levelOptions(files));
  const noise = Buffer.alloc(1 << 16);
  const prng = new Prng(5);
  for (let i = 0; i < noise.length; i++) noise[i] = prng.below(256);
  for (let n = 0; n < 60; n++) {
    const batch = backend.batch();
    for (let k = 0; k < 1000; k++) {
      const from = prng.below(noise.length - 800);
      batch.put(Bucket.key, key(n * 1000 + k), noise.subarray(from, from + 800));
    }
    backend.commit(batch, { index: n + 1, term: 1, confState: undefined });
    await backend.sync();
  }
  await backend.close();
  let late: string[] = [];
  for (let i = 0; i < 20 && late.length === 0; i++) {
    // Each life lets compaction go on.
    const again = await openLevelBackend(path, levelOptions(files));
    assert.equal((await all(again)).length, 60_000);
    await again.close();
    const bounds = { from: Buffer.from([Bucket.key]), to: Buffer.from([Bucket.key + 1]) };
    late = (await checkStore(files, path, bounds)).unchecked.paths;
  }
  assert.ok(late.length > 0, "a table holds nothing but rows of keys");
  for (const table of late.slice(0, 4)) {
    const copy = join(place.directory, "copy");
    await cp(path, copy, { recursive: true });
    const hurt = await readFile(table);
    const at = Math.floor(hurt.length / 3);
    hurt[at] = (hurt[at] as number) ^ 1;
    await writeFile(join(copy, basename(table)), hurt);
    await assert.rejects(openLevelBackend(copy, levelOptions(files)), DamagedFile);
    const fatal: Error[] = [];
    const again = await openLevelBackend(
      copy,
      levelOptions(files, (error) => fatal.push(error)),
      true,
    );
    assert.deepEqual(await all(again, Bucket.lease), [], "others are not touched by it");
    await assert.rejects(all(again), DamagedFile);
    assert.equal(fatal.length, 1);
    await again.close();
    await rm(copy, { recursive: true });
  }
  await place.dispose();
});

test("unsnappy() undoes literals and overlapping copies, and refuses what is not snappy", () => {
  // "abcabcabcabc": a literal of three bytes, then a copy of nine from three back.
  const packed = Buffer.from([12, 2 << 2, 0x61, 0x62, 0x63, 1 | ((9 - 4) << 2), 3]);
  assert.equal(unsnappy(packed)?.toString(), "abcabcabcabc");
  assert.equal(unsnappy(Buffer.from([200, 1, 0])), undefined);
  assert.equal(unsnappy(Buffer.from([4, 1 | (0 << 2), 9])), undefined);
});
