// What a decoded header list means: the request's pseudo-headers and whether it is malformed. Immutable and shared by every request
// that sends the same block. Source: RFC 9113 sections 8.1.1 to 8.3.

import { type HeaderEntry, HeaderKind } from "./header-entry.ts";

/** The head of a request. */
export class RequestHead {
  /** All fields in the order sent, pseudo-headers included. */
  readonly fields: readonly HeaderEntry[];
  method = "";
  scheme = "";
  authority = "";
  path = "";
  /** -1 if not declared. */
  contentLength = -1;
  /** RFC 9113 8.1.1: the stream ends with PROTOCOL_ERROR. */
  isMalformed = false;
  /** The list was larger than we allow; `fields` is incomplete. */
  isTooLarge: boolean;
  /** What the layer above made of it, worked out once. */
  meaning: unknown = undefined;

  constructor(fields: readonly HeaderEntry[], isTooLarge: boolean) {
    this.fields = fields;
    this.isTooLarge = isTooLarge;
    if (isTooLarge) return;
    let seen = 0;
    let sawRegular = false;
    for (const field of fields) {
      const kind = field.kind;
      if (!field.isValid) this.isMalformed = true;
      if (kind >= HeaderKind.method && kind <= HeaderKind.foreignPseudo) {
        const bit = 1 << kind;
        if (sawRegular || (seen & bit) !== 0) this.isMalformed = true;
        seen |= bit;
        this.#setPseudo(field);
      } else {
        sawRegular = true;
        if (kind !== HeaderKind.plain) this.#checkRegular(field);
      }
    }
    this.#checkPresence(seen);
  }

  #setPseudo(field: HeaderEntry): void {
    if (field.kind === HeaderKind.method) this.method = field.value;
    else if (field.kind === HeaderKind.scheme) this.scheme = field.value;
    else if (field.kind === HeaderKind.authority) this.authority = field.value;
    else if (field.kind === HeaderKind.path) this.path = field.value;
    else this.isMalformed = true;
  }

  #checkRegular(field: HeaderEntry): void {
    if (field.kind === HeaderKind.connectionSpecific) {
      this.isMalformed = true;
    } else if (field.kind === HeaderKind.te) {
      if (field.value !== "trailers") this.isMalformed = true;
    } else if (field.kind === HeaderKind.contentLength) {
      const length = /^\d{1,15}$/.test(field.value) ? Number(field.value) : -1;
      if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) {
        this.isMalformed = true;
      }
      this.contentLength = length;
    }
  }

  #checkPresence(seen: number): void {
    const has = (kind: number): boolean => (seen & (1 << kind)) !== 0;
    if (this.method === "CONNECT" && !has(HeaderKind.scheme) && !has(HeaderKind.path)) {
      if (this.authority === "") this.isMalformed = true;
      return;
    }
    if (this.method === "" || this.scheme === "" || this.path === "") this.isMalformed = true;
  }
}

/** Whether a list that ends a request body is well-formed: no pseudo-header, nothing of the connection. */
export function areTrailersValid(fields: readonly HeaderEntry[]): boolean {
  return fields.every(
    (field) =>
      field.isValid &&
      !(field.kind >= HeaderKind.method && field.kind <= HeaderKind.connectionSpecific),
  );
}
