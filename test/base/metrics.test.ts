// Metric primitives and the registry: what a scrape sees after updates.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EtcdMetrics,
  exponentialBounds,
  GRPC_CODE_NAMES,
  MetricRegistry,
} from "../../src/base/index.ts";

test("a histogram counts a value equal to a bound below it, and its samples are cumulative", () => {
  const registry = new MetricRegistry();
  const h = registry.histogram("h", "help", exponentialBounds(1, 2, 3));
  for (const value of [0.5, 1, 3, 100]) h.observe(value);
  const samples = registry
    .all()[0]
    ?.samples()
    .map((s) => [s.suffix, s.labels["le"], s.value]);
  assert.deepEqual(samples, [
    ["_bucket", "1", 2],
    ["_bucket", "2", 2],
    ["_bucket", "4", 3],
    ["_bucket", "+Inf", 4],
    ["_sum", undefined, 104.5],
    ["_count", undefined, 4],
  ]);
});

test("bounds from a million on are labelled as Go labels them", () => {
  const registry = new MetricRegistry();
  registry.histogram("h", "help", exponentialBounds(1, 2, 24));
  const bounds = registry
    .all()[0]
    ?.samples()
    .map((s) => s.labels["le"]);
  assert.ok(bounds?.includes("524288"));
  assert.ok(bounds?.includes("1.048576e+06"));
  assert.ok(bounds?.includes("8.388608e+06"));
});

test("a family keeps one metric per combination of label values", () => {
  const registry = new MetricRegistry();
  const family = registry.counters("c", "help", "a", "b");
  family.with("x", "y").inc();
  family.with("x", "y").add(2);
  family.with("xy", "").inc();
  assert.deepEqual(registry.all()[0]?.samples(), [
    { suffix: "", labels: { a: "x", b: "y" }, value: 3 },
    { suffix: "", labels: { a: "xy", b: "" }, value: 1 },
  ]);
});

test("a gauge with a reader is read at the scrape", () => {
  const registry = new MetricRegistry();
  const gauge = registry.gauge("g", "help");
  let current = 1;
  gauge.read = () => current;
  current = 7;
  assert.equal(registry.all()[0]?.samples()[0]?.value, 7);
});

test("a name cannot be used twice", () => {
  const registry = new MetricRegistry();
  registry.counter("c", "help");
  assert.throws(() => registry.gauge("c", "help"), /metric c exists already/);
});

test("an RPC method is shown with every code from its registration on", () => {
  const metrics = new EtcdMetrics();
  const put = metrics.rpc.method("/etcdserverpb.KV/Put", "unary");
  put.started++;
  (put.handled[8] as number)++;
  assert.equal(metrics.rpc.method("/etcdserverpb.KV/Put", "unary"), put);
  const all = new Map(metrics.registry.all().map((d) => [d.name, d]));
  const handled = all.get("grpc_server_handled_total")?.samples() ?? [];
  assert.equal(handled.length, GRPC_CODE_NAMES.length);
  assert.deepEqual(
    handled.find((s) => s.value === 1),
    {
      suffix: "",
      labels: {
        grpc_code: "ResourceExhausted",
        grpc_method: "Put",
        grpc_service: "etcdserverpb.KV",
        grpc_type: "unary",
      },
      value: 1,
    },
  );
  assert.equal(all.has("grpc_server_handling_seconds"), false);
  assert.ok(
    new EtcdMetrics(true).registry.all().some((d) => d.name === "grpc_server_handling_seconds"),
  );
});

test("counters that etcd calls gauges are gauges", () => {
  const kinds = new Map(new EtcdMetrics().registry.all().map((d) => [d.name, d.kind]));
  assert.equal(kinds.get("etcd_server_proposals_committed_total"), "gauge");
  assert.equal(kinds.get("etcd_disk_wal_write_bytes_total"), "gauge");
  assert.equal(kinds.get("etcd_server_health_success"), "counter");
});
