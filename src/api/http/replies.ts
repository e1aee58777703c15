// Answers as Go's net/http writes them, for the HTTP paths of a member.
// Source: Go's http.Error, http.NotFound and http.Redirect; operations.md 5.

import type { IncomingMessage, ServerResponse } from "node:http";

/** Plain text that ends with a newline, which no browser may take for something else. */
export function replyError(res: ServerResponse, status: number, message: string): void {
  res.setHeader("Content-Type", "text/plain; charset=utf-8");
  res.setHeader("X-Content-Type-Options", "nosniff");
  reply(res, status, `${message}\n`);
}

/** The body with its length; the content type is the caller's. Of a HEAD request only the headers are sent. */
export function reply(res: ServerResponse, status: number, body: string): void {
  res.statusCode = status;
  res.setHeader("Content-Length", Buffer.byteLength(body));
  res.end(body);
}

/** Whether the request is a GET; other methods are answered here. */
export function isGet(req: IncomingMessage, res: ServerResponse): boolean {
  if (req.method === "GET") return true;
  res.setHeader("Allow", "GET");
  replyError(res, 405, "Method Not Allowed");
  return false;
}

/** No such path. */
export function replyNotFound(res: ServerResponse): void {
  replyError(res, 404, "404 page not found");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

/** Sends the client to `location`, a path of this server. */
export function replyRedirect(req: IncomingMessage, res: ServerResponse, location: string): void {
  res.setHeader("Location", location);
  const isRead = req.method === "GET" || req.method === "HEAD";
  if (isRead) res.setHeader("Content-Type", "text/html; charset=utf-8");
  const href = location.replace(/[&<>"']/g, (c) => ESCAPES[c] ?? c);
  reply(res, 307, isRead ? `<a href="${href}">Temporary Redirect</a>.\n\n` : "");
}

/** `value` as Go marshals it: no character that HTML could take for markup. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
