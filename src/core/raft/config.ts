// What a node is made with, and the check of it.

import { assert } from "../../base/index.ts";
import { NO_LIMIT } from "./entry.ts";
import { isLocalTarget } from "./message.ts";
import type { LogStorage } from "./storage.ts";
import { NO_NODE, type RaftLogger, type ReadOnlyOption, SILENT } from "./types.ts";

/** Settings of one node. Sizes are bytes, times are ticks; what is optional says its default. */
export interface RaftConfig {
  /** Id of this node, not 0 and not one of the two local targets. */
  readonly id: bigint;
  /** Ticks without a leader before an election; more than `heartbeatTicks`, ten times as many is usual. */
  readonly electionTicks: number;
  /** Ticks between heartbeats of a leader, at least 1. */
  readonly heartbeatTicks: number;
  /** The randomised election timeout: a draw from electionTicks .. 2 × electionTicks - 1, asked for at every change of role. */
  readonly randomElectionTicks: (electionTicks: number) => number;
  readonly storage: LogStorage;
  /**
   * Highest index the state machine has applied; after a restart nothing up to here is handed out again. It is committed, even where the
   * stored hard state, whose commit index is not synced by itself, says less; the stored log must hold it. Default 0.
   */
  readonly applied?: number;
  /** The local disk is a peer that gets messages, see raw-node.ts. Default false. */
  readonly asyncStorageWrites?: boolean;
  /** Encoded entries per append message; one entry always fits. 0: one entry per message. Default no limit. */
  readonly messageBytesMax?: number;
  /** Encoded committed entries handed out and not yet applied, at least 1. Default `messageBytesMax`, and 1 for 0. */
  readonly committedBytesMax?: number;
  /** Payload of the uncommitted tail of a leader; above it, proposals are dropped unless the tail is empty. Default no limit. */
  readonly uncommittedBytesMax?: number;
  /** Append messages in flight to one follower, at least 1. */
  readonly inflightMessagesMax: number;
  /** Payload in flight to one follower, at least `messageBytesMax`. Default no limit. */
  readonly inflightBytesMax?: number;
  /** A leader steps down when it has not heard from a quorum for an election timeout; voters ignore candidates while they hear a leader. Default false. */
  readonly checkQuorum?: boolean;
  /** A candidate first asks whether it could win, without raising its term. Thesis, section 9.6. Default false. */
  readonly preVote?: boolean;
  /** Default safe. */
  readonly readOnly?: ReadOnlyOption;
  /** Followers drop proposals instead of passing them to the leader. Default false. */
  readonly disableProposalForwarding?: boolean;
  /** Membership changes enter the log unchecked; the caller serialises and checks them. A wrong one stops the node when applied. Default false. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or made a learner steps down when it applies that. Default false. */
  readonly stepDownOnRemoval?: boolean;
  /** Default silent. */
  readonly logger?: RaftLogger;
}

/** `RaftConfig` with the defaults filled in. */
export type RaftOptions = Required<Omit<RaftConfig, "logger" | "storage" | "applied">>;

/** Fills in the defaults of `config` and asserts that it is consistent: a wrong setting is a mistake of the program. */
export function checkConfig(config: RaftConfig): RaftOptions {
  const messageBytesMax = config.messageBytesMax ?? NO_LIMIT;
  const inflightBytesMax = config.inflightBytesMax ?? NO_LIMIT;
  const options: RaftOptions = {
    id: config.id,
    electionTicks: config.electionTicks,
    heartbeatTicks: config.heartbeatTicks,
    randomElectionTicks: config.randomElectionTicks,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    messageBytesMax,
    committedBytesMax: config.committedBytesMax ?? Math.max(messageBytesMax, 1),
    uncommittedBytesMax: config.uncommittedBytesMax ?? NO_LIMIT,
    inflightMessagesMax: config.inflightMessagesMax,
    inflightBytesMax,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnly: config.readOnly ?? "safe",
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
  };
  assert(config.id !== NO_NODE && !isLocalTarget(config.id), "a node id names a node");
  assert(config.heartbeatTicks > 0, "heartbeats take at least a tick");
  assert(config.electionTicks > config.heartbeatTicks, "an election takes longer than a heartbeat");
  assert(config.inflightMessagesMax > 0, "at least one message may be in flight");
  assert(inflightBytesMax >= messageBytesMax, "a full message fits the inflight limit");
  assert(options.committedBytesMax > 0, "at least one entry may be handed out for application");
  assert(
    options.readOnly === "safe" || options.checkQuorum,
    "leases for reads rest on check-quorum",
  );
  return options;
}

/** The logger of `config`. */
export function loggerOf(config: RaftConfig): RaftLogger {
  return config.logger ?? SILENT;
}
