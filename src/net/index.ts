// Face of the client port.
export type { CallCounters } from "./grpc/index.ts";
export { HeldPort, type ListenAddress } from "./held-port.ts";
export { type ConnectionLimits, defaultConnectionLimits } from "./limits.ts";
export { RpcListener, type RpcListenerOptions } from "./listener.ts";
