// The `grpc_server_*` metrics: one plain object of counters per RPC method, which the transport increments directly.
//
// Etcd shows every method with every code from the start, so a method is registered when the RPC table is built; dashboards subtract
// `handled` from `started`, therefore whatever ends a call must count as handled exactly once.
// Source: go-grpc-middleware's server metrics; operations.md 6.5.

import {
  Histogram,
  histogramSamples,
  type MetricDescription,
  type MetricRegistry,
  type Sample,
} from "./metrics.ts";

/** Names of the gRPC status codes 0..16, as the label `grpc_code` shows them. */
export const GRPC_CODE_NAMES: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

const TYPE_NAMES = {
  unary: "unary",
  clientStreaming: "client_stream",
  serverStreaming: "server_stream",
  bidi: "bidi_stream",
} as const;

/** Default bounds of a Prometheus histogram, in seconds. */
const HANDLING_BOUNDS: Float64Array = Float64Array.of(
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
);

/** Counters of one RPC method. */
export interface RpcCounters {
  /** Calls whose headers arrived. */
  started: number;
  /** Calls ended, by gRPC code 0..16. */
  readonly handled: Float64Array;
  /** Messages from clients. */
  received: number;
  /** Messages to clients. */
  sent: number;
  /** Seconds from start to end; undefined unless `--metrics=extensive`. */
  readonly handlingSeconds: Histogram | undefined;
}

interface Row extends RpcCounters {
  readonly labels: Readonly<Record<string, string>>;
}

/** All methods of one member. */
export class RpcMetrics {
  readonly #rows = new Map<string, Row>();
  readonly #extensive: boolean;

  constructor(registry: MetricRegistry, extensive: boolean) {
    this.#extensive = extensive;
    for (const description of this.#descriptions()) registry.describe(description);
  }

  /** The counters of `path` (`/etcdserverpb.KV/Put`), shown from now on. Looks up by text: the caller keeps what it returns. */
  method(path: string, kind: keyof typeof TYPE_NAMES): RpcCounters {
    let row = this.#rows.get(path);
    if (row === undefined) {
      const slash = path.lastIndexOf("/");
      row = {
        labels: {
          grpc_method: path.slice(slash + 1),
          grpc_service: path.slice(1, slash),
          grpc_type: TYPE_NAMES[kind],
        },
        started: 0,
        handled: new Float64Array(GRPC_CODE_NAMES.length),
        received: 0,
        sent: 0,
        handlingSeconds: this.#extensive ? new Histogram(HANDLING_BOUNDS) : undefined,
      };
      this.#rows.set(path, row);
    }
    return row;
  }

  *#descriptions(): Generator<MetricDescription> {
    const counts = (read: (row: Row) => number) => (): Sample[] =>
      [...this.#rows.values()].map((row) => ({
        suffix: "",
        labels: row.labels,
        value: read(row),
      }));
    yield {
      name: "grpc_server_started_total",
      help: "Total number of RPCs started on the server.",
      kind: "counter",
      samples: counts((row) => row.started),
    };
    yield {
      name: "grpc_server_handled_total",
      help: "Total number of RPCs completed on the server, regardless of success or failure.",
      kind: "counter",
      samples: () => [...this.#rows.values()].flatMap(handledSamples),
    };
    yield {
      name: "grpc_server_msg_received_total",
      help: "Total number of RPC stream messages received on the server.",
      kind: "counter",
      samples: counts((row) => row.received),
    };
    yield {
      name: "grpc_server_msg_sent_total",
      help: "Total number of gRPC stream messages sent by the server.",
      kind: "counter",
      samples: counts((row) => row.sent),
    };
    if (this.#extensive) {
      yield {
        name: "grpc_server_handling_seconds",
        help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
        kind: "histogram",
        samples: () => [...this.#rows.values()].flatMap(handlingSamples),
      };
    }
  }
}

function handledSamples(row: Row): Sample[] {
  return GRPC_CODE_NAMES.map((name, code) => ({
    suffix: "",
    labels: { grpc_code: name, ...row.labels },
    value: row.handled[code] as number,
  }));
}

function handlingSamples(row: Row): Sample[] {
  const out: Sample[] = [];
  if (row.handlingSeconds !== undefined) histogramSamples(row.handlingSeconds, row.labels, out);
  return out;
}
