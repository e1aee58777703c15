// The judge judged: two real etcds do not differ, and a server with one fault is found out and shown by a short sequence.
// The fault is planted between a real etcd and the run, on the connection to the subject.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findReference, needsReference, referenceCommand } from "../reference/reference.ts";
import { GrpcClient } from "../support/grpc-client.ts";
import { intOf, messagesOf, wireSchema } from "../support/wire-schema.ts";
import { type RunResult, runConformance } from "./run.ts";

const reference = await findReference();
const skip = reference === undefined ? needsReference : false;

/** Changes the bytes of one message, or drops it. */
type Fault = (path: string, message: Uint8Array) => Uint8Array | undefined;

class FaultyClient extends GrpcClient {
  readonly #fault: Fault;

  constructor(endpoint: string, fault: Fault) {
    super(endpoint);
    this.#fault = fault;
  }

  protected override receive(path: string, message: Uint8Array): Uint8Array | undefined {
    return this.#fault(path, message);
  }
}

async function run(seed: number, ops: number, fault: Fault, enoughSteps = 1): Promise<RunResult> {
  assert.ok(reference !== undefined);
  const command = referenceCommand(reference);
  return await runConformance({
    subject: command,
    reference: command,
    seed,
    ops,
    // An attempt starts two real etcds; on a busy machine it takes a second or more.
    shrinkMs: 60_000,
    enoughSteps,
    connect: (endpoint) => new FaultyClient(endpoint, fault),
  });
}

void test("two real etcds do not differ over 800 steps", { skip }, async () => {
  const result = await run(11, 800, (_, message) => message);
  assert.ok(result.difference === undefined, result.report);
});

void test("a lost key in a list of three or more is found and shown by few steps", {
  skip,
}, async () => {
  const result = await run(
    12,
    800,
    (path, message) => {
      if (path !== "/etcdserverpb.KV/Range") return message;
      const response = wireSchema().decode("etcdserverpb.RangeResponse", message);
      if (response.fields.filter((f) => f.name === "kvs").length < 3) return message;
      // Fields follow in order: the header and two key-values are the first three length-delimited fields.
      let end = 0;
      for (let n = 0; n < 3; n++) end += 2 + (message[end + 1] as number);
      return (message[1] as number) < 128 ? message.subarray(0, end) : message;
    },
    10,
  );
  assert.ok(result.difference !== undefined, result.report);
  assert.ok(result.shrunk.length <= 10, result.report);
});

void test("an empty sub-message in place of an absent one is found", { skip }, async () => {
  const result = await run(13, 800, (path, message) => {
    const isPut = path === "/etcdserverpb.KV/Put";
    return isPut ? Buffer.concat([message, Uint8Array.of(0x12, 0x00)]) : message;
  });
  assert.ok(result.difference !== undefined, result.report);
  assert.equal(result.shrunk.length, 1, result.report);
});

void test("a lost deletion event is found and shown by few steps", { skip }, async () => {
  const result = await run(
    14,
    800,
    (path, message) => {
      if (path !== "/etcdserverpb.Watch/Watch") return message;
      const events = messagesOf(
        wireSchema().decode("etcdserverpb.WatchResponse", message),
        "events",
      );
      return events.some((e) => intOf(e, "type") === 1n) ? undefined : message;
    },
    20,
  );
  assert.ok(result.difference !== undefined, result.report);
  assert.ok(result.shrunk.length <= 20, result.report);
});
