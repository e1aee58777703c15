// The face of the Raft core: consensus as a pure state machine. The manual is raw-node.ts: the caller's duties in order, and each
// message with who may send it.

export { type AnyConfChange, toConfChangeV2 } from "./confchange/conf-change.ts";
export type { RaftConfig } from "./config.ts";
export { NO_LIMIT } from "./entry.ts";
export { MemoryLogStorage } from "./memory-storage.ts";
export { isLocalMessage, isLocalTarget, isResponseMessage } from "./message.ts";
export { type Peer, RawNode } from "./raw-node.ts";
export type { Ready } from "./ready.ts";
export type { BasicStatus, ProgressStatus, Status } from "./status.ts";
export type { InitialState, LogStorage } from "./storage.ts";
export type { GroupConfig } from "./tracker/config.ts";
export {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  NO_NODE,
  type RaftLogger,
  type ReadOnlyOption,
  type ReadState,
  type Role,
  type SoftState,
  type StepOutcome,
} from "./types.ts";
