// Decides by its first bytes what a new socket speaks: HTTP/2, an upgrade to it, or HTTP/1. Reads no more than it needs.

import type { Socket } from "node:net";
import { parseUpgrade, type Upgrade } from "./h2c-upgrade.ts";
import { CLIENT_PREFACE } from "./http2/index.ts";

/** What a socket speaks. */
export type Protocol = "http2" | "http1" | Upgrade;

/** Bytes of the preface that no HTTP/1 request begins with. */
const PREFACE_DECISIVE_BYTES = 4;

/** A socket whose protocol is not known yet. */
export class Sniffer {
  readonly socket: Socket;
  readonly sinceMs: number;
  readonly #bodyBytesMax: number;
  readonly #onDecided: (sniffer: Sniffer, protocol: Protocol | undefined, bytes: Buffer) => void;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onGone = (): void => this.#decide(undefined);

  /** `onDecided` is called once, with the bytes read so far; with undefined if the socket ended before. */
  constructor(
    socket: Socket,
    nowMs: number,
    bodyBytesMax: number,
    onDecided: (sniffer: Sniffer, protocol: Protocol | undefined, bytes: Buffer) => void,
  ) {
    this.socket = socket;
    this.sinceMs = nowMs;
    this.#bodyBytesMax = bodyBytesMax;
    this.#onDecided = onDecided;
    socket.on("data", this.#onData);
    socket.on("end", this.#onGone);
    socket.on("error", this.#onGone);
    socket.on("close", this.#onGone);
  }

  /** Time is up: a half-sent HTTP/1 head is left to the HTTP/1 server's own patience, anything else is given up. */
  expire(): void {
    const isHttp1 = this.#bytes.length > 0 && !couldBePreface(this.#bytes);
    this.#decide(isHttp1 ? "http1" : undefined);
  }

  #take(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const protocol = this.#recognise();
    if (protocol !== undefined) this.#decide(protocol);
  }

  #recognise(): Protocol | undefined {
    const bytes = this.#bytes;
    if (couldBePreface(bytes)) {
      return bytes.length >= PREFACE_DECISIVE_BYTES ? "http2" : undefined;
    }
    const upgrade = parseUpgrade(bytes, this.#bodyBytesMax);
    if (upgrade === undefined) return "http1";
    if (upgrade === "more") return undefined;
    return bytes.length >= upgrade.headBytes + upgrade.bodyBytes ? upgrade : undefined;
  }

  #decide(protocol: Protocol | undefined): void {
    const { socket } = this;
    socket.off("data", this.#onData);
    socket.off("end", this.#onGone);
    socket.off("error", this.#onGone);
    socket.off("close", this.#onGone);
    this.#onDecided(this, protocol, this.#bytes);
  }
}

function couldBePreface(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, CLIENT_PREFACE.length);
  return bytes.compare(CLIENT_PREFACE, 0, length, 0, length) === 0;
}
