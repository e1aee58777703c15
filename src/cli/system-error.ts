// Texts of operating system errors as Go prints them: scripts and people know `bind: address already in use`, not `EADDRINUSE`.

/** Go's words for an errno. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EDQUOT: "disk quota exceeded",
  EEXIST: "file exists",
  EIO: "input/output error",
  EISDIR: "is a directory",
  ELOOP: "too many levels of symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "file name too long",
  ENFILE: "too many open files in system",
  ENOENT: "no such file or directory",
  ENOSPC: "no space left on device",
  ENOTDIR: "not a directory",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
};

interface SystemError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly address?: string;
  readonly port?: number;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

/** `error` of a file operation as Go prints it: `open /x: permission denied`. */
export function fileErrorText(error: unknown, path: string): string {
  if (!isSystemError(error)) return String(error);
  return `${error.syscall ?? "open"} ${error.path ?? path}: ${REASONS[error.code] ?? error.message}`;
}

/** `error` as Go prints it where it is of the operating system, its message otherwise. */
export function errorText(error: unknown): string {
  if (!isSystemError(error)) return error instanceof Error ? error.message : String(error);
  const reason = REASONS[error.code];
  if (reason === undefined) return error.message;
  if (error.syscall === "listen" || error.syscall === "bind") {
    const host = error.address?.includes(":") === true ? `[${error.address}]` : error.address;
    return `listen tcp ${host ?? ""}:${error.port ?? 0}: bind: ${reason}`;
  }
  if (error.path !== undefined) return fileErrorText(error, error.path);
  return error.message;
}
