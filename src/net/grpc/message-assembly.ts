// A message that came in pieces, copied into one growing buffer: a million one-byte frames cost one buffer, not a million ranges.
//
// The buffer doubles up to the message's size, so a client that announces 2 MiB and sends five bytes has not made us allocate them.

import { readUint32 } from "../http2/index.ts";
import { MESSAGE_BUFFER_BYTES_MIN } from "../limits.ts";

/** Bytes before each message: a flag and a length. */
export const PREFIX_BYTES = 5;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** The unfinished message of one call. */
export class MessageAssembly {
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixBytes = 0;
  #bytes: Buffer = NO_BYTES;
  /** Bytes of the message received. */
  have = 0;
  /** Size by its prefix; -1 until that is complete. */
  need = -1;
  /** First byte of its prefix: 1 if it is compressed. */
  flag = 0;
  /** When its first byte came. */
  sinceMs = 0;

  /** True while a message has begun and is not complete. */
  get isOpen(): boolean {
    return this.#prefixBytes > 0;
  }

  /** Memory held. */
  get heldBytes(): number {
    return this.#bytes.length;
  }

  /** Takes prefix bytes from buf[pos, end) and returns the position after them. `need` tells whether it is complete. */
  takePrefix(buf: Buffer, pos: number, end: number, nowMs: number): number {
    if (this.#prefixBytes === 0) this.sinceMs = nowMs;
    let at = pos;
    while (at < end && this.#prefixBytes < PREFIX_BYTES) {
      this.#prefix[this.#prefixBytes++] = buf[at++] as number;
    }
    if (this.#prefixBytes === PREFIX_BYTES) {
      this.flag = this.#prefix[0] as number;
      this.need = readUint32(this.#prefix, 1);
    }
    return at;
  }

  /** Takes message bytes from buf[pos, end) and returns the position after them. */
  takeBody(buf: Buffer, pos: number, end: number): number {
    const count = Math.min(end - pos, this.need - this.have);
    if (this.have + count > this.#bytes.length) this.#grow(this.have + count);
    buf.copy(this.#bytes, this.have, pos, pos + count);
    this.have += count;
    return pos + count;
  }

  #grow(needed: number): void {
    let capacity = Math.max(this.#bytes.length * 2, MESSAGE_BUFFER_BYTES_MIN);
    while (capacity < needed) capacity *= 2;
    const grown = Buffer.allocUnsafeSlow(Math.min(capacity, this.need));
    this.#bytes.copy(grown, 0, 0, this.have);
    this.#bytes = grown;
  }

  get isComplete(): boolean {
    return this.have === this.need;
  }

  /** The complete message; the assembly is ready for the next one. */
  takeMessage(): Buffer {
    const message = this.#bytes.subarray(0, this.have);
    this.#bytes = NO_BYTES;
    this.#prefixBytes = 0;
    this.have = 0;
    this.need = -1;
    return message;
  }
}
