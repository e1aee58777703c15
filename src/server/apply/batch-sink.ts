// Puts the rows of the store's transactions into the backend batch of the apply pass.

import { must } from "../../base/index.ts";
import {
  REVISION_BYTES,
  type RevisionSink,
  TOMBSTONE_REVISION_BYTES,
  writeRevision,
} from "../../core/mvcc/index.ts";
import { type BackendBatch, Bucket } from "../ports.ts";

/** A sink over whatever batch is current. */
export class BatchSink implements RevisionSink {
  /** The batch of the pass under way. */
  batch: BackendBatch | undefined;
  readonly #put: Buffer = Buffer.alloc(REVISION_BYTES);
  readonly #tombstone: Buffer = Buffer.alloc(TOMBSTONE_REVISION_BYTES);

  put(main: number, sub: number, tombstone: boolean, valueBytes: number): number {
    return this.#current.reserve(Bucket.key, this.#keyOf(main, sub, tombstone), valueBytes);
  }

  get buffer(): Uint8Array {
    return this.#current.buffer;
  }

  remove(main: number, sub: number, tombstone: boolean): void {
    this.#current.delete(Bucket.key, this.#keyOf(main, sub, tombstone));
  }

  get #current(): BackendBatch {
    return must(this.batch, "rows are written inside an apply pass");
  }

  #keyOf(main: number, sub: number, tombstone: boolean): Uint8Array {
    const key = tombstone ? this.#tombstone : this.#put;
    writeRevision(key, 0, main, sub, tombstone);
    return key;
  }
}
