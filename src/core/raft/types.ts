// Words of the core that several files share: roles, outcomes, well-known ids, the logger.

/** The node id that stands for nobody. */
export const NO_NODE = 0n;

/** Target and sender of messages to and from the local log writer (asynchronous storage). Not a node. */
export const LOCAL_APPEND_THREAD = 0xffff_ffff_ffff_ffffn;

/** Target and sender of messages to and from the local state machine (asynchronous storage). Not a node. */
export const LOCAL_APPLY_THREAD = 0xffff_ffff_ffff_fffen;

export type Role = "follower" | "candidate" | "leader" | "preCandidate";

/**
 * What became of a message or proposal. `ok`: taken (which promises nothing about its fate). `dropped`: refused for now, nothing was
 * changed: no leader, leadership is being transferred, a limit is reached. `localMessage`: a type that must not come from a peer.
 * `unknownPeer`: an answer from a node that is no member. `malformed`: no node that works sends this.
 */
export type StepOutcome = "ok" | "dropped" | "localMessage" | "unknownPeer" | "malformed";

/** `safe` asks a quorum; `leaseBased` trusts that clocks do not drift more than the election timeout, and needs check-quorum. */
export type ReadOnlyOption = "safe" | "leaseBased";

/** Volatile state, for logs and for routing; never persisted. */
export interface SoftState {
  readonly leader: bigint;
  readonly role: Role;
}

/** A linearizable read may be served once everything up to `index` is applied. `context` is that of the request. */
export interface ReadState {
  readonly index: number;
  readonly context: Uint8Array;
}

/** Takes the log lines of the core. A level without a function is off and costs nothing: its text is not even built. */
export interface RaftLogger {
  readonly debug?: (text: string) => void;
  readonly info?: (text: string) => void;
  readonly warn?: (text: string) => void;
  readonly error?: (text: string) => void;
}

/** A logger with every level off. */
export const SILENT: RaftLogger = {};
