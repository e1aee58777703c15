// Counts what costs us work and brings the client nothing; says when it is too much. One per connection; ordinary requests touch two counters.
// Source: reliability.md D.3, RFC 9113 section 10.5, grpc-go handlePing for the ping rule.

import {
  EMPTY_DATA_BURST,
  EMPTY_DATA_PER_SECOND,
  IDLE_FRAMES_PER_SECOND,
  IDLE_FRAMES_PER_WORK_FRAME,
  IDLE_PING_INTERVAL_MS,
  PING_STRIKES_MAX,
  PINGS_BURST,
  PINGS_PER_SECOND,
  RAPID_RESETS_BURST,
  RAPID_RESETS_PER_SECOND,
  SETTINGS_BURST,
  SETTINGS_PER_SECOND,
} from "../limits.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Each `allows…` is false when the connection is to end with ENHANCE_YOUR_CALM. */
export class FloodGuard {
  /** Requests received, responses and DATA frames sent, ever. */
  workFrames = 0;
  #workAtSweep = 0;
  #workAtPing = 0;
  #idleFrames = 0;
  #pingStrikes = 0;
  #lastPingAtMs = Number.NEGATIVE_INFINITY;
  readonly #resets = new TokenBucket(RAPID_RESETS_BURST, RAPID_RESETS_PER_SECOND);
  readonly #settings = new TokenBucket(SETTINGS_BURST, SETTINGS_PER_SECOND);
  readonly #pings = new TokenBucket(PINGS_BURST, PINGS_PER_SECOND);
  readonly #emptyData = new TokenBucket(EMPTY_DATA_BURST, EMPTY_DATA_PER_SECOND);

  /** A frame that carries no work: WINDOW_UPDATE, PRIORITY, RST_STREAM, PING, tiny DATA, unknown types. */
  allowsIdleFrame(): boolean {
    this.#idleFrames++;
    const work = this.workFrames - this.#workAtSweep;
    return this.#idleFrames <= IDLE_FRAMES_PER_SECOND + work * IDLE_FRAMES_PER_WORK_FRAME;
  }

  /** A stream reset soon after it was opened, by the client or by us because of what it sent. */
  allowsRapidReset(nowMs: number): boolean {
    return this.#resets.take(nowMs);
  }

  allowsSettings(nowMs: number): boolean {
    return this.#settings.take(nowMs);
  }

  allowsEmptyData(nowMs: number): boolean {
    return this.#emptyData.take(nowMs);
  }

  /** A ping of the client. `minTimeMs` 0 leaves only the flood limit. */
  allowsPing(nowMs: number, hasStreams: boolean, minTimeMs: number): boolean {
    const sinceLastMs = nowMs - this.#lastPingAtMs;
    this.#lastPingAtMs = nowMs;
    if (this.workFrames !== this.#workAtPing) {
      // Clients measure bandwidth with pings while messages flow.
      this.#workAtPing = this.workFrames;
      this.#pingStrikes = 0;
      return true;
    }
    if (minTimeMs === 0) return this.#pings.take(nowMs);
    if (sinceLastMs < (hasStreams ? minTimeMs : IDLE_PING_INTERVAL_MS)) this.#pingStrikes++;
    return this.#pingStrikes <= PING_STRIKES_MAX;
  }

  /** About once a second. */
  sweep(): void {
    this.#workAtSweep = this.workFrames;
    this.#idleFrames = 0;
  }
}
