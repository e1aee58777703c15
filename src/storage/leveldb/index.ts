// The face of the LevelDB store to the rest of storage.

export { LevelBackend, type LevelBackendOptions } from "./backend.ts";
export { checkStore, findDamage, type StoreCheck } from "./check.ts";
export { LevelEngine } from "./engine.ts";
export { createLevelBackend, isUnusedStore, openLevelBackend } from "./open.ts";
