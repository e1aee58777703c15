// What is measured: one entry per row of the table, with the floor below which a release is not done, and the aim.
//
// The numbers of issue "One member, whole and fast". A row's ratio is always "how many times better than the reference", so that
// more is better in every row; rows with a bound in their own unit (milliseconds) say so.

import type { Contender } from "./contender.ts";
import type { LoadGroup, LoadResult } from "./loadgen.ts";

/** How much is done: everything, or enough to see whether something broke. */
export interface Scale {
  /** Runs per contender; the median counts. */
  readonly rounds: number;
  /** Factor on the number of requests. */
  readonly requests: number;
  /** Keys in the large data set. */
  readonly keys: number;
}

/** The whole benchmark. */
export const fullScale: Scale = { rounds: 5, requests: 1, keys: 1_000_000 };
/** A few minutes. */
export const quickScale: Scale = { rounds: 3, requests: 0.3, keys: 200_000 };

/** What must be reached: a ratio to the reference, or a value of the subject in the row's unit. */
export type Bound = { readonly ratio: number } | { readonly value: number };

/** A row of the table. */
export interface Row {
  /** What `--only` chooses by: the first word, or the whole name. */
  readonly name: string;
  readonly unit: string;
  readonly isBetter: "higher" | "lower";
  readonly floor: Bound | undefined;
  readonly aim: Bound | undefined;
  /** Once per round and contender. */
  readonly measure: (contender: Contender, scale: Scale) => Promise<number>;
}

/** Rows that share what must be on the servers first. */
export interface Section {
  readonly name: string;
  /** Makes the data set; called once per contender. */
  readonly prepare: (contender: Contender, scale: Scale) => Promise<void>;
  readonly rows: readonly Row[];
  /** Runs fewer rounds: its rows take long. */
  readonly roundsMax?: number;
}

const valueBytes = 128;
const largeValueBytes = 256;
const smallKeys = 100_000;
const listKeys = 10_000;
const pageKeys = 500;

/** Connections x streams of the closed loops, with requests that take about two seconds on etcd. */
const shapes = [
  { name: "1x1", conns: 1, streams: 1, total: 4_000 },
  { name: "100x1", conns: 100, streams: 1, total: 30_000 },
  { name: "10x100", conns: 10, streams: 100, total: 100_000 },
] as const;

function scaled(total: number, scale: Scale): number {
  return Math.max(200, Math.round(total * scale.requests));
}

function first(result: LoadResult): LoadResult["groups"][number] {
  const group = result.groups[0];
  if (group === undefined) throw new Error("a run without a group");
  return group;
}

function closedLoop(
  op: "put" | "get" | "txn",
  prefix: string,
  floors: readonly number[],
  aims: readonly number[],
): Row[] {
  return shapes.map(({ name, conns, streams, total }, i) => ({
    name: `${op} ${name}`,
    unit: "req/s",
    isBetter: "higher",
    floor: { ratio: floors[i] ?? 1 },
    aim: { ratio: aims[i] ?? 1 },
    measure: async (contender, scale) => {
      const group = { op, conns, streams, prefix, keys: smallKeys, value: valueBytes } as const;
      const result = await contender.load([{ ...group, total: scaled(total, scale) }]);
      return first(result).perSecond;
    },
  }));
}

const fill = async (
  contender: Contender,
  prefix: string,
  keys: number,
  value: number,
): Promise<void> => {
  const group = { op: "put", order: "seq", conns: 10, streams: 100, total: keys } as const;
  await contender.load([{ ...group, prefix, keys, value }]);
};

const lists: Row = {
  name: `list ${listKeys} keys`,
  unit: "lists/s",
  isBetter: "higher",
  floor: { ratio: 1.5 },
  aim: { ratio: 4 },
  measure: async (contender, scale) => {
    const total = scaled(400, scale) / 4;
    return first(await contender.load([{ op: "list", prefix: "list-", total }])).perSecond;
  },
};

const watches: Row = {
  name: "watch fan-out, 1000 watchers, CPU",
  unit: "µs/event",
  isBetter: "lower",
  floor: { ratio: 2 },
  aim: { ratio: 6 },
  measure: async (contender, scale) => {
    const prefix = "watch-";
    const puts = { op: "put", rate: 100, total: scaled(500, scale), keys: 100 } as const;
    const result = await contender.load([
      { op: "watch", conns: 10, streams: 100, prefix },
      { ...puts, prefix, value: valueBytes },
    ]);
    return (result.cpuSeconds * 1e6) / first(result).events;
  },
};

const saturatedGets: Row = {
  name: "get p99 while puts saturate",
  unit: "ms",
  isBetter: "lower",
  floor: { ratio: 1 },
  aim: { value: 1 },
  measure: async (contender, scale) => {
    const puts = { op: "put", conns: 10, streams: 100, prefix: "key-", value: valueBytes } as const;
    const gets = { op: "get", conns: 4, prefix: "key-", keys: smallKeys } as const;
    const result = await contender.load([gets, puts], 1 + 2 * scale.requests);
    return first(result).p99Ms;
  },
};

/** Latency at a fixed rate shows queueing that a closed loop hides. */
function openLoop(op: "put" | "get"): Row {
  return {
    name: `${op} p99 at 2000/s`,
    unit: "ms",
    isBetter: "lower",
    floor: undefined,
    aim: undefined,
    measure: async (contender, scale) => {
      const group = { op, rate: 2_000, conns: 10, prefix: "key-", keys: smallKeys } as const;
      const total = scaled(6_000, scale);
      return first(await contender.load([{ ...group, total, value: valueBytes }])).p99Ms;
    },
  };
}

/** Load under which a pause of the server is looked for: well below what either server can do, so that queues do not count. */
const stallLoad: readonly LoadGroup[] = [
  { op: "get", rate: 1_000, prefix: "big-", keys: 1_000 },
  { op: "put", rate: 3_000, conns: 10, prefix: "big-", keys: 100_000, value: largeValueBytes },
];

/** A server that answers nothing, with nothing in it. */
const emptyStart: Section = {
  name: "start",
  prepare: async () => {},
  rows: [
    {
      name: "start of an empty member to the first answer",
      unit: "ms",
      isBetter: "lower",
      floor: { value: 1_000 },
      aim: { value: 300 },
      measure: async (contender) => await contender.emptyStartMs(),
    },
  ],
};

const small: Section = {
  name: "small",
  prepare: async (contender) => {
    await fill(contender, "key-", smallKeys, valueBytes);
    await fill(contender, "list-", listKeys, valueBytes);
  },
  rows: [
    ...closedLoop("get", "key-", [1.3, 2, 5], [2.3, 2.8, 10]),
    ...closedLoop("put", "key-", [1, 1.8, 3], [1.5, 3.3, 7]),
    ...closedLoop("txn", "txn-", [1, 2, 3], [1.7, 4, 7]),
    lists,
    watches,
    saturatedGets,
    openLoop("get"),
    openLoop("put"),
  ],
};

const large: Section = {
  name: "large",
  roundsMax: 3,
  prepare: async (contender, scale) => {
    await fill(contender, "big-", scale.keys, largeValueBytes);
  },
  rows: [
    {
      name: `page of ${pageKeys} under many keys`,
      unit: "pages/s",
      isBetter: "higher",
      floor: { ratio: 1 },
      aim: { ratio: 10 },
      measure: async (contender) => {
        const group = { op: "list", prefix: "big-", limit: pageKeys, total: 60 } as const;
        return first(await contender.load([group])).perSecond;
      },
    },
    {
      name: "memory with many keys",
      unit: "MiB",
      isBetter: "lower",
      floor: { ratio: 1 / 1.2 },
      aim: { ratio: 1 / 0.8 },
      measure: (contender) => Promise.resolve(contender.rssMib()),
    },
    {
      name: "longest pause under load, compaction included",
      unit: "ms",
      isBetter: "lower",
      floor: { value: 100 },
      aim: { value: 30 },
      measure: async (contender) => {
        // Something to compact: every tenth key is written once more.
        await fill(contender, "big-", 100_000, largeValueBytes);
        const running = contender.load(stallLoad, 5);
        const compacted = contender.compact();
        const [result] = await Promise.all([running, compacted]);
        return first(result).maxMs;
      },
    },
    {
      name: "restart to first read with many keys",
      unit: "ms",
      isBetter: "lower",
      floor: { ratio: 1.5 },
      aim: { ratio: 10 },
      measure: async (contender) => await contender.restartMs(),
    },
  ],
};

/** The benchmark, in the order in which it runs. */
export const sections: readonly Section[] = [emptyStart, small, large];
