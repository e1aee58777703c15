// The plain model of the key space: every version of every key in a Map, and what a transaction must do and answer at a revision.
//
// Independent of the server's store on purpose: no index, no sub-revisions, no sharing. It follows the API's description: compares are
// all decided before the first action, a mutating transaction takes exactly one revision, a delete of nothing takes none.

import type { Action, Compare, Txn } from "./ops.ts";

/** A key's value as of one revision. */
export interface Entry {
  /** Token, see values.ts. */
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: bigint;
}

/** One change of one key at revision `mod`; without entry it was deleted. */
export interface Change {
  readonly key: string;
  readonly mod: number;
  readonly entry: Entry | undefined;
}

/** What a transaction must answer and change. */
export interface Expectation {
  readonly lines: readonly string[];
  /** In the order in which a watcher gets them. */
  readonly changes: readonly Change[];
}

/** A pair as one word. */
export function pairText(key: string, entry: Entry): string {
  const { value, create, mod, version, lease } = entry;
  return `${key}=${value}@c${create}m${mod}v${version}l${lease.toString(16)}`;
}

/** A change as a few words. */
export function changeText(change: Change): string {
  return change.entry === undefined
    ? `delete ${change.key}@m${change.mod}`
    : `put ${pairText(change.key, change.entry)}`;
}

/** Changes as one line. */
export function changesText(changes: readonly Change[]): string {
  return changes.map(changeText).join(", ");
}

/** Answer line of a put; `previous` undefined when it was not asked for. */
export function putLine(previous: string | undefined): string {
  return previous === undefined ? "put" : `put over [${previous}]`;
}

/** Answer line of a delete; `previous` undefined when it was not asked for. */
export function deleteLine(deleted: number, previous: readonly string[] | undefined): string {
  return previous === undefined
    ? `deleted ${deleted}`
    : `deleted ${deleted} [${previous.join(" ")}]`;
}

/** Answer line of a read. */
export function rangeLine(count: number, pairs: readonly string[]): string {
  return `read ${count} [${pairs.join(" ")}]`;
}

/** First answer line of a transaction. */
export function txnLine(succeeded: boolean): string {
  return succeeded ? "succeeded" : "failed";
}

/** Keys and all their versions since the last compaction. */
export class Model {
  /** Ascending by `mod`; a last version without entry is a deleted key. */
  readonly #versions = new Map<string, Change[]>();
  /** Of the last change; 1 for an empty store. */
  revision: number = 1;
  /** Takes the changes of the next revision as they are. */
  apply(revision: number, changes: readonly Change[]): void {
    this.revision = revision;
    for (const change of changes) {
      const versions = this.#versions.get(change.key);
      if (versions === undefined) this.#versions.set(change.key, [change]);
      else versions.push(change);
    }
  }

  /** Forgets what a compaction at `revision` takes away. */
  compact(revision: number): void {
    for (const [key, versions] of this.#versions) {
      const kept = versions.findLastIndex((version) => version.mod <= revision);
      if (kept > 0) versions.splice(0, kept);
      const last = versions.at(-1);
      if (last === undefined || (last.entry === undefined && last.mod <= revision)) {
        this.#versions.delete(key);
      }
    }
  }

  /** The key at a revision. */
  entry(key: string, at: number): Entry | undefined {
    return this.#versions.get(key)?.findLast((version) => version.mod <= at)?.entry;
  }

  /** Keys that ever were in the range, in order. */
  keysIn(key: string, end: string): string[] {
    if (end === "") return [key];
    const keys = [...this.#versions.keys()];
    return keys.filter((k) => k >= key && (end === "\0" || k < end)).sort();
  }

  /** All pairs at a revision, in order of keys. */
  pairs(at: number): string[] {
    return this.keysIn("\0", "\0").flatMap((key) => {
      const entry = this.entry(key, at);
      return entry === undefined ? [] : [pairText(key, entry)];
    });
  }

  /** Keys bound to a lease at a revision, in order. */
  keysOfLease(lease: bigint, at: number): string[] {
    return this.keysIn("\0", "\0").filter((key) => this.entry(key, at)?.lease === lease);
  }

  /** What `txn` answers and does on top of revision `at`. */
  expect(txn: Txn, at: number): Expectation {
    const run = new Run(this, at);
    run.path(run.choose(txn), true);
    return { lines: run.lines, changes: run.changes };
  }

  /** What revoking a lease does on top of revision `at`. */
  expectRevoke(lease: bigint, at: number): readonly Change[] {
    return this.keysOfLease(lease, at).map((key) => ({ key, mod: at + 1, entry: undefined }));
  }
}

/** An action that is no transaction. */
type Step = Exclude<Action, { readonly kind: "txn" }>;

/** The branch taken at each level. */
interface Path {
  readonly succeeded: boolean;
  readonly steps: readonly (Step | Path)[];
}

class Run {
  readonly #model: Model;
  readonly #at: number;
  readonly #overlay = new Map<string, Entry | undefined>();
  readonly lines: string[] = [];
  readonly changes: Change[] = [];

  constructor(model: Model, at: number) {
    this.#model = model;
    this.#at = at;
  }

  choose(txn: Txn): Path {
    const succeeded = txn.compares.every((compare) => this.#holds(compare));
    const actions = succeeded ? txn.success : txn.failure;
    return { succeeded, steps: actions.map((a) => (a.kind === "txn" ? this.choose(a.txn) : a)) };
  }

  /** The outermost line is left out for RPCs that are no Txn by the caller of `expect`. */
  path(path: Path, isOutermost: boolean): void {
    if (!isOutermost) this.lines.push("txn");
    this.lines.push(txnLine(path.succeeded));
    for (const step of path.steps) {
      if ("steps" in step) this.path(step, false);
      else this.#act(step);
    }
  }

  #holds(compare: Compare): boolean {
    const entry = this.#model.entry(compare.key, this.#at);
    // An absent key has zeros everywhere, but no value at all.
    if (entry === undefined && compare.target === "value") return false;
    const zero = compare.target === "lease" ? 0n : 0;
    const actual = entry === undefined ? zero : entry[compare.target];
    switch (compare.relation) {
      case "=":
        return actual === compare.operand;
      case "!=":
        return actual !== compare.operand;
      case "<":
        return actual < compare.operand;
      case ">":
        return actual > compare.operand;
    }
  }

  #entry(key: string): Entry | undefined {
    return this.#overlay.has(key) ? this.#overlay.get(key) : this.#model.entry(key, this.#at);
  }

  #pairs(key: string, end: string): [string, Entry][] {
    const fresh = [...this.#overlay.keys()];
    const keys = new Set([
      ...this.#model.keysIn(key, end),
      ...fresh.filter((k) => end !== "" && k >= key && k < end),
    ]);
    return [...keys].sort().flatMap((k) => {
      const entry = this.#entry(k);
      return entry === undefined ? [] : [[k, entry] as [string, Entry]];
    });
  }

  #change(key: string, entry: Entry | undefined): void {
    this.#overlay.set(key, entry);
    this.changes.push({ key, mod: this.#at + 1, entry });
  }

  #act(action: Step): void {
    switch (action.kind) {
      case "put": {
        const { key, value, lease } = action;
        const before = this.#entry(key);
        const mod = this.#at + 1;
        const create = before?.create ?? mod;
        const version = (before?.version ?? 0) + 1;
        this.#change(key, { value, create, mod, version, lease });
        const previous = before === undefined ? "" : pairText(key, before);
        this.lines.push(putLine(action.prev ? previous : undefined));
        return;
      }
      case "delete": {
        const gone = this.#pairs(action.key, action.end);
        for (const [key] of gone) this.#change(key, undefined);
        const previous = gone.map(([key, entry]) => pairText(key, entry));
        this.lines.push(deleteLine(gone.length, action.prev ? previous : undefined));
        return;
      }
      case "range": {
        const pairs = this.#pairs(action.key, action.end);
        this.lines.push(
          rangeLine(
            pairs.length,
            pairs.map(([key, entry]) => pairText(key, entry)),
          ),
        );
        return;
      }
    }
  }
}
