// A header field with what its name means, decided once: table entries are shared by every block that refers to them, so a steady
// client costs no string comparison. Values are latin1 strings (one char, one byte).
// Source: RFC 9113 sections 8.2 and 8.3 for what makes a field malformed.

/** What the name of a field means to a server; the rest is metadata. */
export const HeaderKind = {
  plain: 0,
  method: 1,
  scheme: 2,
  authority: 3,
  path: 4,
  /** A pseudo-header a request must not have. */
  foreignPseudo: 5,
  /** A field of one HTTP/1 connection, forbidden here. */
  connectionSpecific: 6,
  te: 7,
  contentLength: 8,
  host: 9,
  contentType: 10,
  grpcTimeout: 11,
  grpcEncoding: 12,
} as const;
export type HeaderKind = (typeof HeaderKind)[keyof typeof HeaderKind];

const KINDS: ReadonlyMap<string, HeaderKind> = new Map<string, HeaderKind>([
  [":method", HeaderKind.method],
  [":scheme", HeaderKind.scheme],
  [":authority", HeaderKind.authority],
  [":path", HeaderKind.path],
  ["connection", HeaderKind.connectionSpecific],
  ["keep-alive", HeaderKind.connectionSpecific],
  ["proxy-connection", HeaderKind.connectionSpecific],
  ["transfer-encoding", HeaderKind.connectionSpecific],
  ["upgrade", HeaderKind.connectionSpecific],
  ["te", HeaderKind.te],
  ["content-length", HeaderKind.contentLength],
  ["host", HeaderKind.host],
  ["content-type", HeaderKind.contentType],
  ["grpc-timeout", HeaderKind.grpcTimeout],
  ["grpc-encoding", HeaderKind.grpcEncoding],
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// Leading and trailing blanks are let through, as Go's server does: gRPC asks servers to be lenient with them.
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const FORBIDDEN_IN_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;

/** Bytes a table entry costs beyond its strings (RFC 7541 4.1). */
const ENTRY_OVERHEAD_BYTES = 32;

/** One field; immutable but for `meaning`. */
export class HeaderEntry {
  readonly name: string;
  readonly value: string;
  readonly kind: HeaderKind;
  /** False if the characters of name or value make the request malformed. */
  readonly isValid: boolean;
  /** Size as HPACK and SETTINGS_MAX_HEADER_LIST_SIZE count it. */
  readonly sizeBytes: number;
  /** What the layer above made of this field, kept here so that it is worked out once. */
  meaning: unknown;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    const kind = KINDS.get(name);
    if (kind !== undefined) this.kind = kind;
    else if (name.startsWith(":")) this.kind = HeaderKind.foreignPseudo;
    else this.kind = HeaderKind.plain;
    this.isValid =
      (kind !== undefined || this.kind === HeaderKind.foreignPseudo || NAME.test(name)) &&
      !FORBIDDEN_IN_VALUE.test(value);
    this.sizeBytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.meaning = undefined;
  }
}
