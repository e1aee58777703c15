// What a decoder returns for bytes that are not the message they should be. Bad input is an expected outcome, so this is a value:
// it is never thrown and carries no stack trace (a flood of bad messages must stay cheap).

/** Why bytes could not be decoded. */
export class ProtoError {
  /** For people and for the status text, for example `PutRequest.lease: varint is cut off`. */
  readonly message: string;
  /** Position in the buffer given to the decoder at which the fault was noticed. */
  readonly offset: number;
  /** The bytes may be well formed, but messages lie inside each other deeper than is read. */
  readonly isTooDeep: boolean;

  constructor(message: string, offset: number, isTooDeep = false) {
    this.message = message;
    this.offset = offset;
    this.isTooDeep = isTooDeep;
  }
}
