// Streams that may send, in the order of their turns (first in, first out, without holes).

import type { Http2Stream } from "./stream.ts";

const COMPACT_AT = 1_024;

/** A queue of streams; a stream is in it at most once (`isReady`). */
export class StreamRing {
  /** Undefined where one was taken out. */
  #streams: (Http2Stream | undefined)[] = [];
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#streams.length;
  }

  /** Adds the stream at the end unless it is in already. */
  add(stream: Http2Stream): void {
    if (stream.isReady) return;
    stream.isReady = true;
    this.#streams.push(stream);
  }

  /** Takes out the first stream. */
  take(): Http2Stream | undefined {
    if (this.isEmpty) return undefined;
    const stream = this.#streams[this.#head] as Http2Stream;
    this.#streams[this.#head++] = undefined;
    stream.isReady = false;
    if (this.isEmpty || this.#head >= COMPACT_AT) {
      this.#streams = this.#streams.slice(this.#head);
      this.#head = 0;
    }
    return stream;
  }
}
