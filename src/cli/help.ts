// What `--help`, `--version` and a usage mistake print: the short usage on stderr, the list of all flags on stdout.
// Source: operations.md 1.1; the layout is etcd's (`  --name 'default'` above an indented line), so that scripts find flags in it.

import { SERVER_VERSION } from "../base/index.ts";
import { FEATURE_GATES } from "./feature-gates.ts";
import type { FlagRow } from "./flag-row.ts";
import { defaultSettings, flagGroups } from "./flags.ts";

/** Printed on stderr above nothing (`--help`) or below the line that names a mistake. */
export const USAGE = `Usage:

  etcd [flags]
    Start a member.

  etcd --version
    Print the version.

  etcd -h | --help
    Print this text and all flags.

  etcd --config-file PATH
    Start a member with the settings of a YAML or JSON file. All other flags and ETCD_* variables are
    ignored then, and durations in the file are integers in nanoseconds (600000000000 for 10m).

  etcd gateway
    Forward TCP connections to a cluster (not supported yet).

  etcd grpc-proxy
    Serve as a gRPC proxy of a cluster (not supported yet).
`;

/** Defaults that `--help` words otherwise than the flag holds them. */
const SHOWN_DEFAULTS: Readonly<Record<string, string>> = {
  "data-dir": "${name}.etcd",
  "watch-progress-notify-interval": "10m0s",
  "compaction-batch-limit": "1000",
  "compaction-sleep-interval": "10ms",
};

function describe(row: FlagRow, byDefault: string): string {
  let help = row.help;
  if (row.status === "default-only") help += " Not supported yet: only the default is accepted.";
  if (row.name === "feature-gates") {
    const gates = FEATURE_GATES.map(
      (g) => `\n    ${g.name}=true|false (${g.stage} - default=${g.byDefault})`,
    );
    help += gates.join("");
  }
  return `  --${row.name} '${byDefault}'\n    ${help}\n`;
}

/** Every flag with its default, by group. */
export function flagList(): string {
  const defaults = defaultSettings();
  const groups = flagGroups.map(([title, rows]) => {
    const lines = rows.map((row) => describe(row, SHOWN_DEFAULTS[row.name] ?? row.show(defaults)));
    const heading = title === "Unsafe feature" ? `${title} (data may be lost)` : title;
    return `\n${heading}:\n${lines.join("")}`;
  });
  return groups.join("");
}

/** Go's name of this processor, as etcd prints it. */
export function goArch(): string {
  const names: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };
  return names[process.arch] ?? process.arch;
}

/** Node's version where etcd prints that of Go. */
export function runtimeVersion(): string {
  return `node${process.versions.node}`;
}

/** The four lines of `--version`. */
export function versionText(): string {
  return [
    `etcd Version: ${SERVER_VERSION}`,
    "Git SHA: GitNotFound",
    `Go Version: ${runtimeVersion()}`,
    `Go OS/Arch: ${process.platform}/${goArch()}`,
    "",
  ].join("\n");
}
