// Requests of the KV service from a seed: every option of Range, Put and DeleteRange, and transactions that nest them.

import type { Prng } from "../../src/base/index.ts";
import type { RequestFields } from "./ops.ts";
import {
  anyKey,
  hugeInteger,
  someKey,
  someLease,
  someRange,
  someRevision,
  someValue,
} from "./values.ts";

/** A Range request with any of its options. */
export function rangeRequest(prng: Prng): RequestFields {
  const maybe = <T>(p: number, make: () => T): T | undefined =>
    prng.chance(p) ? make() : undefined;
  const bound = (): RequestFields[string] =>
    prng.chance(0.2) ? hugeInteger(prng) : { $: "current", add: -prng.below(30) };
  return {
    ...someRange(prng),
    revision: someRevision(prng),
    limit: maybe(0.35, () => (prng.chance(0.1) ? hugeInteger(prng) : 1 + prng.below(15))),
    sort_order: maybe(0.3, () => (prng.chance(0.05) ? prng.pick([3, 99, -1]) : prng.below(3))),
    sort_target: maybe(0.3, () => (prng.chance(0.05) ? prng.pick([5, 77, -1]) : prng.below(5))),
    serializable: maybe(0.2, () => true),
    keys_only: maybe(0.12, () => true),
    count_only: maybe(0.1, () => true),
    min_mod_revision: maybe(0.05, bound),
    max_mod_revision: maybe(0.05, bound),
    min_create_revision: maybe(0.05, bound),
    max_create_revision: maybe(0.05, bound),
  };
}

/** A RangeStream request, which refuses most of what Range can sort and filter by. */
export function rangeStreamRequest(prng: Prng): RequestFields {
  const request = rangeRequest(prng);
  // A few refusals are enough. Without an order, etcd sorts within each chunk by the target and loses keys between chunks; ours ignores
  // the target (src/README.md, divergences), so that is not asked for.
  if (prng.chance(0.1) && !(isUnordered(request) && request["sort_target"] !== undefined)) {
    return request;
  }
  const { key, range_end, revision, limit, serializable, keys_only, count_only } = request;
  return { key, range_end, revision, limit, serializable, keys_only, count_only };
}

function isUnordered({ sort_order }: RequestFields): boolean {
  return sort_order === undefined || sort_order === 0;
}

/** A Put request with any of its options. */
export function putRequest(prng: Prng): RequestFields {
  const touch = prng.below(100);
  return {
    key: anyKey(prng),
    value: touch < 5 ? undefined : someValue(prng),
    lease: prng.chance(0.2) ? someLease(prng) : undefined,
    prev_kv: prng.chance(0.25) ? true : undefined,
    ignore_value: touch < 7 ? true : undefined,
    ignore_lease: touch >= 4 && touch < 9 ? true : undefined,
  };
}

/** A DeleteRange request. */
export function deleteRequest(prng: Prng): RequestFields {
  const wide = prng.chance(0.15);
  const prev_kv = prng.chance(0.4) ? true : undefined;
  return wide ? { ...someRange(prng), prev_kv } : { key: anyKey(prng), prev_kv };
}

/** The server takes at most this many compares, or operations of a branch; nested transactions share it. */
const opsPerTxnMax = 128;
/** protobufjs encodes at most 100 nested messages, two for each level of a transaction. */
const codecDepthMax = 45;

function compare(prng: Prng): RequestFields {
  const target = prng.chance(0.03) ? 9 : prng.below(5);
  const unions: readonly RequestFields[] = [
    { version: prng.below(4) },
    { create_revision: { $: "current", add: -prng.below(20) } },
    { mod_revision: { $: "current", add: -prng.below(6) } },
    { value: someValue(prng) },
    { lease: prng.chance(0.5) ? 0 : someLease(prng) },
  ];
  // Now and then the value is not of the kind the target names, absent, or enormous.
  const kind = prng.below(100);
  const union =
    kind < 88
      ? (unions[target] ?? {})
      : kind < 92
        ? prng.pick(unions)
        : kind < 96
          ? {}
          : { version: hugeInteger(prng) };
  const range = prng.chance(0.15) ? someRange(prng) : { key: anyKey(prng) };
  const result = prng.chance(0.03) ? 11 : prng.below(4);
  return { result, target, ...range, ...union };
}

function requestOp(prng: Prng, depth: number): RequestFields {
  const kind = prng.below(100);
  if (kind < 45) return { request_put: putRequest(prng) };
  if (kind < 70) return { request_range: rangeRequest(prng) };
  if (kind < 85) return { request_delete_range: deleteRequest(prng) };
  if (kind < 99 && depth > 0) return { request_txn: txnRequest(prng, depth - 1) };
  return kind === 99 ? {} : { request_range: rangeRequest(prng) };
}

function list<T>(prng: Prng, below: number, make: () => T): T[] {
  return Array.from({ length: prng.below(below) }, make);
}

function txnRequest(prng: Prng, depth: number): RequestFields {
  return {
    compare: prng.chance(0.3) ? [] : list(prng, 3, () => compare(prng)),
    success: list(prng, 4, () => requestOp(prng, depth)),
    failure: list(prng, 4, () => requestOp(prng, depth)),
  };
}

/** A transaction that only reads, which etcd answers without its log. */
function readOnlyTxn(prng: Prng): RequestFields {
  const range = (): RequestFields => ({ request_range: rangeRequest(prng) });
  return {
    compare: list(prng, 3, () => compare(prng)),
    success: list(prng, 3, range),
    failure: list(prng, 3, range),
  };
}

/** A transaction around the limit of operations, flat. */
function wideTxn(prng: Prng): RequestFields {
  const length = opsPerTxnMax + prng.below(3) - 1;
  const puts = Array.from({ length }, (_, n) => ({
    request_put: { key: Buffer.from(`k/${String(n).padStart(3, "0")}`), value: someValue(prng) },
  }));
  return { success: puts, failure: prng.chance(0.5) ? puts.slice(0, 3) : [] };
}

/** A transaction in a transaction and so on, `depth` levels, each with `width` further operations. */
function deepTxn(prng: Prng, depth: number, width: number): RequestFields {
  let txn: RequestFields = { success: [{ request_put: putRequest(prng) }] };
  for (let level = 0; level < depth; level++) {
    const others = list(prng, width + 1, () => ({ request_range: { key: someKey(prng) } }));
    txn = { success: [{ request_txn: txn }, ...others] };
  }
  return txn;
}

/** What Kubernetes sends: put if the key has not changed since, else read it. */
function guardedPut(prng: Prng): RequestFields {
  const key = someKey(prng);
  const mod_revision = prng.chance(0.5) ? 0 : { $: "current" as const, add: -prng.below(4) };
  return {
    compare: [{ result: 0, target: 2, key, mod_revision }],
    success: [{ request_put: { key, value: someValue(prng) } }],
    failure: [{ request_range: { key } }],
  };
}

/** A transaction: guarded put, read-only, mixed and nested, or around a limit. */
export function someTxn(prng: Prng): RequestFields {
  const kind = prng.below(100);
  if (kind < 25) return guardedPut(prng);
  if (kind < 35) return readOnlyTxn(prng);
  if (kind < 96) return txnRequest(prng, 3);
  if (kind < 98) return wideTxn(prng);
  return deepTxn(prng, 1 + prng.below(codecDepthMax), prng.below(2));
}

function lengthDelimited(tag: number, body: Buffer): Buffer {
  const head = [tag];
  let left = body.length;
  for (; left > 0x7f; left = Math.floor(left / 128)) head.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, left]), body]);
}

/** A put inside `depth` transactions, encoded by hand because codecs refuse to nest so deep. */
export function deepTxnBytes(key: Buffer, depth: number): Buffer {
  // RequestOp.request_put = 2, RequestOp.request_txn = 4, TxnRequest.success = 2, PutRequest.key = 1.
  let op = lengthDelimited(0x12, lengthDelimited(0x0a, key));
  for (let level = 0; level < depth; level++) op = lengthDelimited(0x22, lengthDelimited(0x12, op));
  return lengthDelimited(0x12, op);
}
