// Face of the multi-version store.
export type {
  LoadValue,
  MvccRefusal,
  RangeStreamRefusal,
  RevisionSink,
  StoreOptions,
} from "./types.ts";
