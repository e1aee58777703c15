// Makes the Raft node of a member: a new group of one, or what WAL and backend say of an earlier life.
//
// What must hold at a restart, else the member refuses to start: the backend is not behind the WAL's snapshot (its synced part reaches at
// least there) and not ahead of the log (it is written only from durable entries). Entries up to the backend's applied index count as
// committed even if the WAL's last hard state is older: a commit index alone is written without a sync.
// Source: etcd server/etcdserver/bootstrap.go; peer-protocol 7.

import { type Member as ClusterMember, memberJson } from "../core/membership/index.ts";
import { MemoryLogStorage, type RaftLogger, RawNode } from "../core/raft/index.ts";
import { type ConfState, createHardState, createSnapshot, type HardState } from "../proto/index.ts";
import type { AppliedMark, WalContents } from "./ports.ts";

/** Entries given to one append message; etcd's limit, and that of a WAL record read back. */
const MESSAGE_BYTES_MAX = 512 * 1024;
/** Committed entries handed out for one apply pass: keeps a replay from holding the loop. */
const COMMITTED_BYTES_MAX = 1 << 20;
/** Append messages in flight to one follower; etcd's figure. */
const INFLIGHT_MESSAGES_MAX = 4096 / 8;

/** Settings of the node. */
export interface NodeOptions {
  readonly id: bigint;
  readonly electionTicks: number;
  readonly preVote: boolean;
  readonly randomElectionTicks: (electionTicks: number) => number;
  readonly logger: RaftLogger;
}

/** A Raft node with its log, ready to be driven. */
export interface RaftParts {
  readonly node: RawNode;
  readonly log: MemoryLogStorage;
  /** As the WAL has it. */
  readonly hardState: HardState;
}

/** A directory that must not be started from; the message says why. */
export class BootstrapError extends Error {
  override readonly name = "BootstrapError";
}

/** A new group with `self` as its only member. */
export function bootstrapNode(options: NodeOptions, self: ClusterMember): RaftParts {
  const log = new MemoryLogStorage();
  const node = newNode(options, log, 0);
  node.bootstrap([{ id: self.id, context: Buffer.from(memberJson(self)) }]);
  return { node, log, hardState: createHardState() };
}

/**
 * True if an earlier life made the log and died before its first entries, the members of the group, were durable: it has promised nothing,
 * and restarted as it is it would wait for ever for members to vote.
 */
export function isUnstarted(found: WalContents): boolean {
  return found.snapshot.index === 0 && found.entries.length === 0 && found.hardState.term === 0;
}

/** The node of an earlier life. `confState` is that of the applied membership. */
export function restartNode(
  options: NodeOptions,
  found: WalContents,
  mark: AppliedMark,
  confState: ConfState,
): RaftParts {
  const { snapshot, entries, hardState } = found;
  const last = entries.at(-1)?.index ?? snapshot.index;
  if (mark.index < snapshot.index) {
    throw new BootstrapError(
      `the backend is applied to index ${mark.index}, behind the snapshot at ${snapshot.index} that the log begins with: it has lost synced data`,
    );
  }
  if (mark.index > last) {
    throw new BootstrapError(
      `the backend is applied to index ${mark.index}, but the log ends at ${last}: the log has lost synced entries`,
    );
  }
  const log = new MemoryLogStorage();
  log.applySnapshot(
    createSnapshot({ metadata: { index: snapshot.index, term: snapshot.term, confState } }),
  );
  log.append(entries);
  const commit = Math.max(hardState.commit, mark.index);
  const restored = { ...hardState, commit };
  log.setHardState(restored);
  const node = newNode(options, log, mark.index);
  return { node, log, hardState };
}

function newNode(options: NodeOptions, log: MemoryLogStorage, applied: number): RawNode {
  return new RawNode({
    id: options.id,
    electionTicks: options.electionTicks,
    heartbeatTicks: 1,
    randomElectionTicks: options.randomElectionTicks,
    storage: log,
    applied,
    asyncStorageWrites: true,
    messageBytesMax: MESSAGE_BYTES_MAX,
    committedBytesMax: COMMITTED_BYTES_MAX,
    inflightMessagesMax: INFLIGHT_MESSAGES_MAX,
    checkQuorum: true,
    preVote: options.preVote,
    logger: options.logger,
  });
}
