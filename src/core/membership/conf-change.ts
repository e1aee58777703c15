// What a ConfChange entry asks of the membership: the typed change, and its form in the entry (type, node id, JSON context).
// Source: etcd membership.ConfigChangeContext, server/etcdserver/server.go AddMember … UpdateMember.

import { ConfChangeType } from "../../proto/index.ts";
import { booleanAt, parseJson } from "./json.ts";
import type { Member } from "./member.ts";
import { memberJson, memberOf } from "./member-json.ts";

/** A change of the membership, one member at a time. */
export type MembershipChange =
  | { readonly kind: "add"; readonly member: Member }
  | { readonly kind: "promote"; readonly id: bigint }
  | { readonly kind: "update"; readonly id: bigint; readonly peerUrls: readonly string[] }
  | { readonly kind: "remove"; readonly id: bigint };

/** The fields of a ConfChange that carry a membership change; the request id is the proposer's. */
export interface ConfChangeFields {
  readonly type: number;
  readonly nodeId: bigint;
  readonly context: Uint8Array;
}

/** The entry's form of `change`. */
export function confChangeOf(change: MembershipChange): ConfChangeFields {
  switch (change.kind) {
    case "add": {
      const { member } = change;
      const type = member.isLearner
        ? ConfChangeType.ConfChangeAddLearnerNode
        : ConfChangeType.ConfChangeAddNode;
      return { type, nodeId: member.id, context: Buffer.from(memberJson(member)) };
    }
    case "promote": {
      const context = Buffer.from(`{"id":${change.id},"peerURLs":null,"isPromote":true}`);
      return { type: ConfChangeType.ConfChangeAddNode, nodeId: change.id, context };
    }
    case "update": {
      const { id, peerUrls } = change;
      const member = { id, peerUrls, isLearner: false, name: "", clientUrls: [] };
      const context = Buffer.from(memberJson(member));
      return { type: ConfChangeType.ConfChangeUpdateNode, nodeId: id, context };
    }
    case "remove":
      return {
        type: ConfChangeType.ConfChangeRemoveNode,
        nodeId: change.id,
        context: Buffer.alloc(0),
      };
  }
}

/** The change an entry asks for; undefined if the context is not a member's, or another member's than `nodeId` names. */
export function changeOf(fields: ConfChangeFields): MembershipChange | undefined {
  if (fields.type === ConfChangeType.ConfChangeRemoveNode) {
    return { kind: "remove", id: fields.nodeId };
  }
  const { buffer, byteOffset, byteLength } = fields.context;
  const object = parseJson(Buffer.from(buffer, byteOffset, byteLength).toString());
  if (!(object instanceof Map)) return undefined;
  const member = memberOf(object);
  const isPromote = booleanAt(object, "isPromote");
  if (member === undefined || isPromote === undefined || member.id !== fields.nodeId) {
    return undefined;
  }
  switch (fields.type) {
    case ConfChangeType.ConfChangeAddNode:
      return isPromote ? { kind: "promote", id: member.id } : { kind: "add", member };
    case ConfChangeType.ConfChangeAddLearnerNode:
      return { kind: "add", member: { ...member, isLearner: true } };
    case ConfChangeType.ConfChangeUpdateNode:
      return { kind: "update", id: member.id, peerUrls: member.peerUrls };
    default:
      return undefined;
  }
}
