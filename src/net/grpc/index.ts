// Face of gRPC over the HTTP/2 machine.
export type { CallCounters, Route } from "./method-table.ts";
export { GrpcServer } from "./server.ts";
