// grpc.health.v1.Health: only the service "" is known, and it is SERVING from start to stop.
// Source: grpc health checking protocol; etcd server/etcdserver/api/v3rpc/health.go.

import {
  createHealthCheckResponse,
  createHealthListResponse,
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  HealthCheckResponseCodec,
  HealthListResponseCodec,
  ProtoError,
} from "../../proto/index.ts";
import type { RpcContext, Service } from "./context.ts";
import { edgeErrors } from "./errors.ts";

const SERVING = 1;
const SERVICE_UNKNOWN = 3;

/** Handlers of the Health service. */
export function healthService(context: RpcContext): Service {
  return {
    Check(call, buf, start, end) {
      const request = decodeHealthCheckRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      if (request.service !== "") {
        const { code, message } = edgeErrors.unknownHealthService;
        return call.fail(code, message);
      }
      return call.reply(HealthCheckResponseCodec, createHealthCheckResponse({ status: SERVING }));
    },
    List(call, buf, start, end) {
      const request = decodeHealthListRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const serving = createHealthCheckResponse({ status: SERVING });
      return call.reply(
        HealthListResponseCodec,
        createHealthListResponse({ statuses: [{ key: "", value: serving }] }),
      );
    },
    Watch(call, buf, start, end) {
      const request = decodeHealthCheckRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodableInStream(call, request);
      const status = request.service === "" ? SERVING : SERVICE_UNKNOWN;
      return call.send(HealthCheckResponseCodec, createHealthCheckResponse({ status }));
    },
  };
}
