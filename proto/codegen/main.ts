// `npm run generate`: writes src/proto/gen/ and src/proto/index.ts anew. Imports nothing of src/, so that it also runs when src/ does
// not compile or its generated part is missing.

import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate, targetPath } from "./generate.ts";

/** The folder above this one that holds package.json: the program runs compiled, below `dist/`. */
function findRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "package.json"))) {
    if (dirname(dir) === dir) throw new Error("no package.json above the generator");
    dir = dirname(dir);
  }
  return dir;
}

const root = findRoot();
const files = generate(join(root, "proto"));
rmSync(targetPath(root, "gen"), { recursive: true, force: true });
for (const [path, text] of files) {
  const target = targetPath(root, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}
console.log(`${files.size} files written to ${targetPath(root, "")}`);
