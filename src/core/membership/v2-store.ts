// The JSON document that fills the data field of a `.snap` file: etcd's old v2 store, of which only the membership is left.
// We write the reduced form (no watcher history, no statistics), which etcd 3.6 boots from; 3.7 does not read it.
//
//     /0/members/<hex id>/raftAttributes   {"peerURLs":[…],"isLearner":true}
//     /0/members/<hex id>/attributes       {"name":"…","clientURLs":[…]}       if it has published itself
//     /0/removed_members/<hex id>          ""
//     /0/version                           "3.7.0"
// Source: etcd server/etcdserver/api/v2store, api/membership/storev2.go.

import { asId, type Json, type JsonObject, jsonString, parseJson, stringAt } from "./json.ts";
import { byId, idText, type Member } from "./member.ts";
import {
  attributesJson,
  parseAttributes,
  parseRaftAttributes,
  raftAttributesJson,
} from "./member-json.ts";
import { EMPTY_MEMBERSHIP, type MembershipState } from "./raft-cluster.ts";

/** A file (its text) or a directory (its entries) of the store. */
type Node = string | Map<string, Node>;

/** The document for `state`. The downgrade is not part of it. */
export function encodeV2Store(state: MembershipState): Buffer {
  const members = new Map<string, Node>();
  for (const member of state.members) members.set(idText(member.id), memberNode(member));
  const cluster = new Map<string, Node>([["members", members]]);
  if (state.removed.length > 0) {
    cluster.set("removed_members", new Map(state.removed.map((id) => [idText(id), ""])));
  }
  if (state.version !== undefined) cluster.set("version", state.version);
  const root = new Map<string, Node>([
    ["0", cluster],
    ["1", new Map()],
  ]);
  const document = `{"Root":${nodeJson("/", root)},"CurrentIndex":0,"CurrentVersion":2}`;
  return Buffer.from(document);
}

/** The membership a document holds, ascending by id; undefined if it is not such a document. Reads Go's full form as well. */
export function decodeV2Store(bytes: Uint8Array): MembershipState | undefined {
  const document = parseJson(Buffer.from(bytes).toString());
  const root = document instanceof Map ? readNode(document.get("Root")) : undefined;
  if (!(root instanceof Map)) return undefined;
  const cluster = root.get("0");
  if (!(cluster instanceof Map)) return EMPTY_MEMBERSHIP;
  const members: Member[] = [];
  for (const [hex, node] of entriesOf(cluster.get("members"))) {
    const member = readMember(hex, node);
    if (member === undefined) return undefined;
    members.push(member);
  }
  const removed: bigint[] = [];
  for (const [hex] of entriesOf(cluster.get("removed_members"))) {
    const id = readId(hex);
    if (id === undefined) return undefined;
    removed.push(id);
  }
  const version = cluster.get("version");
  if (version instanceof Map) return undefined;
  return {
    ...EMPTY_MEMBERSHIP,
    members: byId(members, (member) => member.id),
    removed: byId(removed, (id) => id),
    version,
  };
}

function memberNode(member: Member): Map<string, Node> {
  const node = new Map<string, Node>();
  if (member.name !== "" || member.clientUrls.length > 0)
    node.set("attributes", attributesJson(member));
  node.set("raftAttributes", raftAttributesJson(member));
  return node;
}

function nodeJson(path: string, node: Node): string {
  const head = `{"Path":${jsonString(path)},"CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z"`;
  if (typeof node === "string") return `${head},"Value":${jsonString(node)},"Children":null}`;
  const parent = path === "/" ? "" : path;
  // Go writes maps in the order of their keys.
  const names = [...node.keys()].sort();
  const children = names.map((name) => {
    const child = node.get(name) ?? "";
    return `${jsonString(name)}:${nodeJson(`${parent}/${name}`, child)}`;
  });
  return `${head},"Value":"","Children":{${children.join(",")}}}`;
}

function readNode(json: Json | undefined): Node | undefined {
  if (!(json instanceof Map)) return undefined;
  const children = json.get("Children") ?? null;
  if (children === null) return stringAt(json, "Value");
  if (!(children instanceof Map)) return undefined;
  const node = new Map<string, Node>();
  for (const [name, child] of children) {
    const read = readNode(child);
    if (read === undefined) return undefined;
    node.set(name, read);
  }
  return node;
}

function entriesOf(node: Node | undefined): Iterable<[string, Node]> {
  return node instanceof Map ? node : [];
}

function readId(hex: string): bigint | undefined {
  return /^[0-9a-f]{1,16}$/.test(hex) ? asId(BigInt(`0x${hex}`)) : undefined;
}

function readMember(hex: string, node: Node): Member | undefined {
  const id = readId(hex);
  if (id === undefined || !(node instanceof Map)) return undefined;
  const raft = readAttributes(node.get("raftAttributes"));
  const own = node.has("attributes") ? readAttributes(node.get("attributes")) : new Map();
  const raftPart = raft && parseRaftAttributes(raft);
  const ownPart = own && parseAttributes(own);
  return raftPart && ownPart ? { id, ...raftPart, ...ownPart } : undefined;
}

function readAttributes(node: Node | undefined): JsonObject | undefined {
  const object = typeof node === "string" ? parseJson(node) : undefined;
  return object instanceof Map ? object : undefined;
}
