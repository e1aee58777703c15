// Request ids: 64 bits = low 16 bits of the member id, low 40 bits of the start time in milliseconds, an 8-bit counter that carries
// upward. Each member finds its own waiting callers by them, so two members must never make the same one.
// Ids are kept as two numbers and written as a varint directly: one is made for each proposal, and bigint arithmetic there costs
// more than the rest of the entry. Source: etcd pkg/idutil.

const LOW_BITS = 48n;
const LOW_MODULUS = 2 ** 48;
const GROUP = 2 ** 21;

/** A source of request ids for one member and one process life. */
export class RequestIds {
  readonly #prefix: bigint;
  /** High 16 bits. */
  readonly #high: number;
  /** Low 48 bits: 40 bits of time and the counter. */
  #low: number;

  /** `startMs` is the wall clock at start, in milliseconds since 1970. */
  constructor(memberId: bigint, startMs: number) {
    this.#high = Number(BigInt.asUintN(16, memberId));
    this.#prefix = BigInt(this.#high) << LOW_BITS;
    this.#low = (Math.floor(startMs) % 2 ** 40) * 256;
  }

  /** The next id, as an unsigned 64-bit number. */
  next(): bigint {
    this.#low = (this.#low + 1) % LOW_MODULUS;
    return this.#prefix | BigInt(this.#low);
  }

  /** The next id with the sign bit cleared: how the server chooses lease ids. Never 0. */
  nextLeaseId(): bigint {
    const id = BigInt.asUintN(63, this.next());
    return id === 0n ? this.nextLeaseId() : id;
  }

  /** Makes the next id and writes it as a protobuf varint of exactly `ID_VARINT_BYTES` bytes at `pos`; returns the position after it. */
  writeNext(buf: Uint8Array, pos: number): number {
    this.#low = (this.#low + 1) % LOW_MODULUS;
    const low21 = this.#low % GROUP;
    const mid = Math.floor(this.#low / GROUP);
    const mid21 = mid % GROUP;
    const top6 = Math.floor(mid / GROUP);
    // 22 bits remain: 6 of the low part and the 16 high ones.
    const top = this.#high * 64 + top6;
    buf[pos] = (low21 & 0x7f) | 0x80;
    buf[pos + 1] = ((low21 >>> 7) & 0x7f) | 0x80;
    buf[pos + 2] = (low21 >>> 14) | 0x80;
    buf[pos + 3] = (mid21 & 0x7f) | 0x80;
    buf[pos + 4] = ((mid21 >>> 7) & 0x7f) | 0x80;
    buf[pos + 5] = (mid21 >>> 14) | 0x80;
    buf[pos + 6] = (top & 0x7f) | 0x80;
    buf[pos + 7] = ((top >>> 7) & 0x7f) | 0x80;
    buf[pos + 8] = ((top >>> 14) & 0x7f) | 0x80;
    buf[pos + 9] = top >>> 21;
    return pos + ID_VARINT_BYTES;
  }
}

/** Bytes `writeNext` writes: always ten, so that sizes are known before the id is (a longer form of a smaller number is valid). */
export const ID_VARINT_BYTES = 10;
