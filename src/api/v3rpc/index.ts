// Face of the gRPC services.
export { type RpcOptions, rpcMethods } from "./services.ts";
