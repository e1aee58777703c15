// The gate for URLs of members: what `member add` and `member update` accept.
// Source: etcd client/pkg/types/urls.go.

const httpUrl =
  /^(https?):\/\/(?:[^/?#@\s]*@)?(?:\[[^\]/?#\s]*\]|[^:[\]/?#@\s]*):\d*(?:[?#]\S*)?$/i;
const unixUrl = /^(unixs?):\S*$/i;

/**
 * The URLs trimmed, with the scheme in lower case, sorted: http and https need host:port and no path, unix and unixs take any.
 * None at all, or one that is anything else, refuses the request.
 */
export function parsePeerUrls(urls: readonly string[]): string[] | "memberBadUrls" {
  if (urls.length === 0) return "memberBadUrls";
  const parsed: string[] = [];
  for (const raw of urls) {
    const url = raw.trim();
    const scheme = (httpUrl.exec(url) ?? unixUrl.exec(url))?.[1];
    if (scheme === undefined) return "memberBadUrls";
    parsed.push(scheme.toLowerCase() + url.slice(scheme.length));
  }
  return parsed.sort();
}
