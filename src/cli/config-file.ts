// The config file (`--config-file`): YAML or JSON whose keys are mostly flag names. It replaces all other flags and variables.
//
// Read as etcd reads it: YAML 1.1 made into JSON and decoded into typed fields, so a type that does not fit is refused with the
// decoder's words, unknown keys are ignored, keys match in any case, `null` changes nothing, durations are integer nanoseconds.
// Of several mistakes the first by key is told.
// Source: operations.md 1.3; sigs.k8s.io/yaml and Go's encoding/json for the texts.

import { readFileSync } from "node:fs";
import { type FlagRow, jsonTypeName, type Settings, WrongType } from "./flag-row.ts";
import { flagRows } from "./flags.ts";
import { BadValue } from "./go-text.ts";
import { fileErrorText } from "./system-error.ts";

/** Why a config file cannot be used. */
export type FileProblem =
  /** The configuration is refused with this error. */
  | { readonly kind: "refused"; readonly message: string }
  /** The program ends at once with this line on stderr. */
  | { readonly kind: "exit"; readonly line: string; readonly code: number };

/** Keys whose value etcd decodes as text first and turns into its type afterwards. */
const TEXT_FIRST = new Set([
  "listen-peer-urls",
  "listen-client-urls",
  "listen-client-http-urls",
  "initial-advertise-peer-urls",
  "advertise-client-urls",
  "cors",
  "host-whitelist",
  "feature-gates",
  "client-transport-security",
  "peer-transport-security",
]);

/** The order in which etcd turns texts of URLs into URLs, and the name each has in the line it prints (the fifth is etcd's slip). */
const URL_KEYS: readonly (readonly [key: string, shown: string])[] = [
  ["listen-peer-urls", "listen-peer-urls"],
  ["listen-client-urls", "listen-client-urls"],
  ["listen-client-http-urls", "listen-client-http-urls"],
  ["initial-advertise-peer-urls", "initial-advertise-peer-urls"],
  ["advertise-client-urls", "advertise-peer-urls"],
  ["listen-metrics-urls", "listen-metrics-urls"],
];

function goField(path: readonly string[]): string {
  const top = path[0] ?? "";
  const part = TEXT_FIRST.has(top) ? "configJSON" : "Config";
  const struct = top.endsWith("-transport-security")
    ? "securityConfig"
    : top === "discovery-config" && path.length > 1
      ? "DiscoveryConfig"
      : top === "socket-options" && path.length > 1
        ? "SocketOpts"
        : "configYAML";
  return `${path.length > 1 ? struct : "configYAML"}.${part}.${path.join(".")}`;
}

function decodeError(found: string, path: readonly string[], wanted: string): string {
  const what = `json: cannot unmarshal ${found} into Go struct field ${goField(path)} of type ${wanted}`;
  return `error unmarshaling JSON: while decoding JSON: ${what}`;
}

const STRUCT_TYPES: Readonly<Record<string, string>> = {
  "client-transport-security": "embed.securityConfig",
  "peer-transport-security": "embed.securityConfig",
  "discovery-config": "v3discovery.DiscoveryConfig",
  "socket-options": "transport.SocketOpts",
};

/** A tree of the keys the file may have, lower-case, with the flag at each leaf. */
interface KeyNode {
  readonly key: string;
  row: FlagRow | undefined;
  readonly children: Map<string, KeyNode>;
}

function keyTree(): KeyNode {
  const root: KeyNode = { key: "", row: undefined, children: new Map() };
  for (const row of flagRows) {
    if (row.fileKey === undefined) continue;
    let node = root;
    for (const key of row.fileKey) {
      let child = node.children.get(key);
      if (child === undefined) {
        child = { key, row: undefined, children: new Map() };
        node.children.set(key, child);
      }
      node = child;
    }
    node.row = row;
  }
  return root;
}

/** What decoding met: the first wrong type, and values that have the right type and cannot be taken, by key. */
interface Decoding {
  wrongType: string | undefined;
  readonly bad: Map<string, BadValue>;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decode(
  node: KeyNode,
  values: Record<string, unknown>,
  path: readonly string[],
  settings: Settings,
  state: Decoding,
): void {
  for (const key of Object.keys(values).sort()) {
    const value = values[key];
    const child = node.children.get(key) ?? node.children.get(key.toLowerCase());
    if (child === undefined || value === null || value === undefined) continue;
    const here = [...path, child.key];
    if (child.row === undefined) {
      if (isMapping(value)) decode(child, value, here, settings, state);
      else {
        const wanted = STRUCT_TYPES[child.key] ?? "struct";
        state.wrongType ??= decodeError(jsonTypeName(value), here, wanted);
      }
      continue;
    }
    const problem = child.row.setFromFile(settings, value);
    if (problem instanceof WrongType) {
      state.wrongType ??= decodeError(problem.found, here, problem.wanted);
    } else if (problem instanceof BadValue) {
      state.bad.set(child.row.name, problem);
    }
  }
}

function refused(message: string): FileProblem {
  return { kind: "refused", message };
}

async function parseYaml(text: string): Promise<{ value: unknown } | FileProblem> {
  const { LineCounter, parseAllDocuments } = await import("yaml");
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { version: "1.1", uniqueKeys: false, lineCounter });
  const first = Array.isArray(documents) ? documents[0] : undefined;
  const error = first?.errors[0];
  if (error !== undefined) {
    const { line } = lineCounter.linePos(error.pos[0]);
    const reason = error.message.split(/ at line |\n/, 1)[0] ?? "";
    return refused(`error converting YAML to JSON: yaml: line ${line}: ${reason}`);
  }
  return { value: first?.toJS() ?? null };
}

/** Sets what the file at `path` says in `settings`, and adds the flags of its top keys to `given`. */
export async function applyConfigFile(
  path: string,
  settings: Settings,
  given: Set<string>,
): Promise<FileProblem | undefined> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return refused(fileErrorText(error, path));
  }
  const parsed = await parseYaml(text);
  if ("kind" in parsed) return parsed;
  const { value } = parsed;
  if (value === null) return undefined;
  if (!isMapping(value)) {
    const what = `json: cannot unmarshal ${jsonTypeName(value)} into Go value of type embed.configYAML`;
    return refused(`error unmarshaling JSON: while decoding JSON: ${what}`);
  }
  const initialCluster = settings.config.initialCluster;
  const state: Decoding = { wrongType: undefined, bad: new Map() };
  decode(keyTree(), value, [], settings, state);
  for (const key of Object.keys(value)) given.add(key);
  return problemOf(state) ?? settle(settings, initialCluster);
}

function problemOf(state: Decoding): FileProblem | undefined {
  if (state.wrongType !== undefined) return refused(state.wrongType);
  const gates = state.bad.get("feature-gates");
  if (gates !== undefined) return refused(gates.message);
  for (const [key, shown] of URL_KEYS) {
    const bad = state.bad.get(key);
    if (bad !== undefined) {
      const line = `unexpected error setting up ${shown}: ${bad.message}`;
      return { kind: "exit", line, code: 1 };
    }
  }
  const cors = state.bad.get("cors");
  if (cors !== undefined) return { kind: "exit", line: `panic: ${cors.message}`, code: 2 };
  const clusterState = state.bad.get("initial-cluster-state");
  return clusterState === undefined ? undefined : refused(clusterState.message);
}

function settle(settings: Settings, initialCluster: string): undefined {
  const { config } = settings;
  if (
    (config.discoverySrv !== "" || config.discovery.endpoints.length > 0) &&
    config.initialCluster === initialCluster
  ) {
    config.initialCluster = "";
  }
  if (config.selfSignedCertValidityYears === 0) config.selfSignedCertValidityYears = 1;
}
