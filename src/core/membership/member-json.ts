// Members and configurations as JSON, the form they have in the backend's rows, in the context of a ConfChange entry, in the answer
// of the peer port's /members, and in etcd's db file. Names are in Go's order; absent ones are left out as Go leaves them out.
// Source: etcd membership.Member (RaftAttributes and Attributes are flattened), raftpb.ConfState.

import type { ConfState } from "../../proto/index.ts";
import {
  asId,
  booleanAt,
  type JsonObject,
  jsonString,
  jsonStrings,
  listAt,
  parseJson,
  stringAt,
  stringsAt,
} from "./json.ts";
import type { Member, MemberAttributes } from "./member.ts";

/** `{"id":…,"peerURLs":[…],"isLearner":true,"name":"…","clientURLs":[…]}`; the last three only where they say something. */
export function memberJson(member: Member): string {
  return `{"id":${member.id},${raftAttributes(member)}${prefixed(attributes(member))}}`;
}

/** The members as the peer port lists them: ascending by id if `members` is. */
export function membersJson(members: readonly Member[]): string {
  return `[${members.map(memberJson).join(",")}]`;
}

/** Reads a member; undefined if the text is not one. */
export function parseMember(text: string): Member | undefined {
  const object = parseJson(text);
  return object instanceof Map ? memberOf(object) : undefined;
}

/** Reads a member from a parsed object; undefined if it is not one. */
export function memberOf(object: JsonObject): Member | undefined {
  const id = asId(object.get("id"));
  const raft = parseRaftAttributes(object);
  const own = parseAttributes(object);
  if (id === undefined || raft === undefined || own === undefined) return undefined;
  return { id, ...raft, ...own };
}

/** The part of a member the cluster decides, as the v2 store keeps it. */
export function raftAttributesJson(member: Pick<Member, "peerUrls" | "isLearner">): string {
  return `{${raftAttributes(member)}}`;
}

/** The part of a member it publishes itself, as the v2 store keeps it. */
export function attributesJson(member: MemberAttributes): string {
  return `{${attributes(member)}}`;
}

/** Reads what `raftAttributesJson` writes. */
export function parseRaftAttributes(
  object: JsonObject,
): Pick<Member, "peerUrls" | "isLearner"> | undefined {
  const peerUrls = stringsAt(object, "peerURLs");
  const isLearner = booleanAt(object, "isLearner");
  return peerUrls === undefined || isLearner === undefined ? undefined : { peerUrls, isLearner };
}

/** Reads what `attributesJson` writes. */
export function parseAttributes(object: JsonObject): MemberAttributes | undefined {
  const name = stringAt(object, "name");
  const clientUrls = stringsAt(object, "clientURLs");
  return name === undefined || clientUrls === undefined ? undefined : { name, clientUrls };
}

/** `{"voters":[…],"voters_outgoing":[…],"learners":[…],"learners_next":[…],"auto_leave":false}`, empty lists left out. */
export function confStateJson(state: ConfState): string {
  const lists: [string, readonly bigint[]][] = [
    ["voters", state.voters],
    ["learners", state.learners],
    ["voters_outgoing", state.votersOutgoing],
    ["learners_next", state.learnersNext],
  ];
  const parts = lists
    .filter(([, ids]) => ids.length > 0)
    .map(([name, ids]) => `"${name}":[${ids.join(",")}]`);
  return `{${[...parts, `"auto_leave":${state.autoLeave}`].join(",")}}`;
}

/** Reads a configuration; undefined if the text is not one. */
export function parseConfState(text: string): ConfState | undefined {
  const object = parseJson(text);
  if (!(object instanceof Map)) return undefined;
  const voters = listAt(object, "voters", asId);
  const learners = listAt(object, "learners", asId);
  const votersOutgoing = listAt(object, "voters_outgoing", asId);
  const learnersNext = listAt(object, "learners_next", asId);
  const autoLeave = booleanAt(object, "auto_leave");
  if (!voters || !learners || !votersOutgoing || !learnersNext) return undefined;
  if (autoLeave === undefined) return undefined;
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

function raftAttributes(member: Pick<Member, "peerUrls" | "isLearner">): string {
  const urls = `"peerURLs":${jsonStrings(member.peerUrls)}`;
  return member.isLearner ? `${urls},"isLearner":true` : urls;
}

function attributes(member: MemberAttributes): string {
  const parts: string[] = [];
  if (member.name !== "") parts.push(`"name":${jsonString(member.name)}`);
  if (member.clientUrls.length > 0) parts.push(`"clientURLs":${jsonStrings(member.clientUrls)}`);
  return parts.join(",");
}

function prefixed(text: string): string {
  return text === "" ? "" : `,${text}`;
}
