// Linearizable reads that wait until a quorum has confirmed the leadership (ReadIndex).
//
// Reads are numbered 1, 2, 3 ... per leadership. A heartbeat carries the number of the newest read as its context (8 bytes, little
// endian), the answer echoes it, and whoever echoes n confirms all reads up to n. The n that a quorum has echoed confirms a prefix.
// Source: Raft thesis, section 6.4; etcd raft 3.7, read_only.go.

import type { Message } from "../../proto/index.ts";
import { NO_BYTES } from "./message.ts";
import { type JointVoters, jointCommittedIndex } from "./quorum/joint.ts";
import type { AckedIndexer } from "./quorum/majority.ts";

/** A read that waits; `index` was the commit index when it came. */
export interface PendingRead {
  readonly request: Message;
  readonly index: number;
}

const CONTEXT_BYTES = 8;

export class ReadOnly implements AckedIndexer {
  #pending: PendingRead[] = [];
  #confirmed = 0;
  readonly #acks = new Map<bigint, number>();

  /** Forgets all reads and starts counting anew. */
  reset(): void {
    this.#pending = [];
    this.#confirmed = 0;
    this.#acks.clear();
  }

  get #newest(): number {
    return this.#confirmed + this.#pending.length;
  }

  /** Adds a read and counts this node's own confirmation of it. */
  add(request: Message, index: number, self: bigint): void {
    this.#pending.push({ request, index });
    this.#acks.set(self, this.#newest);
  }

  /** Context for a heartbeat that confirms every pending read; empty when none is pending. */
  heartbeatContext(): Uint8Array {
    if (this.#pending.length === 0) return NO_BYTES;
    const context = new Uint8Array(CONTEXT_BYTES);
    const view = new DataView(context.buffer);
    view.setUint32(0, this.#newest % 0x1_0000_0000, true);
    view.setUint32(4, Math.floor(this.#newest / 0x1_0000_0000), true);
    return context;
  }

  /** Counts an echoed context of `from`. One that was never sent counts nothing. */
  acknowledge(from: bigint, context: Uint8Array): void {
    if (context.length !== CONTEXT_BYTES) return;
    const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
    const number = view.getUint32(4, true) * 0x1_0000_0000 + view.getUint32(0, true);
    if (number > this.#newest || number <= this.ackedIndex(from)) return;
    this.#acks.set(from, number);
  }

  ackedIndex(voter: bigint): number {
    return this.#acks.get(voter) ?? 0;
  }

  /** Takes out the reads that a quorum of `voters` has confirmed, oldest first. */
  takeConfirmed(voters: JointVoters): PendingRead[] {
    if (this.#pending.length === 0) return [];
    const confirmed = Math.min(jointCommittedIndex(voters, this), this.#newest);
    if (confirmed <= this.#confirmed) return [];
    const reads = this.#pending.splice(0, confirmed - this.#confirmed);
    this.#confirmed = confirmed;
    return reads;
  }
}
