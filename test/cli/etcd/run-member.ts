// A program for run.test.ts: the life of the etcd program around a member that is played. Arguments: what it plays, data directory.

import { createServer } from "node:net";
import { type RunningMember, run } from "../../../src/cli/etcd/run.ts";
import { createLogger, DEFAULT_LOGGER } from "../../../src/cli/logger.ts";
import { defaultConfig } from "../../../src/embed/config.ts";

/** Plays a member that serves until it is stopped. */
function serving(stop: () => Promise<void>): RunningMember {
  const alive = setInterval(() => {}, 1000);
  return {
    fatal: new Promise(() => {}),
    async stop() {
      await stop();
      clearInterval(alive);
    },
  };
}

/** Listens on the port of `taken`, which fails as it fails for a member. */
function listenTwice(): Promise<RunningMember> {
  return new Promise((_, reject) => {
    const taken = createServer().listen(0, "127.0.0.1", () => {
      const address = taken.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      createServer().on("error", reject).listen(port, "127.0.0.1");
    });
  });
}

function play(part: string): Promise<RunningMember> {
  switch (part) {
    case "port-taken":
      return listenTwice();
    case "breaks":
      return Promise.resolve({
        fatal: Promise.resolve(new Error("write /d/member/wal/0.wal: no space left on device")),
        stop: () => Promise.resolve(),
      });
    case "hangs":
      return Promise.resolve(serving(() => new Promise(() => {})));
    default:
      return Promise.resolve(serving(() => Promise.resolve()));
  }
}

const log = await createLogger(DEFAULT_LOGGER);
if (typeof log === "string") throw new Error(log);
const config = { ...defaultConfig(), dataDir: process.argv[3] ?? "" };
process.exit(await run(config, log, () => Promise.resolve(() => play(process.argv[2] ?? ""))));
