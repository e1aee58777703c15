#!/usr/bin/env node
// The `etcd` program.

import { goArch } from "../help.ts";
import { createLogger } from "../logger.ts";
import { run } from "./run.ts";
import { decide } from "./settings.ts";

/** Architectures etcd runs on without being told to. */
const SUPPORTED_ARCHITECTURES = ["amd64", "arm64", "ppc64le", "s390x"];

function checkArchitecture(): boolean {
  const arch = goArch();
  if (SUPPORTED_ARCHITECTURES.includes(arch)) return true;
  const told = process.env["ETCD_UNSUPPORTED_ARCH"];
  delete process.env["ETCD_UNSUPPORTED_ARCH"];
  if (told === arch) return true;
  console.error(
    "Refusing to run etcd on unsupported architecture since ETCD_UNSUPPORTED_ARCH is not set",
  );
  return false;
}

async function main(): Promise<number> {
  if (!checkArchitecture()) return 1;
  const args = process.argv.slice(1);
  if (args[1] === "gateway" || args[1] === "grpc-proxy") {
    console.error(`etcd ${args[1]} is not supported yet by etcd-ts`);
    return 1;
  }
  const decision = await decide({
    args,
    environment: process.env,
    openLog: createLogger,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  });
  if (decision.kind === "exit") return decision.code;
  const { config, log } = decision;
  // Go ends a program with status 2 where an invariant breaks; so does this one, and no other handler may save it.
  process.on("uncaughtException", (error) => {
    log.fatal("panic", { error, stack: error.stack ?? "" });
    process.exit(2);
  });
  return run(config, log, async () => {
    const { Etcd } = await import("../../embed/index.ts");
    return (memberConfig, hooks) => Etcd.start(memberConfig, hooks);
  });
}

process.exitCode = await main();
if (process.exitCode !== 0) process.exit();
