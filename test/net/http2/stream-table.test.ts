// The table of open streams against a Map, with ids as clients use them: ascending, some open for long, most for a moment.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Http2Stream } from "../../../src/net/http2/stream.ts";
import { StreamTable } from "../../../src/net/http2/stream-table.ts";

/** The table looks at nothing but the id. */
function streamOf(id: number): Http2Stream {
  return { id } as Http2Stream;
}

test("StreamTable finds, deletes and lists as a Map does", () => {
  const step = fc.record({ skip: fc.nat(3), deletions: fc.array(fc.nat(200), { maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new StreamTable();
      const model = new Map<number, Http2Stream>();
      let id = -1;
      for (const { skip, deletions } of steps) {
        id += 2 + 2 * skip;
        const stream = streamOf(id);
        table.add(stream);
        model.set(id, stream);
        for (const back of deletions) {
          table.delete(id - back);
          model.delete(id - back);
        }
        assert.equal(table.size, model.size);
        for (let any = Math.max(0, id - 20); any <= id + 2; any++) {
          assert.equal(table.get(any), model.get(any));
        }
      }
      assert.deepEqual([...table.values()], [...model.values()]);
    }),
  );
});

test("StreamTable keeps its size under churn, with a stream that stays open", () => {
  const table = new StreamTable();
  table.add(streamOf(1));
  for (let id = 3; id < 100_000; id += 2) {
    table.add(streamOf(id));
    if (id > 21) table.delete(id - 20);
  }
  assert.equal(table.get(1)?.id, 1);
  assert.equal(table.size, 11);
  for (const stream of table.values()) table.delete(stream.id);
  assert.equal(table.size, 0);
});
