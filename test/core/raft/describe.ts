// The textual descriptions in which the scenarios state what they expect: Readys, messages, entries, progress, quorums.

import { confChangeOf } from "../../../src/core/raft/confchange/conf-change.ts";
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type ProgressStatus,
  type Ready,
  type Role,
  type StepOutcome,
} from "../../../src/core/raft/index.ts";
import { allVoters, type JointVoters } from "../../../src/core/raft/quorum/joint.ts";
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  ProtoError,
  type Snapshot,
} from "../../../src/proto/index.ts";

const ROLE_NAMES: Readonly<Record<Role, string>> = {
  follower: "StateFollower",
  candidate: "StateCandidate",
  leader: "StateLeader",
  preCandidate: "StatePreCandidate",
};

const PROGRESS_NAMES = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
} as const;

const OUTCOME_TEXTS: Readonly<Record<StepOutcome, string>> = {
  ok: "",
  dropped: "raft proposal dropped",
  localMessage: "raft: cannot step raft local message",
  unknownPeer: "raft: cannot step as peer not found",
  malformed: "raft: malformed message",
};

const CHANGE_LETTERS: ReadonlyMap<number, string> = new Map([
  [ConfChangeType.ConfChangeAddNode, "v"],
  [ConfChangeType.ConfChangeAddLearnerNode, "l"],
  [ConfChangeType.ConfChangeRemoveNode, "r"],
  [ConfChangeType.ConfChangeUpdateNode, "u"],
]);

/** Name of a numeric constant in one of the generated `as const` objects. */
function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

export function describeOutcome(outcome: StepOutcome): string {
  return OUTCOME_TEXTS[outcome];
}

export function describeRole(role: Role): string {
  return ROLE_NAMES[role];
}

/** The number of the message type that is called `name`. */
export function messageTypeNamed(name: string): number {
  const type = (MessageType as Readonly<Record<string, number>>)[name];
  if (type === undefined) throw new Error(`unknown message type ${name}`);
  return type;
}

/** `v1 l2 r3`: the inverse of `describeChanges`. */
export function parseChanges(text: string): ConfChangeSingle[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return words.map((word) => {
    const type = [...CHANGE_LETTERS].find(([, letter]) => letter === word[0])?.[0];
    if (type === undefined) throw new Error(`unknown input: ${word}`);
    return { type, nodeId: BigInt(word.slice(1)) };
  });
}

export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes
    .map(({ type, nodeId }) => `${CHANGE_LETTERS.get(type) ?? "unknown"}${nodeId}`)
    .join(" ");
}

function quote(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString("latin1"));
}

export function describeEntry(entry: Entry): string {
  let content: string;
  if (entry.type === EntryType.EntryNormal) {
    content = quote(entry.data);
  } else {
    const change = confChangeOf(entry);
    content =
      change === undefined || change instanceof ProtoError ? "?" : describeChanges(change.changes);
  }
  const suffix = content === "" ? "" : ` ${content}`;
  return `${entry.term}/${entry.index} ${nameOf(EntryType, entry.type)}${suffix}`;
}

/** One line per entry, each ended. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join("");
}

function describeTarget(id: bigint): string {
  if (id === 0n) return "None";
  if (id === LOCAL_APPEND_THREAD) return "AppendThread";
  if (id === LOCAL_APPLY_THREAD) return "ApplyThread";
  return id.toString(16);
}

function describeConfState(state: ConfState): string {
  const list = (ids: readonly bigint[]): string => `[${ids.join(" ")}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

function describeSnapshot(snapshot: Snapshot): string {
  const { metadata } = snapshot;
  const state = metadata?.confState;
  const members = state === undefined ? "" : describeConfState(state);
  return `Index:${metadata?.index ?? 0} Term:${metadata?.term ?? 0} ConfState:${members}`;
}

function describeHardState(state: HardState): string {
  const vote = state.vote === 0n ? "" : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

/** A message, with its responses on lines of their own; not ended. */
export function describeMessage(m: Message, indent = ""): string {
  let text =
    `${indent}${describeTarget(m.from)}->${describeTarget(m.to)} ${nameOf(MessageType, m.type)} ` +
    `Term:${m.term} Log:${m.logTerm}/${m.index}`;
  if (m.reject) text += ` Rejected (Hint: ${m.rejectHint})`;
  if (m.commit !== 0) text += ` Commit:${m.commit}`;
  if (m.vote !== 0n) text += ` Vote:${m.vote}`;
  const [first] = m.entries;
  if (m.entries.length === 1 && first !== undefined) {
    text += ` Entries:[${describeEntry(first)}]`;
  } else if (m.entries.length > 1) {
    const lines = m.entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`);
    text += ` Entries:[${lines.join("")}\n${indent}]`;
  }
  if (m.snapshot !== undefined && (m.snapshot.metadata?.index ?? 0) > 0) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(m.snapshot)}`;
  }
  if (m.responses.length > 0) {
    const lines = m.responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

/** A whole Ready, each line ended; `<empty Ready>`, not ended, when it holds nothing. */
export function describeReady(rd: Ready): string {
  let text = "";
  if (rd.softState !== undefined) {
    text += `Lead:${rd.softState.leader} State:${describeRole(rd.softState.role)}\n`;
  }
  if (rd.hardState !== undefined) text += `HardState ${describeHardState(rd.hardState)}\n`;
  if (rd.readStates.length > 0) {
    const reads = rd.readStates.map(({ index, context }) => `{${index} [${context.join(" ")}]}`);
    text += `ReadStates [${reads.join(" ")}]\n`;
  }
  if (rd.entries.length > 0) text += `Entries:\n${describeEntries(rd.entries)}`;
  if (rd.snapshot !== undefined) text += `Snapshot ${describeSnapshot(rd.snapshot)}\n`;
  if (rd.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(rd.committedEntries)}`;
  }
  if (rd.messages.length > 0) {
    text += `Messages:\n${rd.messages.map((m) => `${describeMessage(m)}\n`).join("")}`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${rd.mustSync}:\n${text}`;
}

/** One line per member, each ended. */
export function describeProgress(progress: readonly ProgressStatus[]): string {
  return progress.map((pr) => `${pr.id}: ${describeMember(pr)}\n`).join("");
}

function describeMember(pr: ProgressStatus): string {
  let text = `${PROGRESS_NAMES[pr.state]} match=${pr.match} next=${pr.next}`;
  if (pr.isLearner) text += " learner";
  if (pr.isPaused) text += " paused";
  if (pr.pendingSnapshot > 0) text += ` pendingSnap=${pr.pendingSnapshot}`;
  if (!pr.recentActive) text += " inactive";
  if (pr.inflightCount > 0) {
    text += ` inflight=${pr.inflightCount}${pr.isInflightFull ? "[full]" : ""}`;
  }
  return text;
}

/**
 * The acknowledged indexes of the voters as bars: the longer, the more voters are behind. `?` marks a voter that nothing is known of.
 * Each line ended, unless the quorum is empty.
 */
export function describeQuorum(voters: JointVoters, acked: ReadonlyMap<bigint, number>): string {
  const ids = allVoters(voters);
  if (ids.length === 0) return "<empty majority quorum>";
  const indexes = ids.map((id) => acked.get(id) ?? 0);
  const rows = ids.map((id, i) => {
    const index = indexes[i] as number;
    const behind = indexes.filter((other) => other < index).length;
    const bar = acked.has(id)
      ? `${"x".repeat(behind)}>${" ".repeat(ids.length - behind)}`
      : `?${" ".repeat(ids.length)}`;
    return `${bar} ${String(index).padStart(5)}    (id=${id.toString(16)})\n`;
  });
  return `${" ".repeat(ids.length)}    idx\n${rows.join("")}`;
}
