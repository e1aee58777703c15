// What the documents promise, read so that it can be checked: the map of folders and the list of dependencies in src/README.md, and
// the paths any README names.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Violation } from "./sources.ts";

/** What one folder of the map may import. */
export interface Arrow {
  /** A folder or a file below src/. */
  readonly to: string;
  readonly typesOnly: boolean;
}

/** The map: folder below src/ to what it may import. */
export type FolderMap = ReadonlyMap<string, readonly Arrow[]>;

/**
 * The table under "## Map": first cell the folders in backticks, last cell `nothing` or a list of folders in backticks, each followed
 * by "(types)" if only types may be imported.
 */
export function folderMap(readme: string): FolderMap {
  const section = /^## Map$(?<body>[^]*?)^## /m.exec(`${readme}\n## `)?.groups?.["body"] ?? "";
  const map = new Map<string, Arrow[]>();
  for (const line of section.split("\n")) {
    const cells = line.split("|").slice(1, -1);
    const folders = names(cells[0] ?? "");
    const last = cells.at(-1) ?? "";
    if (cells.length < 3 || folders.length === 0) continue;
    const arrows = [...last.matchAll(/`(?<to>[^`]+)`(?<types> \(types\))?/g)].map((match) => {
      const to = match.groups?.["to"] ?? "";
      return { to: to.replace(/\/$/, ""), typesOnly: match.groups?.["types"] !== undefined };
    });
    for (const folder of folders) map.set(folder.replace(/\/$/, ""), arrows);
  }
  return map;
}

/** Each dependency of package.json must have a line "- `name`: reason" in the document, and the document none beside them. */
export function dependencyViolations(
  dependencies: readonly string[],
  path: string,
  readme: string,
): Violation[] {
  const section =
    /^## Dependencies$(?<body>[^]*?)^## /m.exec(`${readme}\n## `)?.groups?.["body"] ?? "";
  const reasons = new Map<string, string>();
  for (const match of section.matchAll(/^- `(?<name>[^`]+)`: (?<reason>.*)$/gm)) {
    reasons.set(match.groups?.["name"] ?? "", match.groups?.["reason"] ?? "");
  }
  const violations: Violation[] = [];
  for (const name of dependencies) {
    if ((reasons.get(name) ?? "").length < 30) {
      violations.push({ path, line: 1, what: `has no reason for the dependency ${name}` });
    }
  }
  for (const name of reasons.keys()) {
    if (!dependencies.includes(name)) {
      violations.push({
        path,
        line: 1,
        what: `gives a reason for ${name}, which is no dependency`,
      });
    }
  }
  return violations;
}

/** Paths in backticks that start at the root of the repository must exist. */
export function pathViolations(root: string, path: string, readme: string): Violation[] {
  const violations: Violation[] = [];
  readme.split("\n").forEach((text, i) => {
    for (const match of text.matchAll(/`(?<path>(?:src|test|proto)\/[\w./-]+)`/g)) {
      const named = match.groups?.["path"] ?? "";
      if (!existsSync(join(root, named))) {
        violations.push({ path, line: i + 1, what: `names ${named}, which does not exist` });
      }
    }
  });
  return violations;
}

function names(cell: string): string[] {
  return [...cell.matchAll(/`(?<name>[^`]+)`/g)].map((match) => match.groups?.["name"] ?? "");
}
