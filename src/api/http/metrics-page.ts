// The text of `/metrics`: the member's own metrics and those of its process, formatted by prom-client.
//
// Sorted by name and label values as etcd's page is, so that two scrapes can be compared by eye. Loaded lazily (see handler.ts).
// Source: the Prometheus text format 0.0.4; operations.md 6.5.

import { Gauge, type MetricObjectWithValues, type MetricValue, Registry } from "prom-client";
import type { EtcdMetrics, MetricDescription, Sample } from "../../base/index.ts";
import { processMetrics } from "./process-metrics.ts";

/** Label values of a series, for sorting; buckets of one histogram keep their order. */
function seriesKey({ labels }: Sample): string {
  const names = Object.keys(labels).filter((name) => name !== "le");
  return names
    .sort()
    .map((name) => labels[name])
    .join("\u0000");
}

/** Labels by name, `le` last, as the pages of Go programs have them. */
function sortedLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.keys(labels).sort((a, b) => {
    return Number(a === "le") - Number(b === "le") || (a < b ? -1 : 1);
  });
  return Object.fromEntries(names.map((name) => [name, labels[name] ?? ""]));
}

/** Lets prom-client format a metric of ours: whatever its kind, all it asks is the list of values. */
class Described extends Gauge {
  readonly #description: MetricDescription;

  constructor(description: MetricDescription) {
    super({ name: description.name, help: description.help, registers: [] });
    this.#description = description;
  }

  override get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const { name, help, kind } = this.#description;
    const keyed = this.#description.samples().map((sample) => ({ sample, key: seriesKey(sample) }));
    keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const values = keyed.map(({ sample: { suffix, labels, value } }) => ({
      metricName: name + suffix,
      labels: sortedLabels(labels),
      value,
    }));
    // prom-client's MetricType is an ambient enum that does not exist at run time; the text is what it prints.
    const type = kind as unknown as MetricObjectWithValues<MetricValue<string>>["type"];
    return Promise.resolve({ name, help, type, aggregator: "sum", collect: () => {}, values });
  }
}

/** The page of one member. */
export class MetricsPage {
  readonly #registry = new Registry();
  #inFlight = 0;
  readonly #scrapes = { "200": 0, "500": 0, "503": 0 };

  constructor(metrics: EtcdMetrics) {
    const all = [...metrics.registry.all(), ...processMetrics(), ...this.#ownMetrics()];
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const description of all) this.#registry.registerMetric(new Described(description));
  }

  /** The whole page. Labelled metrics without a series are left out, as etcd leaves them out. */
  async render(): Promise<string> {
    this.#inFlight++;
    try {
      const text = await this.#registry.metrics();
      this.#scrapes["200"]++;
      return text
        .replace(/^# HELP [^\n]*\n# TYPE [^\n]*\n(?=\n|$)/gm, "")
        .replace(/\n{2,}/g, "\n")
        .trimStart();
    } catch (error) {
      this.#scrapes["500"]++;
      throw error;
    } finally {
      this.#inFlight--;
    }
  }

  #ownMetrics(): MetricDescription[] {
    return [
      {
        name: "promhttp_metric_handler_requests_in_flight",
        help: "Current number of scrapes being served.",
        kind: "gauge",
        samples: () => [{ suffix: "", labels: {}, value: this.#inFlight }],
      },
      {
        name: "promhttp_metric_handler_requests_total",
        help: "Total number of scrapes by HTTP status code.",
        kind: "counter",
        samples: () =>
          Object.entries(this.#scrapes).map(([code, value]) => {
            return { suffix: "", labels: { code }, value };
          }),
      },
    ];
  }
}
