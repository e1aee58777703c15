// Checks the repository itself: the map's arrows and faces, circles, sizes, what a core may not say, comments, tests, documents.
// Each rule is first tried on a planted violation, so that a rule that has gone blind is noticed.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { repoRoot } from "./support/repo.ts";
import { dependencyViolations, folderMap, pathViolations } from "./tidy/documents.ts";
import {
  arrowViolations,
  circleViolations,
  deadFileViolations,
  faceContentViolations,
  faceViolations,
} from "./tidy/imports.ts";
import { FILE_LINES_MAX, FUNCTION_LINES_MAX, sizeViolations } from "./tidy/sizes.ts";
import { loadSources, report, type Source, source, type Violation } from "./tidy/sources.ts";
import {
  consoleViolations,
  coreViolations,
  docViolations,
  headerViolations,
  mirrorViolations,
} from "./tidy/text-rules.ts";

const architecture = readFileSync(join(repoRoot, "src/README.md"), "utf8");
const map = folderMap(architecture);
const sources = loadSources(repoRoot, "src");
const tests = loadSources(repoRoot, "test");
const written = sources.filter(({ path }) => !path.startsWith("src/proto/gen/"));
const oxlint = join(repoRoot, "node_modules/oxlint/bin/oxlint");
const scratch = mkdtempSync(join(tmpdir(), "etcd-ts-tidy-"));
after(() => rmSync(scratch, { recursive: true }));

/** Programs and the library's face: what package.json names. */
const doors: readonly string[] = packageDoors();

interface PackageJson {
  readonly bin: Record<string, string>;
  readonly exports: Record<string, { readonly default: string }>;
  readonly dependencies: Record<string, string>;
}

function packageJson(): PackageJson {
  const text = readFileSync(join(repoRoot, "package.json"), "utf8");
  return JSON.parse(text) as PackageJson;
}

function packageDoors(): string[] {
  const { bin, exports } = packageJson();
  const compiled = [...Object.values(bin), ...Object.values(exports).map((e) => e.default)];
  return compiled.map((path) => path.replace(/^(?:\.\/)?dist\//, "").replace(/\.js$/, ".ts"));
}

function none(violations: readonly Violation[]): void {
  assert.equal(report(violations), "");
}

function whats(violations: readonly Violation[]): string[] {
  return violations.map(({ path, line, what }) => `${path}:${line} ${what}`);
}

const planted = folderMap(`## Map
| folder | holds | may import |
| --- | --- | --- |
| \`base/\` | bytes | nothing |
| \`core/a\` \`core/b\` | deciders | \`base\`, \`core/c\` (types) |
| \`core/c\` | decider | \`base\` |
| \`server/\` | member | \`core\` |
| \`net/\` | sockets | \`server/ports.ts\` |
`);

test("folderMap() reads folders and arrows from the table", () => {
  assert.deepEqual([...planted.keys()], ["base", "core/a", "core/b", "core/c", "server", "net"]);
  assert.deepEqual(planted.get("core/b"), [
    { to: "base", typesOnly: false },
    { to: "core/c", typesOnly: true },
  ]);
  assert.ok(map.size >= 10);
});

test("imports follow the arrows of the map", () => {
  const bad = [
    source("src/base/x.ts", 'import { a } from "../core/a/index.ts";'),
    source(
      "src/core/a/x.ts",
      'import { c } from "../c/index.ts";\nimport type { C } from "../c/index.ts";',
    ),
    source("src/core/a/y.ts", 'import {\n  type C,\n  c,\n} from "../c/index.ts";'),
    source(
      "src/net/x.ts",
      'export type { Clock } from "../server/ports.ts";\nimport "../server/turn.ts";',
    ),
    source(
      "src/server/x.ts",
      'const a = await import("../net/index.ts");\nimport t from "../../test/t.ts";',
    ),
    source("src/else/x.ts", ""),
  ];
  assert.deepEqual(whats(arrowViolations(bad, planted)), [
    "src/else/x.ts:1 is in no folder of the map",
    "src/base/x.ts:1 base may not import src/core/a/index.ts",
    "src/core/a/x.ts:1 core/a may import types alone from core/c",
    "src/core/a/y.ts:1 core/a may import types alone from core/c",
    "src/net/x.ts:2 net may not import src/server/turn.ts",
    "src/server/x.ts:1 server may not import src/net/index.ts",
    "src/server/x.ts:2 leaves src for test/t.ts",
  ]);
  none(arrowViolations(sources, map));
});

test("a folder is entered through its index.ts alone", () => {
  const bad = [
    source("src/core/a/index.ts", ""),
    source("src/core/a/x.ts", 'import { y } from "./deep/y.ts";'),
    source("src/core/a/deep/y.ts", 'import { x } from "../x.ts";'),
    source("src/core/a/deep/index.ts", ""),
    source(
      "src/server/x.ts",
      'import { x } from "../core/a/x.ts";\nimport { a } from "../core/a/index.ts";',
    ),
    source("src/server/ports.ts", 'import { y } from "../core/a/deep/index.ts";'),
    source("src/net/x.ts", 'import type { P } from "../server/ports.ts";\nimport "./gone.ts";'),
  ];
  assert.deepEqual(whats(faceViolations(bad)), [
    "src/core/a/x.ts:1 enters src/core/a/deep beside its index.ts",
    "src/server/x.ts:1 enters src/core/a beside its index.ts",
    "src/server/ports.ts:1 enters src/core/a beside its index.ts",
    "src/net/x.ts:2 imports src/net/gone.ts, which does not exist",
  ]);
  none(faceViolations(sources));
});

test("an index.ts holds named re-exports and nothing else", () => {
  const bad = [
    source(
      "src/a/index.ts",
      '// Face.\nexport { x, type Y } from "./x.ts";\nexport type { Z } from "./z.ts";',
    ),
    source("src/b/index.ts", 'export * from "./x.ts";'),
    source("src/c/index.ts", 'export { x } from "./x.ts";\nexport const y = 1;'),
  ];
  assert.deepEqual(
    faceContentViolations(bad).map(({ path }) => path),
    ["src/b/index.ts", "src/c/index.ts"],
  );
  none(faceContentViolations(sources));
});

test("there is no import circle", () => {
  const bad = [
    source("src/core/a/x.ts", 'import { y } from "./y.ts";'),
    source("src/core/a/y.ts", 'import type { Z } from "./z.ts";\nimport { z } from "./z.ts";'),
    source(
      "src/core/a/z.ts",
      'import { x } from "./x.ts";\nimport type { C } from "../c/index.ts";',
    ),
    source(
      "src/core/c/c.ts",
      'import type { X } from "../a/index.ts";\nimport type { D } from "./d.ts";',
    ),
    source("src/core/c/d.ts", 'import type { C } from "./c.ts";'),
  ];
  assert.deepEqual(whats(circleViolations(bad, planted)), [
    "src/core/a/x.ts:1 is in an import circle: src/core/a/x.ts > src/core/a/y.ts > src/core/a/z.ts > src/core/a/x.ts",
    "core/a:1 is in an import circle: core/a > core/c > core/a",
  ]);
  none(circleViolations(sources, map));
});

test("every file is imported, or a door", () => {
  const bad = [
    source("src/cli/main.ts", 'const { run } = await import("./run.ts");'),
    source("src/cli/run.ts", ""),
    source("src/cli/forgotten.ts", ""),
  ];
  assert.deepEqual(whats(deadFileViolations(bad, ["src/cli/main.ts"])), [
    "src/cli/forgotten.ts:1 is imported by no file",
  ]);
  none(deadFileViolations(sources, doors));
});

test("a core has no clock, no randomness, no world and no async", () => {
  const innocent = `// Date, async and Math.random in a comment
/* await Promise */
const text = "Date" + 'process' + \`async \${{ a: "Date", b: [/Date"/, 4 / 2 / 1] }.a} await\`;
const fine = updateDate.async_ / 2; // "
`;
  assert.deepEqual(coreViolations([source("src/core/a/x.ts", innocent)]), []);
  const guilty = `const t = \`\${Date.now()} Date\`;
import { join } from "node:path";
const r = a / Math.random() / 2;
export async function f() {}
setImmediate(g);
import fc from "fast-check";
`;
  assert.deepEqual(whats(coreViolations([source("src/core/a/x.ts", guilty)])), [
    "src/core/a/x.ts:2 a core imports node:path",
    "src/core/a/x.ts:6 a core imports fast-check",
    "src/core/a/x.ts:1 a core says Date: take the time as an argument",
    "src/core/a/x.ts:3 a core says Math.random: take a Prng from base",
    "src/core/a/x.ts:5 a core says setImmediate: return when to call again",
    "src/core/a/x.ts:4 a core says async: be a step function; the server awaits",
  ]);
  assert.deepEqual(coreViolations([source("src/net/x.ts", guilty)]), []);
  none(coreViolations(sources));
});

test("only the command line prints", () => {
  const line = 'console.log("x"); // console';
  assert.equal(consoleViolations([source("src/net/x.ts", line)]).length, 1);
  assert.equal(consoleViolations([source("src/cli/x.ts", line)]).length, 0);
  none(consoleViolations(sources));
});

test("every file opens with a comment on what it holds", () => {
  const bad = [
    source("src/a.ts", 'import "x";\n// late'),
    source("src/b.ts", "#!/usr/bin/env node\n// A program."),
    source("src/c.ts", "// A file."),
    source("src/d.ts", "//\n// Says nothing first."),
  ];
  assert.deepEqual(
    headerViolations(bad).map(({ path }) => path),
    ["src/a.ts", "src/d.ts"],
  );
  // The names of its tests say what a test file holds.
  none(headerViolations([...sources, ...tests.filter(({ path }) => !path.endsWith(".test.ts"))]));
});

test("exported functions, classes and interfaces have a doc comment", () => {
  const text = `/** Said. */
export function said(): void {}
// Not a doc comment.
export interface Unsaid {}
export class SaidByTheFile {}
export class Silent {}
`;
  assert.deepEqual(whats(docViolations([source("src/a.ts", text)])), [
    "src/a.ts:4 exports Unsaid without a doc comment",
    "src/a.ts:6 exports Silent without a doc comment",
  ]);
  none(docViolations(written));
});

test("every folder with code has tests at the same place", () => {
  const code = [source("src/a/b/x.ts", ""), source("src/c/y.ts", ""), source("src/d/index.ts", "")];
  const some = [source("test/a/b/c/x.test.ts", ""), source("test/c/y.ts", "")];
  assert.deepEqual(whats(mirrorViolations(code, some)), ["src/c:1 has no test below test/c"]);
  none(mirrorViolations(written, tests));
});

test("every runtime dependency has its reason in src/README.md, and only those", () => {
  const readme =
    "## Dependencies\n- `a`: does what we would otherwise write badly.\n- `old`: gone.\n## Next\n- `b`: x";
  assert.deepEqual(whats(dependencyViolations(["a", "b"], "README.md", readme)), [
    "README.md:1 has no reason for the dependency b",
    "README.md:1 gives a reason for old, which is no dependency",
  ]);
  const dependencies = Object.keys(packageJson().dependencies);
  none(dependencyViolations(dependencies, "src/README.md", architecture));
});

test("paths that the documents name exist", () => {
  const bad = pathViolations(
    repoRoot,
    "x.md",
    "`src/README.md`\nsee `test/gone/x.ts` and `src/nowhere/`",
  );
  assert.deepEqual(whats(bad), [
    "x.md:2 names test/gone/x.ts, which does not exist",
    "x.md:2 names src/nowhere/, which does not exist",
  ]);
  for (const path of ["README.md", "src/README.md", "test/README.md"]) {
    none(pathViolations(repoRoot, path, readFileSync(join(repoRoot, path), "utf8")));
  }
});

test("no file and no function is too long", () => {
  const lines = (count: number): string => "  g();\n\n  // not counted\n".repeat(count);
  const long: Source[] = [
    source("fits.ts", `export function f() {\n${lines(FUNCTION_LINES_MAX - 2)}}\n`),
    source("function.ts", `export function f() {\n${lines(FUNCTION_LINES_MAX - 1)}}\n`),
    source("file.ts", lines(FILE_LINES_MAX + 1)),
  ];
  const folder = join(scratch, "planted");
  mkdirSync(folder);
  for (const { path, text } of long) writeFileSync(join(folder, path), text);
  const found = sizeViolations(oxlint, scratch, ["planted"], scratch).map(({ path }) => path);
  assert.deepEqual(found.sort(), ["planted/file.ts", "planted/function.ts"]);
  none(sizeViolations(oxlint, repoRoot, ["src", "test", "proto"], scratch));
});
