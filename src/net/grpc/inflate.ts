// Inflating of gzip messages, bounded in size and in work per turn: what exceeds the turn's share waits for the next turns, in order.

import { constants, gunzipSync } from "node:zlib";
import type { Clock } from "../../server/ports.ts";
import { INFLATE_BYTES_PER_TURN, INFLATE_START_BYTES } from "../limits.ts";
import { type Refusal, refusal, StatusCode } from "./status.ts";

/** Who waits for a message to be inflated. */
export interface InflateClient {
  /** Called in the same turn or a later one, once per request. */
  onInflated(message: Buffer | Refusal): void;
  /** Ended clients are passed over. */
  readonly ended: boolean;
}

interface Job {
  readonly client: InflateClient;
  readonly deflated: Buffer;
}

/** The inflater of a listener. */
export class Inflater {
  readonly #clock: Clock;
  readonly #messageBytesMax: number;
  #jobs: Job[] = [];
  #spentBytes = 0;
  #isArmed = false;

  constructor(clock: Clock, messageBytesMax: number) {
    this.#clock = clock;
    this.#messageBytesMax = messageBytesMax;
  }

  /** Inflates `deflated` (kept until done) and calls `client.onInflated`, at once if the turn's share allows. */
  inflate(client: InflateClient, deflated: Buffer): void {
    if (this.#jobs.length > 0 || this.#spentBytes >= INFLATE_BYTES_PER_TURN) {
      this.#jobs.push({ client, deflated });
    } else {
      this.#run(client, deflated);
    }
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.endOfTurn(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#isArmed = false;
    this.#spentBytes = 0;
    const jobs = this.#jobs;
    this.#jobs = [];
    let done = 0;
    while (done < jobs.length && this.#spentBytes < INFLATE_BYTES_PER_TURN) {
      const { client, deflated } = jobs[done++] as Job;
      if (!client.ended) this.#run(client, deflated);
    }
    this.#jobs = jobs.slice(done).concat(this.#jobs);
    if (this.#jobs.length === 0 && this.#spentBytes === 0) return;
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.endOfTurn(() => this.#nextTurn());
  }

  #run(client: InflateClient, deflated: Buffer): void {
    const inflated = gunzipBounded(deflated, this.#messageBytesMax);
    this.#spentBytes += Buffer.isBuffer(inflated)
      ? INFLATE_START_BYTES + inflated.length
      : this.#messageBytesMax;
    client.onInflated(inflated);
  }
}

/** Inflates at most `bytesMax` bytes. */
export function gunzipBounded(deflated: Buffer, bytesMax: number): Buffer | Refusal {
  try {
    return gunzipSync(deflated, {
      maxOutputLength: Math.max(bytesMax, 1),
      finishFlush: constants.Z_FINISH,
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      return refusal(
        StatusCode.resourceExhausted,
        `grpc: received message after decompression larger than max ${bytesMax}`,
      );
    }
    const isCut = code === "Z_BUF_ERROR";
    return refusal(
      StatusCode.internal,
      isCut
        ? "grpc: failed to read decompressed data: unexpected EOF"
        : `grpc: failed to decompress the message: ${message}`,
    );
  }
}
