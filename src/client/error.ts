// The one error of the client: a gRPC status with etcd's text, whether the server said it or the connection did.

/** Names of the gRPC status codes, by number. */
const codeNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** Name of a gRPC status code. */
export type CodeName = (typeof codeNames)[number];

/** A refused or failed request. `message` is the server's text, for example `etcdserver: requested lease not found`. */
export class EtcdError extends Error {
  override readonly name = "EtcdError";
  /** gRPC status code, 0 to 16. */
  readonly code: number;
  /** Watches alone: the oldest revision still there, when the one asked for is compacted; otherwise 0. */
  readonly compactRevision: number;

  constructor(
    code: number,
    message: string,
    options: { cause?: unknown; compactRevision?: number } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.compactRevision = options.compactRevision ?? 0;
  }

  /** The code in words. */
  get codeName(): CodeName {
    return codeNames[this.code] ?? "UNKNOWN";
  }
}

/** Code of a status by name. */
export function codeOf(name: CodeName): number {
  return codeNames.indexOf(name);
}

/** Any failure as an EtcdError: a gRPC status keeps its code and text. */
export function toEtcdError(failure: unknown): EtcdError {
  if (failure instanceof EtcdError) return failure;
  if (failure instanceof Error && "code" in failure && typeof failure.code === "number") {
    const details = "details" in failure ? failure.details : undefined;
    const message = typeof details === "string" ? details : failure.message;
    return new EtcdError(failure.code, message, { cause: failure });
  }
  const message = failure instanceof Error ? failure.message : String(failure);
  return new EtcdError(codeOf("UNKNOWN"), message, { cause: failure });
}
