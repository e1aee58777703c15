// Rules about who imports whom: arrows and faces of the map, circles, files nobody needs.

import { dirname, join } from "node:path/posix";
import type { FolderMap } from "./documents.ts";
import type { Import, Source, Violation } from "./sources.ts";

/** Files that are faces beside the index.ts of their folder: the ports, and the configuration, which the program reads long before it
 * needs (and loads) the member. */
const extraFaces = ["src/server/ports.ts", "src/embed/config.ts"];

interface Edge {
  readonly from: Source;
  readonly to: string;
  readonly via: Import;
}

/** Imports must follow the arrows of the map. */
export function arrowViolations(sources: readonly Source[], map: FolderMap): Violation[] {
  const violations: Violation[] = [];
  for (const source of sources) {
    if (folderOf(source.path, map) === undefined) {
      violations.push({ path: source.path, line: 1, what: "is in no folder of the map" });
    }
  }
  for (const edge of edges(sources)) {
    const from = folderOf(edge.from.path, map);
    const to = folderOf(edge.to, map);
    if (from === undefined || to === from) continue;
    if (!edge.to.startsWith("src/")) {
      violations.push(violation(edge, `leaves src for ${edge.to}`));
      continue;
    }
    const arrow = map.get(from)?.find((a) => isWithin(edge.to.slice("src/".length), a.to));
    if (arrow === undefined) violations.push(violation(edge, `${from} may not import ${edge.to}`));
    else if (arrow.typesOnly && !edge.via.typesOnly) {
      violations.push(violation(edge, `${from} may import types alone from ${arrow.to}`));
    }
  }
  return violations;
}

/** A folder with an index.ts is entered through it; the outermost such folder counts. */
export function faceViolations(sources: readonly Source[]): Violation[] {
  const paths = new Set(sources.map((source) => source.path));
  const violations: Violation[] = [];
  for (const edge of edges(sources)) {
    if (!paths.has(edge.to)) {
      violations.push(violation(edge, `imports ${edge.to}, which does not exist`));
      continue;
    }
    if (extraFaces.includes(edge.to)) continue;
    for (const folder of foldersEntered(edge.from.path, edge.to)) {
      const face = `${folder}/index.ts`;
      if (!paths.has(face)) continue;
      if (edge.to !== face)
        violations.push(violation(edge, `enters ${folder} beside its index.ts`));
      break;
    }
  }
  return violations;
}

/** An index.ts holds named re-exports and nothing else. */
export function faceContentViolations(sources: readonly Source[]): Violation[] {
  const reExport = /export\s+(?:type\s+)?\{[^}]*\}\s*from\s*;/g;
  return sources
    .filter((source) => source.path.endsWith("/index.ts"))
    .filter((source) => source.code.replace(reExport, "").trim() !== "")
    .map(({ path }) => ({ path, line: 1, what: "is a face and holds more than named re-exports" }));
}

/** No circle among files by what is imported at run time, none among folders of the map by any import. */
export function circleViolations(sources: readonly Source[], map: FolderMap): Violation[] {
  const files = new Map<string, Set<string>>();
  const folders = new Map<string, Set<string>>();
  for (const { from, to, via } of edges(sources)) {
    if (!via.typesOnly) add(files, from.path, to);
    const fromFolder = extraFaces.includes(from.path) ? from.path : folderOf(from.path, map);
    const toFolder = extraFaces.includes(to) ? to : folderOf(to, map);
    if (fromFolder !== undefined && toFolder !== undefined && fromFolder !== toFolder) {
      add(folders, fromFolder, toFolder);
    }
  }
  return [...circles(files), ...circles(folders)].map((circle) => {
    return {
      path: circle[0] ?? "",
      line: 1,
      what: `is in an import circle: ${circle.join(" > ")}`,
    };
  });
}

/** Every file is needed by another one, or is a door: a program or the library's face. */
export function deadFileViolations(
  sources: readonly Source[],
  doors: readonly string[],
): Violation[] {
  const needed = new Set(doors);
  for (const edge of edges(sources)) needed.add(edge.to);
  return sources
    .filter((source) => !needed.has(source.path))
    .map(({ path }) => ({ path, line: 1, what: "is imported by no file" }));
}

/** The folder of the map that `path` lies in: the longest that fits. */
export function folderOf(path: string, map: FolderMap): string | undefined {
  let best: string | undefined;
  for (const folder of map.keys()) {
    const fits = isWithin(path, `src/${folder}`);
    if (fits && (best === undefined || folder.length > best.length)) best = folder;
  }
  return best;
}

function edges(sources: readonly Source[]): Edge[] {
  return sources.flatMap((from) => {
    return from.imports
      .filter((via) => via.from.startsWith("."))
      .map((via) => ({ from, via, to: join(dirname(from.path), via.from) }));
  });
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** The folders around `to` that `from` is not in, outermost first. */
function foldersEntered(from: string, to: string): string[] {
  const parts = dirname(to).split("/");
  return parts
    .map((_, i) => parts.slice(0, i + 1).join("/"))
    .filter((folder) => !isWithin(from, folder));
}

function violation(edge: Edge, what: string): Violation {
  return { path: edge.from.path, line: edge.via.line, what };
}

function add(graph: Map<string, Set<string>>, from: string, to: string): void {
  const targets = graph.get(from) ?? new Set();
  targets.add(to);
  graph.set(from, targets);
}

/** One circle through each node where a depth-first walk meets its own path. */
function circles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const walk = (node: string, path: readonly string[]): void => {
    const at = path.indexOf(node);
    if (at >= 0) found.push([...path.slice(at), node]);
    if (at >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) walk(next, [...path, node]);
    done.add(node);
  };
  for (const node of [...graph.keys()].sort()) walk(node, []);
  return found;
}
