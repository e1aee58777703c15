// How fields of the API look in TypeScript where the .proto files leave a choice, and how messages are called where two packages use
// one name. Everything here is a table; a name that no longer exists in the .proto files stops the generator.

/** Names of fields whose 64-bit integer is an id and therefore a bigint, in whatever message. The others are counters, thus numbers. */
export const bigintFields: ReadonlySet<string> = new Set([
  "ID",
  "NodeID",
  "ClusterID",
  "cluster_id",
  "member_id",
  "memberID",
  "member_ID",
  "targetID",
  "leader",
  "lease",
  "id",
  "node_id",
  "to",
  "from",
  "vote",
  "voters",
  "learners",
  "voters_outgoing",
  "learners_next",
]);

/** Names of bytes fields that hold a key: strings of one char per byte, in whatever message. */
export const latin1Fields: ReadonlySet<string> = new Set(["key", "range_end", "keys"]);

/** The same, where the name alone does not say it: names of locks and elections are the beginning of their keys. */
export const latin1FieldsOf: ReadonlySet<string> = new Set([
  "v3lockpb.LockRequest.name",
  "v3electionpb.CampaignRequest.name",
  "v3electionpb.LeaderKey.name",
  "v3electionpb.LeaderRequest.name",
]);

/**
 * Counters clients may send beyond 2^53 - 1 and the server only compares with revisions, limits or the TTL bound: taken as the
 * nearest safe integer, so that the answer is etcd's (future revision, TTL too large, compare failed) and not a decoding error.
 */
export const clampedFields: ReadonlySet<string> = new Set([
  "etcdserverpb.RangeRequest.limit",
  "etcdserverpb.RangeRequest.revision",
  "etcdserverpb.RangeRequest.min_mod_revision",
  "etcdserverpb.RangeRequest.max_mod_revision",
  "etcdserverpb.RangeRequest.min_create_revision",
  "etcdserverpb.RangeRequest.max_create_revision",
  "etcdserverpb.Compare.version",
  "etcdserverpb.Compare.create_revision",
  "etcdserverpb.Compare.mod_revision",
  "etcdserverpb.CompactionRequest.revision",
  "etcdserverpb.WatchCreateRequest.start_revision",
  "etcdserverpb.LeaseGrantRequest.TTL",
  "etcdserverpb.HashKVRequest.revision",
]);

/** proto2 fields written even when zero, because etcd 3.7 always sets them and its checks ask for some. The others are omitted. */
export const explicitFields: ReadonlySet<string> = new Set([
  "raftpb.HardState.term",
  "raftpb.HardState.vote",
  "raftpb.HardState.commit",
  "raftpb.SnapshotMetadata.index",
  "raftpb.SnapshotMetadata.term",
  "raftpb.ConfState.auto_leave",
  "raftpb.ConfChange.type",
  "raftpb.ConfChange.node_id",
  "raftpb.ConfChangeSingle.type",
  "raftpb.ConfChangeSingle.node_id",
  "walpb.Record.type",
  "walpb.Record.crc",
  "walpb.Snapshot.index",
  "walpb.Snapshot.term",
  "snappb.snapshot.crc",
  "etcdserverpb.Metadata.NodeID",
  "etcdserverpb.Metadata.ClusterID",
]);

/** Types whose TypeScript name is not their last proto name, because it is taken, shadows a built-in or says too little alone. */
export const typeNames: ReadonlyMap<string, string> = new Map([
  ["membershippb.Member", "MembershipMember"],
  ["walpb.Record", "WalRecord"],
  ["walpb.Snapshot", "WalSnapshot"],
  ["snappb.snapshot", "SnapSnapshot"],
  ["etcdserverpb.Metadata", "WalMetadata"],
  ["authpb.Permission.Type", "PermissionType"],
]);
