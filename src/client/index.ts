// Face of the client.
export {
  Cluster,
  EtcdClient,
  type EtcdClientOptions,
  Maintenance,
} from "./client.ts";
export type { CallOptions, ConnectionOptions, TlsOptions } from "./connection.ts";
export { type Endpoint, parseEndpoint } from "./endpoint.ts";
export { type CodeName, codeOf, EtcdError } from "./error.ts";
export type { Key, KeyRange, Pair, Value } from "./key-value.ts";
export {
  type DeleteResult,
  Kv,
  type OpResult,
  type PutResult,
  type RangeResult,
  type TxnResult,
} from "./kv.ts";
export { type LeaseGrant, LeaseKeeper, Leases, type LeaseTimeToLive } from "./lease.ts";
export { type Method, methods } from "./methods.ts";
export type { DeleteOptions, PutOptions, RangeOptions, SortBy } from "./options.ts";
export { op, type Relation, type Txn, when } from "./txn.ts";
export { type WatchBatch, type WatchEvent, Watcher, type WatchOptions } from "./watcher.ts";
