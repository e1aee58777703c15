// Watch responses with events: header, watch id and flags written around bytes that all watchers of a group share.
// WatchResponse: header 1, watch_id 2, fragment 7, events 11. Bytes equal those of the generated codec.

import {
  type EventBatch,
  type MemberHeader,
  sizeHeader,
  writeHeader,
} from "../../core/mvcc/index.ts";
import type { MessageEncoder } from "../../server/index.ts";

const TAG_WATCH_ID = 0x10;
const TAG_FRAGMENT = 0x38;

/** Events for one watcher. */
export interface EventsResponse {
  readonly watchId: number;
  readonly batch: EventBatch;
  /** More fragments of the same response follow. */
  readonly fragment: boolean;
}

function varintBytes(value: bigint): number {
  let bytes = 1;
  for (let rest = value >> 7n; rest > 0n; rest >>= 7n) bytes++;
  return bytes;
}

/** The field watch_id, encoded; ids may be negative. */
export function watchIdField(watchId: number): Uint8Array {
  if (watchId === 0) return new Uint8Array(0);
  let rest = BigInt.asUintN(64, BigInt(watchId));
  const bytes = new Uint8Array(1 + varintBytes(rest));
  bytes[0] = TAG_WATCH_ID;
  for (let i = 1; i < bytes.length; i++) {
    bytes[i] = Number(rest & 0x7fn) | (i === bytes.length - 1 ? 0 : 0x80);
    rest >>= 7n;
  }
  return bytes;
}

/** Encodes events for one watcher; keeps the encoded id. */
export class EventsEncoder implements MessageEncoder<EventsResponse> {
  readonly #header: MemberHeader;
  readonly #id: Uint8Array;

  constructor(header: MemberHeader, watchId: number) {
    this.#header = header;
    this.#id = watchIdField(watchId);
  }

  /** Size of the response without its events and without the fragment flag. */
  restBytes(batch: EventBatch): number {
    return sizeHeader(this.#header, batch.revision) + this.#id.length;
  }

  size(response: EventsResponse): number {
    return this.restBytes(response.batch) + (response.fragment ? 2 : 0) + response.batch.sizeBytes;
  }

  write(response: EventsResponse, buf: Uint8Array, pos: number): number {
    const { batch, fragment } = response;
    let p = writeHeader(this.#header, batch.revision, buf, pos);
    buf.set(this.#id, p);
    p += this.#id.length;
    if (fragment) {
      buf[p++] = TAG_FRAGMENT;
      buf[p++] = 1;
    }
    return batch.write(buf, p);
  }
}
