// The settings of one run of the simulator, drawn from its seed: small sizes, so that little work goes through every path, and now and
// then an ordinary one.

import type { Prng } from "../../src/base/index.ts";
import type { CheckpointOptions } from "../../src/server/checkpointer.ts";

/** The settings of one run. */
export interface Knobs {
  readonly segmentBytes: number;
  readonly snapshotCount: number;
  readonly catchupEntries: number;
  readonly compaction: { readonly sliceRows: number; readonly pauseMs: number };
  readonly valueBytesMax: number;
  readonly quotaBytes: number;
  readonly storeSizes: {
    readonly valueChunkBytes: number;
    readonly rowChunkBits: number;
    readonly leafKeysMax: number;
  };
  readonly checkpoints: CheckpointOptions;
  readonly preVote: boolean;
  readonly leaseCheckpoints: boolean;
  /** Share of lives in which minutes pass: leases run out, or are checkpointed. */
  readonly longPauses: number;
  /** Share of disk operations that take long. */
  readonly slowDisk: number;
  /** Share of batches that the store takes long for: it falls behind the log. */
  readonly slowStore: number;
  /** Share of lives with a failing disk. */
  readonly faults: number;
}

/** Settings for one run. */
export function drawKnobs(prng: Prng): Knobs {
  return {
    segmentBytes: prng.pick([4096, 4096, 16_384, 1 << 20]),
    snapshotCount: prng.pick([1, 5, 20, 10_000]),
    catchupEntries: prng.pick([1, 50]),
    compaction: { sliceRows: prng.pick([1, 3, 1000]), pauseMs: prng.pick([1, 10, 50]) },
    valueBytesMax: prng.pick([0, 500, 1 << 30]),
    quotaBytes: prng.pick([-1, -1, 8000, 20_000]),
    storeSizes: {
      valueChunkBytes: prng.pick([64, 4096]),
      rowChunkBits: prng.pick([3, 10]),
      leafKeysMax: prng.pick([4, 64]),
    },
    checkpoints: {
      rowsMin: prng.pick([3, 20, 1_000_000]),
      newPart: 0.1,
      intervalMinMs: prng.pick([1, 200]),
      pollMs: prng.pick([3, 30]),
      pauseMs: 1,
      stopMs: 500,
    },
    preVote: prng.chance(0.8),
    leaseCheckpoints: prng.chance(0.5),
    longPauses: prng.pick([0, 0, 0.3]),
    slowDisk: prng.pick([0, 0, 0.02, 0.2]),
    slowStore: prng.pick([0, 0, 0.02, 0.1]),
    faults: prng.pick([0, 0.3, 0.6]),
  };
}
