// Making messages and telling their kinds apart.

import { type Entry, type Message, MessageType, type Snapshot } from "../../proto/index.ts";
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_NODE } from "./types.ts";

/** No bytes, shared. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Context of a MsgVote that is sent on a leader's demand and may ignore leases. */
export const CAMPAIGN_TRANSFER: Uint8Array = new TextEncoder().encode("CampaignTransfer");

/** What a message is made with; everything else is empty. */
export interface MessageFields {
  readonly term?: number;
  readonly logTerm?: number;
  readonly index?: number;
  readonly entries?: Entry[];
  readonly commit?: number;
  readonly snapshot?: Snapshot | undefined;
  readonly reject?: boolean;
  readonly rejectHint?: number;
  readonly context?: Uint8Array;
}

/** A message with every field present. One literal, so that all messages of the core have one shape. */
export function newMessage(type: MessageType, to: bigint, fields: MessageFields = {}): Message {
  return {
    type,
    to,
    from: NO_NODE,
    term: fields.term ?? 0,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? [],
    commit: fields.commit ?? 0,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context ?? NO_BYTES,
    vote: NO_NODE,
    responses: [],
  };
}

/** True for a type that a node sends to itself only. */
export function isLocalMessage(type: number): boolean {
  switch (type) {
    case MessageType.MsgHup:
    case MessageType.MsgBeat:
    case MessageType.MsgUnreachable:
    case MessageType.MsgSnapStatus:
    case MessageType.MsgCheckQuorum:
    case MessageType.MsgStorageAppend:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApply:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** True for a type that answers another message; it means nothing when it comes from a node that is no member. */
export function isResponseMessage(type: number): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgReadIndexResp:
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgUnreachable:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** True for the local log writer and the local state machine, which are no nodes. */
export function isLocalTarget(id: bigint): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

/** True when the vote request was demanded by the leader itself. */
export function isTransferVote(message: Message): boolean {
  const { context } = message;
  return (
    context.length === CAMPAIGN_TRANSFER.length &&
    context.every((byte, i) => byte === CAMPAIGN_TRANSFER[i])
  );
}

/**
 * True when a message from a peer can be taken without further checks: the entries of a MsgApp are gapless with terms that never fall
 * and never exceed the message's, a snapshot has its place, requests carry what they must. The gate of the core; inside, all this holds.
 */
export function isWellFormed(m: Message): boolean {
  switch (m.type) {
    case MessageType.MsgProp:
      return m.term === 0 && m.entries.length > 0;
    case MessageType.MsgReadIndex:
      return m.term === 0 && m.entries.length === 1;
    case MessageType.MsgReadIndexResp:
      return m.term > 0 && m.entries.length === 1;
    case MessageType.MsgTransferLeader:
    case MessageType.MsgForgetLeader:
      return true;
    case MessageType.MsgApp:
      return m.term > 0 && isLogSlice(m);
    case MessageType.MsgSnap:
      return m.term > 0 && isSnapshotPlaced(m);
    default:
      // Types that this version does not know are ignored before their term can have an effect.
      return m.term > 0 && m.type <= MessageType.MsgForgetLeader;
  }
}

function isLogSlice(m: Message): boolean {
  let term = m.logTerm;
  let index = m.index;
  for (let i = 0; i < m.entries.length; i++) {
    const entry = m.entries[i] as Entry;
    index++;
    if (entry.index !== index || entry.term < term) return false;
    term = entry.term;
  }
  return term <= m.term;
}

function isSnapshotPlaced(m: Message): boolean {
  const metadata = m.snapshot?.metadata;
  if (metadata === undefined || metadata.confState === undefined) return false;
  return metadata.index > 0 && metadata.term <= m.term;
}
