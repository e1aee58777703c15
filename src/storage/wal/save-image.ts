// The image of one save: header first, then its records; what is written to the segment in one piece.

import { assert } from "../../base/index.ts";
import { RecordImage } from "./record.ts";
import { countZeroSectors, SAVE_HEADER_BYTES, writeSaveHeader } from "./save-header.ts";

export class SaveImage extends RecordImage {
  #start = 0;
  #headerAt = 0;

  /** Begins the save; its records follow. Records before it belong to the head of a segment. */
  begin(): void {
    this.#start = this.end;
    this.#headerAt = this.crcRecord(SAVE_HEADER_BYTES);
    this.shape = 0;
  }

  /** Completes the save: a closing crc record, then the header; the image goes to `fileOffset` of segment `sequence` and is its save `number`. */
  seal(sequence: number, number: number, fileOffset: number): void {
    // Its last six bytes are never zero, so that zeros at the end of a save mean that the end is missing.
    this.crcRecord(0);
    const start = this.#start;
    const imageBytes = this.end - start;
    assert(imageBytes < 0x1_0000_0000, "a save is below 4 GiB");
    const at = fileOffset + start;
    const header = { imageBytes, number, zeroSectors: 0, shape: this.shape };
    writeSaveHeader(this.buf, this.#headerAt, header, sequence, at);
    const zeroSectors = countZeroSectors(this.buf, start, this.end, at);
    if (zeroSectors === 0) return;
    writeSaveHeader(this.buf, this.#headerAt, { ...header, zeroSectors }, sequence, at);
  }
}
