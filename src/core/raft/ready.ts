// What a node hands to its caller: the work that is due, as plain data. In the asynchronous form also as messages to the local storage.

import {
  type Entry,
  type HardState,
  type Message,
  MessageType,
  type Snapshot,
} from "../../proto/index.ts";
import { newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type ReadState,
  type SoftState,
} from "./types.ts";

/**
 * One batch of work. The order it must be done in is written in raw-node.ts. The arrays are the receiver's, the entries in them are
 * shared with the log and never change.
 */
export interface Ready {
  /** Set when it changed. */
  readonly softState: SoftState | undefined;
  /** To be persisted; set when it changed. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once the index in them is applied. */
  readonly readStates: ReadState[];
  /** To be appended to stable storage, replacing what it holds from the first index on. */
  readonly entries: Entry[];
  /** To be installed instead of the state machine and the whole stored log. */
  readonly snapshot: Snapshot | undefined;
  /** To be applied, in order. */
  readonly committedEntries: Entry[];
  /** To be sent, in order. */
  readonly messages: Message[];
  /**
   * Entries, term or vote are new: they must be synced before anything is answered. False when only the commit index moved. It says
   * nothing of `snapshot`, which is always made durable before it is answered.
   */
  readonly mustSync: boolean;
}

/**
 * The MsgStorageAppend of a Ready: state to persist, with the messages that may go out once it (and all before it) is durable. Undefined
 * when there is nothing to persist and nothing waits for what is being persisted.
 */
export function storageAppendMessage(
  r: Raft,
  entries: Entry[],
  hardState: HardState | undefined,
  snapshot: Snapshot | undefined,
): Message | undefined {
  const responses = r.messagesAfterAppend;
  if (
    entries.length === 0 &&
    hardState === undefined &&
    snapshot === undefined &&
    responses.length === 0
  ) {
    return undefined;
  }
  const m = newMessage(MessageType.MsgStorageAppend, LOCAL_APPEND_THREAD, { entries, snapshot });
  m.from = r.id;
  if (hardState !== undefined) {
    m.term = hardState.term;
    m.vote = hardState.vote;
    m.commit = hardState.commit;
  }
  // The own acknowledgement comes before this one drops the entries from the unstable log, where their terms are cheap to find.
  const done = storageAppendResponse(r, snapshot);
  if (done !== undefined) responses.push(done);
  m.responses = responses;
  return m;
}

/**
 * Tells this node that all it has handed out so far is durable; undefined when it need not hear of it.
 *
 * It names the last entry of the whole unstable log, not of this write, and carries the current term, because an entry at that place
 * can have been written, replaced and written again: A is appended, B of another leader over it, then A again, all in the pipeline.
 * When the first write of A is done, storage will still hold B for a while, so A must not leave the unstable log. The term in the
 * answer settles it: whoever replaces entries does so under a new term, and an answer of an older term is ignored for entries. A
 * change of term always causes a later answer (its hard state is written), which then covers everything.
 */
export function storageAppendResponse(
  r: Raft,
  snapshot: Snapshot | undefined,
): Message | undefined {
  const hasUnstable = r.log.unstable.count > 0;
  if (!hasUnstable && snapshot === undefined) return undefined;
  const m = newMessage(MessageType.MsgStorageAppendResp, r.id, {
    term: r.term,
    index: hasUnstable ? r.log.lastIndex() : 0,
    logTerm: hasUnstable ? r.log.lastTerm() : 0,
    snapshot,
  });
  m.from = LOCAL_APPEND_THREAD;
  return m;
}

/** The MsgStorageApply for `entries`. Committed entries belong to no particular term. */
export function storageApplyMessage(r: Raft, entries: Entry[]): Message {
  const m = newMessage(MessageType.MsgStorageApply, LOCAL_APPLY_THREAD, { entries });
  m.from = r.id;
  m.responses.push(storageApplyResponse(r, entries));
  return m;
}

/** Tells this node that `entries` are applied. */
export function storageApplyResponse(r: Raft, entries: Entry[]): Message {
  const m = newMessage(MessageType.MsgStorageApplyResp, r.id, { entries });
  m.from = LOCAL_APPLY_THREAD;
  return m;
}
