// Face of the member.
export { Alarms, alarmName } from "./apply/alarms.ts";
export {
  LEASE_QUOTA_COST_BYTES,
  putCostBytes,
  QUOTA_BYTES_DEFAULT,
  txnCostBytes,
} from "./apply/quota.ts";
export { BootstrapError } from "./bootstrap.ts";
export { buildMember, type MemberPlan } from "./build-member.ts";
export {
  Member,
  type MemberParts,
  type MemberSettings,
  type MemberState,
  requestTimeoutMs,
} from "./member.ts";
export type {
  Cancel,
  CancelReason,
  Clock,
  MemberStorage,
  MessageEncoder,
  MessageSource,
  Metadata,
  RpcKind,
  RpcMethod,
  ServerCall,
} from "./ports.ts";
export { Arm, nobody, type Waiter } from "./proposal.ts";
export { publishAttributes, publishClusterVersion } from "./publish.ts";
export type { Reader } from "./read.ts";
export type { MemberRefusal, Refusal } from "./refusal.ts";
