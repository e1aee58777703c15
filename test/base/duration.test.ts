// Durations in Go's text: what is printed, what is read, what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "../../src/base/index.ts";

test("formatDuration() prints milliseconds as Go prints a Duration", () => {
  const cases: [number, string][] = [
    [0, "0s"],
    [1e-6, "1ns"],
    [0.0015, "1.5µs"],
    [1.880282, "1.880282ms"],
    [100, "100ms"],
    [1000, "1s"],
    [1500, "1.5s"],
    [7000, "7s"],
    [60_000, "1m0s"],
    [90_500, "1m30.5s"],
    [600_000, "10m0s"],
    [7_200_000, "2h0m0s"],
    [-100, "-100ms"],
    [3_599_999.999999, "59m59.999999999s"],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

test("parseDuration() reads what Go reads and refuses what Go refuses", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["-0", 0],
    ["300ms", 300],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["1.s", 1000],
    ["+5s", 5000],
    ["-5s", -5000],
    ["1us", 0.001],
    ["1µs", 0.001],
    ["1h1h", 7_200_000],
    ["2540400h10m10.000000000s", 9_145_440_610_000],
    ["", undefined],
    ["5", undefined],
    ["s", undefined],
    [".s", undefined],
    ["1d", undefined],
    ["1 s", undefined],
    ["--1s", undefined],
    ["5s5", undefined],
    ["3000000h", undefined],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test("parseDuration() reads back what formatDuration() wrote", () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (us) => {
      const ms = us / 1000;
      assert.ok(Math.abs((parseDuration(formatDuration(ms)) as number) - ms) < 1e-5);
    }),
  );
});
