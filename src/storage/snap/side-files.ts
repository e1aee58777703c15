// Side files, "<name>.side": bytes in frames whose checksums are chained, so that a piece is handed out only when it and all before it
// are whole, and the end says that nothing is missing.
//
//   file   magic "tsSIDE1\n" · frames
//   frame  length u32 · crc32c u32 of the bytes, continued from the frame before · bytes; length 0 ends the file

import { assert, crc32c } from "../../base/index.ts";
import type { SideFiles } from "../../server/ports.ts";
import { DamagedFile, type Files, joinPath, type OpenFile, writeWhole } from "../files.ts";

const MAGIC: Buffer = Buffer.from("tsSIDE1\n", "latin1");
const FRAME_BYTES = 8;
/** Frames handed out are at most this long, so that a reader works in steps. */
const FRAME_BYTES_MAX = 1024 * 1024;

/** True for the files of this kind. */
export function isSideFileName(name: string): boolean {
  return name.endsWith(".side");
}

function* framesOf(chunk: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += FRAME_BYTES_MAX) {
    yield chunk.subarray(at, Math.min(chunk.length, at + FRAME_BYTES_MAX));
  }
}

async function* encode(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield MAGIC;
  let crc = 0;
  const head = Buffer.alloc(FRAME_BYTES);
  for await (const chunk of chunks) {
    for (const frame of framesOf(chunk)) {
      crc = crc32c(frame, 0, frame.length, crc);
      head.writeUInt32LE(frame.length, 0);
      head.writeUInt32LE(crc, 4);
      yield head;
      yield frame;
    }
  }
  head.writeUInt32LE(0, 0);
  head.writeUInt32LE(crc, 4);
  yield head;
}

export class DiskSideFiles implements SideFiles {
  readonly #files: Files;
  readonly #directory: string;

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async save(
    name: string,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await writeWhole(this.#files, this.#directory, fileName(name), encode(chunks));
  }

  async load(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const path = joinPath(this.#directory, fileName(name));
    if (!(await this.#files.exists(path))) return undefined;
    return decode(await this.#files.open(path, "read"));
  }

  async remove(name: string): Promise<void> {
    const path = joinPath(this.#directory, fileName(name));
    if (!(await this.#files.exists(path))) return;
    await this.#files.unlink(path);
    await this.#files.syncDirectory(this.#directory);
  }
}

function fileName(name: string): string {
  assert(/^[A-Za-z0-9-]+$/.test(name), "a side file's name is made of letters, digits and dashes");
  return `${name}.side`;
}

async function* decode(file: OpenFile): AsyncGenerator<Uint8Array> {
  try {
    let position = 0;
    const take = async (bytes: number): Promise<Buffer> => {
      const buf = Buffer.allocUnsafe(bytes);
      if ((await file.read(buf, 0, bytes, position)) !== bytes) {
        throw new DamagedFile(file.path, position, "the side file is cut off");
      }
      position += bytes;
      return buf;
    };
    if (!(await take(MAGIC.length)).equals(MAGIC)) {
      throw new DamagedFile(file.path, 0, "not a side file of this version");
    }
    let crc = 0;
    for (;;) {
      const at = position;
      const head = await take(FRAME_BYTES);
      const bytes = head.readUInt32LE(0);
      if (bytes > FRAME_BYTES_MAX) throw new DamagedFile(file.path, at, "a frame is too long");
      const frame = await take(bytes);
      crc = crc32c(frame, 0, bytes, crc);
      if (crc !== head.readUInt32LE(4)) {
        throw new DamagedFile(file.path, at, "damaged side file: checksum mismatch");
      }
      if (bytes === 0) return;
      yield frame;
    }
  } finally {
    await file.close();
  }
}
