// The address others probably reach this machine by: that of the interface of the default route. Asked only when the member listens
// on every address and advertises none.
// Source: operations.md 1.5 (initial-advertise-peer-urls).

import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

/** Name of the interface of the default route with the least metric, from the kernel's routing table. */
function defaultInterface(routes: string): string | undefined {
  let best: { name: string; metric: number } | undefined;
  for (const line of routes.split("\n").slice(1)) {
    const [name = "", destination, , , , , metricText] = line.trim().split(/\s+/);
    const metric = Number(metricText);
    if (destination !== "00000000") continue;
    if (best === undefined || metric < best.metric) best = { name, metric };
  }
  return best?.name;
}

/** The IPv4 address, or why there is none. */
export function defaultHost(): string | Error {
  try {
    const name = defaultInterface(readFileSync("/proc/net/route", "utf8"));
    const addresses = name === undefined ? undefined : networkInterfaces()[name];
    const found = addresses?.find((address) => address.family === "IPv4");
    return found?.address ?? new Error("could not find default route");
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
