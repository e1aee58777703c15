// What clients ask of the server in a crash round, and what became of it.
//
// Put, DeleteRange and Range are transactions of one action here, so that the model has one rule for all of them. Answers are lines of
// text: the model writes the same lines, and a difference can be read.

/** A comparison of a guarded transaction; `operand` is a number, a value's token or a lease id, as `target` says. */
export interface Compare {
  readonly key: string;
  readonly target: "version" | "create" | "mod" | "value" | "lease";
  readonly relation: "=" | "!=" | "<" | ">";
  readonly operand: number | string | bigint;
}

/** One action. An empty `end` means `key` alone. `value` is a token; lease 0n is none. */
export type Action =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      readonly lease: bigint;
      readonly prev: boolean;
    }
  | { readonly kind: "delete"; readonly key: string; readonly end: string; readonly prev: boolean }
  | { readonly kind: "range"; readonly key: string; readonly end: string }
  | { readonly kind: "txn"; readonly txn: Txn };

/** A transaction. */
export interface Txn {
  readonly compares: readonly Compare[];
  readonly success: readonly Action[];
  readonly failure: readonly Action[];
}

/** Reads and writes of keys; `rpc` says by which RPC the transaction is sent. */
export interface KvRequest {
  readonly kind: "kv";
  readonly rpc: "Put" | "DeleteRange" | "Range" | "Txn";
  readonly txn: Txn;
}

/** One request. A grant with id 0n leaves the choice to the server; its TTL in seconds then tells the lease. */
export type Request =
  | KvRequest
  | { readonly kind: "grant"; readonly id: bigint; readonly ttl: number }
  | { readonly kind: "revoke"; readonly id: bigint }
  | { readonly kind: "keepalive"; readonly id: bigint }
  | { readonly kind: "compact"; readonly revision: number; readonly physical: boolean }
  | { readonly kind: "hash"; readonly revision: number };

/** What a server answered. `revision` is the header's. */
export type Answer =
  | {
      readonly kind: "kv";
      readonly revision: number;
      readonly lines: readonly string[];
      /** The answer itself says that something was written. */
      readonly mutated: boolean;
    }
  | {
      readonly kind: "lease";
      readonly revision: number;
      readonly id: bigint;
      readonly ttl: number;
    }
  | { readonly kind: "compact"; readonly revision: number }
  | { readonly kind: "hash"; readonly revision: number; readonly sample: HashSample };

/** HashKV at `revision` while everything up to `compacted` was compacted. */
export interface HashSample {
  readonly revision: number;
  readonly compacted: number;
  readonly hash: number;
}

/** `unknown`: sent, and neither acknowledged nor refused; it may have happened once or not at all. */
export type Outcome =
  | { readonly kind: "acknowledged"; readonly answer: Answer }
  | { readonly kind: "refused"; readonly code: number; readonly text: string }
  | { readonly kind: "unknown"; readonly text: string };

/** One operation. `sent` and `ended` are readings of one counter: A was over before B began if A.ended < B.sent. */
export interface Operation {
  readonly id: number;
  readonly request: Request;
  readonly sent: number;
  /** Infinite while it is open, and for ever when the outcome is unknown. */
  ended: number;
  /** Highest revision any answer had shown when it was sent. */
  readonly floor: number;
  outcome: Outcome;
}

/** An operation as one line of a report. */
export function describe(operation: Operation): string {
  const request = JSON.stringify(operation.request, (_key, value: unknown) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
  const { outcome } = operation;
  const revision = outcome.kind === "acknowledged" ? ` at revision ${outcome.answer.revision}` : "";
  return `operation ${operation.id} (${outcome.kind}${revision}) ${request}`;
}
