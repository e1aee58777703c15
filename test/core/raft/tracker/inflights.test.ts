import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Inflights } from "../../../../src/core/raft/tracker/inflights.ts";

const NO_LIMIT = Number.POSITIVE_INFINITY;

test("a window is full at its count, and frees what is acknowledged", () => {
  const window = new Inflights({ messagesMax: 3, bytesMax: NO_LIMIT });
  for (const index of [5, 7, 9]) window.add(index, 10);
  assert.equal(window.isFull, true);
  window.freeTo(4);
  assert.equal(window.count, 3);
  window.freeTo(8);
  assert.deepEqual([window.count, window.bytes, window.isFull], [1, 10, false]);
  window.freeTo(100);
  assert.deepEqual([window.count, window.bytes], [0, 0]);
});

test("a window is full at its bytes, which the last message may overshoot", () => {
  const window = new Inflights({ messagesMax: 100, bytesMax: 10 });
  window.add(1, 9);
  assert.equal(window.isFull, false);
  window.add(2, 500);
  assert.equal(window.isFull, true);
  window.freeTo(2);
  window.add(3, 10);
  assert.equal(window.isFull, true);
  window.reset();
  assert.deepEqual([window.count, window.bytes, window.isFull], [0, 0, false]);
});

test("adding to a full window stops the process", () => {
  const window = new Inflights({ messagesMax: 1, bytesMax: NO_LIMIT });
  window.add(1, 0);
  assert.throws(() => window.add(2, 0), /below its limits/);
});

test("the ring behaves like a plain list of messages", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 6 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 20 }), (sequence, messagesMax) => {
      const window = new Inflights({ messagesMax, bytesMax: 40 });
      let model: { index: number; bytes: number }[] = [];
      let index = 0;
      for (const [isAdd, amount] of sequence) {
        if (isAdd && !window.isFull) {
          index += 1 + amount;
          window.add(index, amount);
          model.push({ index, bytes: amount });
        } else {
          const to = index - amount;
          window.freeTo(to);
          model = model.filter((m) => m.index > to);
        }
        const bytes = model.reduce((sum, m) => sum + m.bytes, 0);
        assert.deepEqual([window.count, window.bytes], [model.length, bytes]);
        assert.equal(window.isFull, model.length >= messagesMax || bytes >= 40);
      }
    }),
  );
});
