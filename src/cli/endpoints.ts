// URL lists (`--listen-client-urls` and its like) and the `name=url` lists of a first cluster.
// Source: operations.md 1.1, 1.4.

import type { Endpoint } from "../embed/config.ts";
import { BadValue } from "./go-text.ts";
import { parseGoUrl, splitHostPort } from "./go-url.ts";

function parseEndpoint(text: string): Endpoint | BadValue {
  const url = parseGoUrl(text);
  if (url instanceof BadValue) return url;
  const { scheme } = url;
  if (scheme === "http" || scheme === "https") {
    const hostPort = splitHostPort(url.host);
    if (hostPort === undefined) {
      return new BadValue(`URL address does not have the form "host:port": ${text}`);
    }
    if (url.path !== "") return new BadValue(`URL must not contain a path: ${text}`);
    const [host, port] = hostPort;
    return { scheme, host, port: Number(port), path: "", url: url.text };
  }
  if (scheme === "unix" || scheme === "unixs") {
    return { scheme, host: url.host, port: 0, path: url.path, url: url.text };
  }
  return new BadValue(`URL scheme must be http, https, unix, or unixs: ${text}`);
}

function byUrl(a: Endpoint, b: Endpoint): number {
  return a.url < b.url ? -1 : a.url > b.url ? 1 : 0;
}

/** A list of URLs, sorted by text; spaces around each are dropped. */
export function endpointList(texts: readonly string[]): Endpoint[] | BadValue {
  const endpoints: Endpoint[] = [];
  for (const text of texts) {
    const endpoint = parseEndpoint(text.trim());
    if (endpoint instanceof BadValue) return endpoint;
    endpoints.push(endpoint);
  }
  return endpoints.sort(byUrl);
}

/** As `endpointList` over a comma-separated text, each URL once. */
export function uniqueEndpoints(text: string): Endpoint[] | BadValue {
  const all = endpointList(text.split(","));
  if (all instanceof BadValue) return all;
  return all.filter((endpoint, i) => endpoint.url !== all[i - 1]?.url);
}

/** Members of an `initial-cluster` text: a name given twice has both URLs, empty parts are skipped. */
export function initialClusterNames(text: string): Map<string, string[]> {
  const members = new Map<string, string[]>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const url = equals < 0 ? "" : part.slice(equals + 1);
    const urls = members.get(name);
    if (urls === undefined) members.set(name, [url]);
    else urls.push(url);
  }
  return members;
}
