export type { CallCounters, Route } from "./method-table.ts";
export { GrpcServer } from "./server.ts";
