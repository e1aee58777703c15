// What must be right before a member without data makes the first cluster: it is a member of it, under the URLs it advertises, and
// no URL is used twice. A member that has data does not look at these settings again.
// Source: operations.md 1.4 (the rows marked "start"), 2.6.

import { lookup } from "node:dns/promises";
import type { Endpoint, EtcdConfig } from "../../embed/config.ts";
import { endpointList, initialClusterNames } from "../endpoints.ts";
import { BadValue, goQuote, goQuoteList } from "../go-text.ts";

/** Members of the first cluster; `pairs` is its text as etcd prints it. */
interface FirstCluster {
  readonly members: ReadonlyMap<string, readonly string[]>;
  readonly pairs: string;
}

function pairsOf(members: Iterable<readonly [string, readonly string[]]>): string {
  const pairs = [...members].flatMap(([name, urls]) => urls.map((url) => `${name}=${url}`));
  return pairs.sort().join(",");
}

/** Reads `initial-cluster`; undefined URLs make the whole text wrong. */
function firstCluster(text: string): FirstCluster | BadValue {
  const members = new Map<string, readonly string[]>();
  for (const [name, texts] of initialClusterNames(text)) {
    const endpoints = endpointList(texts);
    if (endpoints instanceof BadValue) return endpoints;
    members.set(
      name,
      endpoints.map((endpoint) => endpoint.url),
    );
  }
  return { members, pairs: pairsOf(members) };
}

/** The first cluster as etcd prints it in its log; "" if the text is wrong. */
export function firstClusterText(config: EtcdConfig): string {
  const cluster = firstCluster(config.initialCluster);
  return cluster instanceof BadValue ? "" : cluster.pairs;
}

/** `url` with its host as an address. `localhost` and addresses stay. */
async function resolved(url: string): Promise<string> {
  const parts = /^(https?:\/\/)(?:\[[^\]]*\]|([^:]*))(:[0-9]*)$/.exec(url);
  const [, scheme = "", host, port = ""] = parts ?? [];
  if (host === undefined || host === "localhost" || /^[0-9.]+$/.test(host)) return url;
  const { address, family } = await lookup(host);
  return `${scheme}${family === 6 ? `[${address}]` : address}${port}`;
}

/** How two lists of URLs differ, names resolved; undefined if they do not. Both are sorted. */
async function difference(a: readonly string[], b: readonly string[]): Promise<string | undefined> {
  if (a.length !== b.length) return `len(${goQuoteList(a)}) != len(${goQuoteList(b)})`;
  if (a.every((url, i) => url === b[i])) return undefined;
  try {
    const left = (await Promise.all(a.map(resolved))).sort();
    const right = (await Promise.all(b.map(resolved))).sort();
    const at = left.findIndex((url, i) => url !== right[i]);
    if (at < 0) return undefined;
    return `resolved urls: ${goQuote(left[at] ?? "")} != ${goQuote(right[at] ?? "")}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether the member advertises to its peers what the first cluster says of it. */
async function checkAdvertised(
  config: EtcdConfig,
  own: readonly string[],
): Promise<string | undefined> {
  const advertised = config.initialAdvertisePeerUrls.map((endpoint: Endpoint) => endpoint.url);
  const differ = await difference([...advertised].sort(), own);
  if (differ === undefined) return undefined;
  const list = [...advertised].sort().join(",");
  const unknown = own.filter((url) => !advertised.includes(url));
  if (unknown.length > 0) {
    const pairs = unknown.map((url) => `${config.name}=${url}`).join(",");
    return `--initial-cluster has ${pairs} but missing from --initial-advertise-peer-urls=${list} (${differ})`;
  }
  const told = pairsOf([[config.name, advertised]]);
  const absent = advertised.filter((url) => !own.includes(url));
  if (absent.length > 0) {
    return `--initial-advertise-peer-urls has ${absent.join(",")} but missing from --initial-cluster=${told}`;
  }
  return `failed to resolve ${list} to match --initial-cluster=${told} (${differ})`;
}

/** Why no first cluster can be made of `config`, in etcd's words; undefined if one can. */
export async function bootstrapProblem(config: EtcdConfig): Promise<string | undefined> {
  const cluster = firstCluster(config.initialCluster);
  if (cluster instanceof BadValue) {
    return `error setting up initial cluster: ${cluster.message}`;
  }
  const own = cluster.members.get(config.name);
  if (own === undefined) {
    return `couldn't find local name ${goQuote(config.name)} in the initial cluster configuration`;
  }
  if (config.initialClusterState === "existing") {
    return "joining an existing cluster is not supported yet by etcd-ts (--initial-cluster-state=existing)";
  }
  const advertised = await checkAdvertised(config, own);
  if (advertised !== undefined) return advertised;
  const urls = [...cluster.members.values()].flat();
  if (new Set(urls).size < urls.length) {
    return `initial cluster ${cluster.pairs} has duplicate url`;
  }
  return undefined;
}
