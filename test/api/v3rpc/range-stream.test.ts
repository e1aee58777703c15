// KV.RangeStream: merged it is Range, cut it is chunks at one revision.

import assert from "node:assert/strict";
import { methods } from "../../../src/client/index.ts";
import {
  createRangeRequest,
  createRangeResponse,
  type RangeRequest,
  type RangeResponse,
  type RangeStreamResponse,
} from "../../../src/proto/index.ts";
import { show } from "./show.ts";
import { behaviour } from "./targets.ts";
import type { TestServer } from "./test-server.ts";

const ALL = { key: "\0", rangeEnd: "\0" };

/** The chunks joined as the contract says; throws if anything but the last says more than key-values. */
function merge(chunks: readonly RangeStreamResponse[]): RangeResponse {
  const merged = createRangeResponse(chunks.at(-1)?.rangeResponse);
  merged.kvs = chunks.flatMap((chunk) => chunk.rangeResponse?.kvs ?? []);
  for (const chunk of chunks.slice(0, -1)) {
    const { kvs: _, ...rest } = chunk.rangeResponse ?? createRangeResponse();
    assert.deepEqual(show(rest), {}, "only the last chunk says more");
  }
  return merged;
}

async function fill(server: TestServer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await server.puts(`k${String(i).padStart(4, "0")}=v${i}`);
}

behaviour("its chunks joined are the answer of Range [K38]", async (s) => {
  await fill(s, 30);
  await s.puts("k0003=again k0005=again");
  const options: Partial<RangeRequest>[] = [
    {},
    { limit: 7 },
    { limit: 30 },
    { limit: 31 },
    { keysOnly: true },
    { countOnly: true },
    { revision: 12 },
    { revision: 12, limit: 3 },
    { serializable: true },
    { sortOrder: 1 },
    { key: "k0004", rangeEnd: "k0009" },
    { key: "k0004", rangeEnd: "" },
    { key: "absent", rangeEnd: "" },
    { key: "z", rangeEnd: "a" },
  ];
  for (const option of options) {
    const request = { ...ALL, ...option };
    const { chunks, end } = await s.rangeStream(request);
    assert.equal(end, "OK");
    const whole = await s.message(methods.range, createRangeRequest(request));
    assert.deepEqual(show(merge(chunks)), show(whole), JSON.stringify(option));
  }
});

behaviour("25 small keys come in several chunks, nothing in one that is empty [K41]", async (s) => {
  await fill(s, 25);
  const { chunks } = await s.rangeStream(ALL);
  assert.ok(chunks.length >= 2, `${chunks.length} chunks`);
  const none = await s.rangeStream({ key: "absent" });
  assert.deepEqual(none.chunks.map(show), [{ rangeResponse: { header: "26" } }]);
});

behaviour("count is that of the range, more says that the limit cut it [K39 K40]", async (s) => {
  await fill(s, 25);
  const cases: [number, number, boolean][] = [
    [10, 10, true],
    [24, 24, true],
    [25, 25, false],
    [26, 25, false],
  ];
  for (const [limit, keys, more] of cases) {
    const merged = merge((await s.rangeStream({ ...ALL, limit })).chunks);
    assert.deepEqual([merged.kvs.length, merged.more, merged.count], [keys, more, 25], `${limit}`);
  }
});

behaviour("large values come whole, few keys to a chunk [K45]", async (s) => {
  const value = "v".repeat(700_000);
  for (const key of ["a", "b", "c", "d", "e", "f", "g"]) await s.put({ key, value });
  const { chunks } = await s.rangeStream(ALL);
  const { kvs } = merge(chunks);
  assert.equal(kvs.map((kv) => kv.key).join(""), "abcdefg");
  for (const kv of kvs) assert.deepEqual(show(kv.value), `v*${value.length}`);
});

behaviour(
  "orders and bounds it cannot stream are refused, after what is wrong anyway [K46]",
  async (s) => {
    const sort = "12 RangeStream does not support custom sort orders";
    const bounds = "12 RangeStream does not support revision filters";
    const cases: [Partial<RangeRequest>, string][] = [
      [{ key: "a", sortOrder: 2 }, sort],
      [{ key: "a", sortOrder: 1, sortTarget: 2 }, sort],
      [{ key: "a", sortOrder: 1, sortTarget: 0 }, "OK"],
      [{ key: "a", sortOrder: 0, sortTarget: 2 }, "OK"],
      [{ key: "a", minModRevision: 1 }, bounds],
      [{ key: "a", maxModRevision: 1 }, bounds],
      [{ key: "a", minCreateRevision: 1 }, bounds],
      [{ key: "a", maxCreateRevision: -1 }, bounds],
      [{ sortOrder: 2 }, "3 etcdserver: key is not provided"],
      [{ key: "a", sortOrder: 9 }, "3 etcdserver: invalid sort option"],
    ];
    for (const [request, end] of cases) {
      assert.equal((await s.rangeStream(request)).end, end, JSON.stringify(request));
    }
  },
);

behaviour("revisions that cannot be read end it before the first chunk [K44]", async (s) => {
  await s.puts("a=1 a=2 a=3");
  await s.compact({ revision: 3 });
  const compacted = await s.rangeStream({ key: "a", revision: 2 });
  assert.deepEqual(compacted, {
    chunks: [],
    end: "11 etcdserver: mvcc: required revision has been compacted",
  });
  const future = await s.rangeStream({ key: "a", revision: 5 });
  assert.equal(future.end, "11 etcdserver: mvcc: required revision is a future revision");
});
