// Reads, and writes back, the text form of the scenarios: `command arg key=value key=(a,b)`, optional input lines, `----`, the expected
// output up to a blank line (a doubled `----` encloses output that has blank lines of its own); `#` begins a comment.

/** One command of a scenario. */
export interface ScenarioStep {
  /** Line of the command in its file, from 1. */
  readonly line: number;
  readonly command: string;
  /** Arguments without a value, in order. */
  readonly words: readonly string[];
  /** Arguments with values: `key=value` has one, `key=(a,b)` any number. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly input: string;
  readonly expected: string;
  /** Everything of the file before the expected output, from the end of the step before: comments, command, input, separator. */
  readonly head: string;
}

/** The single value of option `key`, undefined when it is not given. */
export function option(step: ScenarioStep, key: string): string | undefined {
  return step.options.get(key)?.[0];
}

/** Parses a whole file. */
export function parseScenario(text: string): ScenarioStep[] {
  const lines = text.split("\n");
  const steps: ScenarioStep[] = [];
  let at = 0;
  let headStart = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === "" || line.startsWith("#")) {
      at++;
      continue;
    }
    const commandLine = at + 1;
    const input: string[] = [];
    for (at++; lines[at] !== "----"; at++) {
      if (at >= lines.length) throw new Error(`line ${commandLine}: no ---- after the command`);
      input.push(lines[at] as string);
    }
    at++;
    const isDoubled = lines[at] === "----";
    if (isDoubled) at++;
    const head = lines.slice(headStart, at).join("\n");
    const expected: string[] = [];
    while (at < lines.length) {
      if (isDoubled ? lines[at] === "----" && lines[at + 1] === "----" : lines[at] === "") break;
      expected.push(lines[at] as string);
      at++;
    }
    if (isDoubled) at += 2;
    headStart = at;
    steps.push({
      line: commandLine,
      ...parseCommand(line),
      input: input.join("\n"),
      expected: expected.join("\n"),
      head,
    });
  }
  return steps;
}

/** The file with `outputs` in the place of what its steps expected. Files with doubled separators are not supported. */
export function rewriteScenario(
  steps: readonly ScenarioStep[],
  outputs: readonly string[],
): string {
  return `${steps.map((step, i) => `${step.head}\n${outputs[i] ?? ""}`).join("\n")}\n`;
}

function parseCommand(line: string): Pick<ScenarioStep, "command" | "words" | "options"> {
  const words: string[] = [];
  const options = new Map<string, string[]>();
  for (const match of line.matchAll(/([^\s=()]+)(?:=(\([^)]*\)|\S+))?/g)) {
    const [, key = "", value] = match;
    if (value === undefined) words.push(key);
    else options.set(key, splitValues(value));
  }
  const [command = "", ...rest] = words;
  return { command, words: rest, options };
}

function splitValues(value: string): string[] {
  if (!value.startsWith("(")) return [value];
  const inner = value.slice(1, -1).trim();
  return inner === "" ? [] : inner.split(",").map((part) => part.trim());
}
