import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "../../../src/net/http2/hpack-decoder.ts";
import { HpackEncoder, writeLiteral } from "../../../src/net/http2/hpack-encoder.ts";
import { HEADER_FIELDS_MAX } from "../../../src/net/limits.ts";
import { block } from "../support/frames.ts";

function decode(decoder: HpackDecoder, hex: string): string[] | undefined {
  const bytes = Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
  if (!decoder.decode(bytes, 0, bytes.length)) return undefined;
  return decoder.fields.map((f) => `${f.name}: ${f.value}`);
}

interface Step {
  readonly hex: string;
  readonly fields: string[];
  readonly table: string[];
  readonly tableBytes: number;
}

function runSteps(decoder: HpackDecoder, steps: readonly Step[]): void {
  for (const { hex, fields, table, tableBytes } of steps) {
    assert.deepEqual(decode(decoder, hex), fields);
    assert.deepEqual(
      decoder.table.map((f) => `${f.name}: ${f.value}`),
      table,
    );
    assert.equal(decoder.tableBytes, tableBytes);
  }
}

test("decoder: RFC 7541 C.2, each representation", () => {
  assert.deepEqual(
    decode(new HpackDecoder(), "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
    ["custom-key: custom-header"],
  );
  assert.deepEqual(decode(new HpackDecoder(), "040c 2f73 616d 706c 652f 7061 7468"), [
    ":path: /sample/path",
  ]);
  assert.deepEqual(decode(new HpackDecoder(), "1008 7061 7373 776f 7264 0673 6563 7265 74"), [
    "password: secret",
  ]);
  assert.deepEqual(decode(new HpackDecoder(), "82"), [":method: GET"]);
});

const requestSteps: Omit<Step, "hex">[] = [
  {
    fields: [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
    table: [":authority: www.example.com"],
    tableBytes: 57,
  },
  {
    fields: [
      ":method: GET",
      ":scheme: http",
      ":path: /",
      ":authority: www.example.com",
      "cache-control: no-cache",
    ],
    table: ["cache-control: no-cache", ":authority: www.example.com"],
    tableBytes: 110,
  },
  {
    fields: [
      ":method: GET",
      ":scheme: https",
      ":path: /index.html",
      ":authority: www.example.com",
      "custom-key: custom-value",
    ],
    table: ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
    tableBytes: 164,
  },
];

function withHex(steps: readonly Omit<Step, "hex">[], hex: readonly string[]): Step[] {
  return steps.map((step, i) => Object.assign({ hex: hex[i] as string }, step));
}

test("decoder: RFC 7541 C.3 and C.4, three requests without and with Huffman coding", () => {
  runSteps(
    new HpackDecoder(),
    withHex(requestSteps, [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]),
  );
  runSteps(
    new HpackDecoder(),
    withHex(requestSteps, [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]),
  );
});

const cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const responseSteps: Omit<Step, "hex">[] = [
  {
    fields: [
      ":status: 302",
      "cache-control: private",
      "date: Mon, 21 Oct 2013 20:13:21 GMT",
      "location: https://www.example.com",
    ],
    table: [
      "location: https://www.example.com",
      "date: Mon, 21 Oct 2013 20:13:21 GMT",
      "cache-control: private",
      ":status: 302",
    ],
    tableBytes: 222,
  },
  {
    fields: [
      ":status: 307",
      "cache-control: private",
      "date: Mon, 21 Oct 2013 20:13:21 GMT",
      "location: https://www.example.com",
    ],
    table: [
      ":status: 307",
      "location: https://www.example.com",
      "date: Mon, 21 Oct 2013 20:13:21 GMT",
      "cache-control: private",
    ],
    tableBytes: 222,
  },
  {
    fields: [
      ":status: 200",
      "cache-control: private",
      "date: Mon, 21 Oct 2013 20:13:22 GMT",
      "location: https://www.example.com",
      "content-encoding: gzip",
      cookie,
    ],
    table: [cookie, "content-encoding: gzip", "date: Mon, 21 Oct 2013 20:13:22 GMT"],
    tableBytes: 215,
  },
];

test("decoder: RFC 7541 C.5 and C.6, three responses in a table of 256 bytes with eviction", () => {
  for (const hex of [
    [
      "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "4803 3330 37c1 c0bf",
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ],
    [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ],
  ]) {
    const decoder = new HpackDecoder();
    // The examples begin with SETTINGS_HEADER_TABLE_SIZE 256; here the encoder says so.
    assert.deepEqual(decode(decoder, "3fe101"), []);
    runSteps(decoder, withHex(responseSteps, hex));
  }
});

test("decoder: what is not HPACK is refused", () => {
  const cases: [what: string, hex: string][] = [
    ["index 0", "80"],
    ["index beyond the tables", "be"],
    ["name index beyond the tables", "7f 00 01 61"],
    ["index cut off", "ff"],
    ["index of more than five bytes", "ff ff ff ff ff ff 01"],
    ["string longer than the block", "00 05 61 62"],
    ["string length cut off", "00 7f"],
    ["value missing", "00 01 61"],
    ["table size above what was allowed", "3f e2 1f"],
    ["table size after a field", "82 20"],
    ["Huffman padding of zeros", "00 81 18 00"],
    ["Huffman padding of a whole byte", "00 82 1f ff 00"],
    ["Huffman EOS", "00 84 ff ff ff ff 00"],
  ];
  for (const [what, hex] of cases) {
    assert.equal(decode(new HpackDecoder(), hex), undefined, what);
  }
});

test("decoder: an entry larger than the table empties it", () => {
  const decoder = new HpackDecoder();
  const small = block([["a", "b"]], 0x40);
  assert.ok(decoder.decode(small, 0, small.length));
  assert.equal(decoder.table.length, 1);
  const large = block([["a", "x".repeat(4_100)]], 0x40);
  assert.ok(decoder.decode(large, 0, large.length));
  assert.equal(decoder.table.length, 0);
  assert.equal(decoder.tableBytes, 0);
});

test("decoder: a list beyond its limits is decoded to the end but not kept", () => {
  const decoder = new HpackDecoder();
  const many = block(
    Array.from({ length: HEADER_FIELDS_MAX + 1 }, (_, i): [string, string] => [`n${i}`, "v"]),
    0x40,
  );
  assert.ok(decoder.decode(many, 0, many.length));
  assert.ok(decoder.isListTooLarge);
  assert.equal(decoder.table.length, HEADER_FIELDS_MAX + 1);
  assert.ok(decoder.decode(Buffer.from([0xbe]), 0, 1));
  assert.equal(decoder.fields[0]?.name, `n${HEADER_FIELDS_MAX}`);
});

test("decoder: random bytes never throw and keep the table within its size", () => {
  const decoder = new HpackDecoder();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decoder.decode(Buffer.from(bytes), 0, bytes.length);
      assert.ok(decoder.tableBytes <= 4_096);
      assert.equal(
        decoder.table.reduce((sum, f) => sum + f.sizeBytes, 0),
        decoder.tableBytes,
      );
    }),
    { numRuns: 2_000 },
  );
});

test("encoder: declared fields shrink to one byte each and survive every table size the peer allows", () => {
  const sizes = fc.array(fc.constantFrom(undefined, 0, 50, 103, 104, 200, 4_096, 65_536), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(sizes, (steps) => {
      const encoder = new HpackEncoder([
        ["content-type", "application/grpc"],
        ["grpc-status", "0"],
      ]);
      const decoder = new HpackDecoder();
      for (const size of steps) {
        if (size !== undefined) encoder.setTableBytes(size);
        for (const i of [0, 1]) {
          const buf = Buffer.alloc(100);
          let end = encoder.declared(buf, encoder.begin(buf, 0), i);
          end = writeLiteral(buf, end, "grpc-message", "x");
          assert.ok(decoder.decode(buf, 0, end));
          assert.deepEqual(
            decoder.fields.map((f) => f.value),
            [i === 0 ? "application/grpc" : "0", "x"],
          );
        }
      }
      assert.ok(decoder.table.length <= 2);
    }),
  );
  const encoder = new HpackEncoder([["content-type", "application/grpc"]]);
  const buf = Buffer.alloc(100);
  assert.ok(encoder.declared(buf, 0, 0) > 10);
  assert.equal(encoder.declared(buf, 0, 0), 1);
  assert.equal(buf[0], 0xbe);
});
