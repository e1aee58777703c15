// The face of storage: the data directory of a member, its twin in memory, and the checks of both stores.

export { DamagedFile, FileError, type Files, type OpenFile, StorageRefusal } from "./files.ts";
export { checkStore, type StoreCheck } from "./leveldb/index.ts";
export { MemoryBackend, type MemoryBackendOptions, MemoryStore } from "./memory/backend.ts";
export {
  type DiskFault,
  type DiskOperation,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "./memory/disk.ts";
export {
  MemoryMachine,
  type MemoryMachineOptions,
  type MemoryStorageOptions,
  openMemoryStorage,
} from "./memory/storage.ts";
export { NodeFiles } from "./node-files.ts";
export { hasMember, openStorage, type StorageOptions } from "./open.ts";
export { verifyWal, type WalVerification } from "./wal/index.ts";
