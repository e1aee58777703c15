// The Maintenance service: Alarm through the log, Status, Hash and HashKV from this member alone.
// Source: etcd server/etcdserver/api/v3rpc/maintenance.go.

import {
  AlarmRequestCodec,
  type AlarmResponse,
  AlarmResponseCodec,
  createDowngradeInfo,
  createHashKVResponse,
  createHashResponse,
  createStatusResponse,
  decodeAlarmRequest,
  decodeHashKVRequest,
  decodeHashRequest,
  decodeStatusRequest,
  HashKVResponseCodec,
  HashResponseCodec,
  ProtoError,
  StatusResponseCodec,
} from "../../proto/index.ts";
import { Arm, alarmName } from "../../server/index.ts";
import type { RpcContext, Service } from "./context.ts";
import { replyWaiter } from "./reply-waiter.ts";

/** What Status reports beyond the member's state. */
export interface MaintenanceOptions {
  /** Server version, such as `3.7.1`. */
  readonly version: string;
}

/** The largest action of an AlarmRequest. */
const ALARM_ACTION_MAX = 2;

/** Handlers of the Maintenance service. */
export function maintenanceService(context: RpcContext, options: MaintenanceOptions): Service {
  const { member } = context;
  return {
    Alarm(call, buf, start, end) {
      const request = decodeAlarmRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      // etcd crashes on an action it does not know; here it is refused before it gets into the log.
      if (request.action < 0 || request.action > ALARM_ACTION_MAX) {
        return context.refuse(call, "unknownAlarmAction");
      }
      const waiter = replyWaiter<AlarmResponse>(context, call, AlarmResponseCodec);
      return member.proposeMessage(Arm.alarm, AlarmRequestCodec, request, waiter);
    },
    Status(call, buf, start, end) {
      const request = decodeStatusRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      return call.reply(StatusResponseCodec, status(context, options));
    },
    Hash(call, buf, start, end) {
      const request = decodeHashRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      return void member.hashBackend().then(
        (hash) =>
          call.reply(
            HashResponseCodec,
            createHashResponse({ header: context.currentHeader(), hash }),
          ),
        (error: unknown) => member.fail(error),
      );
    },
    HashKV(call, buf, start, end) {
      const request = decodeHashKVRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      return member.hashKv(request.revision, (result) => {
        if (typeof result === "string") return context.refuse(call, result);
        const { hash, compactRevision, hashRevision } = result;
        const header = context.currentHeader();
        const response = createHashKVResponse({ header, hash, compactRevision, hashRevision });
        return call.reply(HashKVResponseCodec, response);
      });
    },
  };
}

function status(
  context: RpcContext,
  options: MaintenanceOptions,
): ReturnType<typeof createStatusResponse> {
  const { member } = context;
  const errors: string[] = [];
  if (member.leader === 0n) errors.push("etcdserver: no leader");
  for (const alarm of member.alarms.list()) {
    errors.push(`memberID:${alarm.memberId} alarm:${alarmName(alarm.alarm)} `);
  }
  const sizeBytes = member.backendSizeBytes;
  return createStatusResponse({
    header: context.currentHeader(),
    version: options.version,
    dbSize: sizeBytes,
    dbSizeInUse: sizeBytes,
    leader: member.leader,
    raftIndex: member.committedIndex,
    raftTerm: member.appliedTerm,
    raftAppliedIndex: member.appliedIndex,
    errors,
    isLearner: false,
    storageVersion: member.storageVersion,
    dbSizeQuota: member.quotaBytes,
    downgradeInfo: createDowngradeInfo({ enabled: false, targetVersion: "" }),
  });
}
