// Bytes that change by themselves in the files of a member on a real disk: each time the member refuses, naming file and offset, or comes
// up with exactly what it had. Never a silent difference.
// Method: a data directory with log segments, snapshots, an index checkpoint and LevelDB tables is copied, hurt in one place and opened.

import assert from "node:assert/strict";
import { cp, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdMetrics, Prng, silentLogger } from "../../src/base/index.ts";
import { nodeClock } from "../../src/embed/node-clock.ts";
import {
  type Codec,
  CompactionRequestCodec,
  createCompactionRequest,
  createDeleteRangeRequest,
  createLeaseGrantRequest,
  createPutRequest,
  createRangeRequest,
  createResponseHeader,
  DeleteRangeRequestCodec,
  encodeRangeResponse,
  LeaseGrantRequestCodec,
  PutRequestCodec,
} from "../../src/proto/index.ts";
import { Arm, buildMember, type Member } from "../../src/server/index.ts";
import { openStorage } from "../../src/storage/index.ts";

const SEGMENT_BYTES = 64 * 1024;
/** Places hurt in each file. */
const PLACES = 16;

let root = "";
// The member's timers do not keep a process alive, and it has no sockets here.
const alive = setInterval(() => {}, 1000);
before(async () => {
  root = await mkdtemp(join(tmpdir(), "etcd-ts-faults-"));
});
after(async () => {
  clearInterval(alive);
  await rm(root, { recursive: true, force: true });
});

interface Running {
  readonly member: Member;
  /** Resolves with what broke. */
  readonly fatal: Promise<Error>;
}

async function start(directory: string): Promise<Running> {
  let broke: (error: Error) => void = () => {};
  const fatal = new Promise<Error>((resolve) => {
    broke = resolve;
  });
  let member: Member | undefined;
  const storage = await openStorage(directory, {
    metadata: Buffer.from("0801", "hex"),
    clock: nodeClock,
    segmentBytes: SEGMENT_BYTES,
    onFatal: (error) => (member === undefined ? broke(error) : member.fail(error)),
  });
  try {
    member = await buildMember({
      settings: {
        id: 7n,
        clusterId: 9n,
        tickMs: 100,
        electionTicks: 10,
        snapshotCount: 50,
        catchupEntries: 10,
        quotaBytes: -1,
        requestBytesMax: 1 << 20,
        snapFilesMax: 3,
        slowApplyMs: 10_000,
        compaction: { sliceRows: 100, pauseMs: 1 },
        checkpoints: {
          rowsMin: 50,
          newPart: 0.1,
          intervalMinMs: 100,
          pollMs: 20,
          pauseMs: 1,
          stopMs: 500,
        },
      },
      self: { id: 7n, peerUrls: ["http://p"], isLearner: false, name: "m", clientUrls: [] },
      preVote: true,
      learnersMax: 1,
      leaseCheckpoints: false,
      valueBytesMax: 1 << 30,
      storage,
      clock: nodeClock,
      randomElectionTicks: (ticks) => ticks,
      logger: silentLogger,
      metrics: new EtcdMetrics(false),
      onFatal: broke,
    });
  } catch (error) {
    await storage.close();
    throw error;
  }
  const { promise: ready, resolve } = pending();
  member.start(resolve);
  await Promise.race([ready, fatal]);
  return { member, fatal };
}

function pending(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function write<T>(member: Member, arm: Arm, codec: Codec<T>, request: T): Promise<void> {
  return new Promise((resolve, reject) => {
    member.proposeMessage(arm, codec, request, {
      onApplied: () => resolve(),
      onRefused: (refusal) => reject(new Error(refusal)),
    });
  });
}

/** One life's work. */
async function work(member: Member, prng: Prng): Promise<void> {
  const leases = [1n, 2n].map((id) =>
    createLeaseGrantRequest({ id: id + BigInt(prng.uint32()), ttl: 9000 }),
  );
  for (const lease of leases) await write(member, Arm.leaseGrant, LeaseGrantRequestCodec, lease);
  for (let i = 0; i < 60; i++) {
    const puts = Array.from({ length: 4 }, () => {
      const value = Buffer.alloc(prng.below(900), "compressible ");
      for (let b = 0; b < value.length / 2; b++) value[b] = prng.below(256);
      const lease = prng.chance(0.2) ? prng.pick(leases).id : 0n;
      const request = createPutRequest({ key: `key-${prng.below(120)}`, value, lease });
      return write(member, Arm.put, PutRequestCodec, request);
    });
    await Promise.all(puts);
    if (prng.chance(0.2)) {
      const request = createDeleteRangeRequest({ key: `key-${prng.below(120)}` });
      await write(member, Arm.deleteRange, DeleteRangeRequestCodec, request);
    }
  }
  const request = createCompactionRequest({ revision: member.store.revision - 100 });
  await write(member, Arm.compaction, CompactionRequestCodec, request);
}

/** Everything a client can see of it. */
async function stateOf({ member, fatal }: Running): Promise<string> {
  const look = async (): Promise<string> => {
    // The first entry of the new term is applied: so is everything before it.
    await write(
      member,
      Arm.leaseGrant,
      LeaseGrantRequestCodec,
      createLeaseGrantRequest({ id: 99n, ttl: 9000 }),
    );
    const { store, lessor } = member;
    const ranges = [store.revision, store.compactRevision + 3].map((revision) => {
      const request = createRangeRequest({ key: "\0", rangeEnd: "\0", revision });
      const result = store.range(request);
      assert.ok(typeof result === "object", `revision ${revision} can be read`);
      const message = result.message(createResponseHeader({ revision: result.revision }));
      return Buffer.from(encodeRangeResponse(message)).toString("base64");
    });
    const leases = lessor
      .leases()
      .map((id) => `${id}:${[...lessor.keysOf(id)].toSorted().join()}`)
      .toSorted();
    const hash = await new Promise((resolve) => member.hashKv(store.revision, resolve));
    return JSON.stringify([store.revision, store.compactRevision, hash, leases, ranges]);
  };
  return Promise.race([
    look(),
    fatal.then((error) => {
      throw error;
    }),
  ]);
}

/** The state it comes up with, or why it does not. */
async function outcomeOf(directory: string): Promise<{ state: string } | { refusal: string }> {
  let running: Running;
  try {
    running = await start(directory);
  } catch (error) {
    return { refusal: String(error) };
  }
  try {
    const state = await stateOf(running);
    // What is proved in the background, after the start, is proved by then.
    await sleep(20);
    const late = await Promise.race([running.fatal, Promise.resolve(undefined)]);
    return late === undefined ? { state } : { refusal: String(late) };
  } catch (error) {
    return { refusal: String(error) };
  } finally {
    await running.member.stop().catch(() => undefined);
  }
}

async function filesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  const files: string[] = [];
  for (const name of names) if ((await stat(join(directory, name))).isFile()) files.push(name);
  return files.toSorted();
}

async function flip(path: string, offset: number, mask: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0] = (byte[0] as number) ^ mask;
  await file.write(byte, 0, 1, offset);
  await file.close();
}

/** Files LevelDB writes for people, and locks. */
const NOT_HURT = /(^|\/)(LOG|LOG\.old|LOCK)$/;
/** Refusals of files that have no records say no offset. */
const NO_OFFSET = /CURRENT$/;

test("a flipped byte in any file of a member is refused by name and offset, or changes nothing", async (t) => {
  const prng = new Prng(7);
  const original = join(root, "original");
  for (let life = 0; life < 3; life++) {
    const { member } = await start(original);
    await work(member, prng);
    await new Promise<void>((done) => member.compactor.whenIdle(done));
    await member.stop();
  }
  const copy = join(root, "copy");
  await cp(original, copy, { recursive: true });
  const whole = await outcomeOf(copy);
  assert.ok("state" in whole, JSON.stringify(whole));
  const files = (await filesIn(original)).filter((name) => !NOT_HURT.test(name));
  for (const kind of [/\.wal$/, /\.snap$/, /\.ldb$/, /MANIFEST/, /\.log$/, /checkpoint|index/]) {
    assert.ok(
      files.some((name) => kind.test(name)),
      `no file like ${kind}: ${files.join()}`,
    );
  }
  const counts = new Map<string, number>();
  for (const name of files) {
    const { size } = await stat(join(original, name));
    for (let n = 0; n < Math.min(PLACES, size); n++) {
      const offset = n === 0 ? 0 : n === 1 ? size - 1 : prng.below(size);
      await rm(copy, { recursive: true });
      await cp(original, copy, { recursive: true });
      await flip(join(copy, name), offset, 1 << prng.below(8));
      const label = `${name} at ${offset}`;
      const outcome = await outcomeOf(copy);
      const kind = name.replace(/.*\//, "").replace(/[0-9a-f-]{6,}/g, "*");
      const what = "state" in outcome ? "same" : "refused";
      counts.set(`${kind} ${what}`, (counts.get(`${kind} ${what}`) ?? 0) + 1);
      if ("state" in outcome) {
        assert.equal(outcome.state, whole.state, `${label}: a silent difference`);
      } else {
        assert.ok(outcome.refusal.includes(copy), `${label}: ${outcome.refusal}`);
        if (!NO_OFFSET.test(name)) assert.match(outcome.refusal, /offset \d+/, label);
      }
    }
  }
  t.diagnostic([...counts].map(([kind, count]) => `${kind} ${count}`).join(", "));
});
