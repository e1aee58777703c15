export type { CallCounters } from "./grpc/index.ts";
export { type ConnectionLimits, defaultConnectionLimits } from "./limits.ts";
export { RpcListener, type RpcListenerOptions } from "./listener.ts";
