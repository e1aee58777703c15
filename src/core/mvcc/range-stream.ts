// RangeStream: a Range in chunks at one pinned revision. A chunk is an ordinary Range from where the last one ended, so nothing is
// held between chunks, and a compaction past the pinned revision ends the stream with its refusal.
// Source: etcd 3.7 server/etcdserver/api/v3rpc (RangeStream).

import {
  createRangeRequest,
  type RangeRequest,
  type RangeStreamResponse,
  SortOrder,
  SortTarget,
} from "../../proto/index.ts";
import type { HeaderForm } from "./header.ts";
import type { KvList } from "./kv-list.ts";
import { keyRange, RangeWork, readRevisionOf } from "./range.ts";
import { PartList, ResponseSource } from "./response-source.ts";
import { RangeResult } from "./results.ts";
import type { MvccState } from "./state.ts";
import type { MvccRefusal } from "./types.ts";
import { sizeVarint, writeVarint } from "./wire.ts";

/** Keys of the first chunk. */
const FIRST_CHUNK_KEYS = 10;
const TAG_RANGE_RESPONSE = 0x0a;
const TAG_KVS = 0x12;

/** One message of the stream: KeyValues, and on the last one header, `more` and `count`. */
export class RangeChunk {
  readonly kvs: KvList;
  /** The whole end of the stream; undefined on all chunks but the last. */
  readonly last:
    | { readonly revision: number; readonly more: boolean; readonly count: number }
    | undefined;

  constructor(kvs: KvList, last: RangeChunk["last"]) {
    this.kvs = kvs;
    this.last = last;
  }

  #inner(): RangeResult {
    const { last } = this;
    return new RangeResult(last?.revision ?? 0, this.kvs, last?.more ?? false, last?.count ?? 0);
  }

  /** Encoded RangeStreamResponse; `header` is used on the last chunk only. */
  size(header: HeaderForm): number {
    const size = this.#innerSize(header);
    return 1 + sizeVarint(size) + size;
  }

  #innerSize(header: HeaderForm): number {
    return this.last === undefined ? this.kvs.bytes : this.#inner().size(header);
  }

  write(header: HeaderForm, buf: Uint8Array, pos: number): number {
    buf[pos] = TAG_RANGE_RESPONSE;
    const p = writeVarint(buf, pos + 1, this.#innerSize(header));
    if (this.last === undefined) return this.kvs.write(TAG_KVS, buf, p);
    return this.#inner().write(header, buf, p);
  }

  /** The message window by window. */
  source(header: HeaderForm): ResponseSource {
    const parts = new PartList();
    const size = this.#innerSize(header);
    parts.literal(10, (buf, pos) => {
      buf[pos] = TAG_RANGE_RESPONSE;
      return writeVarint(buf, pos + 1, size);
    });
    if (this.last === undefined) parts.list(this.kvs, TAG_KVS);
    else this.#inner().list(header, parts);
    return new ResponseSource(parts, this.size(header));
  }

  /** The chunk as a message; `revision` of `last` is not filled in. */
  message(): RangeStreamResponse {
    return {
      rangeResponse: {
        header: undefined,
        kvs: this.kvs.messages(),
        more: this.last?.more ?? false,
        count: this.last?.count ?? 0,
      },
    };
  }
}

/** A RangeStream under way: chunk after chunk of one pinned revision. */
export class RangeStream {
  readonly #state: MvccState;
  readonly #request: RangeRequest;
  /** Revision read at, pinned when the stream began. */
  readonly revision: number;
  readonly #headerRevision: number;
  readonly #targetBytes: number;
  #chunkKeys = FIRST_CHUNK_KEYS;
  #next: string;
  #sent = 0;
  /** Keys of the range at `revision`; -1 if it must be counted on the way. */
  readonly #total: number;
  #ended = false;
  #work: RangeWork | undefined;

  private constructor(
    state: MvccState,
    request: RangeRequest,
    revision: number,
    targetBytes: number,
  ) {
    this.#state = state;
    this.#request = request;
    this.revision = revision;
    this.#headerRevision = state.revision;
    this.#targetBytes = targetBytes;
    this.#next = request.key;
    const range = keyRange(request.key, request.rangeEnd);
    this.#total = revision >= state.headMain ? state.keys.countRange(range.from, range.to) : -1;
  }

  /** Begins a stream that `checkRangeStreamRequest` passed; `requestBytesMax` steers the size of chunks. */
  static begin(
    state: MvccState,
    request: RangeRequest,
    requestBytesMax: number,
  ): RangeStream | MvccRefusal {
    const revision = readRevisionOf(state, request.revision, state.revision);
    if (typeof revision === "string") return revision;
    return new RangeStream(state, request, revision, requestBytesMax);
  }

  /** True after the last chunk or a refusal. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * The next chunk, looking at about `keysMax` keys; undefined: not ready, call again. The chunk must be written, or its source
   * made, in this turn. Not called once `ended`.
   */
  step(keysMax: number): RangeChunk | MvccRefusal | undefined {
    if (this.revision < this.#state.compactRevision) {
      this.abort();
      return "compacted";
    }
    this.#work ??= this.#begin();
    if (!this.#work.step(keysMax)) return undefined;
    const result = this.#work.result();
    this.#work.release();
    this.#work = undefined;
    return this.#request.countOnly
      ? this.#end(result.kvs, false, result.count)
      : this.#chunk(result);
  }

  #begin(): RangeWork {
    const { limit } = this.#request;
    const left = limit > 0 ? limit - this.#sent : Number.POSITIVE_INFINITY;
    const work = new RangeWork(
      this.#state,
      createRangeRequest({
        ...this.#request,
        key: this.#next,
        // Without an order a target asks for nothing, and chunks follow each other in key order.
        sortOrder: SortOrder.NONE,
        sortTarget: SortTarget.KEY,
        limit: Math.max(1, Math.min(this.#chunkKeys, left)),
      }),
      this.revision,
      this.#headerRevision,
      // The total is known, or is told by the chunks; only the one that reaches the limit must count what is left.
      !this.#request.countOnly && (this.#total >= 0 || left > this.#chunkKeys),
    );
    work.hold();
    return work;
  }

  #chunk(result: RangeResult): RangeChunk {
    const { kvs, more } = result;
    const { limit } = this.#request;
    this.#sent += kvs.count;
    if (!more) return this.#end(kvs, false, this.#total >= 0 ? this.#total : this.#sent);
    if (limit > 0 && this.#sent >= limit) {
      const before = this.#sent - kvs.count;
      return this.#end(kvs, true, this.#total >= 0 ? this.#total : before + result.count);
    }
    this.#next = `${kvs.keyAt(kvs.count - 1)}\0`;
    const bytes = kvs.bytes;
    if (bytes < this.#targetBytes / 2) this.#chunkKeys *= 2;
    else if (bytes > this.#targetBytes * 2) {
      this.#chunkKeys = Math.max(1, Math.floor(this.#chunkKeys / 2));
    }
    return new RangeChunk(kvs, undefined);
  }

  #end(kvs: KvList, more: boolean, count: number): RangeChunk {
    this.#ended = true;
    return new RangeChunk(kvs, { revision: this.#headerRevision, more, count });
  }

  /** Gives the stream up. */
  abort(): void {
    this.#work?.release();
    this.#work = undefined;
    this.#ended = true;
  }
}
