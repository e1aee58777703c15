// What the simulator reports: a promise to clients that was broken, as far as it can be seen from outside.

/** A broken promise; the message says which, and the seed that shows it. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Throws a Violation unless `condition` holds. */
export function demand(condition: boolean, text: string | (() => string)): asserts condition {
  if (!condition) throw new Violation(typeof text === "string" ? text : text());
}
