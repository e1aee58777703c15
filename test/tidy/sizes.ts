// File and function sizes, measured by oxlint, which parses the language: lines of code, without comments and blank lines.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Violation } from "./sources.ts";

/** Lines of code in one file at most. */
export const FILE_LINES_MAX = 500;
/** Lines of code in one function at most. */
export const FUNCTION_LINES_MAX = 70;

interface Diagnostic {
  readonly code: string;
  readonly message: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
}

/** Files and functions that are too long below the folders `paths` of `cwd`; `configDir` gets a lint configuration. */
export function sizeViolations(
  oxlint: string,
  cwd: string,
  paths: readonly string[],
  configDir: string,
): Violation[] {
  const limit = { skipBlankLines: true, skipComments: true };
  const config = {
    categories: { correctness: "off" },
    rules: {
      "max-lines": ["error", { max: FILE_LINES_MAX, ...limit }],
      "max-lines-per-function": ["error", { max: FUNCTION_LINES_MAX, ...limit }],
    },
  };
  const configPath = join(configDir, "sizes.oxlintrc.json");
  writeFileSync(configPath, JSON.stringify(config));
  const args = [oxlint, "-c", configPath, "--format", "json", ...paths];
  const { stdout, stderr, error } = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (error !== undefined) throw error;
  if (!stdout.startsWith("{")) throw new Error(`oxlint said: ${stdout}${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] };
  return diagnostics
    .filter(({ filename, code }) => !isExempt(filename, code))
    .map((d) => ({ path: d.filename, line: d.labels[0]?.span.line ?? 1, what: d.message }));
}

/** Generated files, and functions of tests: a suite is one function that holds its tests. */
function isExempt(path: string, rule: string): boolean {
  return (
    path.startsWith("src/proto/gen/") ||
    (path.startsWith("test/") && rule.includes("max-lines-per-function"))
  );
}
