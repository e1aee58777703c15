// Snapshot files and side files, on both disks and under faults.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import {
  createConfState,
  createSnapshot,
  createSnapshotMetadata,
  type Snapshot,
} from "../../../src/proto/index.ts";
import type { WalSnapshot } from "../../../src/server/ports.ts";
import { DamagedFile } from "../../../src/storage/files.ts";
import { DiskSideFiles } from "../../../src/storage/snap/side-files.ts";
import { DiskSnapStore } from "../../../src/storage/snap/snap-store.ts";
import { realPlace, simulatedPlace } from "../support/disks.ts";

function snapshot(index: number, term = 2): Snapshot {
  return createSnapshot({
    data: Buffer.from(`v2 ${index}`),
    metadata: createSnapshotMetadata({ index, term, confState: createConfState({ voters: [1n] }) }),
  });
}

function allowed(index: number, term = 2): WalSnapshot {
  return { index, term, confState: undefined };
}

for (const [name, make] of [
  ["the real disk", realPlace],
  ["the simulated disk", simulatedPlace],
] as const) {
  test(`SnapStore on ${name} loads the newest allowed file, sets damaged ones aside, purges old ones`, async () => {
    const place = await make();
    const { files, directory } = place;
    const warnings: string[] = [];
    const store = new DiskSnapStore(files, directory, (message) => warnings.push(message));
    for (const index of [10, 20, 30]) await store.save(snapshot(index));
    const all = [allowed(10), allowed(20), allowed(30)];
    assert.equal((await store.loadNewest(all))?.metadata?.index, 30);
    assert.equal((await store.loadNewest([allowed(20), allowed(30, 3)]))?.metadata?.index, 20);
    assert.equal(await store.loadNewest([allowed(40)]), undefined);
    const newest = `${directory}/0000000000000002-000000000000001e.snap`;
    const file = await files.open(newest, "write");
    await file.write(Buffer.from("X"), 0, 1, 12);
    await file.close();
    assert.equal((await store.loadNewest(all))?.metadata?.index, 20);
    assert.equal(warnings.length, 1);
    assert.ok(await files.exists(`${newest}.broken`));
    await store.purge(1);
    const left = (await files.list(directory)) ?? [];
    assert.deepEqual(
      left.filter((n) => n.endsWith(".snap")),
      ["0000000000000002-0000000000000014.snap"],
    );
    await place.dispose();
  });

  test(`SideFiles on ${name} give back what was saved, or nothing`, async () => {
    const place = await make();
    const { files, directory } = place;
    const side = new DiskSideFiles(files, directory);
    assert.equal(await side.load("index"), undefined);
    const chunks = [Buffer.alloc(3_000_000, 7), Buffer.from("tail"), new Uint8Array(0)];
    await side.save("index", chunks);
    const read = await side.load("index");
    assert.ok(read !== undefined);
    const pieces: Uint8Array[] = [];
    for await (const piece of read) pieces.push(piece);
    assert.deepEqual(Buffer.concat(pieces), Buffer.concat(chunks));
    await side.save("index", [Buffer.from("second")]);
    await side.remove("index");
    await side.remove("index");
    assert.equal(await side.load("index"), undefined);
    await place.dispose();
  });
}

test("SnapStore: any flipped byte of a file sets it aside or makes no difference", async () => {
  const { disk, files, directory } = await simulatedPlace();
  const store = new DiskSnapStore(files, directory, () => undefined);
  const path = `${directory}/0000000000000002-000000000000001e.snap`;
  await store.save(snapshot(30));
  const size = disk.peek(path)?.length ?? 0;
  for (let offset = 0; offset < size; offset++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      await store.save(snapshot(30));
      disk.damage(path, offset, mask);
      const found = await store.loadNewest([allowed(30)]);
      if (found !== undefined) assert.deepEqual(found, snapshot(30), `offset ${offset}`);
    }
  }
});

test("SideFiles: any flipped byte and any cut is noticed", async () => {
  const { disk, files, directory } = await simulatedPlace();
  const side = new DiskSideFiles(files, directory);
  const path = `${directory}/i.side`;
  const content = Buffer.from("some bytes worth keeping");
  const read = async (): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of (await side.load("i")) ?? []) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  await side.save("i", [content, content]);
  const size = disk.peek(path)?.length ?? 0;
  for (let offset = 0; offset < size; offset++) {
    disk.damage(path, offset, 0x10);
    await assert.rejects(read(), DamagedFile, `offset ${offset}`);
    disk.damage(path, offset, 0x10);
  }
  assert.deepEqual(await read(), Buffer.concat([content, content]));
  for (let bytes = size - 1; bytes >= 0; bytes--) {
    const file = await files.open(path, "write");
    await file.truncate(bytes);
    await assert.rejects(read(), DamagedFile, `cut at ${bytes}`);
  }
});

test("SideFiles and SnapStore: a crash at any operation leaves the old file or the new one", async () => {
  for (let at = 1; at < 60; at++) {
    const { disk, files, directory } = await simulatedPlace(at);
    const side = new DiskSideFiles(files, directory);
    const store = new DiskSnapStore(files, directory, () => undefined);
    await side.save("i", [Buffer.from("old")]);
    await store.save(snapshot(10));
    const begin = disk.operations;
    disk.fault = (operation) => {
      if (operation.number === begin + at) queueMicrotask(() => disk.crash());
      return undefined;
    };
    let saved = false;
    void side
      .save("i", [Buffer.from("new")])
      .then(() => store.save(snapshot(20)))
      .then(() => {
        saved = true;
      });
    for (let i = 0; i < 20; i++) await turn();
    disk.crash();
    disk.fault = () => undefined;
    const again = new DiskSideFiles(disk.mount(), directory);
    const pieces: Uint8Array[] = [];
    for await (const piece of (await again.load("i")) ?? []) pieces.push(piece);
    assert.match(Buffer.concat(pieces).toString(), /^(old|new)$/, `crash at ${at}`);
    const snaps = new DiskSnapStore(disk.mount(), directory, () => undefined);
    const newest = await snaps.loadNewest([allowed(10), allowed(20)]);
    if (saved) assert.equal(newest?.metadata?.index, 20);
    else assert.ok(newest !== undefined);
  }
});
