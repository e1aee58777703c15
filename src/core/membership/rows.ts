// The membership as rows of the backend, byte for byte as etcd keeps it in its buckets `members`, `members_removed` and `cluster`.
// Source: etcd server/storage/schema/membership.go.

import { booleanAt, type JsonObject, jsonString, parseJson, stringAt } from "./json.ts";
import { idText, type Member } from "./member.ts";
import { memberJson, parseMember } from "./member-json.ts";
import type { Downgrade, MembershipState } from "./raft-cluster.ts";

/** Key of a member in the buckets `members` and `members_removed`: its id in hexadecimal. */
export function memberRowKey(id: bigint): Buffer {
  return Buffer.from(idText(id), "latin1");
}

/** Value of a member in the bucket `members`. */
export function encodeMemberRow(member: Member): Buffer {
  return Buffer.from(memberJson(member));
}

/** Value of every row in the bucket `members_removed`. */
export const MEMBER_REMOVED_VALUE: Uint8Array = Buffer.from("removed");

/** Key of the cluster version in the bucket `cluster`; its value is the version as text. */
export const CLUSTER_VERSION_KEY: Uint8Array = Buffer.from("clusterVersion");

/** Key of the downgrade in the bucket `cluster`. */
export const DOWNGRADE_KEY: Uint8Array = Buffer.from("downgrade");

/** Value of the downgrade. */
export function encodeDowngradeRow(downgrade: Downgrade): Buffer {
  const target = jsonString(downgrade.targetVersion);
  return Buffer.from(`{"target-version":${target},"enabled":${downgrade.enabled}}`);
}

/** One row, key without the bucket. */
export interface MembershipRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The rows of the three buckets. */
export interface MembershipRows {
  readonly members: Iterable<MembershipRow>;
  readonly membersRemoved: Iterable<MembershipRow>;
  readonly cluster: Iterable<MembershipRow>;
}

/** The membership that the rows hold; a text that names the damaged row if one cannot be read. */
export function decodeMembershipRows(rows: MembershipRows): MembershipState | string {
  const members: Member[] = [];
  for (const { key, value } of rows.members) {
    const member = parseMember(textOf(value));
    if (member === undefined || idText(member.id) !== textOf(key)) {
      return `member row ${textOf(key)} is damaged`;
    }
    members.push(member);
  }
  const removed: bigint[] = [];
  for (const { key } of rows.membersRemoved) {
    if (!/^[0-9a-f]{1,16}$/.test(textOf(key)))
      return `removed member row ${textOf(key)} is damaged`;
    removed.push(BigInt(`0x${textOf(key)}`));
  }
  let version: string | undefined;
  let downgrade: Downgrade | undefined = { enabled: false, targetVersion: "" };
  for (const { key, value } of rows.cluster) {
    if (textOf(key) === "clusterVersion") version = textOf(value);
    if (textOf(key) === "downgrade") downgrade = parseDowngrade(parseJson(textOf(value)));
  }
  if (version !== undefined && !/^\d+\.\d+\.\d+$/.test(version))
    return "cluster version row is damaged";
  if (downgrade === undefined) return "downgrade row is damaged";
  return { members, removed, version, downgrade };
}

function parseDowngrade(object: unknown): Downgrade | undefined {
  if (!(object instanceof Map)) return undefined;
  const fields = object as JsonObject;
  const targetVersion = stringAt(fields, "target-version");
  const enabled = booleanAt(fields, "enabled");
  return targetVersion === undefined || enabled === undefined
    ? undefined
    : { enabled, targetVersion };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
