// The JSON reader against JSON.parse, where both must agree, and where they must not: integers beyond 2^53.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Json, jsonString, parseJson } from "../../../src/core/membership/json.ts";

function plain(json: Json | undefined): unknown {
  if (typeof json === "bigint") return Number(json);
  if (Array.isArray(json)) return json.map(plain);
  if (!(json instanceof Map)) return json;
  return Object.fromEntries([...json].map(([name, value]) => [name, plain(value)]));
}

function standard(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

test("parseJson() agrees with JSON.parse on every document", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      // -0 is an integer here.
      const value = JSON.stringify(standard(text));
      assert.equal(JSON.stringify(plain(parseJson(text))), value);
    }),
  );
});

test("parseJson() refuses exactly what JSON.parse refuses, for cut and damaged documents", () => {
  const seed = '{"id":12,"a":["x\\u0041\\"",-1.5e3,true,null,{}],"b":{"c":""}} ';
  for (let end = 0; end <= seed.length; end++) {
    const cut = seed.slice(0, end);
    assert.equal(parseJson(cut) === undefined, standard(cut) === undefined, cut);
  }
  fc.assert(
    fc.property(
      fc.nat(seed.length - 1),
      fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 1 }),
      (at, c) => {
        const damaged = seed.slice(0, at) + c + seed.slice(at + 1);
        assert.equal(parseJson(damaged) === undefined, standard(damaged) === undefined, damaged);
      },
    ),
  );
});

test("parseJson() keeps integers of 64 bits", () => {
  assert.equal(parseJson("18446744073709551615"), 18446744073709551615n);
  assert.deepEqual(parseJson(" [ -9223372036854775808 ] "), [-9223372036854775808n]);
});

test("parseJson() refuses nesting without end", () => {
  assert.equal(parseJson("[".repeat(100_000)), undefined);
});

test("jsonString() escapes as Go's encoder does", () => {
  assert.equal(
    jsonString('<a href="x">&\u2028\n'),
    '"\\u003ca href=\\"x\\"\\u003e\\u0026\\u2028\\n"',
  );
});
