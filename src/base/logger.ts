// What the member asks of a log: five levels, a message that never changes for one event, and fields beside it.
//
// Rules: the message is a constant (operators alert on it, sampling counts it), everything that varies is a field; field names are
// etcd's (`local-member-id`), ids are hex text, durations are `formatDuration` text. The implementation is the program's
// (`cli/logger.ts`); a library user brings another or none.
// Source of shape and names: etcd's use of zap (operations.md 2.1).

/** Fields of one line, written in the order of their insertion. An `Error` is written as its message, a bigint as decimal digits. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Least urgent first. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

/** A log. No method throws or waits; a line that cannot be written is lost. */
export interface Logger {
  /** False when `debug` writes nothing: guard the building of costly fields with it. */
  readonly isDebug: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Writes the line and nothing more: ending the process is the caller's. */
  fatal(message: string, fields?: LogFields): void;
  /** The same log with `"logger": name` in each line (etcd: `raft`). */
  named(name: string): Logger;
}

function drop(): void {}

/** Writes nothing; what a library user gets who brings no logger. */
export const silentLogger: Logger = {
  isDebug: false,
  debug: drop,
  info: drop,
  warn: drop,
  error: drop,
  fatal: drop,
  named: () => silentLogger,
};
