// The generated files are those of the .proto files, and the .proto files are what @grpc/proto-loader, etcd's clients' way in, makes of
// them: same services, same paths, same streams.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadSync } from "@grpc/proto-loader";
import { fieldName } from "../../proto/codegen/names.ts";
import * as proto from "../../src/proto/index.ts";
import { createOurs, files, generated, messages } from "../support/proto-oracle.ts";
import { repoRoot } from "../support/repo.ts";

const sourceDir = join(repoRoot, "src/proto");

test("src/proto holds exactly what the generator writes", () => {
  const expected = generated();
  for (const [path, text] of expected) {
    assert.ok(
      readFileSync(join(sourceDir, path), "utf8") === text,
      `src/proto/${path} is stale: run \`npm run generate\``,
    );
  }
  const present = readdirSync(join(sourceDir, "gen"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `gen/${path.replaceAll("\\", "/")}`)
    .sort();
  assert.deepEqual(present, [...expected.keys()].filter((p) => p.startsWith("gen/")).sort());
});

test("rpcTable has the methods proto-loader finds in the .proto files", () => {
  const definitions = loadSync(
    files.map((file) => file.path),
    { includeDirs: [join(repoRoot, "proto")], keepCase: true },
  );
  const found: string[] = [];
  for (const [service, definition] of Object.entries(definitions)) {
    if ("format" in definition) continue;
    for (const [method, row] of Object.entries(definition)) {
      const { path, requestStream, responseStream } = row;
      found.push([service, method, path, requestStream, responseStream].join(" "));
    }
  }
  const ours = proto.rpcTable.map((row) =>
    [row.service, row.method, row.path, row.requestStream, row.responseStream].join(" "),
  );
  assert.deepEqual(ours.sort(), found.sort());
  assert.equal(ours.length, 52);
  assert.ok(ours.includes("etcdserverpb.KV Put /etcdserverpb.KV/Put false false"));
  assert.ok(ours.includes("etcdserverpb.Watch Watch /etcdserverpb.Watch/Watch true true"));
});

test("the types rpcTable names have codecs", () => {
  const names = new Set(messages.map((message) => message.name));
  for (const row of proto.rpcTable) {
    assert.ok(names.has(row.requestType), row.requestType);
    assert.ok(names.has(row.responseType), row.responseType);
  }
});

test("the face offers the seven things of every message", () => {
  const face = new Set(Object.keys(proto));
  for (const { name } of messages) {
    for (const verb of ["create", "decode", "encode", "size", "write"]) {
      assert.ok(face.has(verb + name), verb + name);
    }
    assert.ok(face.has(`${name}Codec`), `${name}Codec`);
  }
});

test("a created message has every field, at the default of its kind", () => {
  for (const message of messages) {
    const created = createOurs(message.name);
    assert.deepEqual(
      Object.keys(created),
      message.fields.map((field) => field.name),
    );
  }
  const put = proto.createPutRequest();
  assert.deepEqual(put, { ...put, key: "", value: new Uint8Array(0), lease: 0n, prevKv: false });
  const compare = proto.createCompare({ version: 0 });
  assert.equal(compare.version, 0);
  assert.equal(compare.modRevision, undefined);
  assert.deepEqual(proto.createTxnRequest().success, []);
});

test("field names become lower camel case, acronyms as words", () => {
  const names = {
    range_end: "rangeEnd",
    ID: "id",
    TTL: "ttl",
    grantedTTL: "grantedTtl",
    remaining_TTL: "remainingTtl",
    RemainingTTL: "remainingTtl",
    memberID: "memberId",
    member_ID: "memberId",
    peerURLs: "peerUrls",
    clientURLs: "clientUrls",
    client_urls: "clientUrls",
    logTerm: "logTerm",
    Type: "type",
    NodeID: "nodeId",
    voters_outgoing: "votersOutgoing",
    dbSizeInUse: "dbSizeInUse",
    LeaseTimeToLiveRequest: "leaseTimeToLiveRequest",
  };
  for (const [name, expected] of Object.entries(names)) assert.equal(fieldName(name), expected);
});
