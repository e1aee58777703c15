// Lives of a member that ended badly, each once a bug that the simulator (test/sim/) found: the shortest way to it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as drain } from "node:timers/promises";
import { EtcdMetrics, Prng, silentLogger } from "../../src/base/index.ts";
import { StoreBuilder } from "../../src/core/mvcc/index.ts";
import { createPutRequest, PutRequestCodec } from "../../src/proto/index.ts";
import {
  Arm,
  buildMember,
  type Clock,
  type Member,
  type MemberSettings,
} from "../../src/server/index.ts";
import type { DiskOperation } from "../../src/storage/memory/disk.ts";
import { MemoryMachine, openMemoryStorage } from "../../src/storage/memory/storage.ts";
import { bytes, smallStore } from "../core/mvcc/memory.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const SETTINGS: MemberSettings = {
  id: 7n,
  clusterId: 9n,
  tickMs: 100,
  electionTicks: 10,
  snapshotCount: 10_000,
  catchupEntries: 5000,
  quotaBytes: -1,
  requestBytesMax: 1 << 20,
  snapFilesMax: 5,
  slowApplyMs: 100,
  compaction: { sliceRows: 1000, pauseMs: 10 },
};

interface Life {
  readonly member: Member;
  readonly fatal: Error[];
}

/** A machine on a virtual clock; disk operations take `latencyMs`, 1 ms by default. */
function machineOn(
  clock: Clock,
  latencyMs: (operation: DiskOperation) => number = () => 1,
  seed = 1,
): MemoryMachine {
  return new MemoryMachine({ prng: new Prng(seed), clock, latencyMs });
}

/** Lets time pass until `done`. */
async function until(clock: VirtualClock, done: () => boolean, ms = 10_000): Promise<void> {
  for (let i = 0; i < ms && !done(); i++) {
    await drain();
    clock.advance(1);
  }
  await drain();
  assert.ok(done(), `after ${ms} ms`);
}

async function settled<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  await until(clock, () => isOver);
  return promise;
}

async function start(
  clock: VirtualClock,
  machine: MemoryMachine,
  more: Partial<MemberSettings> = {},
): Promise<Life> {
  const fatal: Error[] = [];
  const life: { member?: Member } = {};
  const build = async (): Promise<Member> => {
    const storage = await openMemoryStorage({
      metadata: Buffer.from("0801", "hex"),
      machine,
      onFatal: (error) => life.member?.fail(error),
    });
    return buildMember({
      settings: { ...SETTINGS, ...more },
      self: { id: 7n, peerUrls: ["http://p"], isLearner: false, name: "m", clientUrls: [] },
      preVote: true,
      learnersMax: 1,
      leaseCheckpoints: false,
      valueBytesMax: 1 << 30,
      storage,
      clock,
      randomElectionTicks: (ticks) => ticks,
      logger: silentLogger,
      metrics: new EtcdMetrics(false),
      onFatal: (error) => void fatal.push(error),
    });
  };
  const member = await settled(clock, build());
  life.member = member;
  member.start(() => {});
  return { member, fatal };
}

/** The outcome of a put: the refusal, "applied", or undefined while there is none. */
function put(member: Member, key: string): { outcome: string | undefined } {
  const result: { outcome: string | undefined } = { outcome: undefined };
  const request = createPutRequest({ key, value: Buffer.from(key) });
  member.proposeMessage(Arm.put, PutRequestCodec, request, {
    onApplied: () => {
      result.outcome = "applied";
    },
    onRefused: (refusal) => {
      result.outcome = refusal;
    },
  });
  return result;
}

test("a member killed before its first entries were durable begins anew", async () => {
  const clock = new VirtualClock();
  const machine = machineOn(clock);
  const storage = await settled(
    clock,
    openMemoryStorage({
      metadata: Buffer.from("0801", "hex"),
      machine,
      onFatal: (error) => assert.fail(error),
    }),
  );
  assert.equal(storage.found, undefined);
  machine.crash();
  const { member } = await start(clock, machine);
  const result = put(member, "a");
  await until(clock, () => result.outcome === "applied");
  assert.notEqual(member.cluster.member(7n), undefined);
});

test("what a killed process left in the cache is durable before the next one builds on it", async () => {
  // What a power failure leaves is drawn: some of these lose the sectors in question.
  for (let seed = 1; seed <= 12; seed++) {
    const clock = new VirtualClock();
    let latencyMs = 1;
    const machine = machineOn(clock, () => latencyMs, seed);
    const first = await start(clock, machine);
    const before = put(first.member, "before");
    await until(clock, () => before.outcome === "applied");
    // The write is in the cache; the process dies before it hears of it.
    latencyMs = 1000;
    put(first.member, `in flight ${"x".repeat(3000)}`);
    await drain();
    clock.advance(1);
    machine.restart();
    latencyMs = 1;
    const second = await start(clock, machine);
    const after = put(second.member, "after");
    await until(clock, () => after.outcome === "applied");
    const { revision } = second.member.store;
    machine.crash();
    const third = await start(clock, machine);
    await until(clock, () => third.member.store.revision === revision);
  }
});

test("stop() ends while a snapshot record waits for the log", async () => {
  const clock = new VirtualClock();
  const machine = machineOn(clock, ({ path }) => (path.includes("/wal/") ? 50 : 1));
  let snapped = false;
  machine.disk.fault = ({ kind, path }) => {
    snapped ||= kind === "syncDirectory" && path === "/snap";
    return undefined;
  };
  const { member } = await start(clock, machine, { snapshotCount: 1 });
  await until(clock, () => member.isLeader);
  snapped = false;
  let number = 0;
  await until(clock, () => {
    put(member, `k${number++}`);
    return snapped;
  });
  // The file is there; a save of the log is on its way, and the record waits for it.
  clock.advance(2);
  await drain();
  await settled(clock, member.stop());
});

test("stop() rejects when the disk breaks meanwhile, and is not reported twice", async () => {
  const clock = new VirtualClock();
  const machine = machineOn(clock, ({ path }) => (path === "store" ? 500 : 1));
  const { member, fatal } = await start(clock, machine);
  const result = put(member, "a");
  await until(clock, () => result.outcome === "applied");
  machine.disk.fault = ({ path }) => (path === "store" ? "eio" : undefined);
  await assert.rejects(settled(clock, member.stop()), /store/);
  assert.deepEqual(fatal, []);
});

test("a checkpoint shows the compaction of its beginning, not one ordered before its first block", () => {
  const { store, sink, leases } = smallStore();
  for (let i = 0; i < 9; i++)
    store.put(createPutRequest({ key: "k", value: bytes(`v${i}`) }), sink);
  const writer = store.beginCheckpoint();
  assert.notEqual(writer, "wait");
  if (writer === "wait") return;
  assert.equal(store.compact(5), undefined);
  const builder = new StoreBuilder({ leases, loadValue: sink.load });
  for (let block = writer.next(); block !== undefined; block = writer.next()) {
    assert.ok(builder.checkpointBlock(block));
  }
  assert.equal(builder.checkpointCompactRevision, -1);
  while (store.stepCompaction(sink, 5).kind !== "finished");
  const again = builder.finish({ scheduled: 5, finished: 5 });
  // The backend has lost the rows already.
  sink.remove = (): void => {};
  while (again.isCompacting) again.stepCompaction(sink, 5);
  assert.equal(again.rowCount, store.rowCount);
});
