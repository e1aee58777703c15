// The program's log: pino writing the lines etcd's zap writes, as JSON or for the console, to stderr, stdout and files.
//
// Lines are written synchronously: the last line before an exit is the one that matters. Keys stand in zap's order (level, ts,
// logger, caller, msg, fields, stacktrace). Of equal messages within a second the first 100 are written, then each 100th.
// Source: operations.md 2.1; zap's documentation of its encoders and sampling.

import { openSync } from "node:fs";
import type { DestinationStream, Logger as PinoLogger } from "pino";
import type { LogFields, Logger, LogLevel } from "../base/index.ts";
import { goQuote } from "./go-text.ts";
import { fileErrorText } from "./system-error.ts";

/** The settings of a log, as the flags `--log-*` hold them. */
export interface LoggerOptions {
  /** One of zap's names. */
  readonly level: string;
  readonly format: string;
  /** `default`, `stderr`, `stdout` or paths; `/dev/null` among them silences all. */
  readonly outputs: readonly string[];
}

/** What etcd logs with before the configured log exists. */
export const DEFAULT_LOGGER: LoggerOptions = {
  level: "info",
  format: "json",
  outputs: ["default"],
};

const SEVERITY: Readonly<Record<LogLevel, number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  fatal: 4,
};

/** zap has two levels between error and fatal that nothing here logs at. */
function threshold(level: string): number {
  return level in SEVERITY ? SEVERITY[level as LogLevel] : SEVERITY.fatal;
}

/** Lines of one message and level written at full in a second; beyond them each `SAMPLE_EVERY`th is. */
const SAMPLE_FIRST = 100;
const SAMPLE_EVERY = 100;
/** Messages counted at a time; messages are constants, so this is never reached by right use. */
const SAMPLED_MESSAGES_MAX = 4096;

class Sampler {
  readonly #seen = new Map<string, { resetMs: number; count: number }>();

  /** Whether this line is written. */
  admits(key: string): boolean {
    const nowMs = performance.now();
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      if (this.#seen.size >= SAMPLED_MESSAGES_MAX) this.#seen.clear();
      seen = { resetMs: 0, count: 0 };
      this.#seen.set(key, seen);
    }
    if (nowMs >= seen.resetMs) {
      seen.resetMs = nowMs + 1000;
      seen.count = 0;
    }
    seen.count++;
    return seen.count <= SAMPLE_FIRST || (seen.count - SAMPLE_FIRST) % SAMPLE_EVERY === 0;
  }
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}

/** `2026-01-02T03:04:05.123456Z`, or with an offset such as `+0200` where the clock is not UTC. */
export function timestamp(epochMs: number): string {
  const date = new Date(epochMs);
  const offset = -date.getTimezoneOffset();
  const micros = pad(Math.floor((epochMs - Math.floor(epochMs)) * 1000), 3);
  if (offset === 0) return `${date.toISOString().slice(0, -1)}${micros}Z`;
  const local = new Date(Math.floor(epochMs) + offset * 60_000).toISOString().slice(0, -1);
  const minutes = Math.abs(offset);
  return `${local}${micros}${offset < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60), 2)}${pad(minutes % 60, 2)}`;
}

function nowText(): string {
  return timestamp(performance.timeOrigin + performance.now());
}

/** Frames between here and the code that logs: the private `#log` and the public method of the level. */
const OWN_FRAMES = 2;

/** Frames of the code that logs, at most `count`. */
function frames(count: number): string[] {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = count + OWN_FRAMES;
  Error.captureStackTrace(holder, frames);
  Error.stackTraceLimit = limit;
  return (holder.stack ?? "").split("\n").slice(1 + OWN_FRAMES);
}

const FRAME = /at (?:async )?(?:(.*) \()?(?:file:\/\/)?(.*?):(\d+):\d+\)?$/;

/** `embed/etcd.js:139` of a frame: folder, file and line. */
function shortPlace(frame: string | undefined): string {
  const [, , path = "", line = ""] = FRAME.exec(frame ?? "") ?? [];
  return `${path.split("/").slice(-2).join("/")}:${line}`;
}

/** Frames as Go prints a stack: function, then place on an indented line. */
function stackText(stack: readonly string[]): string {
  const parts = stack.map((frame) => {
    const [, name = "anonymous", path = "", line = ""] = FRAME.exec(frame) ?? [];
    return `${name}\n\t${path}:${line}`;
  });
  return parts.join("\n");
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? String(value) : value;
}

/** JSON with a space after each colon and comma, as the console format prints fields. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${spacedJson(v)}`);
    return `{${members.join(", ")}}`;
  }
  return JSON.stringify(plain(value)) ?? "null";
}

type Line = Record<string, unknown>;

/** Where lines go, in one of two formats. `stack` is "" below the level error. */
type Writer = (level: LogLevel, head: Line, fields: Line, stack: string) => void;

function jsonWriter(pino: PinoLogger): Writer {
  return (level, head, fields, stack) => {
    const line = { ...head, ...fields };
    if (stack !== "") line["stacktrace"] = stack;
    pino[level](line);
  };
}

function consoleWriter(destination: DestinationStream): Writer {
  return (level, head, fields, stack) => {
    const columns = [nowText(), level, ...Object.values(head).map(String)];
    if (Object.keys(fields).length > 0) columns.push(spacedJson(fields));
    destination.write(`${columns.join("\t")}\n${stack === "" ? "" : `${stack}\n`}`);
  };
}

class ZapLogger implements Logger {
  readonly isDebug: boolean;
  readonly #least: number;
  readonly #write: Writer;
  readonly #sampler: Sampler;
  readonly #name: string | undefined;

  constructor(least: number, write: Writer, sampler: Sampler, name: string | undefined) {
    this.isDebug = least <= SEVERITY.debug;
    this.#least = least;
    this.#write = write;
    this.#sampler = sampler;
    this.#name = name;
  }

  debug(message: string, fields?: LogFields): void {
    if (this.isDebug) this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  fatal(message: string, fields?: LogFields): void {
    this.#log("fatal", message, fields);
  }

  named(name: string): Logger {
    const full = this.#name === undefined ? name : `${this.#name}.${name}`;
    return new ZapLogger(this.#least, this.#write, this.#sampler, full);
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (SEVERITY[level] < this.#least || !this.#sampler.admits(`${level} ${message}`)) return;
    const withStack = SEVERITY[level] >= SEVERITY.error;
    const stack = frames(withStack ? 32 : 1);
    const head: Line = this.#name === undefined ? {} : { logger: this.#name };
    head["caller"] = shortPlace(stack[0]);
    head["msg"] = message;
    const line: Line = {};
    for (const name in fields) line[name] = plain(fields[name]);
    this.#write(level, head, line, withStack ? stackText(stack) : "");
  }
}

function drop(): void {}

type OpenSink = (
  fd: number,
) => DestinationStream & { on(event: "error", listener: () => void): unknown };

function openSinks(outputs: readonly string[], openSink: OpenSink): DestinationStream[] | string {
  const names = outputs.map((output) => (output === "default" ? "stderr" : output));
  if (names.includes("/dev/null")) return [];
  const sinks: DestinationStream[] = [];
  for (const name of [...new Set(names)].sort()) {
    let fd = name === "stderr" ? 2 : 1;
    if (name !== "stderr" && name !== "stdout") {
      try {
        fd = openSync(name, "a", 0o666);
      } catch (error) {
        return `open sink ${goQuote(name)}: ${fileErrorText(error, name)}`;
      }
    }
    const sink = openSink(fd);
    sink.on("error", drop);
    sinks.push(sink);
  }
  return sinks;
}

/** A log as `options` say, or why an output cannot be opened. */
export async function createLogger(options: LoggerOptions): Promise<Logger | string> {
  const { pino } = await import("pino");
  const sinks = openSinks(options.outputs, (fd) => pino.destination({ fd, sync: true }));
  if (typeof sinks === "string") return sinks;
  const destination: DestinationStream = {
    write(line) {
      for (const sink of sinks) sink.write(line);
    },
  };
  const writer =
    options.format === "console"
      ? consoleWriter(destination)
      : jsonWriter(
          pino(
            {
              base: null,
              level: "debug",
              timestamp: () => `,"ts":"${nowText()}"`,
              formatters: { level: (label) => ({ level: label }) },
            },
            destination,
          ),
        );
  return new ZapLogger(threshold(options.level), writer, new Sampler(), undefined);
}
