// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial and final xor all ones), eight bytes a step, and the algebra to
// join checksums of neighbouring byte strings without their bytes.
// Source: RFC 3720 appendix B.4 for the polynomial; Kounavis and Berry, "A Systematic Approach to Building High Performance
// Software-based CRC Generators" for slicing; zlib's crc32_combine for the algebra.

const POLYNOMIAL = 0x82f63b78;

/** T[k * 256 + b]: the register after byte b followed by k zero bytes. */
const T: Uint32Array = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let b = 0; b < 256; b++) {
    let c = b;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    tables[b] = c;
  }
  for (let k = 1; k < 8; k++) {
    for (let b = 0; b < 256; b++) {
      const before = tables[(k - 1) * 256 + b] as number;
      tables[k * 256 + b] = (tables[before & 0xff] as number) ^ (before >>> 8);
    }
  }
  return tables;
}

/**
 * The checksum of buf[start, end), an unsigned 32-bit number. `seed` is the checksum of the bytes before, 0 for none, so that
 * `crc32c(b, 0, n, crc32c(a, 0, m))` is the checksum of a followed by b.
 */
export function crc32c(buf: Uint8Array, start = 0, end: number = buf.length, seed = 0): number {
  let c = ~seed;
  let i = start;
  const wide = end - 7;
  while (i < wide) {
    const low =
      c ^
      ((buf[i] as number) |
        ((buf[i + 1] as number) << 8) |
        ((buf[i + 2] as number) << 16) |
        ((buf[i + 3] as number) << 24));
    c =
      (T[1792 + (low & 0xff)] as number) ^
      (T[1536 + ((low >>> 8) & 0xff)] as number) ^
      (T[1280 + ((low >>> 16) & 0xff)] as number) ^
      (T[1024 + (low >>> 24)] as number) ^
      (T[768 + (buf[i + 4] as number)] as number) ^
      (T[512 + (buf[i + 5] as number)] as number) ^
      (T[256 + (buf[i + 6] as number)] as number) ^
      (T[buf[i + 7] as number] as number);
    i += 8;
  }
  while (i < end) {
    c = (T[(c ^ (buf[i] as number)) & 0xff] as number) ^ (c >>> 8);
    i++;
  }
  return ~c >>> 0;
}

/** shiftTables[k]: four tables of 256 that move a register over 2^k zero bytes; made when first needed. */
const shiftTables: Uint32Array[] = [];

/** Table of one linear step: the register after 2^k zero bytes, by its four bytes. */
function shiftTable(k: number): Uint32Array {
  const known = shiftTables[k];
  if (known !== undefined) return known;
  const table = new Uint32Array(1024);
  for (let byte = 0; byte < 4; byte++) {
    for (let b = 0; b < 256; b++) {
      const register = (b << (8 * byte)) >>> 0;
      let moved: number;
      if (k === 0) {
        moved = (T[register & 0xff] as number) ^ (register >>> 8);
      } else {
        const half = shiftTable(k - 1);
        moved = shiftOnce(half, shiftOnce(half, register));
      }
      table[byte * 256 + b] = moved;
    }
  }
  shiftTables[k] = table;
  return table;
}

function shiftOnce(table: Uint32Array, register: number): number {
  return (
    ((table[register & 0xff] as number) ^
      (table[256 + ((register >>> 8) & 0xff)] as number) ^
      (table[512 + ((register >>> 16) & 0xff)] as number) ^
      (table[768 + (register >>> 24)] as number)) >>>
    0
  );
}

/**
 * The checksum of a followed by b, from `first` = checksum of a, `second` = checksum of b and the length of b in bytes
 * (0 .. 2^31-1). Cost: one table step per set bit of the length.
 */
export function crc32cJoin(first: number, second: number, secondBytes: number): number {
  let register = first;
  let k = 0;
  for (let rest = secondBytes; rest !== 0; rest >>>= 1) {
    if ((rest & 1) === 1) register = shiftOnce(shiftTable(k), register);
    k++;
  }
  return (register ^ second) >>> 0;
}
