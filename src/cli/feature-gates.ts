// The feature gates of etcd 3.7 and the text form of `--feature-gates`.
// Source: operations.md 1.6.

import { BadValue, goQuote, readBool } from "./go-text.ts";

/** One gate as etcd declares it. */
export interface FeatureGate {
  readonly name: string;
  readonly stage: "ALPHA" | "BETA";
  readonly byDefault: boolean;
}

/** All gates, by name. */
export const FEATURE_GATES: readonly FeatureGate[] = [
  { name: "AllAlpha", stage: "ALPHA", byDefault: false },
  { name: "AllBeta", stage: "BETA", byDefault: false },
  { name: "CompactHashCheck", stage: "ALPHA", byDefault: false },
  { name: "FastLeaseKeepAlive", stage: "BETA", byDefault: true },
  { name: "InitialCorruptCheck", stage: "ALPHA", byDefault: false },
  { name: "LeaseCheckpoint", stage: "ALPHA", byDefault: false },
  { name: "LeaseCheckpointPersist", stage: "ALPHA", byDefault: false },
  { name: "PriorityRequest", stage: "ALPHA", byDefault: false },
  { name: "SetMemberLocalAddr", stage: "ALPHA", byDefault: false },
  { name: "StopGRPCServiceOnDefrag", stage: "ALPHA", byDefault: false },
  { name: "TxnModeWriteWithSharedBuffer", stage: "BETA", byDefault: true },
];

/** Whether gate `name` is on, given the gates that were set. */
export function isGateOn(set: ReadonlyMap<string, boolean>, name: string): boolean {
  return set.get(name) ?? FEATURE_GATES.find((gate) => gate.name === name)?.byDefault ?? false;
}

/** The gates of `text` (`A=true,B=false`) added to `set`; `AllAlpha` and `AllBeta` set every gate of their stage not set by name. */
export function parseFeatureGates(
  text: string,
  set: ReadonlyMap<string, boolean>,
): ReadonlyMap<string, boolean> | BadValue {
  const gates = new Map(set);
  const named = new Map<string, boolean>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (equals < 0) return new BadValue(`missing bool value for ${name}`);
    const value = part.slice(equals + 1).trim();
    const on = readBool(value);
    if (on === undefined) {
      const reason = `strconv.ParseBool: parsing ${goQuote(value)}: invalid syntax`;
      return new BadValue(`invalid value of ${name}=${value}, err: ${reason}`);
    }
    named.set(name, on);
  }
  for (const [name, on] of named) {
    if (!FEATURE_GATES.some((gate) => gate.name === name)) {
      return new BadValue(`unrecognized feature gate: ${name}`);
    }
    gates.set(name, on);
  }
  for (const [name, stage] of [
    ["AllAlpha", "ALPHA"],
    ["AllBeta", "BETA"],
  ] as const) {
    const on = named.get(name);
    if (on === undefined) continue;
    for (const gate of FEATURE_GATES) {
      if (gate.stage === stage && !gates.has(gate.name)) gates.set(gate.name, on);
    }
  }
  return gates;
}
