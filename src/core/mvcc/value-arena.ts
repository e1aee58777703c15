// Values in memory: chunks of bytes that are only ever appended to, so a view of a value stays right for as long as it is held,
// also when the value moves. A value's place is (chunk, offset, bytes) in its row; an absent chunk means "ask the backend".
//
// The oldest chunks are dropped above a limit. Chunks that compaction left mostly dead are marked worn: the cleaner copies what
// lives in them to another chunk, row by row, and the chunk falls away with its last value.

/** Values larger than a chunk divided by this get a chunk of their own. */
const OWN_CHUNK_DIVISOR = 8;

interface ValueChunk {
  readonly bytes: Uint8Array;
  /** The bytes' own buffer: a fresh view of it is made in half the time of `subarray`. */
  readonly buffer: ArrayBufferLike;
  used: number;
  live: number;
  worn: boolean;
}

export class ValueArena {
  readonly #chunkBytes: number;
  /** Chunk ids count up from 1; the list begins with id `#first`. */
  #chunks: (ValueChunk | undefined)[] = [];
  #first = 1;
  #current: ValueChunk | undefined;
  #currentId = 0;
  /** Chunk the cleaner fills; apart from the current one, so that old values end up together. */
  #cold: ValueChunk | undefined;
  #coldId = 0;
  #residentBytes = 0;
  #wornCount = 0;
  /** Place of the value added last. */
  chunk = 0;
  offset = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** Bytes of all chunks in memory. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  /** Chunks waiting for the cleaner. */
  get wornCount(): number {
    return this.#wornCount;
  }

  /** Copies from[start, end) and leaves its place in `chunk` and `offset`. */
  add(from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    let to = this.#current;
    if (to === undefined || to.used + size > to.bytes.length) {
      if (size > this.#chunkBytes / OWN_CHUNK_DIVISOR) {
        this.#store(this.#open(size), this.#lastId(), from, start, end);
        return;
      }
      to = this.#open(this.#chunkBytes);
      this.#current = to;
      this.#currentId = this.#lastId();
    }
    this.#store(to, this.#currentId, from, start, end);
  }

  /** As `add`, into the cleaner's chunk. */
  addCold(from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    let to = this.#cold;
    if (to === undefined || to.used + size > to.bytes.length) {
      to = this.#open(Math.max(size, this.#chunkBytes));
      this.#cold = to;
      this.#coldId = this.#lastId();
    }
    this.#store(to, this.#coldId, from, start, end);
  }

  #store(to: ValueChunk, id: number, from: Uint8Array, start: number, end: number): void {
    const offset = to.used;
    to.bytes.set(start === 0 && end === from.length ? from : from.subarray(start, end), offset);
    to.used = offset + (end - start);
    to.live += end - start;
    this.chunk = id;
    this.offset = offset;
  }

  #open(size: number): ValueChunk {
    const bytes = Buffer.allocUnsafeSlow(size);
    const chunk: ValueChunk = { bytes, buffer: bytes.buffer, used: 0, live: 0, worn: false };
    this.#chunks.push(chunk);
    this.#residentBytes += size;
    return chunk;
  }

  #lastId(): number {
    return this.#first + this.#chunks.length - 1;
  }

  /** Bytes of chunk `id`, undefined if it is not in memory. */
  bytesOf(id: number): Uint8Array | undefined {
    return this.#chunks[id - this.#first]?.bytes;
  }

  /** The `size` bytes at `offset` of chunk `id`, a view that stays right; undefined if the chunk is not in memory. */
  view(id: number, offset: number, size: number): Uint8Array | undefined {
    const chunk = this.#chunks[id - this.#first];
    return chunk === undefined ? undefined : new Uint8Array(chunk.buffer, offset, size);
  }

  /** A value of `size` bytes in chunk `id` is not needed any more. */
  release(id: number, size: number): void {
    const chunk = this.#chunks[id - this.#first];
    if (chunk === undefined) return;
    chunk.live -= size;
    if (chunk.live === 0 && chunk !== this.#current && chunk !== this.#cold) this.#drop(id, chunk);
  }

  #drop(id: number, chunk: ValueChunk): void {
    this.#residentBytes -= chunk.bytes.length;
    if (chunk.worn) this.#wornCount--;
    this.#chunks[id - this.#first] = undefined;
    let free = 0;
    while (free < this.#chunks.length && this.#chunks[free] === undefined) free++;
    if (free > 64 || free * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(free);
      this.#first += free;
    }
  }

  /** Drops the oldest chunks until at most `limitBytes` are in memory; the chunks being filled stay. */
  trim(limitBytes: number): void {
    if (this.#residentBytes <= limitBytes) return;
    const first = this.#first;
    const count = this.#chunks.length;
    for (let i = 0; i < count && this.#residentBytes > limitBytes; i++) {
      const id = first + i;
      const chunk = this.#chunks[id - this.#first];
      if (chunk === undefined || chunk === this.#current || chunk === this.#cold) continue;
      this.#drop(id, chunk);
    }
  }

  /** Marks chunks less than half alive as worn; true if there are any. A cleaner pass then moves their values. */
  markWorn(): boolean {
    const end = this.#first + this.#chunks.length;
    for (let id = this.#first; id < end; id++) {
      const chunk = this.#chunks[id - this.#first];
      if (chunk === undefined || chunk.worn) continue;
      if (chunk === this.#current || chunk === this.#cold) continue;
      if (chunk.live === 0) this.#drop(id, chunk);
      else if (chunk.live * 2 <= chunk.bytes.length) {
        chunk.worn = true;
        this.#wornCount++;
      }
    }
    return this.#wornCount > 0;
  }

  /** True if the cleaner must move values out of chunk `id`. */
  isWorn(id: number): boolean {
    return this.#chunks[id - this.#first]?.worn ?? false;
  }
}
