// Face of the membership.
export {
  type ConfChangeFields,
  changeOf,
  confChangeOf,
  type MembershipChange,
} from "./conf-change.ts";
export {
  byId,
  clusterId,
  idText,
  isStarted,
  type Member,
  type MemberAttributes,
  memberId,
  type Sha1,
} from "./member.ts";
export {
  confStateJson,
  memberJson,
  membersJson,
  parseConfState,
  parseMember,
} from "./member-json.ts";
export { parsePeerUrls } from "./peer-urls.ts";
export {
  type Downgrade,
  EMPTY_MEMBERSHIP,
  type MembershipRefusal,
  type MembershipState,
  RaftCluster,
} from "./raft-cluster.ts";
export { quorum, type ReconfigRefusal, type ReconfigView, reconfigRefusal } from "./reconfig.ts";
export {
  CLUSTER_VERSION_KEY,
  DOWNGRADE_KEY,
  decodeMembershipRows,
  encodeDowngradeRow,
  encodeMemberRow,
  MEMBER_REMOVED_VALUE,
  type MembershipRow,
  type MembershipRows,
  memberRowKey,
} from "./rows.ts";
export { decodeV2Store, encodeV2Store } from "./v2-store.ts";
