// Assertions for broken invariants: they stop the process, unlike expected outcomes (return values) and refusals (error table).

/** Thrown by `assert`; nobody catches it on purpose, the process ends. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/** Stops with `what` (the thing that must hold) unless `condition` holds. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(what);
}

/** Returns `value`, which must not be undefined. */
export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AssertionFailure(what);
  return value;
}

/** Marks a branch the types rule out. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`);
}
