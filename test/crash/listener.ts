// A watcher of all keys that keeps what it was told, revision by revision, and notes what no watch may do.

import {
  createWatchCreateRequest,
  createWatchProgressRequest,
  createWatchRequest,
  decodeWatchResponse,
  type Event,
  EventType,
  encodeWatchRequest,
  type WatchResponse,
} from "../../src/proto/index.ts";
import type { BidiCall, GrpcClient } from "../support/grpc-client.ts";
import type { Change } from "./model.ts";
import { decoded, entryOf, headerOf } from "./wire.ts";

/** All changes of one revision, as a watcher got them. */
export interface Told {
  readonly revision: number;
  readonly changes: Change[];
}

function changeOf({ type, kv }: Event): Change {
  if (kv === undefined) throw new Error("a watch event without a key");
  const entry = type === EventType.DELETE ? undefined : entryOf(kv);
  return { key: kv.key, mod: kv.modRevision, entry };
}

/** A running watch. */
export class Listener {
  readonly #call: BidiCall;
  readonly #onRevision: ((revision: number) => void) | undefined;
  /** What it was told, ascending, one element per revision. */
  readonly told: Told[] = [];
  /** Revision up to which it was told everything. */
  revision: number;
  /** Newest progress report, 0 for none. */
  progress = 0;
  /** Set when the server ended the watch. */
  cancelled: { readonly compacted: number; readonly reason: string } | undefined;
  readonly problems: string[] = [];

  /** Watches all keys from `from` on. `onRevision` is called whenever more was told. */
  constructor(client: GrpcClient, from: number, onRevision?: (revision: number) => void) {
    this.revision = from - 1;
    this.#onRevision = onRevision;
    this.#call = client.bidi("/etcdserverpb.Watch/Watch");
    this.#call.onMessage = (bytes) => {
      // The call keeps every message; large values would stay in memory.
      this.#call.messages.length = 0;
      this.#take(decoded(decodeWatchResponse, bytes));
    };
    const createRequest = createWatchCreateRequest({
      key: "\0",
      rangeEnd: "\0",
      startRevision: from,
    });
    this.#call.send(encodeWatchRequest(createWatchRequest({ createRequest })));
  }

  /** Asks for a report of where the watch stands; the server answers once it has told everything. */
  requestProgress(): void {
    const progressRequest = createWatchProgressRequest();
    this.#call.send(encodeWatchRequest(createWatchRequest({ progressRequest })));
  }

  close(): void {
    this.#call.cancel();
  }

  #take(message: WatchResponse): void {
    if (message.canceled) {
      this.cancelled = { compacted: message.compactRevision, reason: message.cancelReason };
      return;
    }
    if (message.created) return;
    if (message.events.length === 0) {
      this.progress = headerOf(message).revision;
      this.revision = Math.max(this.revision, this.progress);
    } else {
      this.#takeEvents(message.events.map(changeOf));
    }
    this.#onRevision?.(this.revision);
  }

  #takeEvents(changes: readonly Change[]): void {
    const before = this.revision;
    for (const change of changes) {
      const last = this.told.at(-1);
      if (change.mod <= before) {
        this.problems.push(
          `a watcher that was told everything up to revision ${before} is told of revision ${change.mod}`,
        );
      } else if (change.mod < this.revision) {
        this.problems.push(
          `a watcher is told of revision ${change.mod} after revision ${this.revision}`,
        );
      }
      if (last?.revision === change.mod) last.changes.push(change);
      else this.told.push({ revision: change.mod, changes: [change] });
      this.revision = Math.max(this.revision, change.mod);
    }
  }
}
