// `process_*` and `os_fd_*`: what the operating system says of this process, read at each scrape. Values that only Linux tells are
// absent elsewhere.
//
// Not prom-client's own collectors: those also watch garbage collection and the event loop all the time.
// Source: Prometheus' conventions for process metrics; proc(5).

import { readdirSync, readFileSync } from "node:fs";
import type { MetricDescription, MetricKind } from "../../base/index.ts";

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Soft limit called `name` in /proc/self/limits. */
function limit(name: string): number | undefined {
  const line = readText("/proc/self/limits")
    .split("\n")
    .find((l) => l.startsWith(name));
  const soft = line?.slice(name.length).trim().split(/\s+/)[0];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? 2 ** 64 : Number(soft);
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function virtualBytes(): number | undefined {
  const stat = readText("/proc/self/stat");
  // The name in parentheses may hold spaces; the fields after it are counted from the state.
  const size = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[20];
  return size === undefined ? undefined : Number(size);
}

/** Octets the kernel counted for the network this process is in. */
function networkOctets(field: "InOctets" | "OutOctets"): number | undefined {
  const [names, values] = readText("/proc/self/net/netstat")
    .split("\n")
    .filter((line) => line.startsWith("IpExt:"))
    .map((line) => line.split(" "));
  const at = names?.indexOf(field) ?? -1;
  return at < 0 ? undefined : Number(values?.[at]);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

type Row = readonly [name: string, kind: MetricKind, help: string, read: () => number | undefined];

const ROWS: readonly Row[] = [
  ["os_fd_limit", "gauge", "The file descriptor limit.", () => limit("Max open files")],
  ["os_fd_used", "gauge", "The number of used file descriptors.", openFiles],
  [
    "process_cpu_seconds_total",
    "counter",
    "Total user and system CPU time spent in seconds.",
    cpuSeconds,
  ],
  [
    "process_max_fds",
    "gauge",
    "Maximum number of open file descriptors.",
    () => limit("Max open files"),
  ],
  [
    "process_network_receive_bytes_total",
    "counter",
    "Number of bytes received by the process over the network.",
    () => networkOctets("InOctets"),
  ],
  [
    "process_network_transmit_bytes_total",
    "counter",
    "Number of bytes sent by the process over the network.",
    () => networkOctets("OutOctets"),
  ],
  ["process_open_fds", "gauge", "Number of open file descriptors.", openFiles],
  [
    "process_resident_memory_bytes",
    "gauge",
    "Resident memory size in bytes.",
    () => process.memoryUsage.rss(),
  ],
  [
    "process_start_time_seconds",
    "gauge",
    "Start time of the process since unix epoch in seconds.",
    () => performance.timeOrigin / 1000,
  ],
  ["process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", virtualBytes],
  [
    "process_virtual_memory_max_bytes",
    "gauge",
    "Maximum amount of virtual memory available in bytes.",
    () => limit("Max address space"),
  ],
];

/** The metrics of this process. */
export function processMetrics(): MetricDescription[] {
  return ROWS.map(([name, kind, help, read]) => ({
    name,
    help,
    kind,
    samples() {
      const value = read();
      return value === undefined ? [] : [{ suffix: "", labels: {}, value }];
    },
  }));
}
