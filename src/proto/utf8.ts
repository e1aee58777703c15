// UTF-8 validity (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF), which Go demands of proto3 strings.

/** Whether buf[start, end) is valid UTF-8. Reads nothing else. */
export function isUtf8(buf: Uint8Array, start: number, end: number): boolean {
  let p = start;
  while (p < end) {
    const lead = buf[p++] as number;
    if (lead < 0x80) continue;
    // Bounds of the first continuation byte carry all special cases of RFC 3629.
    let more: number;
    let min = 0x80;
    let max = 0xbf;
    if (lead < 0xc2) return false;
    if (lead < 0xe0) more = 1;
    else if (lead < 0xf0) {
      more = 2;
      if (lead === 0xe0) min = 0xa0;
      else if (lead === 0xed) max = 0x9f;
    } else if (lead < 0xf5) {
      more = 3;
      if (lead === 0xf0) min = 0x90;
      else if (lead === 0xf4) max = 0x8f;
    } else return false;
    if (end - p < more) return false;
    const second = buf[p++] as number;
    if (second < min || second > max) return false;
    for (; more > 1; more--) {
      if (((buf[p++] as number) & 0xc0) !== 0x80) return false;
    }
  }
  return true;
}
