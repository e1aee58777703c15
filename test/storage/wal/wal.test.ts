// The write-ahead log on both disks, and its bytes against a log real etcd wrote.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEntry } from "../../../src/proto/index.ts";
import { createWal, readWal } from "../../../src/storage/wal/index.ts";
import { RecordImage, readRecord } from "../../../src/storage/wal/record.ts";
import { options, walSuite } from "../../suites/wal-suite.ts";
import { realPlace, simulatedPlace } from "../support/disks.ts";

walSuite("WAL on the real disk", realPlace);
walSuite("WAL on the simulated disk", simulatedPlace);

const METADATA_DATA = "08f9b3a191a7cdc5f4890110c99e82eee297f3d98f01";
const REAL_HEAD = [
  // crc 0; metadata; snapshot at index 0, term 0
  "04000000000000840804100000000000",
  `2000000000000000080110feca85b20d1a16${METADATA_DATA}`,
  "0e00000000000082080510fc8fe593021a04080010000000",
].join("");

test("RecordImage gives the head of a log of real etcd, byte for byte", () => {
  const image = new RecordImage();
  image.reset(0);
  image.crcRecord(0);
  image.metadata(Buffer.from(METADATA_DATA, "hex"));
  image.snapshot({ index: 0, term: 0, confState: undefined });
  assert.equal(image.buf.toString("hex", 0, image.end), REAL_HEAD);
});

test("createWal() begins with the head of a log of real etcd", async () => {
  const place = await simulatedPlace();
  const wal = await createWal(options(place), Buffer.from(METADATA_DATA, "hex"));
  await wal.close();
  const bytes = place.disk.peek("/d/0000000000000000-0000000000000000.wal");
  assert.ok(bytes?.toString("hex").startsWith(REAL_HEAD));
  const reading = await readWal(place.files, "/d");
  assert.equal(Buffer.from(reading?.contents.metadata ?? []).toString("hex"), METADATA_DATA);
});

test("readRecord() reads what RecordImage writes, with every amount of padding", () => {
  const image = new RecordImage();
  image.reset(0);
  const pads = new Set<number>();
  for (let size = 0; size < 40; size++) {
    const start = image.end;
    image.entry(createEntry({ term: 1, index: size, data: Buffer.alloc(size, 1) }));
    const found = { type: 0, crc: 0, dataStart: 0, dataEnd: 0, next: 0 };
    assert.equal(readRecord(image.buf, start, image.end, found), undefined);
    assert.equal(found.next, image.end);
    assert.equal(image.end % 8, 0);
    pads.add(image.buf[start + 7] as number);
  }
  assert.deepEqual(
    [...pads].sort((a, b) => a - b),
    [0, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87],
  );
});
