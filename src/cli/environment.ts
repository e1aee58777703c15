// ETCD_* variables: each flag has one, `ETCD_` and the name in capitals with underscores.
// Source: operations.md 1.2.

import type { Logger } from "../base/index.ts";
import type { Settings } from "./flag-row.ts";
import { flagRows } from "./flags.ts";
import { BadValue, goQuote } from "./go-text.ts";

const PREFIX = "ETCD_";

/** The variable of flag `name`. */
export function variableOf(name: string): string {
  return PREFIX + name.replaceAll("-", "_").toUpperCase();
}

/** Why variables cannot be used; `fatal` ends the program with that line, otherwise the configuration is refused. */
export type VariableProblem =
  | { readonly kind: "shadowed"; readonly variable: string }
  | { readonly kind: "bad-value"; readonly message: string };

/**
 * Sets what variables say in `settings` and adds the names of their flags to `given`. A variable whose flag was given on the command
 * line as well is a problem even with an equal value. An empty variable is none.
 */
export function applyEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  settings: Settings,
  given: Set<string>,
  log: Logger,
): VariableProblem | undefined {
  const used = new Set<string>();
  const version = environment["ETCD_VERSION"];
  if (version !== undefined && version !== "") {
    used.add("ETCD_VERSION");
    log.warn("cannot set special environment variable", { key: "ETCD_VERSION", value: version });
  }
  const shadowed = new Set([...given].map(variableOf));
  let problem: VariableProblem | undefined;
  for (const row of flagRows) {
    const variable = variableOf(row.name);
    const value = environment[variable];
    if (value === undefined || value === "" || shadowed.has(variable) || used.has(variable)) {
      continue;
    }
    used.add(variable);
    const bad = row.set(settings, value);
    if (bad instanceof BadValue) {
      const message = `invalid value ${goQuote(value)} for ${variable}: ${bad.message}`;
      problem = { kind: "bad-value", message };
      continue;
    }
    given.add(row.name);
    log.info("recognized and used environment variable", {
      "variable-name": variable,
      "variable-value": value,
    });
  }
  for (const [variable, value] of Object.entries(environment)) {
    if (used.has(variable) || !variable.startsWith(PREFIX)) continue;
    if (shadowed.has(variable)) return { kind: "shadowed", variable };
    log.warn("unrecognized environment variable", {
      "environment-variable": `${variable}=${value ?? ""}`,
    });
  }
  return problem;
}
