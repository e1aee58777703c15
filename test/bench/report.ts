// The outcome of a benchmark: medians, ratios, whether floor and aim are met; as a table and as JSON.

import type { Bound, Row } from "./rows.ts";

/** All values of one row, in the order of the rounds. */
export interface RowResult {
  readonly row: Row;
  readonly subject: readonly number[];
  readonly reference: readonly number[];
}

/** A row as it is written to JSON. */
export interface RowReport {
  readonly name: string;
  readonly unit: string;
  readonly subject: number;
  readonly reference: number;
  /** How many times better than the reference. */
  readonly ratio: number;
  readonly floor: Bound | undefined;
  readonly aim: Bound | undefined;
  readonly isFloorMet: boolean | undefined;
  readonly isAimMet: boolean | undefined;
  readonly runs: { readonly subject: readonly number[]; readonly reference: readonly number[] };
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? 0;
  const high = sorted[Math.floor(middle)] ?? 0;
  return (low + high) / 2;
}

function isMet(
  bound: Bound | undefined,
  row: Row,
  subject: number,
  ratio: number,
): boolean | undefined {
  if (bound === undefined) return undefined;
  if ("ratio" in bound) return ratio >= bound.ratio;
  return row.isBetter === "higher" ? subject >= bound.value : subject <= bound.value;
}

/** Judges one row. */
export function reportRow({ row, subject, reference }: RowResult): RowReport {
  const [ours, theirs] = [median(subject), median(reference)];
  const ratio = row.isBetter === "higher" ? ours / theirs : theirs / ours;
  return {
    name: row.name,
    unit: row.unit,
    subject: ours,
    reference: theirs,
    ratio,
    floor: row.floor,
    aim: row.aim,
    isFloorMet: isMet(row.floor, row, ours, ratio),
    isAimMet: isMet(row.aim, row, ours, ratio),
    runs: { subject, reference },
  };
}

function showNumber(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
}

function showBound(bound: Bound | undefined, unit: string): string {
  if (bound === undefined) return "";
  return "ratio" in bound ? `${showNumber(bound.ratio)}x` : `${bound.value} ${unit}`;
}

function showVerdict(report: RowReport): string {
  if (report.isFloorMet === undefined) return "";
  if (!report.isFloorMet) return "BELOW FLOOR";
  return report.isAimMet === true ? "aim" : "floor";
}

/** The table, one line per row. */
export function showTable(names: readonly [string, string], rows: readonly RowReport[]): string {
  const cells = [
    ["", "unit", names[0], names[1], "times better", "floor", "aim", "met"],
    ...rows.map((r) => [
      r.name,
      r.unit,
      showNumber(r.subject),
      showNumber(r.reference),
      `${showNumber(r.ratio)}x`,
      showBound(r.floor, r.unit),
      showBound(r.aim, r.unit),
      showVerdict(r),
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((line) => (line[column] ?? "").length)),
  );
  return cells
    .map((line) =>
      line
        .map((cell, i) => {
          const space = " ".repeat((widths[i] ?? 0) - cell.length);
          return i >= 2 && i <= 6 ? space + cell : cell + space;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
