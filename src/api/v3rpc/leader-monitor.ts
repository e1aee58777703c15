// Ends the streams of clients that asked for a leader (`hasleader`) when this member has known none for a while; unary calls are checked
// on entry only. Source: etcd server/etcdserver/api/v3rpc/interceptor.go monitorLeader.

import type { Clock, ServerCall } from "../../server/index.ts";
import { rpcErrors } from "./errors.ts";

/** Looks without a leader in a row after which streams end. */
const MISSES_MAX = 3;

/** The streams of one member that want a leader. It looks once per election timeout, and only while there are such streams. */
export class LeaderMonitor {
  readonly #clock: Pick<Clock, "after">;
  readonly #hasLeader: () => boolean;
  readonly #periodMs: number;
  readonly #calls: Set<ServerCall> = new Set();
  #misses = 0;
  #armed = false;

  /** `periodMs`: the election timeout. */
  constructor(clock: Pick<Clock, "after">, hasLeader: () => boolean, periodMs: number) {
    this.#clock = clock;
    this.#hasLeader = hasLeader;
    this.#periodMs = periodMs;
  }

  /** Watches over `call` until it ends; its handler must have opened it. */
  add(call: ServerCall): void {
    this.#calls.add(call);
    this.#lookLater();
  }

  #lookLater(): void {
    if (this.#armed || this.#calls.size === 0) return;
    this.#armed = true;
    this.#clock.after(this.#periodMs, () => {
      this.#armed = false;
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    for (const call of this.#calls) if (call.ended) this.#calls.delete(call);
    this.#misses = this.#hasLeader() ? 0 : this.#misses + 1;
    if (this.#misses < MISSES_MAX) return;
    const { code, message } = rpcErrors.noLeader;
    for (const call of this.#calls) {
      // The transport does not tell a handler of an end that came from this side.
      const release = call.onCancel;
      call.fail(code, message);
      release?.("cancelled");
    }
    this.#calls.clear();
    this.#misses = 0;
  }
}
