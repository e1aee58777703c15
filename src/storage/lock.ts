// Who holds a file lock, for the message of a refused start. LevelDB's LOCK file is the lock of the data directory: an fcntl lock, which
// the kernel takes back when the process ends in whatever way, so nothing is ever left behind to clean up.

import { readFile, stat } from "node:fs/promises";

/**
 * Process id of the holder of a write lock on `path`, "unknown" if it is out of sight (another pid namespace), undefined if nobody holds
 * one or the system does not tell. Linux only.
 */
export async function lockHolder(path: string): Promise<number | "unknown" | undefined> {
  let inode: number;
  let locks: string;
  try {
    inode = (await stat(path)).ino;
    locks = await readFile("/proc/locks", "latin1");
  } catch {
    return undefined;
  }
  for (const line of locks.split("\n")) {
    // "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 0 EOF"
    const match = /POSIX\s+\S+\s+WRITE\s+(-?\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line);
    if (match === null || Number(match[2]) !== inode) continue;
    const pid = Number(match[1]);
    return pid > 0 ? pid : "unknown";
  }
  return undefined;
}
