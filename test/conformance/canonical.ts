// The form in which two answers are compared: everything as on the wire, except what may differ between two correct servers.
//
// Excepted (value masked, presence kept): cluster, member and lease ids picked by the server, raft terms and indexes, sizes on disk,
// the hash over the whole backend, listen addresses, the remaining part of a TTL. Put into order: what etcd returns unordered (alarms,
// keys of a lease, leases). Ties of a sorted Range: see `canonicalRange`.

import {
  bytesOf,
  intOf,
  messageOf,
  messagesOf,
  renderWire,
  type WireField,
  type WireMessage,
  type WireValue,
} from "../support/wire-schema.ts";
import type { RequestFields } from "./ops.ts";

const mask = "~";

const maskedFields: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["etcdserverpb.ResponseHeader", new Set(["cluster_id", "member_id", "raft_term"])],
  [
    "etcdserverpb.StatusResponse",
    new Set(["dbSize", "dbSizeInUse", "leader", "raftIndex", "raftTerm", "raftAppliedIndex"]),
  ],
  ["etcdserverpb.HashResponse", new Set(["hash"])],
  ["etcdserverpb.Member", new Set(["ID", "peerURLs", "clientURLs"])],
]);

/** Repeated fields in which etcd promises no order. */
const unorderedFields: ReadonlyMap<string, string> = new Map([
  ["etcdserverpb.AlarmResponse", "alarms"],
  ["etcdserverpb.LeaseTimeToLiveResponse", "keys"],
  ["etcdserverpb.LeaseLeasesResponse", "leases"],
]);

/** Results up to this size are sorted stably by the reference (Go sorts short slices by insertion), longer ones are not. */
const stableSortMax = 12;

function rendered(field: WireField): string {
  return renderWire({ type: "", fields: [field] });
}

function canonicalValue(
  message: WireMessage,
  name: string,
  value: WireValue,
  member: bigint,
): WireValue {
  if (maskedFields.get(message.type)?.has(name) === true) return mask;
  if (message.type === "etcdserverpb.AlarmMember" && name === "memberID" && value === member) {
    return "<member>";
  }
  if (typeof value === "string") return value.replace(String(member), "<member>");
  if (message.type === "etcdserverpb.LeaseTimeToLiveResponse" && name === "TTL") {
    const isRemaining =
      typeof value === "bigint" && value > 0n && value <= intOf(message, "grantedTTL");
    return isRemaining ? mask : value;
  }
  if (typeof value === "object" && "fields" in value) return canonical(value, member);
  return value;
}

/** `message` with everything masked and ordered that may differ; `member` is the id of the server that sent it. */
export function canonical(message: WireMessage, member: bigint): WireMessage {
  const fields = message.fields.map(({ name, value }) => ({
    name,
    value: canonicalValue(message, name, value, member),
  }));
  const unordered = unorderedFields.get(message.type);
  if (unordered === undefined) return { type: message.type, fields };
  const sorted = fields
    .filter((f) => f.name === unordered)
    .sort((a, b) => (rendered(a) < rendered(b) ? -1 : 1));
  return { type: message.type, fields: [...fields.filter((f) => f.name !== unordered), ...sorted] };
}

const sortKeys = ["", "version", "create_revision", "mod_revision", "value"];

function sortKeyOf(kv: WireMessage, target: number): string {
  const name = sortKeys[target] ?? "";
  return name === "value" ? bytesOf(kv, name) : String(intOf(kv, name));
}

/**
 * The answer to a Range that sorts more entries than `stableSortMax` by something other than the key. The reference's sort is not
 * stable there, so entries with equal sort keys are compared as a set; of the last such group of a truncated answer only the number
 * and the sort key count, because which of them were cut is not determined either.
 */
export function canonicalRange(request: RequestFields, answer: WireMessage): WireMessage {
  const target = Number(request["sort_target"] ?? 0);
  if (target < 1 || target > 4 || intOf(answer, "count") <= BigInt(stableSortMax)) return answer;
  const isCut = fieldIsTrue(answer, "more");
  const kvs = messagesOf(answer, "kvs");
  // With the values stripped the groups cannot be told apart: all entries are one group.
  const isBlind = target === 4 && request["keys_only"] === true;
  const keyOf = (kv: WireMessage): string => (isBlind ? "" : sortKeyOf(kv, target));
  const last = kvs.at(-1);
  const groups: WireField[] = [];
  for (let start = 0; start < kvs.length; ) {
    let end = start;
    const first = kvs[start] as WireMessage;
    while (end < kvs.length && keyOf(kvs[end] as WireMessage) === keyOf(first)) end++;
    const group = kvs.slice(start, end).map(renderWire).sort();
    const isLast = last !== undefined && keyOf(last) === keyOf(first);
    const text = isCut && isLast ? `${group.length} of ${keyOf(first)}` : group.join(" ");
    groups.push({ name: "group", value: text });
    start = end;
  }
  const rest = answer.fields.filter((f) => f.name !== "kvs");
  return { type: answer.type, fields: [...rest, ...groups] };
}

function fieldIsTrue(message: WireMessage, name: string): boolean {
  return intOf(message, name) !== 0n;
}

/** Applies `canonicalRange` to every range inside the answer of a transaction. */
export function canonicalTxn(request: RequestFields, answer: WireMessage): WireMessage {
  const branch = request[fieldIsTrue(answer, "succeeded") ? "success" : "failure"];
  const ops = Array.isArray(branch) ? (branch as readonly RequestFields[]) : [];
  let n = 0;
  const fields = answer.fields.map((field) => {
    if (field.name !== "responses") return field;
    const op = ops[n++];
    return { name: field.name, value: canonicalResponseOp(op, field.value) };
  });
  return { type: answer.type, fields };
}

function canonicalResponseOp(op: RequestFields | undefined, value: WireValue): WireValue {
  if (op === undefined || typeof value !== "object" || !("fields" in value)) return value;
  const range = messageOf(value, "response_range");
  const txn = messageOf(value, "response_txn");
  const fields = value.fields.map((f) => {
    if (range !== undefined && f.name === "response_range") {
      return { name: f.name, value: canonicalRange(op["request_range"] as RequestFields, range) };
    }
    if (txn !== undefined && f.name === "response_txn") {
      return { name: f.name, value: canonicalTxn(op["request_txn"] as RequestFields, txn) };
    }
    return f;
  });
  return { type: value.type, fields };
}
