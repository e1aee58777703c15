// Endpoints as people write them: `http://host:port`, `https://host:port`, `host:port`, `unix:///path`.

import { codeOf, EtcdError } from "./error.ts";

/** Where one member listens for clients. */
export interface Endpoint {
  /** As given. */
  readonly text: string;
  /** As gRPC names it: `host:port` or `unix:path`. */
  readonly target: string;
  readonly secure: boolean;
}

const form = /^(?:(?<scheme>https?|unixs?):\/\/)?(?<rest>[^\s]+?)\/?$/;

/** Reads one endpoint; throws INVALID_ARGUMENT if it is none. */
export function parseEndpoint(text: string): Endpoint {
  const { scheme, rest } = form.exec(text.trim())?.groups ?? {};
  if (rest === undefined) throw badEndpoint(text, "is empty");
  if (scheme === "unix" || scheme === "unixs") {
    return { text, target: `unix:${rest}`, secure: scheme === "unixs" };
  }
  if (!/^(?:\[[^\]]+\]|[^:/[\]]+):\d+$/.test(rest)) throw badEndpoint(text, "is not host:port");
  return { text, target: rest, secure: scheme === "https" };
}

function badEndpoint(text: string, why: string): EtcdError {
  return new EtcdError(codeOf("INVALID_ARGUMENT"), `endpoint ${JSON.stringify(text)} ${why}`);
}
