// Runs every compiled *.test.js below this folder with node:test; arguments narrow it to paths that contain one of them.
// Node 20 has no glob in `node --test`, hence this file.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter((f) => f.endsWith(".test.js"))
  .filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)))
  .sort()
  .map((f) => relative(process.cwd(), join(here, f)));

if (files.length === 0) {
  console.error("no test file matches");
  process.exit(1);
}
const child = spawn(process.execPath, ["--test", "--test-concurrency=2", ...files], {
  stdio: "inherit",
});
child.on("exit", (code) => process.exit(code ?? 1));
