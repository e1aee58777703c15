// What a candidate or pre-candidate does with each message.

import { type Message, MessageType } from "../../proto/index.ts";
import { countVote } from "./campaign.ts";
import type { Raft } from "./raft.ts";
import { becomeFollower } from "./roles.ts";
import { takeFromLeader } from "./step-follower.ts";
import type { StepOutcome } from "./types.ts";

/** Takes a message of the current term, or one without term. */
export function stepCandidate(r: Raft, m: Message): StepOutcome {
  switch (m.type) {
    case MessageType.MsgProp:
    case MessageType.MsgReadIndex:
      return "dropped";
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      // Of the current term, so the election has been decided.
      becomeFollower(r, m.term, m.from);
      takeFromLeader(r, m);
      return "ok";
    case MessageType.MsgVoteResp:
      if (r.role === "candidate") countVote(r, m);
      return "ok";
    case MessageType.MsgPreVoteResp:
      // One that comes after the pre-vote was won tells nothing about the vote.
      if (r.role === "preCandidate") countVote(r, m);
      return "ok";
    default:
      return "ok";
  }
}
