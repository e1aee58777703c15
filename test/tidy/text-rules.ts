// Rules about the text of one file: what a core may not say, how a file opens, what is documented, where output goes.

import { dirname } from "node:path/posix";
import { lineAt, type Source, type Violation } from "./sources.ts";

/** What would let the world into a core, with what to use instead. */
const bannedInCore: readonly { word: RegExp; instead: string }[] = [
  { word: /\bDate\b/g, instead: "take the time as an argument" },
  { word: /\bperformance\b/g, instead: "take the time as an argument" },
  { word: /\bMath\.random\b/g, instead: "take a Prng from base" },
  { word: /\bcrypto\b/g, instead: "take the function as an argument" },
  {
    word: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    instead: "return when to call again",
  },
  { word: /\b(?:async|await|Promise)\b/g, instead: "be a step function; the server awaits" },
  { word: /\bprocess\b/g, instead: "take it as an argument" },
  { word: /\bfetch\b/g, instead: "return what is wanted" },
];

/** Files below src/core are deaf and blind. */
export function coreViolations(sources: readonly Source[]): Violation[] {
  const violations: Violation[] = [];
  for (const source of sources.filter(({ path }) => path.startsWith("src/core/"))) {
    for (const { from, line } of source.imports) {
      if (!from.startsWith(".")) {
        violations.push({ path: source.path, line, what: `a core imports ${from}` });
      }
    }
    for (const { word, instead } of bannedInCore) {
      violations.push(...matches(source, word, (found) => `a core says ${found}: ${instead}`));
    }
  }
  return violations;
}

/** Output goes through the logger; only the command line prints. */
export function consoleViolations(sources: readonly Source[]): Violation[] {
  return sources
    .filter(({ path }) => !path.startsWith("src/cli/"))
    .flatMap((source) => matches(source, /\bconsole\b/g, () => "prints: only src/cli may"));
}

/** A file opens with a comment that says what it holds. */
export function headerViolations(sources: readonly Source[]): Violation[] {
  return sources
    .filter(({ text }) => !/^(?:#![^\n]*\n)?\/\/ \S/.test(text))
    .map(({ path }) => ({ path, line: 1, what: "does not open with a comment on what it holds" }));
}

/**
 * Exported functions, classes and interfaces say what they are in a doc comment; a file's first class may leave that to the comment
 * the file opens with.
 */
export function docViolations(sources: readonly Source[]): Violation[] {
  const exported =
    /^export (?:abstract )?(?:async )?(?<kind>function\*?|class|interface) (?<name>[\w$]+)/gm;
  return sources.flatMap((source) => {
    const symbols = [...source.text.matchAll(exported)];
    const main = symbols.find((match) => match.groups?.["kind"] === "class");
    return symbols
      .filter((match) => match !== main)
      .filter((match) => !source.text.slice(0, match.index).endsWith("*/\n"))
      .map((match) => {
        const what = `exports ${match.groups?.["name"] ?? ""} without a doc comment`;
        return { path: source.path, line: lineAt(source.text, match.index), what };
      });
  });
}

/** Every folder with code, down to `src/x/y`, has tests at the same place below test/, or deeper. */
export function mirrorViolations(
  sources: readonly Source[],
  tests: readonly Source[],
): Violation[] {
  const tested = new Set<string>();
  for (const { path } of tests) {
    if (!path.endsWith(".test.ts")) continue;
    for (let at = dirname(path); at !== "."; at = dirname(at))
      tested.add(at.replace(/^test/, "src"));
  }
  const folders = new Set(
    sources
      .filter(({ path }) => !path.endsWith("/index.ts"))
      .map(({ path }) => dirname(path).split("/").slice(0, 3).join("/")),
  );
  return [...folders]
    .filter((folder) => !tested.has(folder))
    .map((path) => ({ path, line: 1, what: `has no test below ${path.replace(/^src/, "test")}` }));
}

function matches(source: Source, word: RegExp, what: (found: string) => string): Violation[] {
  return [...source.code.matchAll(word)].map((match) => {
    return { path: source.path, line: lineAt(source.code, match.index), what: what(match[0]) };
  });
}
