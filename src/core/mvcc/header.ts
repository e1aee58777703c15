// Response headers as bytes. The ids of a member never change and its term seldom does, so they are encoded once and only the
// revision is written per response.

import type { ResponseHeader } from "../../proto/index.ts";
import { createResponseHeader, encodeResponseHeader } from "../../proto/index.ts";
import { sizeVarint, writeVarint } from "./wire.ts";

const TAG_HEADER = 0x0a;
const TAG_REVISION = 0x18;

/** Writes the content of a response header around a revision. */
export interface HeaderForm {
  size(revision: number): number;
  write(revision: number, buf: Uint8Array, pos: number): number;
}

/** The full header of one member. */
export class MemberHeader implements HeaderForm {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly #ids: Uint8Array;
  #term: Uint8Array;
  #raftTerm = 0;

  constructor(clusterId: bigint, memberId: bigint) {
    this.clusterId = clusterId;
    this.memberId = memberId;
    this.#ids = encodeResponseHeader(createResponseHeader({ clusterId, memberId }));
    this.#term = new Uint8Array(0);
  }

  /** Term of the last entry applied. */
  get raftTerm(): number {
    return this.#raftTerm;
  }

  set raftTerm(raftTerm: number) {
    if (raftTerm === this.#raftTerm) return;
    this.#raftTerm = raftTerm;
    this.#term = encodeResponseHeader(createResponseHeader({ raftTerm }));
  }

  size(revision: number): number {
    return this.#ids.length + (revision === 0 ? 0 : 1 + sizeVarint(revision)) + this.#term.length;
  }

  write(revision: number, buf: Uint8Array, pos: number): number {
    const ids = this.#ids;
    for (let i = 0; i < ids.length; i++) buf[pos + i] = ids[i] as number;
    let p = pos + ids.length;
    p = revisionOnly.write(revision, buf, p);
    const term = this.#term;
    for (let i = 0; i < term.length; i++) buf[p + i] = term[i] as number;
    return p + term.length;
  }

  /** The header as a message, for JSON and for responses that are not written from rows. */
  message(revision: number): ResponseHeader {
    return createResponseHeader({
      clusterId: this.clusterId,
      memberId: this.memberId,
      revision,
      raftTerm: this.#raftTerm,
    });
  }
}

/** Header of a sub-response: only a revision; 0 leaves it empty. */
export const revisionOnly: HeaderForm = {
  size: (revision) => (revision === 0 ? 0 : 1 + sizeVarint(revision)),
  write(revision, buf, pos) {
    if (revision === 0) return pos;
    buf[pos] = TAG_REVISION;
    return writeVarint(buf, pos + 1, revision);
  },
};

/** Bytes of the header field, tag and length included. */
export function sizeHeader(form: HeaderForm, revision: number): number {
  const size = form.size(revision);
  return 1 + sizeVarint(size) + size;
}

/** Writes the header field, tag and length included. */
export function writeHeader(
  form: HeaderForm,
  revision: number,
  buf: Uint8Array,
  pos: number,
): number {
  buf[pos] = TAG_HEADER;
  return form.write(revision, buf, writeVarint(buf, pos + 1, form.size(revision)));
}
