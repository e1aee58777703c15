// What a request head means to gRPC: route, deadline, encoding, or the refusal it gets. Worked out once per distinct header block.
//
// The checks and their order are grpc-go's (http2_server.go operateHeaders, server.go handleStream), so refusals are equal to etcd's.

import type { Metadata } from "../../server/ports.ts";
import { type HeaderEntry, HeaderKind, type RequestHead } from "../http2/index.ts";
import { type MethodTable, Route } from "./method-table.ts";
import { goQuote, type Refusal, refusal, StatusCode } from "./status.ts";
import { parseTimeout } from "./timeout.ts";

const CONTENT_TYPE = "application/grpc";

/** The gRPC meaning of a head; shared by all calls that sent the same block. */
export class CallHead implements Metadata {
  readonly route: Route | undefined;
  readonly refusal: Refusal | undefined;
  /** -1 if there is none. */
  readonly timeoutMs: number;
  /** `grpc-encoding: gzip`. */
  readonly isGzip: boolean;
  readonly #fields: readonly HeaderEntry[];

  constructor(head: RequestHead, methods: MethodTable) {
    this.#fields = head.fields;
    const marked = new MarkedFields(head.fields);
    const timeout = marked.timeout === undefined ? -1 : parseTimeout(marked.timeout);
    this.timeoutMs = typeof timeout === "number" ? timeout : -1;
    this.isGzip = marked.encoding === "gzip";
    this.refusal = findMalformed(head, marked, timeout) ?? refuseEncoding(marked.encoding);
    this.route = undefined;
    if (this.refusal !== undefined && this.refusal.code !== StatusCode.unimplemented) return;
    const found = methods.find(head.path);
    if (!(found instanceof Route)) this.refusal = found;
    else if (this.refusal === undefined) this.route = found;
  }

  /** Value of the first field with this lower-case name; latin1, `-bin` values still in base64. */
  get(name: string): string | undefined {
    for (const field of this.#fields) {
      if (field.name === name) return field.value;
    }
    return undefined;
  }
}

/** The fields gRPC looks at. */
class MarkedFields {
  contentType = "";
  timeout: string | undefined = undefined;
  encoding = "";
  hosts = 0;
  badBinary: HeaderEntry | undefined = undefined;

  constructor(fields: readonly HeaderEntry[]) {
    for (const field of fields) {
      if (field.kind === HeaderKind.contentType) {
        // One valid content type among several is enough.
        if (!isGrpc(this.contentType)) this.contentType = field.value;
      } else if (field.kind === HeaderKind.grpcTimeout) this.timeout = field.value;
      else if (field.kind === HeaderKind.grpcEncoding) this.encoding = field.value;
      else if (field.kind === HeaderKind.host) this.hosts++;
      else if (field.name.endsWith("-bin") && !isBase64List(field.value)) this.badBinary = field;
    }
  }
}

/** `application/grpc`, with `+subtype` or `;parameters` behind it. */
function isGrpc(contentType: string): boolean {
  if (!contentType.startsWith(CONTENT_TYPE)) return false;
  const next = contentType.charAt(CONTENT_TYPE.length);
  return next === "" || next === "+" || next === ";";
}

/** gRPC allows padded and unpadded base64 in `-bin` fields, several values joined by commas. */
function isBase64List(value: string): boolean {
  return value.split(",").every((part) => {
    const text = part.trim();
    const body = text.replace(/={1,2}$/, "");
    if (body !== text && text.length % 4 !== 0) return false;
    return /^[A-Za-z0-9+/]*$/.test(body) && body.length % 4 !== 1;
  });
}

function findMalformed(
  head: RequestHead,
  marked: MarkedFields,
  timeout: number | string,
): Refusal | undefined {
  if (marked.hosts > 1) {
    const authorities = head.authority === "" ? 0 : 1;
    return {
      httpStatus: 400,
      code: StatusCode.internal,
      text: `num values of :authority: ${authorities}, num values of host: ${marked.hosts}, both must only have 1 value as per HTTP/2 spec`,
    };
  }
  if (!isGrpc(marked.contentType)) {
    return {
      httpStatus: 415,
      code: StatusCode.invalidArgument,
      text: `invalid gRPC request content-type ${goQuote(marked.contentType)}`,
    };
  }
  if (typeof timeout === "string") {
    return {
      httpStatus: 400,
      code: StatusCode.internal,
      text: `malformed grpc-timeout: ${timeout}`,
    };
  }
  if (marked.badBinary !== undefined) {
    const { name, value } = marked.badBinary;
    return {
      httpStatus: 400,
      code: StatusCode.internal,
      text: `malformed binary metadata ${goQuote(value)} in header ${goQuote(name)}: illegal base64 data`,
    };
  }
  if (head.method !== "POST") {
    return {
      httpStatus: 405,
      code: StatusCode.internal,
      text: `Received a HEADERS frame with :method ${goQuote(head.method)} which should be POST`,
    };
  }
  if (timeout === 0) return refusal(StatusCode.deadlineExceeded, "context deadline exceeded");
  return undefined;
}

function refuseEncoding(encoding: string): Refusal | undefined {
  if (encoding === "" || encoding === "identity" || encoding === "gzip") return undefined;
  return refusal(
    StatusCode.unimplemented,
    `grpc: Decompressor is not installed for grpc-encoding ${goQuote(encoding)}`,
  );
}
