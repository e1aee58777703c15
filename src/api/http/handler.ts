// The HTTP/1.1 side of a member's listeners as `node:http` request handlers: which path is served where, and what stands before it
// (host check, CORS, paths brought into their plain form).
// Source: operations.md 5.1, 5.2, 5.5; Go's http.ServeMux for odd paths.

import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type EtcdMetrics, type Logger, SERVER_VERSION } from "../../base/index.ts";
import { checkRoutes, type HealthSource, healthRoute, type Route } from "./health.ts";
import { goJson, isGet, reply, replyError, replyNotFound, replyRedirect } from "./replies.ts";

/** A handler for `http.createServer` or its `request` event. It answers every request and never throws. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** What the versions path tells beside this server's own version; undefined while not decided. */
export interface VersionSource {
  clusterVersion(): string | undefined;
  storageVersion(): string | undefined;
}

/** What the HTTP paths need of a member. */
export interface HttpOptions {
  readonly health: HealthSource;
  readonly versions: VersionSource;
  readonly metrics: EtcdMetrics;
  readonly log: Logger;
  /** Allowed origins; `*`, or none at all, allows every one. */
  readonly cors: readonly string[];
  /** Accepted hosts of plain requests; `*`, or none at all, accepts every one. */
  readonly hostWhitelist: readonly string[];
}

/** Time a client has for the headers of a request. */
export const READ_HEADER_TIMEOUT_MS: number = 5 * 60_000;

const compress = promisify(gzip);

/** Formats the metrics; loaded with the first scrape, because a library that takes long to load is behind it. */
function metricsRoute(metrics: EtcdMetrics): Route {
  let page: Promise<import("./metrics-page.ts").MetricsPage> | undefined;
  return async (req, res) => {
    page ??= import("./metrics-page.ts").then(({ MetricsPage }) => new MetricsPage(metrics));
    const body = Buffer.from(await (await page).render());
    res.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    const accepted = req.headers["accept-encoding"] ?? "";
    if (!/(?:^|[,\s])gzip(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(accepted)) {
      res.setHeader("Content-Length", body.length);
      res.end(body);
      return;
    }
    res.setHeader("Content-Encoding", "gzip");
    res.end(await compress(body));
  };
}

function versionRoute(versions: VersionSource): Route {
  return (req, res) => {
    if (!isGet(req, res)) return;
    res.setHeader("Content-Type", "application/json");
    const body = {
      etcdserver: SERVER_VERSION,
      etcdcluster: versions.clusterVersion() ?? "not_decided",
      storage: versions.storageVersion() ?? "unknown",
    };
    reply(res, 200, goJson(body));
  };
}

/** Paths of every listener that speaks to operators. */
function operatorRoutes(options: HttpOptions): Map<string, Route> {
  const { health, metrics, log } = options;
  return new Map<string, Route>([
    ["/health", healthRoute(health, metrics.server, log)],
    ...checkRoutes(health, metrics.server, log),
    ["/metrics", metricsRoute(metrics)],
  ]);
}

/** `path` without empty and dot segments; a slash at the end stays. */
function plainPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(segment);
  }
  const plain = `/${segments.join("/")}`;
  return path.endsWith("/") && plain !== "/" ? `${plain}/` : plain;
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

async function dispatch(
  routes: ReadonlyMap<string, Route>,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const target = (req.url ?? "/").replace(/^https?:\/\/[^/?]*/, "");
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? "" : target.slice(mark);
  const plain = plainPath(path);
  if (plain !== path) {
    replyRedirect(req, res, plain + query);
    return;
  }
  const route = routes.get(decoded(path) ?? "");
  if (route === undefined) replyNotFound(res);
  else await route(req, res, new URLSearchParams(query));
}

/** A handler of `routes`; what goes wrong inside one ends that request alone. */
function serve(routes: ReadonlyMap<string, Route>, log: Logger): HttpHandler {
  return (req, res) => {
    dispatch(routes, req, res).catch((error: unknown) => {
      log.error("HTTP request failed", { path: req.url ?? "", error });
      if (res.headersSent) res.destroy();
      else replyError(res, 500, "Internal Server Error");
    });
  };
}

/** Host of the request without its port. */
function hostOf(req: IncomingMessage): string {
  const host = req.headers.host ?? "";
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):[^:[\]]*$/.exec(host);
  return match?.[1] ?? match?.[2] ?? host;
}

/** Whether an allow-list lets `name` pass. */
function allows(list: readonly string[], name: string): boolean {
  return list.length === 0 || list.includes("*") || list.includes(name);
}

function refusedHost(host: string): string {
  return [
    "",
    "etcd received your request, but the Host header was unrecognized.",
    "",
    "The name in it may have been pointed at this server by somebody else (DNS rebinding, CVE-2018-5702).",
    `Start etcd with --host-whitelist ${JSON.stringify(host)} to accept it, or serve clients over TLS.`,
    "",
  ].join("\n");
}

/** Adds what lets a browser of an allowed origin read the answer. */
function addCors(req: IncomingMessage, res: ServerResponse, cors: readonly string[]): void {
  const origin = allows(cors, "*") ? "*" : (req.headers.origin ?? "");
  if (!allows(cors, origin)) return;
  res.setHeader("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE");
  res.setHeader("Access-Control-Allow-Origin", origin);
  res.setHeader("Access-Control-Allow-Headers", "accept, content-type, authorization");
}

/** The HTTP side of a client listener. */
export function clientHandler(options: HttpOptions): HttpHandler {
  const routes = operatorRoutes(options).set("/version", versionRoute(options.versions));
  const handler = serve(routes, options.log);
  const { cors, hostWhitelist, log } = options;
  return (req, res) => {
    const host = hostOf(req);
    if (!allows(hostWhitelist, host)) {
      log.warn("rejecting HTTP request to prevent DNS rebinding attacks", { host });
      replyError(res, 421, refusedHost(host));
      return;
    }
    addCors(req, res, cors);
    if (req.method === "OPTIONS") reply(res, 200, "");
    else handler(req, res);
  };
}

/** A listener of `--listen-metrics-urls`: metrics and health, no host check, no CORS. */
export function metricsHandler(options: HttpOptions): HttpHandler {
  return serve(operatorRoutes(options), options.log);
}
