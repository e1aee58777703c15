// One etcd member in this process: built from a configuration, started and stopped in order. The face of the library and of the program.
//
// Start: ports -> storage -> state -> Raft -> campaign -> own attributes published -> listeners answer; who connects before waits.
// Stop: listeners finish what they serve -> member -> disk. What breaks for good in between settles `fatal`, and nothing is
// acknowledged any more.

import type { Server as HttpServer } from "node:http";
import { type RpcOptions, rpcMethods } from "../api/v3rpc/index.ts";
import { EtcdMetrics, type Logger, SERVER_VERSION, silentLogger } from "../base/index.ts";
import { idText } from "../core/membership/index.ts";
import { HeldPort, RpcListener } from "../net/index.ts";
import { type Member, publishAttributes, publishClusterVersion } from "../server/index.ts";
import { defaultConfig, type Endpoint, type EtcdConfig } from "./config.ts";
import { createHttpServer, listenForMetrics } from "./http.ts";
import { bindMemberMetrics } from "./metrics.ts";
import { nodeClock } from "./node-clock.ts";
import { openMember } from "./open-member.ts";

/** Beyond `--max-request-bytes`, what a gRPC message may carry besides. */
const GRPC_OVERHEAD_BYTES = 512 * 1024;
/** Longest wait for calls to end when the server stops. */
const STOP_GRACE_MS = 500;
/** How long calls in progress have to end by themselves. */
const ANSWER_GRACE_MS = 100;
/** Cluster version a new cluster of this release sets. */
const CLUSTER_VERSION = "3.7.0";

/** Where a member in memory listens by default. */
const ANY_LOCAL_PORT: Endpoint = {
  scheme: "http",
  host: "127.0.0.1",
  port: 0,
  path: "",
  url: "http://127.0.0.1:0",
};

/** What a library user may set: any part of the configuration, or nothing on disk at all. */
export interface EtcdOptions extends Partial<EtcdConfig> {
  /**
   * Keeps everything in memory; nothing survives `stop`. Unless told otherwise, such a member listens on a port of 127.0.0.1 that the
   * system chooses, so that any number may run at once.
   */
  readonly memory?: boolean;
}

/** What the program brings along. */
export interface EtcdHooks {
  readonly logger?: Logger;
}

/** A running member. */
export class Etcd {
  /** Settles, once, when the member broke and must not be used any more; never rejects. */
  readonly fatal: Promise<Error>;
  /** URLs that clients connect to, with the port chosen by the system where 0 was asked for. */
  readonly clientUrls: readonly string[];
  readonly metrics: EtcdMetrics;
  readonly #member: Member;
  readonly #listeners: readonly RpcListener[];
  readonly #http: HttpServer;
  readonly #metricsServers: readonly HttpServer[];
  #stopping: Promise<void> | undefined;

  private constructor(parts: {
    fatal: Promise<Error>;
    clientUrls: readonly string[];
    metrics: EtcdMetrics;
    member: Member;
    listeners: readonly RpcListener[];
    http: HttpServer;
    metricsServers: readonly HttpServer[];
  }) {
    this.fatal = parts.fatal;
    this.clientUrls = parts.clientUrls;
    this.metrics = parts.metrics;
    this.#member = parts.member;
    this.#listeners = parts.listeners;
    this.#http = parts.http;
    this.#metricsServers = parts.metricsServers;
  }

  /** `host:port` of the client listeners, as clients take them. */
  get endpoints(): string[] {
    return this.clientUrls.map((url) => url.replace(/^https?:\/\//, ""));
  }

  /** The member's id in hexadecimal. */
  get memberId(): string {
    return idText(this.#member.id);
  }

  /**
   * Starts a member and resolves when it serves clients. Rejects, with nothing left open, if the directory cannot be used, a port is
   * taken, or the configuration makes no member.
   */
  static async start(options: EtcdOptions = {}, hooks: EtcdHooks = {}): Promise<Etcd> {
    const { memory = false, ...settings } = options;
    const config: EtcdConfig = {
      ...defaultConfig(),
      ...(memory ? { listenClientUrls: [ANY_LOCAL_PORT] } : {}),
      ...settings,
    };
    const logger = hooks.logger ?? silentLogger;
    let broke: (error: Error) => void = () => {};
    const fatal = new Promise<Error>((resolve) => {
      broke = resolve;
    });
    const metrics = new EtcdMetrics(config.metrics === "extensive");
    const clock = nodeClock;
    const ports = await bindAll(config.listenClientUrls);
    const clientUrls = ports.map((port, i) => {
      return `http://${hostText(config.listenClientUrls[i] as Endpoint)}:${port.port}`;
    });
    // Who lets the system choose the port cannot know what to advertise.
    const advertised =
      memory && settings.advertiseClientUrls === undefined ? clientUrls : undefined;
    let member: Member | undefined;
    try {
      member = await openMember(config, { memory, logger, clock, metrics, onFatal: broke });
      bindMemberMetrics(metrics, member);
      await untilReady(member, config, advertised, fatal);
    } catch (error) {
      for (const port of ports) port.close();
      await member?.stop();
      throw error;
    }
    const listeners: RpcListener[] = [];
    const httpParts = { config, member, metrics, listeners, logger };
    const http = createHttpServer(httpParts);
    const metricsServers = await listenForMetrics(httpParts).catch(async (error: unknown) => {
      for (const port of ports) port.close();
      await member?.stop();
      throw error;
    });
    const methods = rpcMethods(member, rpcOptions(config));
    for (const [i, port] of ports.entries()) {
      const listener = new RpcListener({
        methods,
        clock,
        http,
        limits: {
          streamsMax: config.maxConcurrentStreams,
          messageBytesMax: config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
          keepaliveMinTimeMs: config.grpcKeepaliveMinTimeMs,
          keepaliveIntervalMs: config.grpcKeepaliveIntervalMs,
          keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMs,
        },
        counters: (method) => metrics.rpc.method(method.path, method.kind),
        onLog: (message, fields) => logger.debug(message, fields),
      });
      listeners.push(listener);
      listener.adopt(port);
      const address = (clientUrls[i] as string).replace("http://", "");
      logger.info("serving client traffic insecurely; this is strongly discouraged!", {
        traffic: "grpc+http",
        address,
      });
    }
    return new Etcd({ fatal, clientUrls, metrics, member, listeners, http, metricsServers });
  }

  /** Stops serving, ends the member and closes its storage. A second call waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const server of [this.#http, ...this.#metricsServers]) {
      server.close();
      server.closeAllConnections();
    }
    const closing = Promise.all(
      this.#listeners.map((listener) => listener.closeGracefully(STOP_GRACE_MS)),
    );
    // What is on its way to the disk is answered; who waits longer, or watches, is told that the server stops.
    const cancel = nodeClock.after(ANSWER_GRACE_MS, () => this.#member.refuseAll());
    await closing;
    cancel();
    await this.#member.stop();
  }
}

/** Takes every port, or none. */
async function bindAll(endpoints: readonly Endpoint[]): Promise<HeldPort[]> {
  const ports: HeldPort[] = [];
  try {
    for (const endpoint of endpoints) {
      const { scheme, host, port, url } = endpoint;
      if (scheme !== "http") throw new Error(`${url}: etcd-ts cannot listen on ${scheme} yet`);
      ports.push(await HeldPort.bind({ host, port }));
    }
    return ports;
  } catch (error) {
    for (const port of ports) port.close();
    throw error;
  }
}

function hostText({ host }: Endpoint): string {
  return host.includes(":") ? `[${host}]` : host;
}

function rpcOptions(config: EtcdConfig): RpcOptions {
  return {
    version: SERVER_VERSION,
    maxTxnOps: config.maxTxnOps,
    electionTimeoutMs: config.electionTimeoutMs,
    fragmentBytesMax: config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
    progressNotifyMs: config.watchProgressNotifyIntervalMs,
    random: Math.random,
  };
}

/** Starts the member and waits until it leads and its own attributes are applied: from then on it has a quorum. */
function untilReady(
  member: Member,
  config: EtcdConfig,
  advertised: readonly string[] | undefined,
  fatal: Promise<Error>,
): Promise<void> {
  const attributes = {
    name: config.name,
    clientUrls: advertised ?? config.advertiseClientUrls.map((endpoint) => endpoint.url),
  };
  const ready = new Promise<void>((resolve) => {
    member.start(() => {
      publishClusterVersion(member, CLUSTER_VERSION, () => {
        publishAttributes(member, attributes, resolve);
      });
    });
  });
  return Promise.race([
    ready,
    fatal.then((error) => {
      throw error;
    }),
  ]);
}
