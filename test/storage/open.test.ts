// The data directory: creation, reopening, refusals, and a creation cut short at any point.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createEntry, createHardState } from "../../src/proto/index.ts";
import { Bucket, type MemberStorage } from "../../src/server/ports.ts";
import {
  hasMember,
  openStorage,
  type StorageOptions,
  StorageRefusal,
} from "../../src/storage/index.ts";
import { realClock, realPlace } from "./support/disks.ts";

const METADATA = Buffer.from("0801", "hex");

function options(more: Partial<StorageOptions> = {}): StorageOptions {
  return {
    metadata: METADATA,
    clock: realClock,
    segmentBytes: 64 * 1024,
    onFatal: (error) => {
      throw error;
    },
    ...more,
  };
}

async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const place = await realPlace();
  try {
    await work(join(place.directory, "data"));
  } finally {
    await place.dispose();
  }
}

async function write(storage: MemberStorage, index: number): Promise<void> {
  const entry = createEntry({ index, term: 1, data: Buffer.from(`e${index}`) });
  const state = createHardState({ term: 1, vote: 1n, commit: index });
  await new Promise<void>((done) => storage.wal.save(state, [entry], true, done));
  const batch = storage.backend.batch();
  batch.put(Bucket.key, Buffer.from(`k${index}`), Buffer.from(`v${index}`));
  storage.backend.commit(batch, { index, term: 1, confState: undefined });
}

async function used(directory: string): Promise<void> {
  const storage = await openStorage(directory, options());
  for (let i = 1; i <= 3; i++) await write(storage, i);
  await storage.close();
}

async function refusal(directory: string, more: Partial<StorageOptions> = {}): Promise<string> {
  try {
    await (await openStorage(directory, options(more))).close();
  } catch (error) {
    assert.ok(error instanceof StorageRefusal, String(error));
    return error.message;
  }
  assert.fail("it was opened");
}

test("openStorage() creates a member and finds it again", () =>
  withDirectory(async (directory) => {
    assert.equal(await hasMember(directory), false);
    const storage = await openStorage(directory, options());
    assert.equal(storage.found, undefined);
    await storage.close();
    assert.equal(await hasMember(directory), true);
    await used(directory);
    const again = await openStorage(directory, options());
    assert.deepEqual(Buffer.from(again.found?.metadata ?? []), METADATA);
    assert.equal(again.found?.entries.length, 3);
    assert.equal(again.backend.opened.index, 3);
    assert.ok(again.backend.sizeBytes > 0);
    await again.close();
  }));

test("openStorage() makes directories for the owner alone", () =>
  withDirectory(async (directory) => {
    await used(directory);
    for (const name of ["", "member", "member/wal", "member/snap", "member/snap/db"]) {
      assert.equal((await stat(join(directory, name))).mode & 0o777, 0o700, name);
    }
    for (const name of await readdir(join(directory, "member/wal"))) {
      assert.equal((await stat(join(directory, "member/wal", name))).mode & 0o777, 0o600, name);
    }
  }));

test("openStorage() warns of loose permissions and strange files, and refuses member beside proxy", () =>
  withDirectory(async (directory) => {
    await used(directory);
    await chmod(join(directory, "member"), 0o755);
    await writeFile(join(directory, "notes.txt"), "");
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    await (await openStorage(directory, options({ onWarning }))).close();
    assert.ok(
      warnings.some((w) => w.includes("check file permission")),
      warnings.join(),
    );
    assert.ok(
      warnings.some((w) => w.includes("notes.txt")),
      warnings.join(),
    );
    await mkdir(join(directory, "proxy"));
    assert.match(await refusal(directory), /both member and proxy/);
  }));

test("openStorage() refuses a directory that is open already, here or in another process", () =>
  withDirectory(async (directory) => {
    const storage = await openStorage(directory, options());
    assert.match(await refusal(directory), /in use/);
    await storage.close();
    const script = `
      import { openStorage } from ${JSON.stringify(fileURLToPath(new URL("../../src/storage/index.js", import.meta.url)))};
      await openStorage(${JSON.stringify(directory)}, { metadata: new Uint8Array(0), onFatal() {},
        clock: { after: (ms, f) => { setTimeout(f, ms); return () => {}; }, nowMs: () => 0 } });
      console.log("open");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    try {
      await once(child.stdout, "data");
      assert.match(await refusal(directory), new RegExp(`in use by process ${child.pid}|in use`));
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await (await openStorage(directory, options())).close();
  }));

test("openStorage() refuses a log without its store, a used store without its log, and etcd's own database", () =>
  withDirectory(async (directory) => {
    await used(directory);
    const kept = `${directory}-kept`;
    await cp(directory, kept, { recursive: true });
    await rm(join(directory, "member/snap/db"), { recursive: true });
    assert.match(await refusal(directory), /database file .* of the backend is missing/);
    await writeFile(join(directory, "member/snap/db"), "bbolt");
    assert.match(await refusal(directory), /database of etcd itself/);
    await rm(join(kept, "member/wal"), { recursive: true });
    assert.match(await refusal(kept), /log in .* is missing/);
    assert.match(await refusal(kept), /log in .* is missing/);
  }));

test("openStorage() refuses a store behind the start of its log, or ahead of its end", () =>
  withDirectory(async (directory) => {
    await used(directory);
    const old = `${directory}-old`;
    await cp(join(directory, "member/snap/db"), old, { recursive: true });
    const oldWal = `${directory}-oldwal`;
    await cp(join(directory, "member/wal"), oldWal, { recursive: true });
    const storage = await openStorage(directory, options());
    for (let i = 4; i <= 9; i++) await write(storage, i);
    await new Promise<void>((done) =>
      storage.wal.saveSnapshot({ index: 8, term: 1, confState: undefined }, done),
    );
    await storage.close();
    const newWal = `${directory}-newwal`;
    await cp(join(directory, "member/wal"), newWal, { recursive: true });
    await rm(join(directory, "member/wal"), { recursive: true });
    await cp(oldWal, join(directory, "member/wal"), { recursive: true });
    assert.match(await refusal(directory), /applied index 9, but the log ends at 3/);
    await rm(join(directory, "member"), { recursive: true });
    await mkdir(join(directory, "member/snap"), { recursive: true });
    await cp(newWal, join(directory, "member/wal"), { recursive: true });
    await cp(old, join(directory, "member/snap/db"), { recursive: true });
    assert.match(await refusal(directory), /applied index 3, but the log begins after 8/);
  }));

test("openStorage() says when the directory cannot be written", async (t) => {
  if (process.getuid?.() === 0) return t.skip("needs a user other than root");
  await withDirectory(async (directory) => {
    await mkdir(directory, { mode: 0o500 });
    assert.match(await refusal(directory), /cannot access data directory/);
  });
});

test("openStorage() says when the path is a file", () =>
  withDirectory(async (directory) => {
    await writeFile(directory, "");
    assert.match(await refusal(directory), /cannot access data directory/);
  }));

test("openStorage() continues after a creation that was killed anywhere", () =>
  withDirectory(async (directory) => {
    const states: ((at: string) => Promise<void>)[] = [
      (at) => mkdir(at),
      async (at) => void (await mkdir(join(at, "member/snap"), { recursive: true })),
      async (at) => void (await mkdir(join(at, "member/snap/db"), { recursive: true })),
      async (at) => {
        await mkdir(join(at, "member/snap/db"), { recursive: true });
        await writeFile(join(at, "member/snap/db/MANIFEST-000001"), "half");
        await writeFile(join(at, "member/snap/db/LOCK"), "");
      },
      async (at) => {
        // All but the log's first name; a half-made segment is there.
        await (await openStorage(at, options())).close();
        const wal = join(at, "member/wal");
        for (const name of await readdir(wal)) await rm(join(wal, name));
        await writeFile(join(wal, "0.tmp"), "half");
      },
    ];
    for (const [i, make] of states.entries()) {
      const at = `${directory}-${i}`;
      await make(at);
      await chmod(at, 0o700);
      const storage = await openStorage(at, options());
      assert.equal(storage.found, undefined, `state ${i}`);
      await write(storage, 1);
      await storage.close();
      const again = await openStorage(at, options());
      assert.equal(again.found?.entries.length, 1, `state ${i}`);
      await again.close();
    }
  }));
