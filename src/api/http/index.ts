// HTTP/1.1 paths of a member: health, versions, metrics.

export {
  clientHandler,
  type HttpHandler,
  type HttpOptions,
  metricsHandler,
  READ_HEADER_TIMEOUT_MS,
  type VersionSource,
} from "./handler.ts";
export type { HealthSource, RaisedAlarm } from "./health.ts";
