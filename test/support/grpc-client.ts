// A gRPC client on bytes: it frames, sends and collects calls through @grpc/grpc-js and never looks into a message.
//
// The judge of our own server must not share code with it, so nothing here comes from src/. What a message means is said by
// wire-schema.ts. Outcomes, also refusals, are return values; nothing rejects because a server said no.

import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type StatusObject,
  status,
} from "@grpc/grpc-js";

/** How a call ended: gRPC code, the exact `grpc-message` text, and the response messages in order. */
export interface CallOutcome {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly Uint8Array[];
}

/** Request metadata as plain strings, sent as they are. */
export type RequestMetadata = Readonly<Record<string, string>>;

/** Options of one call; without `deadlineMs` the call may take `defaultDeadlineMs`. */
export interface CallSettings {
  readonly metadata?: RequestMetadata | undefined;
  readonly deadlineMs?: number | undefined;
}

const defaultDeadlineMs = 30_000;

const identity = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const same = (bytes: Buffer): Buffer => bytes;

function toMetadata(fields: RequestMetadata | undefined): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields ?? {})) metadata.add(name, value);
  return metadata;
}

function toOptions(settings: CallSettings | undefined): CallOptions {
  return { deadline: Date.now() + (settings?.deadlineMs ?? defaultDeadlineMs) };
}

/** A call open in both directions. Messages are kept in the order of arrival and given to `onMessage`, if it is set. */
export class BidiCall {
  readonly #stream: ClientDuplexStream<Uint8Array, Buffer>;
  /** Every message received so far. */
  readonly messages: Uint8Array[] = [];
  /** Called for each message after it was added to `messages`. */
  onMessage: ((message: Uint8Array) => void) | undefined;
  /** How the call ended, undefined while it is open. */
  ended: StatusObject | undefined;
  readonly #done: Promise<StatusObject>;

  constructor(
    stream: ClientDuplexStream<Uint8Array, Buffer>,
    receive: (message: Uint8Array) => Uint8Array | undefined,
  ) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => {
      const message = receive(bytes);
      if (message === undefined) return;
      this.messages.push(message);
      this.onMessage?.(message);
    });
    // grpc-js reports a refusal both as "error" and as "status"; only the second is used.
    stream.on("error", () => {});
    this.#done = new Promise((resolve) => {
      stream.on("status", (s: StatusObject) => {
        this.ended = s;
        resolve(s);
      });
    });
  }

  /** Sends one message. */
  send(message: Uint8Array): void {
    this.#stream.write(message);
  }

  /** Half-closes: no further message will be sent. */
  end(): void {
    this.#stream.end();
  }

  /** Cancels the call at once. */
  cancel(): void {
    this.#stream.cancel();
  }

  /** Resolves when the call has ended, whoever ended it. */
  async outcome(): Promise<CallOutcome> {
    const s = await this.#done;
    return { code: s.code, details: s.details, messages: this.messages };
  }
}

/** One HTTP/2 connection to a server, with calls of every kind on raw messages. */
export class GrpcClient {
  readonly #client: Client;

  /** `endpoint` is `host:port`; the connection is made by the first call. */
  constructor(endpoint: string) {
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
      // Go's and our texts come as they are; a proxy from the environment would answer in their place.
      "grpc.enable_http_proxy": 0,
    });
  }

  /** Every message passes here on its way to the caller. A subclass changes or drops some to stand for a faulty server. */
  protected receive(_path: string, message: Uint8Array): Uint8Array | undefined {
    return message;
  }

  /** Calls a method with one request and at most one response. `path` is as on the wire, `/package.Service/Method`. */
  unary(path: string, request: Uint8Array, settings?: CallSettings): Promise<CallOutcome> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        identity,
        same,
        request,
        toMetadata(settings?.metadata),
        toOptions(settings),
        (error, response) => {
          if (error !== null) resolve({ code: error.code, details: error.details, messages: [] });
          else resolve({ code: status.OK, details: "", messages: this.#received(path, response) });
        },
      );
    });
  }

  #received(path: string, response: Uint8Array | undefined): Uint8Array[] {
    const message = response === undefined ? undefined : this.receive(path, response);
    return message === undefined ? [] : [message];
  }

  /** Calls a method with one request and any number of responses; resolves when the server has ended the call. */
  serverStream(path: string, request: Uint8Array, settings?: CallSettings): Promise<CallOutcome> {
    return new Promise((resolve) => {
      const messages: Uint8Array[] = [];
      const stream = this.#client.makeServerStreamRequest(
        path,
        identity,
        same,
        request,
        toMetadata(settings?.metadata),
        toOptions(settings),
      );
      stream.on("data", (message: Buffer) => messages.push(...this.#received(path, message)));
      stream.on("error", () => {});
      stream.on("status", (s: StatusObject) =>
        resolve({ code: s.code, details: s.details, messages }),
      );
    });
  }

  /** Opens a call with both sides streaming. It has no deadline unless one is given. */
  bidi(path: string, settings?: CallSettings): BidiCall {
    const options = settings?.deadlineMs === undefined ? {} : toOptions(settings);
    const metadata = toMetadata(settings?.metadata);
    return new BidiCall(
      this.#client.makeBidiStreamRequest(path, identity, same, metadata, options),
      (message) => this.receive(path, message),
    );
  }

  /** Closes the connection; open calls end as cancelled. */
  close(): void {
    this.#client.close();
  }
}
