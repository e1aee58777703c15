// The repository's TypeScript files as the tidy rules see them: path, text, code without comments and literals, imports.
// The scanner knows strings, templates, comments and regular expressions, and no grammar beyond that.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One source file. */
export interface Source {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  /** As long as `text`, line for line; comments and the content of literals are blank. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** One import or re-export. */
export interface Import {
  /** As written. */
  readonly from: string;
  readonly line: number;
  /** True if nothing of it is left at run time. */
  readonly typesOnly: boolean;
}

/** One broken rule. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly what: string;
}

/** The files below `root`/`folder` that end in .ts, generated ones included. */
export function loadSources(root: string, folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
    .sort()
    .map((path) => source(path, readFileSync(join(root, path), "utf8")));
}

/** A source from a string, as the self-tests plant it. */
export function source(path: string, text: string): Source {
  return { path, text, code: blank(text), imports: importsOf(text) };
}

/** Line number, from 1, of the offset `at`. */
export function lineAt(text: string, at: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < at; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** Lines for people: `path:line what`. */
export function report(violations: readonly Violation[]): string {
  return violations.map((v) => `${v.path}:${v.line} ${v.what}`).join("\n");
}

const statement =
  /^(?:import|export)\s+(?<clause>(?:type\s+)?[\w$*{][^;"'`()=]*?)\s*from\s*"(?<from>[^"]+)"|^import\s+"(?<bare>[^"]+)"|\bimport\(\s*"(?<lazy>[^"]+)"\s*\)/gm;

function importsOf(text: string): Import[] {
  const imports: Import[] = [];
  for (const match of text.matchAll(statement)) {
    const groups = match.groups ?? {};
    const from = groups["from"] ?? groups["bare"] ?? groups["lazy"] ?? "";
    const typesOnly = groups["clause"] !== undefined && isTypesOnly(groups["clause"]);
    imports.push({ from, line: lineAt(text, match.index), typesOnly });
  }
  return imports;
}

function isTypesOnly(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const names = /^\{(?<list>[^}]*)\}$/.exec(clause)?.groups?.["list"];
  if (names === undefined) return false;
  const items = names.split(",").map((item) => item.trim());
  return items.every((item) => item === "" || item.startsWith("type "));
}

/** What ends before a `/` that starts a regular expression and not a division. */
const beforeRegExp =
  /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|yield|await))\s*$/;

const literal =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)|[{}]|\//g;
const templateRest = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;
const regExp = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;

/** `text` with comments and the content of strings, templates and regular expressions replaced by spaces. */
function blank(text: string): string {
  const out: string[] = [];
  /** For each open brace: true if its end resumes a template. */
  const braces: boolean[] = [];
  let pos = 0;
  const skipTo = (from: number, to: number): void => {
    out.push(text.slice(pos, from), text.slice(from, to).replace(/[^\n]/g, " "));
    pos = to;
  };
  literal.lastIndex = 0;
  for (let match = literal.exec(text); match !== null; match = literal.exec(text)) {
    const found = match[0];
    let end = literal.lastIndex;
    if (found === "{") braces.push(false);
    else if (found === "}") {
      if (braces.pop() === true) {
        templateRest.lastIndex = end;
        templateRest.exec(text);
        end = Math.max(end, templateRest.lastIndex);
        if (text.endsWith("${", end) || text.slice(end - 2, end) === "${") braces.push(true);
        skipTo(match.index, end);
      }
    } else if (found === "/") {
      if (beforeRegExp.test(out.join("").slice(-80) + text.slice(pos, match.index))) {
        regExp.lastIndex = match.index;
        regExp.exec(text);
        end = Math.max(end, regExp.lastIndex);
        skipTo(match.index, end);
      }
    } else {
      if (found.startsWith("`") && found.endsWith("${")) braces.push(true);
      skipTo(match.index, end);
    }
    literal.lastIndex = end;
  }
  out.push(text.slice(pos));
  return out.join("");
}
