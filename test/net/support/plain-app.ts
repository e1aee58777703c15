// A plain HTTP/2 application on the byte machine: answers every request with a short body, for tests of the protocol below gRPC.

import {
  HpackEncoder,
  type Http2App,
  type Http2Connection,
  Http2Stream,
  type RequestHead,
  SendQueue,
  writeFrameHeader,
  writeLiteral,
} from "../../../src/net/http2/index.ts";

const BODY: Buffer = Buffer.from("hello, h2spec\n");

class PlainStream extends Http2Stream {
  override onHead(endStream: boolean): void {
    if (endStream) this.#answer();
  }

  override onData(_buf: Buffer, _start: number, _end: number, endStream: boolean): void {
    if (endStream) this.#answer();
  }

  #answer(): void {
    const c = this.connection;
    const pos = c.out.reserve(64);
    const end = writeLiteral(c.out.bytes, c.encoder.begin(c.out.bytes, pos + 9), ":status", "200");
    writeFrameHeader(c.out.bytes, pos, end - pos - 9, 1, 4, this.id);
    c.out.length = end;
    this.queue = new SendQueue();
    const at = this.queue.reserve(BODY.length);
    BODY.copy(this.queue.tailBytes, at);
    this.queue.commit(at + BODY.length);
    c.heldBytes += BODY.length;
    c.queueStream(this);
    c.wake();
  }

  override finishQueued(): boolean {
    const c = this.connection;
    const pos = c.out.reserve(9);
    c.out.length = writeFrameHeader(c.out.bytes, pos, 0, 0, 1, this.id);
    c.endStream(this);
    return true;
  }

  override onLost(): void {}
  override onQueueEmpty(): void {}
  override isTooSlow(): boolean {
    return false;
  }
}

/** The application; notes every request head it gets. */
export class PlainApp implements Http2App {
  readonly heads: RequestHead[] = [];

  openStream(connection: Http2Connection, id: number, head: RequestHead): Http2Stream {
    this.heads.push(head);
    return new PlainStream(connection, id, head);
  }

  newEncoder(): HpackEncoder {
    return new HpackEncoder([]);
  }
}
