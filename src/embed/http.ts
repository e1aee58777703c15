// The HTTP/1 side of a member: the server behind the client listeners, and those of the metrics URLs.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import {
  clientHandler,
  type HealthSource,
  type HttpHandler,
  type HttpOptions,
  metricsHandler,
  READ_HEADER_TIMEOUT_MS,
} from "../api/http/index.ts";
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

/** The server behind the client listeners: `/health`, `/livez`, `/readyz`, `/version` and `/metrics`. It never listens itself. */
export function createHttpServer(parts: HttpParts): Server {
  const server = serverOf(parts, clientHandler(optionsOf(parts)));
  // A server of `node:http` keeps count of its connections, for timeouts and for closing them, from when it listens; this one never will.
  server.emit("listening");
  return server;
}

/** Serves metrics and health on each of `--listen-metrics-urls`; rejects, with none left open, if one cannot be had. */
export async function listenForMetrics(parts: HttpParts): Promise<Server[]> {
  const handler = metricsHandler(optionsOf(parts));
  const servers: Server[] = [];
  try {
    for (const { host, port } of parts.config.listenMetricsUrls) {
      const server = serverOf(parts, handler);
      server.listen(port, host);
      await once(server, "listening");
      servers.push(server);
    }
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

function serverOf(parts: HttpParts, handler: HttpHandler): Server {
  const { member, metrics, listeners } = parts;
  return createServer({ headersTimeout: READ_HEADER_TIMEOUT_MS }, (req, res) => {
    refreshMetrics(metrics, member, listeners);
    handler(req, res);
  });
}

function optionsOf({ config, member, metrics, logger }: HttpParts): HttpOptions {
  return {
    health: healthOf(member),
    versions: {
      clusterVersion: () => member.cluster.version,
      storageVersion: () => member.storageVersion || undefined,
    },
    metrics,
    log: logger,
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
  };
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
