// Metric primitives for hot code: updating one is an addition to a field, nothing is allocated, formatted or looked up.
//
// A registry names them and is read when somebody asks (`api/http/metrics-text.ts`). One registry belongs to one member, so several
// members in one process do not mix. `etcd-metrics.ts` is the table of names.
// Source: the Prometheus data model; names and buckets in operations.md 6.

/** A value that only grows; hot code may write `counter.value += n`. */
export class Counter {
  value = 0;

  inc(): void {
    this.value++;
  }

  /** `n` >= 0. */
  add(n: number): void {
    this.value += n;
  }
}

/** A value that goes up and down. Either it is written, or `read` gives it at the time of a scrape. */
export class Gauge {
  value = 0;
  /** Asked at each scrape when set; then `value` is not looked at. */
  read: (() => number) | undefined = undefined;

  set(value: number): void {
    this.value = value;
  }

  inc(): void {
    this.value++;
  }

  dec(): void {
    this.value--;
  }

  current(): number {
    return this.read === undefined ? this.value : this.read();
  }
}

/** Counts of observations by size. `observe` costs one comparison per bucket below the value. */
export class Histogram {
  /** Upper bounds, inclusive, ascending, without +Inf. */
  readonly bounds: Float64Array;
  /** Observations by bucket, not cumulative; the last one is above all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: Float64Array) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++;
    (this.counts[i] as number)++;
    this.sum += value;
  }
}

/** `count` bounds: start, start*factor, start*factor^2, ... */
export function exponentialBounds(start: number, factor: number, count: number): Float64Array {
  const bounds = new Float64Array(count);
  let bound = start;
  for (let i = 0; i < count; i++) {
    bounds[i] = bound;
    bound *= factor;
  }
  return bounds;
}

/** Label values above this many distinct combinations share the last one: a label must never grow without end. */
const SERIES_MAX = 10_000;

/** One metric per combination of label values. `with` looks up by text: hot code keeps what it returns. */
export class Family<M extends Counter | Gauge | Histogram> {
  readonly labelNames: readonly string[];
  readonly #make: () => M;
  readonly #series = new Map<string, { readonly labels: readonly string[]; readonly metric: M }>();

  constructor(labelNames: readonly string[], make: () => M) {
    this.labelNames = labelNames;
    this.#make = make;
  }

  /** The metric for these label values, in the order of `labelNames`; made at the first call. */
  with(...labels: string[]): M {
    const key = labels.join("\u0000");
    let found = this.#series.get(key);
    if (found === undefined) {
      found = { labels, metric: this.#make() };
      if (this.#series.size < SERIES_MAX) this.#series.set(key, found);
    }
    return found.metric;
  }

  /** Forgets every series, for gauges whose one label tells a fact that changed. */
  clear(): void {
    this.#series.clear();
  }

  series(): Iterable<{ readonly labels: readonly string[]; readonly metric: M }> {
    return this.#series.values();
  }
}

export type MetricKind = "counter" | "gauge" | "histogram";

/** One number of a scrape; `suffix` is "" or a histogram's `_bucket`, `_sum`, `_count`. */
export interface Sample {
  readonly suffix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One named metric with all its series, as a scrape sees it. */
export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  samples(): Sample[];
}

function formatBound(bound: number): string {
  // Go prints large bounds as 1.048576e+06; the label must be equal, dashboards select by it.
  if (bound < 1e21 && bound >= 1e6) {
    const [mantissa = "", exponent = ""] = bound.toExponential().split("e+");
    return `${mantissa}e+${exponent.padStart(2, "0")}`;
  }
  return String(Number(bound.toPrecision(15)));
}

/** Adds the `_bucket`, `_sum` and `_count` samples of `h` to `out`; buckets are cumulative there. */
export function histogramSamples(
  h: Histogram,
  labels: Readonly<Record<string, string>>,
  out: Sample[],
): void {
  let cumulative = 0;
  for (let i = 0; i < h.bounds.length; i++) {
    cumulative += h.counts[i] as number;
    const le = formatBound(h.bounds[i] as number);
    out.push({ suffix: "_bucket", labels: { ...labels, le }, value: cumulative });
  }
  cumulative += h.counts[h.bounds.length] as number;
  out.push({ suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: cumulative });
  out.push({ suffix: "_sum", labels, value: h.sum });
  out.push({ suffix: "_count", labels, value: cumulative });
}

function addSamples(
  metric: Counter | Gauge | Histogram,
  labels: Record<string, string>,
  out: Sample[],
): void {
  if (metric instanceof Histogram) histogramSamples(metric, labels, out);
  else if (metric instanceof Gauge) out.push({ suffix: "", labels, value: metric.current() });
  else out.push({ suffix: "", labels, value: metric.value });
}

function familySamples(family: Family<Counter | Gauge | Histogram>): Sample[] {
  const out: Sample[] = [];
  for (const { labels, metric } of family.series()) {
    const named: Record<string, string> = {};
    for (const [i, name] of family.labelNames.entries()) named[name] = labels[i] ?? "";
    addSamples(metric, named, out);
  }
  return out;
}

/** The named metrics of one member. Names are unique; a second use of one is a programming error. */
export class MetricRegistry {
  readonly #descriptions = new Map<string, MetricDescription>();

  counter(name: string, help: string): Counter {
    return this.#single(name, help, "counter", new Counter());
  }

  gauge(name: string, help: string): Gauge {
    return this.#single(name, help, "gauge", new Gauge());
  }

  histogram(name: string, help: string, bounds: Float64Array): Histogram {
    return this.#single(name, help, "histogram", new Histogram(bounds));
  }

  counters(name: string, help: string, ...labelNames: string[]): Family<Counter> {
    return this.#family(name, help, "counter", new Family(labelNames, () => new Counter()));
  }

  gauges(name: string, help: string, ...labelNames: string[]): Family<Gauge> {
    return this.#family(name, help, "gauge", new Family(labelNames, () => new Gauge()));
  }

  histograms(
    name: string,
    help: string,
    bounds: Float64Array,
    ...labelNames: string[]
  ): Family<Histogram> {
    const family = new Family(labelNames, () => new Histogram(bounds));
    return this.#family(name, help, "histogram", family);
  }

  /** A metric whose samples are computed at the scrape. */
  describe(description: MetricDescription): void {
    if (this.#descriptions.has(description.name)) {
      throw new Error(`metric ${description.name} exists already`);
    }
    this.#descriptions.set(description.name, description);
  }

  /** All metrics by name, ascending, as scrapes list them. */
  all(): MetricDescription[] {
    return [...this.#descriptions.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #single<M extends Counter | Gauge | Histogram>(
    name: string,
    help: string,
    kind: MetricKind,
    metric: M,
  ): M {
    const samples = (): Sample[] => {
      const out: Sample[] = [];
      addSamples(metric, {}, out);
      return out;
    };
    this.describe({ name, help, kind, samples });
    return metric;
  }

  #family<M extends Counter | Gauge | Histogram>(
    name: string,
    help: string,
    kind: MetricKind,
    family: Family<M>,
  ): Family<M> {
    this.describe({ name, help, kind, samples: () => familySamples(family) });
    return family;
  }
}
