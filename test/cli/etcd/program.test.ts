// The `etcd` program up to its start: what it prints and how it ends for command lines, variables and files it refuses, compared
// with a table of etcd's answers; the same table is put to etcd itself where that is asked for. And what it makes of good ones.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { LogFields, Logger, LogLevel } from "../../../src/base/index.ts";
import { type Decision, decide } from "../../../src/cli/etcd/settings.ts";
import { createLogger } from "../../../src/cli/logger.ts";
import { findReference, needsReference } from "../../reference/reference.ts";
import {
  badCombinations,
  badFiles,
  badFlags,
  badUrls,
  badVariables,
  type Refusal,
} from "./refusals.ts";

const program = fileURLToPath(new URL("../../../src/cli/etcd/main.js", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "etcd-ts-program-"));
after(() => rmSync(dir, { recursive: true }));

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** How a program ended, or did not. */
interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  /** Text on stderr that is no log line. */
  readonly stderr: string;
  readonly lines: readonly Line[];
}

function argsOf({ args = [], file }: Refusal): string[] {
  if (file === undefined) return [...args];
  const path = join(dir, "config.yaml");
  writeFileSync(path, file);
  return [...args, `--config-file=${path}`];
}

function runProgram(command: readonly string[], refusal: Refusal): Outcome {
  const [file = "", ...first] = command;
  const env = refusal.env ?? {};
  const ended = spawnSync(file, [...first, ...argsOf(refusal)], {
    cwd: dir,
    env,
    encoding: "utf8",
  });
  const written = ended.stderr.split("\n");
  const lines = written.filter((line) => line.startsWith("{"));
  return {
    code: ended.status,
    stdout: ended.stdout,
    stderr: written.filter((line) => !line.startsWith("{")).join("\n"),
    lines: lines.map((line) => JSON.parse(line) as Line),
  };
}

function recorder(lines: Line[]): Logger {
  const at = (level: LogLevel) => {
    return (msg: string, fields?: LogFields) => void lines.push({ level, msg, ...fields });
  };
  const log: Logger = {
    isDebug: false,
    debug: () => {},
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    named: () => log,
  };
  return log;
}

/** The program inside this process: far faster than a process for each row of a table. */
async function decideOn(refusal: Refusal): Promise<Outcome & { decision: Decision }> {
  const lines: Line[] = [];
  let stdout = "";
  let stderr = "";
  const decision = await decide({
    args: ["etcd", ...argsOf(refusal)],
    environment: refusal.env ?? {},
    async openLog(options) {
      const opened = options.outputs.includes("default") ? undefined : await createLogger(options);
      return typeof opened === "string" ? opened : recorder(lines);
    },
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  return { decision, code: decision.kind === "exit" ? decision.code : null, stdout, stderr, lines };
}

function checkRefusal(refusal: Refusal, outcome: Outcome): void {
  const about = JSON.stringify(refusal);
  assert.equal(outcome.code, refusal.code, about);
  if (refusal.line !== undefined) {
    assert.equal(outcome.stderr.split("\n")[0], refusal.line, about);
  }
  if (refusal.error !== undefined) {
    const line = outcome.lines.find(({ msg }) => msg === "failed to verify flags");
    assert.equal(line?.["error"], refusal.error, about);
    assert.equal(line?.level, "warn", about);
  }
  if (refusal.message !== undefined) {
    assert.equal(outcome.lines.at(-1)?.msg, refusal.message, about);
  }
}

const tables: readonly (readonly [string, readonly Refusal[]])[] = [
  ["flags", badFlags],
  ["URLs", badUrls],
  ["combinations of flags", badCombinations],
  ["variables", badVariables],
  ["config files", badFiles],
];

for (const [what, table] of tables) {
  test(`bad ${what} end the program with etcd's words and exit code`, async () => {
    for (const refusal of table) checkRefusal(refusal, await decideOn(refusal));
  });
}

const compare = process.env["ETCD_TS_COMPARE"] === "1";
const reference = compare ? await findReference() : undefined;
const skip = reference === undefined && `needs ETCD_TS_COMPARE=1 and ${needsReference.slice(6)}`;

test("etcd itself refuses what the tables say in these words", { skip }, () => {
  for (const refusal of tables.flatMap(([, table]) => table)) {
    checkRefusal(refusal, runProgram([reference?.etcd ?? ""], refusal));
  }
});

test("etcd itself lists the flags of our table in its help, and no other", { skip }, async () => {
  const names = (text: string): string[] => {
    return [...text.matchAll(/^ {2}--([a-z0-9-]+)/gm)].map(([, name]) => name ?? "").sort();
  };
  const theirs = names(runProgram([reference?.etcd ?? ""], { args: ["--help"], code: 1 }).stdout);
  const ours = names((await decideOn({ args: ["--help"], code: 1 })).stdout);
  // Its help still shows two flags that it no longer has.
  const dead = new Set(["discovery", "discovery-proxy"]);
  assert.deepEqual(
    ours,
    theirs.filter((name) => !dead.has(name)),
  );
});

test("the compiled program prints a usage text on stderr and ends with 2 after a bad flag", () => {
  const ended = runProgram([process.execPath, program], { args: ["--bogus"], code: 2 });
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /^flag provided but not defined: -bogus\nUsage:\n/);
  assert.equal(ended.stdout, "");
});

test("the compiled program writes a refusal as JSON lines", () => {
  const ended = runProgram([process.execPath, program], { args: ["foo"], code: 1 });
  assert.equal(ended.code, 1);
  assert.deepEqual(
    ended.lines.map(({ level, msg }) => [level, msg]),
    [
      ["info", "Running: "],
      ["warn", "failed to verify flags"],
    ],
  );
  assert.deepEqual(ended.lines[0]?.["args"], [program, "foo"]);
});

test("--version prints four lines and --help the usage on stderr, every flag on stdout", async () => {
  const version = await decideOn({ args: ["--version"], code: 1 });
  assert.match(
    version.stdout,
    /^etcd Version: 3\.7\.1\nGit SHA: .+\nGo Version: node\d.+\nGo OS\/Arch: \w+\/\w+\n$/,
  );
  assert.equal(version.code, 0);
  for (const form of ["-h", "--help", "-help"]) {
    const help = await decideOn({ args: [form, "foo"], code: 1 });
    assert.equal(help.code, 0);
    assert.match(help.stderr, /^Usage:\n/);
    assert.match(help.stdout, /\nMember:\n {2}--name 'default'\n/);
    assert.match(help.stdout, / {2}--quota-backend-bytes '0'\n/);
  }
});

async function configOf(start: Omit<Refusal, "code">): Promise<{
  config: Extract<Decision, { kind: "start" }>["config"];
  lines: readonly Line[];
}> {
  const { decision, lines } = await decideOn({ ...start, code: 1 });
  assert.ok(decision.kind === "start", JSON.stringify(lines));
  return { config: decision.config, lines };
}

test("flags reach the configuration with normalised values", async () => {
  const { config } = await configOf({
    args: [
      "-name=infra1",
      "--data-dir",
      "/d",
      "--snapshot-count=1_000",
      "--max-wals=0x10",
      "--quota-backend-bytes=-1",
      "--grpc-keepalive-interval=1m30s",
      "--compaction-sleep-interval",
      "20ms",
      "--pre-vote=F",
      "--listen-client-urls=http://[::1]:2,http://127.0.0.1:1, http://127.0.0.1:1",
      "--advertise-client-urls=http://example.com:1",
      "--log-outputs=stdout,stderr,stdout",
      "--host-whitelist=b,a",
      "--cors=http://x:1",
      "--feature-gates=AllAlpha=true,LeaseCheckpoint=false,LeaseCheckpointPersist=false",
      "--metrics=extensive",
      "--snapshot",
      "--vv=7",
    ],
  });
  assert.equal(config.name, "infra1");
  assert.equal(config.dataDir, "/d");
  assert.equal(config.initialCluster, "infra1=http://localhost:2380");
  assert.equal(config.snapshotCount, 1000);
  assert.equal(config.maxWals, 16);
  assert.equal(config.quotaBackendBytes, -1);
  assert.equal(config.grpcKeepaliveIntervalMs, 90_000);
  assert.equal(config.compactionSleepIntervalMs, 20);
  assert.equal(config.preVote, false);
  assert.deepEqual(config.listenClientUrls, [
    { scheme: "http", host: "127.0.0.1", port: 1, path: "", url: "http://127.0.0.1:1" },
    { scheme: "http", host: "::1", port: 2, path: "", url: "http://[::1]:2" },
  ]);
  assert.deepEqual(config.logOutputs, ["stderr", "stdout"]);
  assert.deepEqual(config.hostWhitelist, ["a", "b"]);
  assert.deepEqual(config.cors, ["http://x:1"]);
  assert.equal(config.featureGates.get("LeaseCheckpoint"), false);
  assert.equal(config.featureGates.get("StopGRPCServiceOnDefrag"), true);
  assert.equal(config.featureGates.has("FastLeaseKeepAlive"), false);
});

test("variables fill flags that are absent; unknown ones and ETCD_VERSION only warn", async () => {
  const { config, lines } = await configOf({
    env: {
      ETCD_NAME: "e1",
      ETCD_DATA_DIR: "",
      ETCD_PORT_2379_TCP: "tcp://1.2.3.4:2379",
      ETCD_VERSION: "3.4",
      ETCD_ELECTION_TIMEOUT: "5000",
      OTHER: "x",
    },
    args: ["--heartbeat-interval=200"],
  });
  assert.equal(config.name, "e1");
  assert.equal(config.dataDir, "e1.etcd");
  assert.equal(config.electionTimeoutMs, 5000);
  assert.equal(config.heartbeatIntervalMs, 200);
  assert.deepEqual(lines.slice(0, 5), [
    {
      level: "warn",
      msg: "cannot set special environment variable",
      key: "ETCD_VERSION",
      value: "3.4",
    },
    {
      level: "info",
      msg: "recognized and used environment variable",
      "variable-name": "ETCD_ELECTION_TIMEOUT",
      "variable-value": "5000",
    },
    {
      level: "info",
      msg: "recognized and used environment variable",
      "variable-name": "ETCD_NAME",
      "variable-value": "e1",
    },
    {
      level: "warn",
      msg: "unrecognized environment variable",
      "environment-variable": "ETCD_DATA_DIR=",
    },
    {
      level: "warn",
      msg: "unrecognized environment variable",
      "environment-variable": "ETCD_PORT_2379_TCP=tcp://1.2.3.4:2379",
    },
  ]);
});

test("a config file replaces all other flags and variables", async () => {
  const { config, lines } = await configOf({
    args: ["--name=flag", "--snapshot-count=7"],
    env: { ETCD_MAX_WALS: "9" },
    file: [
      "name: file",
      "unknown-key: {a: [1]}",
      "watch-progress-notify-interval: 600000000000",
      "listen-client-urls: http://127.0.0.1:5,http://127.0.0.1:5",
      "pre-vote: no",
      "log-outputs: [stderr]",
      "max-snapshots: 3",
      "client-transport-security:",
      "  cert-file: ''",
      "discovery-config: {client: {dial-timeout: 3000000000}}",
    ].join("\n"),
  });
  assert.equal(config.name, "file");
  assert.equal(config.snapshotCount, 10_000);
  assert.equal(config.maxWals, 5);
  assert.equal(config.watchProgressNotifyIntervalMs, 600_000);
  assert.equal(config.preVote, false);
  assert.equal(config.maxSnapshots, 3);
  assert.equal(config.discovery.dialTimeoutMs, 3000);
  assert.equal(config.listenClientUrls.length, 2);
  assert.equal(config.advertiseClientUrls[0]?.url, "http://localhost:2379");
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [
      "Running http and grpc server on single port. This is not recommended for production.",
      "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided",
      "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.",
      "Running: ",
      "'data-dir' was empty; using default",
    ],
  );
});

test("what is not built is refused by the name of its flag, whichever way it is set", async () => {
  const unsupported = "is not supported yet by etcd-ts: only its default";
  const cases: (Omit<Refusal, "code"> & { says: string })[] = [
    { args: ["--auto-tls"], says: `--auto-tls ${unsupported} (false) is accepted` },
    { env: { ETCD_CERT_FILE: "x" }, says: `--cert-file ${unsupported} (empty) is accepted` },
    {
      file: "auto-compaction-retention: 1h",
      says: `--auto-compaction-retention ${unsupported} (0) is accepted`,
    },
    { args: ["--unsafe-no-fsync"], says: `--unsafe-no-fsync ${unsupported} (false) is accepted` },
    {
      args: ["--initial-cluster=a=http://h:1,b=http://i:1"],
      says: "--initial-cluster with more than one member is not supported yet by etcd-ts",
    },
    {
      args: ["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://h:1"],
      says: "--listen-client-urls: https is not supported yet by etcd-ts: only http is accepted (https://127.0.0.1:1)",
    },
  ];
  for (const { says, ...start } of cases) {
    checkRefusal({ code: 1, error: says }, await decideOn({ ...start, code: 1 }));
  }
});

test("defaults given in so many words are accepted for every flag", async () => {
  const { decision } = await decideOn({
    code: 1,
    args: [
      "--cert-file=",
      "--auto-tls=false",
      "--auth-token=simple",
      "--auto-compaction-retention=0",
      "--enable-pprof=false",
      "--force-new-cluster=false",
      "--enable-grpc-gateway=true",
      "--discovery-srv=",
      "--corrupt-check-time=0s",
    ],
  });
  assert.equal(decision.kind, "start");
});
