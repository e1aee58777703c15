// The one table of flags of the `etcd` program: every flag of etcd 3.7 with its kind, default, field, config-file key, group, help
// and how far it is built. Command line, ETCD_* variables, config file, `--help` and the refusal of what is not built all read it.
//
// Adding a flag: a field in `embed/config.ts`, a row in `flags-member.ts` or `flags-service.ts`, its use where the setting matters.
// Source: operations.md 1.5.

import { defaultConfig, type EtcdConfig } from "../embed/config.ts";
import { type FlagRow, ignored, NO_FILE_KEY, rowsOf, type Settings } from "./flag-row.ts";
import { clusteringFlags, memberFlags, programFlags } from "./flags-member.ts";
import {
  authFlags,
  featureFlags,
  loggingFlags,
  monitoringFlags,
  securityFlags,
  tracingFlags,
  unsafeFlags,
} from "./flags-service.ts";

/** Groups in the order of `--help`. */
export const flagGroups: readonly (readonly [title: string, rows: readonly FlagRow[]])[] = [
  ["Member", memberFlags],
  ["Clustering", clusteringFlags],
  ["Security", securityFlags],
  ["Auth", authFlags],
  ["Profiling and Monitoring", monitoringFlags],
  ["Logging", loggingFlags],
  ["Distributed tracing", tracingFlags],
  ["Features", featureFlags],
  ["Unsafe feature", unsafeFlags],
];

/** Flags of the past that are accepted as booleans and do nothing. */
export const ignoredFlagNames: readonly string[] = [
  "cluster-active-size",
  "cluster-remove-delay",
  "cluster-sync-interval",
  "config",
  "force",
  "max-result-buffer",
  "max-retry-attempts",
  "peer-heartbeat-interval",
  "peer-election-timeout",
  "retry-interval",
  "snapshot",
  "v",
  "vv",
  "test.coverprofile",
  "test.outputdir",
];

const past = rowsOf((s) => s.program);

/** Every flag, ascending by name. */
export const flagRows: readonly FlagRow[] = [
  ...flagGroups.flatMap(([, rows]) => rows),
  ...programFlags,
  ...ignoredFlagNames.map((name) => past(name, ignored, "configFile", "inert", "", NO_FILE_KEY)),
].sort((a, b) => (a.name < b.name ? -1 : 1));

const byName: ReadonlyMap<string, FlagRow> = new Map(flagRows.map((row) => [row.name, row]));

/** The flag called `name` (without dashes). */
export function findFlag(name: string): FlagRow | undefined {
  return byName.get(name);
}

/** Settings with the default of every flag. */
export function defaultSettings(): Settings {
  return {
    config: defaultConfig(),
    program: { configFile: "", version: false, v2Deprecation: "write-only" },
  };
}

/** Why this program cannot honour `config`: the first flag whose feature is not built and which does not hold its default. */
export function firstUnbuilt(config: EtcdConfig): string | undefined {
  const defaults = defaultSettings();
  const given: Settings = { config, program: defaults.program };
  for (const row of flagRows) {
    if (row.status !== "default-only") continue;
    const byDefault = row.show(defaults);
    if (row.show(given) !== byDefault) {
      return `--${row.name} is not supported yet by etcd-ts: only its default (${byDefault === "" ? "empty" : byDefault}) is accepted`;
    }
  }
  return undefined;
}
