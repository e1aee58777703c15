// Every message type against protobufjs, both directions, and what malformed bytes do to every decoder.
// Goal: what we write others read as meant, what others write we read as meant, and no bytes make a decoder throw or look past its end.
// Method: random messages (fast-check); truncation at every byte; flipped bytes inside a larger buffer whose surroundings change.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type protobuf from "protobufjs";
import type { MessageModel } from "../../proto/codegen/schema.ts";
import { ProtoError } from "../../src/proto/index.ts";
import {
  arbitraryOf,
  codecOf,
  encodeOurs,
  type Fields,
  fromOracle,
  fromOurs,
  messages,
  type Neutral,
  oracleMessages,
  oracleType,
  toOracle,
  toOurs,
} from "../support/proto-oracle.ts";

/** Random messages for each type; the types with many fields get more. */
function runsFor(message: MessageModel): number {
  return Math.min(20 + message.fields.length * 10, 200);
}

function typeOf(message: MessageModel): protobuf.Type {
  const type = oracleType(message);
  assert.ok(type !== undefined, message.name);
  return type;
}

/** Decodes, and turns what came out into something comparable. */
function outcome(message: MessageModel, buf: Uint8Array, start: number, end: number): unknown {
  const decoded = codecOf(message.name).decode(buf, start, end);
  if (decoded instanceof ProtoError) {
    assert.ok(decoded.offset >= start && decoded.offset <= end, "offset lies in what was given");
    return { error: decoded.message, at: decoded.offset - start };
  }
  return fromOurs(message, decoded);
}

/** Encodes with us, checking that size, write and encode agree and nothing around is touched. */
function encodeChecked(message: MessageModel, ours: Fields): Buffer {
  const codec = codecOf(message.name);
  const size = codec.size(ours);
  const room = Buffer.alloc(size + 16, 0xee);
  assert.equal(codec.write(ours, room, 8), 8 + size);
  assert.ok(room.subarray(0, 8).every((b) => b === 0xee));
  assert.ok(room.subarray(8 + size).every((b) => b === 0xee));
  const encoded = room.subarray(8, 8 + size);
  assert.ok(encoded.equals(encodeOurs(message.name, ours)));
  return encoded;
}

test("what we encode, protobufjs decodes to the same message", () => {
  for (const message of oracleMessages) {
    const type = typeOf(message);
    const property = fc.property(arbitraryOf(message), (neutral) => {
      const encoded = encodeChecked(message, toOurs(message, neutral));
      assert.deepEqual(fromOracle(type, type.decode(encoded)), neutral);
    });
    fc.assert(property, { numRuns: runsFor(message) });
  }
});

test("what protobufjs encodes, we decode to the same message", () => {
  for (const message of oracleMessages) {
    const type = typeOf(message);
    const property = fc.property(arbitraryOf(message), (neutral: Neutral) => {
      const encoded = type.encode(toOracle(type, neutral)).finish();
      assert.deepEqual(outcome(message, encoded, 0, encoded.length), neutral);
    });
    fc.assert(property, { numRuns: runsFor(message) });
  }
});

test("every message type, map entries included, survives our own round trip", () => {
  for (const message of messages) {
    const property = fc.property(arbitraryOf(message), (neutral) => {
      const encoded = encodeChecked(message, toOurs(message, neutral));
      assert.deepEqual(outcome(message, encoded, 0, encoded.length), neutral);
    });
    fc.assert(property, { numRuns: 20 });
  }
});

/** The bytes at an offset of a larger buffer filled with `poison`. */
function embedded(encoded: Uint8Array, poison: number): Buffer {
  const larger = Buffer.alloc(encoded.length + 48, poison);
  larger.set(encoded, 16);
  return larger;
}

/** The outcome for `encoded`, which must not depend on what lies before and after it. */
function outcomeAnywhere(message: MessageModel, encoded: Uint8Array): unknown {
  const alone = new Uint8Array(encoded);
  const first = outcome(message, alone, 0, alone.length);
  for (const poison of [0x00, 0x01, 0x0a, 0x80, 0xff]) {
    const larger = embedded(encoded, poison);
    assert.deepEqual(outcome(message, larger, 16, 16 + encoded.length), first);
  }
  return first;
}

/** What protobufjs makes of the bytes, undefined if it refuses them. */
function oracleOutcome(message: MessageModel, encoded: Uint8Array): Neutral | undefined {
  const type = typeOf(message);
  try {
    return fromOracle(type, type.decode(encoded));
  } catch {
    return undefined;
  }
}

test("a message cut at any byte is refused or decoded exactly where protobufjs does so", () => {
  for (const message of oracleMessages) {
    const property = fc.property(arbitraryOf(message), (neutral) => {
      const encoded = encodeOurs(message.name, toOurs(message, neutral));
      const step = Math.max(1, Math.floor(encoded.length / 200));
      for (let length = 0; length < encoded.length; length += step) {
        const ours = outcomeAnywhere(message, encoded.subarray(0, length));
        const oracle = oracleOutcome(message, encoded.subarray(0, length));
        if (oracle === undefined) assert.ok(Object.hasOwn(ours as object, "error"));
        else assert.deepEqual(ours, oracle);
      }
    });
    fc.assert(property, { numRuns: 4 });
  }
});

/** Bytes of a message with a few of them changed: to anything, to an edge, or by one bit. */
function corrupted(message: MessageModel): fc.Arbitrary<Buffer> {
  const change = fc.record({
    place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    xor: fc.oneof(fc.constantFrom(0x01, 0x02, 0x04, 0x08, 0x80, 0xff), fc.integer({ max: 255 })),
  });
  return fc
    .tuple(arbitraryOf(message), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([neutral, changes]) => {
      const encoded = Buffer.from(encodeOurs(message.name, toOurs(message, neutral)));
      for (const { place, xor } of changes) {
        const i = Math.floor(place * encoded.length);
        if (i < encoded.length) encoded[i] = (encoded[i] as number) ^ xor;
      }
      return encoded;
    });
}

test("corrupted bytes never throw, never make a decoder look past the end, and decode stably", () => {
  for (const message of messages) {
    const codec = codecOf(message.name);
    const property = fc.property(corrupted(message), (encoded) => {
      const first = outcomeAnywhere(message, encoded);
      const decoded = codec.decode(encoded, 0, encoded.length);
      if (decoded instanceof ProtoError) return;
      const again = encodeChecked(message, decoded);
      assert.deepEqual(outcome(message, again, 0, again.length), first);
    });
    fc.assert(property, { numRuns: runsFor(message) });
  }
});

test("random bytes never throw and never make a decoder look past the end", () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.array(fc.constantFrom(0x00, 0x08, 0x0a, 0x0b, 0x0c, 0x12, 0x1a, 0x80, 0xff), {
      maxLength: 60,
    }),
  );
  for (const message of messages) {
    const property = fc.property(hostile, (encoded) => {
      outcomeAnywhere(message, Uint8Array.from(encoded));
    });
    fc.assert(property, { numRuns: 20 });
  }
});
