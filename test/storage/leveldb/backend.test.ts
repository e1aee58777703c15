// The backend over LevelDB and in memory.

import { Prng } from "../../../src/base/index.ts";
import { createLevelBackend, openLevelBackend } from "../../../src/storage/leveldb/index.ts";
import { MemoryBackend, MemoryStore } from "../../../src/storage/memory/backend.ts";
import { type BackendPlace, backendSuite } from "../../suites/backend-suite.ts";
import { levelOptions, realClock, realPlace } from "../support/disks.ts";

async function levelPlace(): Promise<BackendPlace> {
  const place = await realPlace();
  const path = `${place.directory}/db`;
  return {
    open: async () => {
      if (await place.files.exists(path)) return openLevelBackend(path, levelOptions(place.files));
      return createLevelBackend(path, levelOptions(place.files));
    },
    dispose: () => place.dispose(),
  };
}

function memoryPlace(): Promise<BackendPlace> {
  const store = new MemoryStore();
  const prng = new Prng(1);
  return Promise.resolve({
    open: () =>
      Promise.resolve(
        new MemoryBackend(store, {
          onFatal: (error) => {
            throw error;
          },
          clock: { after: (ms, callback) => realClock.after(ms + prng.below(2), callback) },
        }),
      ),
    dispose: () => Promise.resolve(),
  });
}

backendSuite("backend over LevelDB", levelPlace);
backendSuite("backend in memory", memoryPlace);
