// Calls over @grpc/grpc-js: one channel per endpoint, the next endpoint when one fails, deadlines, cancellation, repeats.
//
// grpc-js is loaded with the first call, so that a program that never calls starts without its cost. A call is repeated only if it
// is known not to have reached a server, or if repeating it changes nothing (`Method.repeatable`); never after its deadline.

import type * as Grpc from "@grpc/grpc-js";
import { type Codec, ProtoError } from "../proto/index.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import { codeOf, EtcdError, toEtcdError } from "./error.ts";
import type { Method } from "./methods.ts";

/** Certificates in PEM; only for https and unixs endpoints. */
export interface TlsOptions {
  /** Who may sign the server's certificate; the system's authorities if absent. */
  readonly ca?: Buffer;
  /** The client's own certificate and key, for servers that ask for one. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** Name to check the certificate against, instead of the endpoint's host. */
  readonly serverName?: string;
}

/** How a client connects. */
export interface ConnectionOptions {
  /** `http://host:port`, `https://host:port`, `host:port` or `unix:///path`; at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions;
  /** Deadline of a unary call that names none, in milliseconds, repeats included. Default 5000. */
  readonly timeoutMs?: number;
}

/** How one call is made. */
export interface CallOptions {
  /** In milliseconds, repeats included; 0 for none. */
  readonly timeoutMs?: number;
  /** Ends the call with CANCELLED. */
  readonly signal?: AbortSignal;
  /** Metadata to send along, such as `hasleader: true`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** One of the client's endpoints, as it was given: asks that member and no other. */
  readonly endpoint?: string;
}

/** A two-way stream: iterate for what comes, until it ends or throws. */
export interface Duplex<Req, Res> extends AsyncIterable<Res> {
  send(request: Req): void;
  /** Ends both directions; the iteration ends with CANCELLED. */
  cancel(): void;
}

const TIMEOUT_DEFAULT_MS = 5000;
/** Pause before a repeat: grows by half each time, with jitter, from the first to the second. */
const PAUSE_MIN_MS = 25;
const PAUSE_MAX_MS = 1000;

let loading: Promise<typeof Grpc> | undefined;

/** Loads grpc-js once. */
function loadGrpc(): Promise<typeof Grpc> {
  loading ??= import("@grpc/grpc-js");
  return loading;
}

/** Waits about `attempt` pauses' worth before a repeat. */
export function pause(attempt: number, limitMs: number = PAUSE_MAX_MS): Promise<void> {
  const fullMs = Math.min(PAUSE_MIN_MS * 1.5 ** attempt, limitMs);
  return new Promise((resolve) => setTimeout(resolve, fullMs * (0.5 + Math.random() / 2)));
}

/** The channels of one client. */
export class Connection {
  readonly endpoints: readonly Endpoint[];
  readonly #tls: TlsOptions;
  readonly #timeoutMs: number;
  readonly #channels: Map<string, Grpc.Client> = new Map();
  readonly #closing: Set<() => void> = new Set();
  #current = 0;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.endpoints = options.endpoints.map(parseEndpoint);
    if (this.endpoints.length === 0) throw new EtcdError(codeOf("INVALID_ARGUMENT"), "no endpoint");
    this.#tls = options.tls ?? {};
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_DEFAULT_MS;
  }

  /** One request, one answer. */
  async unary<Req, Res>(
    method: Method<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> {
    const grpc = await loadGrpc();
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    const deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const at = this.#pick(options.endpoint);
      try {
        return await unaryOnce(grpc, this.#channel(grpc, at), {
          method,
          request,
          deadline,
          options,
        });
      } catch (failure) {
        const error = toEtcdError(failure);
        if (options.signal?.aborted === true || !mayRepeat(method, error)) throw error;
        this.turnFrom(at);
        await pause(attempt);
        if (Date.now() >= deadline || this.#closed) throw error;
      }
    }
  }

  /** One request, many answers; a failure ends the iteration with it. */
  async *serverStream<Req, Res>(
    method: Method<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): AsyncGenerator<Res, void, void> {
    const grpc = await loadGrpc();
    const channel = this.#channel(grpc, this.#pick(options.endpoint));
    const call = channel.makeServerStreamRequest(
      method.path,
      serializer(method.request),
      deserializer(method.response),
      request,
      metadataOf(grpc, options),
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
    );
    const release = onAbort(options.signal, () => call.cancel());
    try {
      for await (const response of call) yield response as Res;
    } catch (failure) {
      throw toEtcdError(failure);
    } finally {
      release();
      call.cancel();
    }
  }

  /** Many requests, many answers, on the endpoint in use; `at` tells which, for `turnFrom`. */
  async duplex<Req, Res>(
    method: Method<Req, Res>,
    options: CallOptions = {},
  ): Promise<{ stream: Duplex<Req, Res>; at: Endpoint }> {
    const grpc = await loadGrpc();
    const at = this.#pick(options.endpoint);
    const call = this.#channel(grpc, at).makeBidiStreamRequest(
      method.path,
      serializer(method.request),
      deserializer(method.response),
      metadataOf(grpc, options),
      {},
    );
    return { stream: new GrpcDuplex(call), at };
  }

  /** Moves to the next endpoint if `at` is still the one in use. */
  turnFrom(at: Endpoint): void {
    const index = this.endpoints.indexOf(at);
    if (index === this.#current) this.#current = (index + 1) % this.endpoints.length;
  }

  /** Calls `ending` when the connection is closed; the result forgets it. */
  onClose(ending: () => void): () => void {
    this.#closing.add(ending);
    return () => this.#closing.delete(ending);
  }

  /** Ends all channels; calls in progress end with CANCELLED, later ones throw. */
  close(): void {
    this.#closed = true;
    for (const ending of this.#closing) ending();
    this.#closing.clear();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #pick(text: string | undefined): Endpoint {
    const at =
      text === undefined
        ? this.endpoints[this.#current]
        : this.endpoints.find((endpoint) => endpoint.text === text);
    if (at === undefined) {
      throw new EtcdError(
        codeOf("INVALID_ARGUMENT"),
        `${text ?? ""} is no endpoint of this client`,
      );
    }
    return at;
  }

  #channel(grpc: typeof Grpc, at: Endpoint): Grpc.Client {
    if (this.#closed) throw new EtcdError(codeOf("CANCELLED"), "the client is closed");
    const open = this.#channels.get(at.target);
    if (open !== undefined) return open;
    const { ca, cert, key, serverName } = this.#tls;
    const credentials = at.secure
      ? grpc.credentials.createSsl(ca ?? null, key ?? null, cert ?? null)
      : grpc.credentials.createInsecure();
    const channel = new grpc.Client(at.target, credentials, {
      // The server has the limits; what it sends is taken.
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      // Two clients in one process are two connections.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2000,
      ...(serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    });
    this.#channels.set(at.target, channel);
    return channel;
  }
}

interface UnaryCall<Req, Res> {
  readonly method: Method<Req, Res>;
  readonly request: Req;
  /** Date.now() at which it ends; infinite for never. */
  readonly deadline: number;
  readonly options: CallOptions;
}

function unaryOnce<Req, Res>(
  grpc: typeof Grpc,
  channel: Grpc.Client,
  { method, request, deadline, options }: UnaryCall<Req, Res>,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    const call = channel.makeUnaryRequest<Req, Res>(
      method.path,
      serializer(method.request),
      deserializer(method.response),
      request,
      metadataOf(grpc, options),
      { deadline },
      (error, response) => {
        release();
        if (error !== null) reject(toEtcdError(error));
        else if (response === undefined) reject(new EtcdError(codeOf("INTERNAL"), "no response"));
        else resolve(response);
      },
    );
    const release = onAbort(options.signal, () => call.cancel());
  });
}

class GrpcDuplex<Req, Res> implements Duplex<Req, Res> {
  readonly #call: Grpc.ClientDuplexStream<Req, Res>;

  constructor(call: Grpc.ClientDuplexStream<Req, Res>) {
    this.#call = call;
    // Without a listener a failure between two reads would end the process; the iteration reports it.
    call.on("error", () => undefined);
  }

  send(request: Req): void {
    this.#call.write(request);
  }

  cancel(): void {
    this.#call.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Res, void, void> {
    try {
      for await (const response of this.#call) yield response as Res;
    } catch (failure) {
      throw toEtcdError(failure);
    }
  }
}

/** True if the same call may be sent again after `error`. */
function mayRepeat(
  method: Method<never, unknown> | { repeatable: boolean },
  error: EtcdError,
): boolean {
  if (error.code !== codeOf("UNAVAILABLE")) return false;
  // What grpc-js says when no byte of the call has left.
  return (
    method.repeatable || /^(?:No connection established|Name resolution failed)/.test(error.message)
  );
}

function serializer<T>(codec: Codec<T>): (message: T) => Buffer {
  return (message) => {
    const buf = Buffer.allocUnsafe(codec.size(message));
    codec.write(message, buf, 0);
    return buf;
  };
}

function deserializer<T>(codec: Codec<T>): (bytes: Buffer) => T {
  return (bytes) => {
    const message = codec.decode(bytes, 0, bytes.length);
    if (message instanceof ProtoError) throw new EtcdError(codeOf("INTERNAL"), message.message);
    return message;
  };
}

function metadataOf(grpc: typeof Grpc, options: CallOptions): Grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  return metadata;
}

/** Calls `abort` once `signal` says so, or now if it has; the result stops listening. */
function onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}
