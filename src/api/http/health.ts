// `/health`, `/livez`, `/readyz` and their checks: whether this process lives, serves, and may be sent traffic.
//
// `/health` is the old form, one JSON object; the other two run named checks and answer in lines. What is asked of the member is
// one small interface, so that the handlers run without one.
// Source: operations.md 5.3, 5.4.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger, ServerMetrics } from "../../base/index.ts";
import { goJson, isGet, reply, replyError } from "./replies.ts";

/** An alarm that is raised somewhere in the cluster. */
export interface RaisedAlarm {
  readonly memberId: bigint;
  /** Number of etcdserverpb.AlarmType: 1 NOSPACE, 2 CORRUPT. */
  readonly alarm: number;
}

/** What the health paths ask of the member. */
export interface HealthSource {
  alarms(): readonly RaisedAlarm[];
  /** A leader is known. */
  hasLeader(): boolean;
  /** This member does not vote. */
  isLearner(): boolean;
  /**
   * Reads one key as the root user: from local state when `serializable`, otherwise with the agreement of the cluster, within the
   * member's own request timeout. Resolves with undefined when that worked and with the error's text when not; never rejects.
   */
  probeRead(serializable: boolean): Promise<string | undefined>;
}

const CORRUPT = 2;

/** The name of an alarm as requests and answers spell it. */
function alarmName(alarm: number): string {
  return ["NONE", "NOSPACE", "CORRUPT"][alarm] ?? String(alarm);
}

/** Values of query parameter `name`, empty ones left out. */
function querySet(query: URLSearchParams, name: string): Set<string> {
  return new Set(query.getAll(name).filter((value) => value !== ""));
}

/** Why the member is not healthy; undefined if it is. */
async function unhealthyReason(
  source: HealthSource,
  query: URLSearchParams,
  log: Logger,
): Promise<string | undefined> {
  const excluded = querySet(query, "exclude");
  for (const { memberId, alarm } of source.alarms()) {
    const name = alarmName(alarm);
    if (excluded.has(name)) continue;
    log.warn("serving /health false due to an alarm", {
      alarm: `memberID:${memberId} alarm:${name}`,
    });
    return `ALARM ${alarm === 1 || alarm === CORRUPT ? name : "UNKNOWN"}`;
  }
  const serializable = query.get("serializable") === "true";
  if (!serializable && !source.hasLeader()) {
    log.warn("serving /health false; no leader");
    return "RAFT NO LEADER";
  }
  const error = await source.probeRead(serializable);
  if (error === undefined) return undefined;
  log.warn("serving /health false; Range fails", { error });
  return `RANGE ERROR:${error}`;
}

/** Handler of one path; `query` are the parameters of the request. */
export type Route = (
  req: IncomingMessage,
  res: ServerResponse,
  query: URLSearchParams,
) => void | Promise<void>;

/** `/health`. */
export function healthRoute(source: HealthSource, metrics: ServerMetrics, log: Logger): Route {
  return async (req, res, query) => {
    if (!isGet(req, res)) {
      log.warn("/health error", { "status-code": 405 });
      return;
    }
    const reason = await unhealthyReason(source, query, log);
    if (reason === undefined) {
      metrics.healthSuccess.inc();
      res.setHeader("Content-Type", "text/plain; charset=utf-8");
      reply(res, 200, goJson({ health: "true", reason: "" }));
      return;
    }
    metrics.healthFailures.inc();
    const output = goJson({ health: "false", reason });
    replyError(res, 503, output);
    log.warn("/health error", { output, "status-code": 503 });
  };
}

/** Resolves with undefined when the check holds, with the reason when not. */
type Check = (source: HealthSource) => string | undefined | Promise<string | undefined>;

const CHECKS: Readonly<Record<string, Check>> = {
  data_corruption: (source) =>
    source.alarms().some(({ alarm }) => alarm === CORRUPT) ? "alarm activated: CORRUPT" : undefined,
  serializable_read: (source) => source.probeRead(true),
  linearizable_read: (source) => source.probeRead(false),
  non_learner: (source) => (source.isLearner() ? "not supported for learner" : undefined),
};

const CHECKS_OF: readonly (readonly [type: string, names: readonly string[]])[] = [
  ["livez", ["serializable_read"]],
  ["readyz", ["data_corruption", "serializable_read", "linearizable_read", "non_learner"]],
];

interface CheckRun {
  readonly ok: boolean;
  /** A line per check. */
  readonly text: string;
}

async function runChecks(
  type: string,
  names: readonly string[],
  source: HealthSource,
  metrics: ServerMetrics,
): Promise<CheckRun> {
  let ok = true;
  let text = "";
  for (const name of names) {
    const reason = await CHECKS[name]?.(source);
    const held = reason === undefined;
    ok &&= held;
    text += held ? `[+]${name} ok\n` : `[-]${name} failed: ${reason}\n`;
    metrics.healthcheck.with(type, name).set(held ? 1 : 0);
    metrics.healthchecks.with(type, name, held ? "success" : "error").inc();
  }
  return { ok, text };
}

function withoutExcluded(names: readonly string[], query: URLSearchParams, log: Logger): string[] {
  const excluded = querySet(query, "exclude");
  const left = names.filter((name) => !excluded.delete(name));
  if (excluded.size > 0) {
    const missing = [...excluded].map((name) => JSON.stringify(name)).join(",");
    log.warn("some health checks cannot be excluded", { "missing-health-checks": missing });
  }
  return left;
}

/** `/livez` and `/readyz`, and a path below them for each check. */
export function* checkRoutes(
  source: HealthSource,
  metrics: ServerMetrics,
  log: Logger,
): Generator<readonly [path: string, route: Route]> {
  for (const [type, names] of CHECKS_OF) {
    const route = (path: string, select: (query: URLSearchParams) => readonly string[]): Route => {
      return async (req, res, query) => {
        if (!isGet(req, res)) {
          log.warn("Health request error", { path, "status-code": 405 });
          return;
        }
        const { ok, text } = await runChecks(type, select(query), source, metrics);
        if (!ok) {
          replyError(res, 503, text);
          log.error("Health check error", { path, reason: text, "status-code": 503 });
          return;
        }
        res.setHeader("Content-Type", "text/plain; charset=utf-8");
        res.setHeader("X-Content-Type-Options", "nosniff");
        reply(res, 200, query.has("verbose") ? `${text}ok\n` : "ok\n");
      };
    };
    const root = `/${type}`;
    yield [root, route(root, (query) => withoutExcluded(names, query, log))];
    for (const name of names) yield [`${root}/${name}`, route(`${root}/${name}`, () => [name])];
  }
}
