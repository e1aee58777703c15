// Compares the whole state of a member at rest with the log replayed from its first entry.

import type { Prng } from "../../src/base/index.ts";
import {
  createRangeRequest,
  createResponseHeader,
  encodeRangeResponse,
} from "../../src/proto/index.ts";
import type { Member } from "../../src/server/index.ts";
import type { Journal } from "./journal.ts";
import type { LogReplay } from "./log-replay.ts";
import { demand } from "./violation.ts";

/** Old revisions looked at, besides the newest and the compact revision. */
const OLD_REVISIONS = 3;

/** Brings `replay` to the member's applied index and compares everything but HashKV. */
export function checkState(member: Member, journal: Journal, replay: LogReplay, prng: Prng): void {
  for (const { entry } of journal.entries.slice(replay.index, member.appliedIndex)) {
    replay.apply(entry);
  }
  demand(
    replay.index === member.appliedIndex,
    `the member applied up to ${member.appliedIndex}, the log holds ${replay.index}`,
  );
  const { model } = replay;
  const { store } = member;
  demand(
    store.revision === model.revision,
    `the store is at revision ${store.revision}, the log at ${model.revision}`,
  );
  demand(
    store.compactRevision === model.compactRevision,
    `the store is compacted at ${store.compactRevision}, the log at ${model.compactRevision}`,
  );
  checkRows(member, replay, 0);
  const oldest = Math.max(1, model.compactRevision);
  checkRows(member, replay, oldest);
  for (let i = 0; i < OLD_REVISIONS; i++) {
    checkRows(member, replay, oldest + prng.below(model.revision - oldest + 1));
  }
  checkLeases(member, replay);
  const alarms = member.alarms.list().map((a) => `${a.alarm}/${a.memberId}`);
  demand(
    alarms.toSorted().join() === [...replay.alarms].toSorted().join(),
    `alarms ${alarms.join()} instead of ${[...replay.alarms].join()}`,
  );
  demand(
    (member.cluster.version ?? "") === replay.clusterVersion,
    `cluster version ${member.cluster.version} instead of ${replay.clusterVersion}`,
  );
}

function checkRows(member: Member, replay: LogReplay, revision: number): void {
  const request = createRangeRequest({ key: "\0", rangeEnd: "\0", revision });
  const result = member.store.range(request);
  const expected = replay.model.range(request);
  demand(
    typeof result === "object" && typeof expected === "object",
    () => `all keys at revision ${revision}: ${JSON.stringify(result)}`,
  );
  const message = result.message(createResponseHeader({ revision: result.revision }));
  const found = encodeRangeResponse(message);
  demand(
    Buffer.compare(found, encodeRangeResponse(expected)) === 0,
    () =>
      `keys at revision ${revision} are ${describe(message.kvs)} instead of ${describe(expected.kvs)}`,
  );
}

function describe(kvs: readonly { key: string; modRevision: number; lease: bigint }[]): string {
  return kvs
    .map(
      (kv) => `${JSON.stringify(kv.key)}@${kv.modRevision}${kv.lease === 0n ? "" : `/${kv.lease}`}`,
    )
    .join(" ");
}

function checkLeases(member: Member, replay: LogReplay): void {
  const { lessor } = member;
  const found = lessor.leases().toSorted(byValue);
  const expected = [...replay.leases.keys()].toSorted(byValue);
  demand(
    found.join() === expected.join(),
    `leases are ${found.join()} instead of ${expected.join()}`,
  );
  for (const id of expected) {
    const keys = [...lessor.keysOf(id)].toSorted().join("|");
    const wanted = replay.keysOf(id).join("|");
    demand(keys === wanted, `lease ${id} holds keys ${keys} instead of ${wanted}`);
    const time = lessor.timeToLive(id, member.clock.nowMs());
    demand(
      typeof time === "string" || time.grantedS === replay.leases.get(id)?.ttlS,
      `lease ${id} was granted another TTL`,
    );
  }
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
