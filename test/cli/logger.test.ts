// Log lines as etcd's zap writes them: golden lines in both formats with only time and place replaced, levels, names, sampling, files.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Logger } from "../../src/base/index.ts";
import { createLogger, type LoggerOptions, timestamp } from "../../src/cli/logger.ts";

const dir = mkdtempSync(join(tmpdir(), "etcd-ts-logger-"));
after(() => rmSync(dir, { recursive: true }));
let files = 0;

/** What `write` logs, with time, place and stack replaced by words. */
async function logged(
  changes: Partial<LoggerOptions>,
  write: (log: Logger) => void,
): Promise<string> {
  const path = join(dir, `${files++}.log`);
  const log = await createLogger({ level: "info", format: "json", outputs: [path], ...changes });
  assert.ok(typeof log !== "string");
  write(log);
  return readFileSync(path, "utf8")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d{4})/g, "TIME")
    .replace(/cli\/logger\.test\.js:\d+/g, "PLACE")
    .replace(/"stacktrace":"(?:[^"\\]|\\.)*"/g, '"stacktrace":"STACK"');
}

test("a JSON line holds level, time, place, message and fields in this order", async () => {
  const text = await logged({}, (log) => {
    log.info("Running: ", { args: ["etcd", "--name", 'a"b'] });
    log.warn("w", { error: new Error("broken"), id: 7n, took: "1ms", on: true, n: 1.5 });
    log.named("raft").info("became leader");
    log.error("bad", { path: "/x" });
    log.fatal("worse");
  });
  assert.equal(
    text,
    [
      '{"level":"info","ts":"TIME","caller":"PLACE","msg":"Running: ","args":["etcd","--name","a\\"b"]}',
      '{"level":"warn","ts":"TIME","caller":"PLACE","msg":"w","error":"broken","id":"7","took":"1ms","on":true,"n":1.5}',
      '{"level":"info","ts":"TIME","logger":"raft","caller":"PLACE","msg":"became leader"}',
      '{"level":"error","ts":"TIME","caller":"PLACE","msg":"bad","path":"/x","stacktrace":"STACK"}',
      '{"level":"fatal","ts":"TIME","caller":"PLACE","msg":"worse","stacktrace":"STACK"}',
      "",
    ].join("\n"),
  );
});

test("a console line holds the same between tabs, its fields as spaced JSON", async () => {
  const text = await logged({ format: "console" }, (log) => {
    log.warn("no fields");
    log
      .named("raft")
      .info("fields", { name: "default", urls: ["a", "b"], n: 1, deep: { x: null } });
  });
  assert.equal(
    text,
    [
      "TIME\twarn\tPLACE\tno fields",
      'TIME\tinfo\traft\tPLACE\tfields\t{"name": "default", "urls": ["a", "b"], "n": 1, "deep": {"x": null}}',
      "",
    ].join("\n"),
  );
});

test("a level writes itself and what is more urgent; debug is known beforehand", async () => {
  const all = (log: Logger): void => {
    for (const level of ["debug", "info", "warn", "error", "fatal"] as const) log[level](level);
  };
  const levels = async (level: string): Promise<string[]> => {
    const text = await logged({ level }, all);
    return [...text.matchAll(/"msg":"(\w+)"/g)].map(([, message]) => message ?? "");
  };
  assert.deepEqual(await levels("debug"), ["debug", "info", "warn", "error", "fatal"]);
  assert.deepEqual(await levels("info"), ["info", "warn", "error", "fatal"]);
  assert.deepEqual(await levels("error"), ["error", "fatal"]);
  assert.deepEqual(await levels("panic"), ["fatal"]);
  await logged({ level: "debug" }, (log) => assert.equal(log.isDebug, true));
  await logged({ level: "info" }, (log) => assert.equal(log.named("x").isDebug, false));
});

test("of equal messages in a second the first hundred are written, then each hundredth", async () => {
  const text = await logged({}, (log) => {
    for (let i = 1; i <= 350; i++) log.info("again", { i });
    log.info("another");
    log.warn("again");
  });
  const numbers = [...text.matchAll(/"i":(\d+)/g)].map(([, i]) => Number(i));
  assert.equal(numbers.length, 102);
  assert.deepEqual(numbers.slice(-3), [100, 200, 300]);
  assert.match(text, /"msg":"another"/);
  assert.match(text, /"level":"warn".*"msg":"again"/);
});

test("lines go to every output once, and to none with /dev/null among them", async () => {
  const one = join(dir, "one.log");
  const two = join(dir, "two.log");
  const log = await createLogger({ level: "info", format: "json", outputs: [one, two, one] });
  assert.ok(typeof log !== "string");
  log.info("x");
  for (const path of [one, two]) assert.equal(readFileSync(path, "utf8").split("\n").length, 2);
  const none = await createLogger({ level: "info", format: "json", outputs: ["/dev/null", one] });
  assert.ok(typeof none !== "string");
  none.info("y");
  assert.equal(readFileSync(one, "utf8").split("\n").length, 2);
});

test("an output that cannot be opened is named", async () => {
  const outputs = [join(dir, "no", "file")];
  const path = outputs[0] ?? "";
  assert.equal(
    await createLogger({ level: "info", format: "json", outputs }),
    `open sink "${path}": open ${path}: no such file or directory`,
  );
});

test("timestamp() has six digits of a second and the offset of the zone", () => {
  const text = timestamp(Date.UTC(2026, 0, 2, 3, 4, 5, 123) + 0.456);
  assert.match(text, /^2026-01-0\dT\d\d:\d\d:05\.12345[56](?:Z|[+-]\d{4})$/);
});
