// The HTTP/1 server behind the client listeners: it never listens itself, connections are handed to it.

import { createServer, type Server } from "node:http";
import { clientHandler, type HealthSource, READ_HEADER_TIMEOUT_MS } from "../api/http/index.ts";
import type { EtcdMetrics, Logger } from "../base/index.ts";
import type { RpcListener } from "../net/index.ts";
import { createRangeRequest } from "../proto/index.ts";
import type { Member } from "../server/index.ts";
import type { EtcdConfig } from "./config.ts";
import { refreshMetrics } from "./metrics.ts";

interface HttpParts {
  readonly config: EtcdConfig;
  readonly member: Member;
  readonly metrics: EtcdMetrics;
  /** Filled while the member starts. */
  readonly listeners: readonly RpcListener[];
  readonly logger: Logger;
}

/** The server for `/health`, `/livez`, `/readyz`, `/version` and `/metrics`. */
export function createHttpServer(parts: HttpParts): Server {
  const { config, member, metrics, listeners, logger } = parts;
  const handler = clientHandler({
    health: healthOf(member),
    versions: {
      clusterVersion: () => member.cluster.version,
      storageVersion: () => member.storageVersion || undefined,
    },
    metrics,
    log: logger,
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
  });
  const options = { headersTimeout: READ_HEADER_TIMEOUT_MS };
  return createServer(options, (req, res) => {
    refreshMetrics(metrics, member, listeners);
    handler(req, res);
  });
}

function healthOf(member: Member): HealthSource {
  return {
    alarms: () => member.alarms.list(),
    hasLeader: () => member.leader !== 0n,
    isLearner: () => false,
    probeRead: (serializable) =>
      new Promise((resolve) => {
        const read = (): void => {
          const result = member.store.range(createRangeRequest({ key: "health" }));
          resolve(typeof result === "string" ? result : undefined);
        };
        if (serializable) read();
        else member.reads.wait({ onReadable: read, onRefused: (refusal) => resolve(refusal) });
      }),
  };
}
