// URLs as Go's net/url reads them, as far as listen and advertise lists need it: what is accepted, how it prints, and the reason
// for a refusal. WHATWG URLs differ in all three (they lower-case hosts, drop port 80, accept what Go refuses).
// Source: the documentation of Go's net/url; RFC 3986.

import { BadValue, goQuote } from "./go-text.ts";

/** A URL taken apart; `text` is how Go prints it. */
export interface GoUrl {
  readonly scheme: string;
  /** With port and brackets. */
  readonly host: string;
  readonly path: string;
  readonly text: string;
}

/** Scheme and rest, or the reason. Both parts "" scheme: the text has none. */
function splitScheme(raw: string): readonly [string, string] | BadValue {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*)?:/.exec(raw);
  if (match === null) return ["", raw];
  if (match[1] === undefined) return new BadValue("missing protocol scheme");
  return [match[1].toLowerCase(), raw.slice(match[0].length)];
}

/** The first escape in `part` that is not two hex digits. */
function badEscape(part: string): BadValue | undefined {
  const match = /%(?![0-9a-fA-F]{2})/.exec(part);
  if (match === null) return undefined;
  return new BadValue(`invalid URL escape ${goQuote(part.slice(match.index, match.index + 3))}`);
}

function checkHost(host: string): BadValue | undefined {
  let port = "";
  if (host.startsWith("[")) {
    const end = host.lastIndexOf("]");
    if (end < 0) return new BadValue("missing ']' in host");
    port = host.slice(end + 1);
  } else if (host.includes(":")) {
    port = host.slice(host.indexOf(":"));
  }
  if (!/^(:[0-9]*)?$/.test(port)) {
    return new BadValue(`invalid port ${goQuote(port)} after host`);
  }
  const escape = badEscape(host) ?? percentInHost(host);
  if (escape !== undefined) return escape;
  const odd = /[ "<>\\^`{|}]/.exec(host);
  if (odd === null || host.startsWith("[")) return undefined;
  return new BadValue(`invalid character ${goQuote(odd[0])} in host name`);
}

/** Only bytes above ASCII may be escaped in a host (and a zone's `%25`). */
function percentInHost(host: string): BadValue | undefined {
  const match = /%(?!25)[0-7][0-9a-fA-F]/.exec(host);
  return match === null ? undefined : new BadValue(`invalid URL escape ${goQuote(match[0])}`);
}

function parseParts(raw: string): GoUrl | BadValue {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  if (/[\u0000-\u001f\u007f]/.test(raw)) {
    return new BadValue("net/url: invalid control character in URL");
  }
  const split = splitScheme(raw);
  if (split instanceof BadValue) return split;
  const [scheme, rest] = split;
  const tailAt = rest.search(/[?#]/);
  const body = tailAt < 0 ? rest : rest.slice(0, tailAt);
  const tail = tailAt < 0 ? "" : rest.slice(tailAt);
  const prefix = scheme === "" ? "" : `${scheme}:`;
  if (!body.startsWith("/")) {
    if (scheme !== "") return { scheme, host: "", path: "", text: prefix + body + tail };
    if (body.split("/", 1)[0]?.includes(":") === true) {
      return new BadValue("first path segment in URL cannot contain colon");
    }
  }
  let host = "";
  let user = "";
  let path = body;
  if (body.startsWith("//")) {
    const slash = body.indexOf("/", 2);
    const authority = slash < 0 ? body.slice(2) : body.slice(2, slash);
    path = slash < 0 ? "" : body.slice(slash);
    const at = authority.lastIndexOf("@");
    user = authority.slice(0, at + 1);
    host = authority.slice(at + 1);
    const bad = checkHost(host);
    if (bad !== undefined) return bad;
  }
  const bad = badEscape(path);
  if (bad !== undefined) return bad;
  const slashes = body.startsWith("//") ? "//" : "";
  return { scheme, host, path, text: prefix + slashes + user + host + path + tail };
}

/** `raw` as a URL; the reason begins as Go's does: `parse "…": …`. */
export function parseGoUrl(raw: string): GoUrl | BadValue {
  const url = parseParts(raw);
  return url instanceof BadValue ? new BadValue(`parse ${goQuote(raw)}: ${url.message}`) : url;
}

/** Host and port of `host:port`, brackets removed; undefined if the text has not that form. */
export function splitHostPort(text: string): readonly [string, string] | undefined {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text);
  return match === null ? undefined : [match[1] ?? match[2] ?? "", match[3] ?? ""];
}
