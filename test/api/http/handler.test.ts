// The HTTP paths of client and metrics listeners over a real `node:http` server: status, headers and bodies as etcd 3.7.1 gives them
// (taken from a running one), for a member in every state that the paths can tell of.

import assert from "node:assert/strict";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  clientHandler,
  type HealthSource,
  type HttpHandler,
  type HttpOptions,
  metricsHandler,
} from "../../../src/api/http/index.ts";
import { EtcdMetrics, type LogFields, type Logger } from "../../../src/base/index.ts";

/** A member whose state the test sets. */
class FakeMember implements HealthSource {
  raised: { memberId: bigint; alarm: number }[] = [];
  leader = true;
  learner = false;
  readErrors = new Map<boolean, string>();

  alarms(): FakeMember["raised"] {
    return this.raised;
  }

  hasLeader(): boolean {
    return this.leader;
  }

  isLearner(): boolean {
    return this.learner;
  }

  probeRead(serializable: boolean): Promise<string | undefined> {
    return Promise.resolve(this.readErrors.get(serializable));
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(handler: HttpHandler): Promise<(path: string, ask?: Ask) => Promise<Answer>> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return (path, { method = "GET", headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const req = request({ host: "127.0.0.1", port, path, method, headers }, (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("end", () => {
          const body = Buffer.concat(chunks);
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            body,
            text: body.toString(),
          });
        });
      });
      req.on("error", reject);
      req.end();
    });
}

interface Setup {
  readonly member: FakeMember;
  readonly metrics: EtcdMetrics;
  readonly lines: [level: string, message: string, fields: LogFields | undefined][];
  readonly options: HttpOptions;
}

function setUp(changes: Partial<HttpOptions> = {}): Setup {
  const member = new FakeMember();
  const metrics = new EtcdMetrics();
  const lines: Setup["lines"] = [];
  const at = (level: string) => (message: string, fields?: LogFields) => {
    lines.push([level, message, fields]);
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
  const versions = { clusterVersion: () => "3.7.0", storageVersion: () => "3.7.0" };
  const options = { health: member, versions, metrics, log, cors: ["*"], hostWhitelist: ["*"] };
  return { member, metrics, lines, options: { ...options, ...changes } };
}

const TEXT = "text/plain; charset=utf-8";

test("/health tells a good member with a JSON object without a newline", async () => {
  const { options, metrics } = setUp();
  const get = await listen(clientHandler(options));
  const { status, headers, text } = await get("/health");
  assert.equal(status, 200);
  assert.equal(text, '{"health":"true","reason":""}');
  assert.equal(headers["content-type"], TEXT);
  assert.equal(headers["content-length"], "29");
  assert.equal(headers["x-content-type-options"], undefined);
  assert.equal(metrics.server.healthSuccess.value, 1);
});

test("/health tells why a member is bad, in the order alarms, leader, read", async () => {
  const { options, member, metrics } = setUp();
  const get = await listen(clientHandler(options));
  const reasonOf = async (path: string): Promise<string | undefined> => {
    const { status, headers, text } = await get(path);
    if (status === 200) return undefined;
    assert.equal(status, 503);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(text, /^\{"health":"false","reason":".*"\}\n$/);
    return (JSON.parse(text) as { reason: string }).reason;
  };
  member.readErrors.set(false, "etcdserver: <timed out>");
  assert.equal(await reasonOf("/health"), "RANGE ERROR:etcdserver: <timed out>");
  assert.match((await get("/health")).text, /etcdserver: \\u003ctimed out\\u003e/);
  assert.equal(await reasonOf("/health?serializable=true"), undefined);
  member.leader = false;
  assert.equal(await reasonOf("/health"), "RAFT NO LEADER");
  assert.equal(await reasonOf("/health?serializable=false"), "RAFT NO LEADER");
  assert.equal(await reasonOf("/health?serializable=true"), undefined);
  member.raised = [
    { memberId: 1n, alarm: 1 },
    { memberId: 2n, alarm: 2 },
  ];
  assert.equal(await reasonOf("/health?serializable=true"), "ALARM NOSPACE");
  assert.equal(await reasonOf("/health?serializable=true&exclude=NOSPACE"), "ALARM CORRUPT");
  const both = "/health?exclude=NOSPACE&serializable=true&exclude=CORRUPT&exclude=";
  assert.equal(await reasonOf(both), undefined);
  member.raised = [{ memberId: 1n, alarm: 9 }];
  assert.equal(await reasonOf("/health"), "ALARM UNKNOWN");
  assert.equal(metrics.server.healthSuccess.value, 3);
  assert.equal(metrics.server.healthFailures.value, 7);
});

test("/livez and /readyz say ok, and each check with verbose", async () => {
  const { options, lines, metrics } = setUp();
  const get = await listen(clientHandler(options));
  const all =
    "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n";
  const cases: [string, string][] = [
    ["/livez", "ok\n"],
    ["/livez?verbose", "[+]serializable_read ok\nok\n"],
    ["/livez?exclude=serializable_read&verbose", "ok\n"],
    ["/livez/serializable_read", "ok\n"],
    ["/readyz", "ok\n"],
    ["/readyz?verbose=1", all],
    ["/readyz/linearizable_read?verbose", "[+]linearizable_read ok\nok\n"],
    ["/readyz?verbose&exclude=foo&exclude=non_learner", all.replace("[+]non_learner ok\n", "")],
  ];
  for (const [path, body] of cases) {
    const { status, headers, text } = await get(path);
    assert.deepEqual([status, text], [200, body], path);
    assert.equal(headers["content-type"], TEXT);
    assert.equal(headers["x-content-type-options"], "nosniff");
  }
  assert.deepEqual(lines, [
    ["warn", "some health checks cannot be excluded", { "missing-health-checks": '"foo"' }],
  ]);
  assert.equal(metrics.server.healthcheck.with("readyz", "non_learner").value, 1);
  assert.equal(metrics.server.healthchecks.with("livez", "serializable_read", "success").value, 3);
});

test("/readyz tells every check that fails; NOSPACE is none", async () => {
  const { options, member, metrics } = setUp();
  const get = await listen(clientHandler(options));
  member.raised = [{ memberId: 1n, alarm: 1 }];
  assert.equal((await get("/readyz")).status, 200);
  member.raised = [{ memberId: 1n, alarm: 2 }];
  member.learner = true;
  member.readErrors.set(false, "etcdserver: request timed out");
  const { status, headers, text } = await get("/readyz");
  assert.equal(status, 503);
  assert.equal(headers["content-type"], TEXT);
  assert.equal(
    text,
    [
      "[-]data_corruption failed: alarm activated: CORRUPT",
      "[+]serializable_read ok",
      "[-]linearizable_read failed: etcdserver: request timed out",
      "[-]non_learner failed: not supported for learner",
      "\n",
    ].join("\n"),
  );
  assert.equal((await get("/livez")).status, 200);
  assert.equal(metrics.server.healthcheck.with("readyz", "data_corruption").value, 0);
});

test("methods other than GET are refused where etcd refuses them", async () => {
  const get = await listen(clientHandler(setUp().options));
  for (const path of ["/health", "/livez", "/readyz/non_learner", "/version"]) {
    for (const method of ["POST", "PUT", "HEAD", "DELETE"]) {
      const { status, headers, text } = await get(path, { method });
      assert.equal(status, 405, `${method} ${path}`);
      assert.equal(headers["allow"], "GET");
      assert.equal(headers["content-length"], "19");
      assert.equal(text, method === "HEAD" ? "" : "Method Not Allowed\n");
    }
  }
  assert.equal((await get("/metrics", { method: "POST" })).status, 200);
});

test("/version tells three versions, also before they are decided", async () => {
  const { options } = setUp();
  const get = await listen(clientHandler(options));
  const decided = await get("/version");
  assert.equal(decided.headers["content-type"], "application/json");
  assert.equal(decided.text, '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}');
  const versions = { clusterVersion: () => undefined, storageVersion: () => undefined };
  const early = await listen(clientHandler({ ...options, versions }));
  assert.equal(
    (await early("/version")).text,
    '{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}',
  );
});

test("odd and unknown paths are answered as Go's mux answers them", async () => {
  const get = await listen(clientHandler(setUp().options));
  for (const path of ["/", "/nope", "/health/", "/readyz/foo", "/livez/non_learner", "/%zz"]) {
    const { status, text, headers } = await get(path);
    assert.deepEqual([status, text], [404, "404 page not found\n"], path);
    assert.equal(headers["content-type"], TEXT);
  }
  for (const path of ["//health", "/x/../health", "/./health"]) {
    const { status, text, headers } = await get(`${path}?serializable=true`);
    assert.equal(status, 307);
    assert.equal(headers["location"], "/health?serializable=true");
    assert.equal(text, '<a href="/health?serializable=true">Temporary Redirect</a>.\n\n');
  }
  assert.equal((await get("/heal%74h")).status, 200);
});

test("every answer of a client listener allows the origin, and OPTIONS is always good", async () => {
  const get = await listen(clientHandler(setUp().options));
  for (const [path, ask] of [
    ["/health", {}],
    ["/nope", { method: "OPTIONS" }],
  ] as const) {
    const { status, headers, text } = await get(path, ask);
    assert.equal(status, 200);
    assert.equal(headers["access-control-allow-origin"], "*");
    assert.equal(headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE");
    assert.equal(headers["access-control-allow-headers"], "accept, content-type, authorization");
    if (path === "/nope") assert.deepEqual([text, headers["content-length"]], ["", "0"]);
  }
});

test("with a list of origins only a listed one is allowed, by its own name", async () => {
  const get = await listen(clientHandler(setUp({ cors: ["http://a:1"] }).options));
  const originOf = async (origin: string): Promise<unknown> => {
    return (await get("/health", { headers: { origin } })).headers["access-control-allow-origin"];
  };
  assert.equal(await originOf("http://a:1"), "http://a:1");
  assert.equal(await originOf("http://b:1"), undefined);
});

test("a host that is not on the list gets 421 and no health", async () => {
  const { options, lines } = setUp({ hostWhitelist: ["good.example", "::1"] });
  const get = await listen(clientHandler(options));
  const statusOf = async (host: string): Promise<number> => {
    return (await get("/health", { headers: { host } })).status;
  };
  assert.equal(await statusOf("good.example:2379"), 200);
  assert.equal(await statusOf("good.example"), 200);
  assert.equal(await statusOf("[::1]:2379"), 200);
  const refused = await get("/health", { headers: { host: "evil.example:2379" } });
  assert.equal(refused.status, 421);
  assert.match(
    refused.text,
    /^\netcd received your request, but the Host header was unrecognized\./,
  );
  assert.match(refused.text, /"evil\.example"/);
  assert.deepEqual(lines, [
    ["warn", "rejecting HTTP request to prevent DNS rebinding attacks", { host: "evil.example" }],
  ]);
});

test("/metrics is a Prometheus page, sorted, compressed where that is accepted", async () => {
  const { options, metrics } = setUp();
  metrics.server.hasLeader.set(1);
  metrics.mvcc.puts.add(12_345_678);
  metrics.disk.walFsyncDuration.observe(0.003);
  metrics.server.version.with("3.7.1").set(1);
  metrics.rpc.method("/etcdserverpb.KV/Range", "unary").received = 3;
  metrics.rpc.method("/etcdserverpb.KV/Put", "unary").received = 2;
  const get = await listen(clientHandler(options));
  const { status, headers, text } = await get("/metrics");
  assert.equal(status, 200);
  assert.equal(
    headers["content-type"],
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
  );
  const lines = text.split("\n");
  assert.equal(lines.at(-1), "");
  assert.equal(lines.slice(0, -1).includes(""), false);
  for (const line of [
    "# HELP etcd_server_has_leader Whether or not a leader exists. 1 is existence, 0 is not.",
    "# TYPE etcd_server_has_leader gauge",
    "etcd_server_has_leader 1",
    "etcd_mvcc_put_total 12345678",
    'etcd_server_version{server_version="3.7.1"} 1',
    'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 0',
    'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.004"} 1',
    'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 1',
    "etcd_disk_wal_fsync_duration_seconds_sum 0.003",
    "etcd_disk_wal_fsync_duration_seconds_count 1",
    'promhttp_metric_handler_requests_total{code="200"} 0',
    "promhttp_metric_handler_requests_in_flight 1",
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.deepEqual(
    lines.filter((line) => line.startsWith("grpc_server_msg_received_total{")),
    [
      'grpc_server_msg_received_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 2',
      'grpc_server_msg_received_total{grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 3',
    ],
  );
  assert.ok(lines.some((line) => /^process_resident_memory_bytes \d+$/.test(line)));
  assert.equal(text.includes("etcd_server_learner_promote_failures"), false);
  const names = lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
  assert.deepEqual(names, [...names].sort());

  const packed = await get("/metrics", { headers: { "accept-encoding": "deflate, gzip;q=0.5" } });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.match(gunzipSync(packed.body).toString(), /^etcd_server_has_leader 1$/m);
  const plain = await get("/metrics", { headers: { "accept-encoding": "gzip;q=0" } });
  assert.equal(plain.headers["content-encoding"], undefined);
});

test("a metrics listener serves metrics and health, and neither versions nor CORS", async () => {
  const get = await listen(metricsHandler(setUp({ hostWhitelist: ["x"] }).options));
  const health = await get("/health");
  assert.equal(health.status, 200);
  assert.equal(health.headers["access-control-allow-origin"], undefined);
  assert.equal((await get("/readyz")).text, "ok\n");
  assert.match((await get("/metrics")).text, /^etcd_server_has_leader 0$/m);
  assert.equal((await get("/version")).status, 404);
  assert.equal((await get("/health", { method: "OPTIONS" })).status, 405);
});

test("an error inside a handler ends that request with 500 and is logged", async () => {
  const { options, member, lines } = setUp();
  member.probeRead = () => Promise.reject(new Error("broken"));
  const get = await listen(clientHandler(options));
  const { status, text } = await get("/livez");
  assert.deepEqual([status, text], [500, "Internal Server Error\n"]);
  assert.equal(lines[0]?.[1], "HTTP request failed");
  assert.equal((await get("/version")).status, 200);
});
