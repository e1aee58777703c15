// A service for the transport's own tests: echoes of every kind, lists from a source, a call that never ends.

import type {
  MessageEncoder,
  MessageSource,
  RpcMethod,
  ServerCall,
} from "../../../src/server/ports.ts";

/** Sends bytes as they are. */
export const bytesEncoder: MessageEncoder<Uint8Array> = {
  size: (bytes) => bytes.length,
  write: (bytes, buf, pos) => {
    buf.set(bytes, pos);
    return pos + bytes.length;
  },
};

/** A message of `sizeBytes` that is made piece by piece: byte i is i mod 251. */
export class CountingSource implements MessageSource {
  readonly sizeBytes: number;
  given = 0;
  isAborted = false;
  readonly #stepMax: number;

  constructor(sizeBytes: number, stepMax: number = Number.POSITIVE_INFINITY) {
    this.sizeBytes = sizeBytes;
    this.#stepMax = stepMax;
  }

  next(buf: Uint8Array, pos: number, end: number): number {
    const count = Math.min(end - pos, this.sizeBytes - this.given, this.#stepMax);
    for (let i = 0; i < count; i++) buf[pos + i] = (this.given + i) % 251;
    this.given += count;
    return pos + count;
  }

  abort(): void {
    this.isAborted = true;
  }
}

/** Everything that happened, for assertions. */
export class EchoLog {
  readonly events: string[] = [];
  readonly calls: ServerCall[] = [];
  readonly sources: CountingSource[] = [];

  note(call: ServerCall, event: string): void {
    this.events.push(`${this.calls.indexOf(call)}:${event}`);
  }
}

function listen(log: EchoLog, call: ServerCall): void {
  call.onCancel = (reason) => log.note(call, `cancel ${reason}`);
}

/**
 * The methods: Unary echoes; Fail ends with code 9 and its request as text; Hang never answers; Source answers with a lazy message of as
 * many bytes as the request says in decimal; Many streams the request as many times as its first byte says; Collect joins its messages;
 * Bidi echoes each.
 */
export function echoMethods(log: EchoLog = new EchoLog()): RpcMethod[] {
  const opened =
    (handle: (call: ServerCall, bytes: Uint8Array) => void): RpcMethod["open"] =>
    (call, buf, start, end) => {
      log.calls.push(call);
      listen(log, call);
      handle(call, buf.subarray(start, end));
    };
  return [
    {
      path: "/test.Echo/Unary",
      kind: "unary",
      open: opened((call, bytes) => call.reply(bytesEncoder, bytes)),
    },
    {
      path: "/test.Echo/Fail",
      kind: "unary",
      open: opened((call, bytes) => call.fail(9, Buffer.from(bytes).toString("utf8"))),
    },
    { path: "/test.Echo/Hang", kind: "unary", open: opened(() => undefined) },
    {
      path: "/test.Echo/Source",
      kind: "unary",
      open: opened((call, bytes) => {
        const source = new CountingSource(Number(Buffer.from(bytes).toString("latin1")));
        log.sources.push(source);
        call.replyFrom(source);
      }),
    },
    {
      path: "/test.Echo/Many",
      kind: "serverStreaming",
      open: opened((call, bytes) => {
        for (let i = 0; i < (bytes[0] ?? 0); i++) call.send(bytesEncoder, bytes);
        call.finish();
      }),
    },
    { path: "/test.Echo/Collect", kind: "clientStreaming", open: opened(collect) },
    {
      path: "/test.Echo/Bidi",
      kind: "bidi",
      open: opened((call) => {
        call.onMessage = (buf, start, end) => {
          log.note(call, `message ${end - start}`);
          call.send(bytesEncoder, buf.subarray(start, end));
        };
        call.onHalfClose = () => {
          log.note(call, "half-close");
          call.finish();
        };
      }),
    },
  ];
}

function collect(call: ServerCall): void {
  const parts: Uint8Array[] = [];
  call.onMessage = (buf, start, end) => parts.push(buf.subarray(start, end));
  call.onHalfClose = () => call.reply(bytesEncoder, Buffer.concat(parts));
}
