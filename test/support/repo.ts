// Where the repository lies, found from the running file: tests run compiled from another folder than their sources.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "package.json"))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error("no package.json above the tests");
    dir = parent;
  }
  return dir;
}

/** Absolute path of the folder that holds package.json. */
export const repoRoot: string = findRoot();
