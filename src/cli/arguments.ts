// The command line as Go's flag package reads it: `-x` and `--x` are equal, a boolean takes its value only after `=`, the first
// argument that is not a flag ends the flags, and the first bad flag ends the program with a usage text.
//
// yargs is not used here: none of these rules is its own (it groups letters after one dash, takes `true` after a boolean, gathers
// repeated flags, reports at the end), and loading it takes longer than all of this program's start. etcdctl, whose rules are
// other ones, is its place.
// Source: the documentation of Go's flag package; operations.md 1.1.

import type { Settings } from "./flag-row.ts";
import { findFlag } from "./flags.ts";
import { BadValue, goQuote } from "./go-text.ts";

/** What a command line said. */
export type ParsedArguments =
  | {
      readonly outcome: "flags";
      /** Names of the flags that were given. */
      readonly given: ReadonlySet<string>;
      /** Arguments after the flags. */
      readonly rest: readonly string[];
    }
  | { readonly outcome: "help" }
  /** The line to print above the usage text. */
  | { readonly outcome: "bad"; readonly message: string };

function bad(message: string): ParsedArguments {
  return { outcome: "bad", message };
}

/** Sets what `args` (without the program's name) say in `settings`. */
export function parseArguments(args: readonly string[], settings: Settings): ParsedArguments {
  const given = new Set<string>();
  let i = 0;
  for (; i < args.length; i++) {
    const arg = args[i] as string;
    if (!/^-./.test(arg)) break;
    if (arg === "--") {
      i++;
      break;
    }
    const body = arg.slice(arg.startsWith("--") ? 2 : 1);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) {
      return bad(`bad flag syntax: ${arg}`);
    }
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const row = findFlag(name);
    if (row === undefined) {
      if (name === "help" || name === "h") return { outcome: "help" };
      return bad(`flag provided but not defined: -${name}`);
    }
    let value = equals < 0 ? undefined : body.slice(equals + 1);
    if (value === undefined) {
      value = row.isBoolean ? "true" : args[++i];
      if (value === undefined) return bad(`flag needs an argument: -${name}`);
    }
    const problem = row.set(settings, value);
    if (problem instanceof BadValue) {
      const what = row.isBoolean ? "invalid boolean value" : "invalid value";
      const where = row.isBoolean ? `-${name}` : `flag -${name}`;
      return bad(`${what} ${goQuote(value)} for ${where}: ${problem.message}`);
    }
    given.add(name);
  }
  return { outcome: "flags", given, rest: args.slice(i) };
}
