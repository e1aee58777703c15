// The RPCs this client calls: path, codecs, and whether a call may be repeated when its fate is unknown.

import {
  type AlarmRequest,
  AlarmRequestCodec,
  type AlarmResponse,
  AlarmResponseCodec,
  type Codec,
  type CompactionRequest,
  CompactionRequestCodec,
  type CompactionResponse,
  CompactionResponseCodec,
  type DeleteRangeRequest,
  DeleteRangeRequestCodec,
  type DeleteRangeResponse,
  DeleteRangeResponseCodec,
  type HashKVRequest,
  HashKVRequestCodec,
  type HashKVResponse,
  HashKVResponseCodec,
  type HashRequest,
  HashRequestCodec,
  type HashResponse,
  HashResponseCodec,
  type LeaseGrantRequest,
  LeaseGrantRequestCodec,
  type LeaseGrantResponse,
  LeaseGrantResponseCodec,
  type LeaseKeepAliveRequest,
  LeaseKeepAliveRequestCodec,
  type LeaseKeepAliveResponse,
  LeaseKeepAliveResponseCodec,
  type LeaseLeasesRequest,
  LeaseLeasesRequestCodec,
  type LeaseLeasesResponse,
  LeaseLeasesResponseCodec,
  type LeaseRevokeRequest,
  LeaseRevokeRequestCodec,
  type LeaseRevokeResponse,
  LeaseRevokeResponseCodec,
  type LeaseTimeToLiveRequest,
  LeaseTimeToLiveRequestCodec,
  type LeaseTimeToLiveResponse,
  LeaseTimeToLiveResponseCodec,
  type MemberListRequest,
  MemberListRequestCodec,
  type MemberListResponse,
  MemberListResponseCodec,
  type PutRequest,
  PutRequestCodec,
  type PutResponse,
  PutResponseCodec,
  type RangeRequest,
  RangeRequestCodec,
  type RangeResponse,
  RangeResponseCodec,
  type RangeStreamResponse,
  RangeStreamResponseCodec,
  type StatusRequest,
  StatusRequestCodec,
  type StatusResponse,
  StatusResponseCodec,
  type TxnRequest,
  TxnRequestCodec,
  type TxnResponse,
  TxnResponseCodec,
  type WatchRequest,
  WatchRequestCodec,
  type WatchResponse,
  WatchResponseCodec,
} from "../proto/index.ts";

/** One RPC. */
export interface Method<Req, Res> {
  /** As on the wire. */
  readonly path: string;
  readonly request: Codec<Req>;
  readonly response: Codec<Res>;
  /** True if doing it twice is the same as doing it once: it is repeated when a connection breaks under it. */
  readonly repeatable: boolean;
}

function read<Req, Res>(path: string, request: Codec<Req>, response: Codec<Res>): Method<Req, Res> {
  return { path: `/etcdserverpb.${path}`, request, response, repeatable: true };
}

function write<Req, Res>(
  path: string,
  request: Codec<Req>,
  response: Codec<Res>,
): Method<Req, Res> {
  return { path: `/etcdserverpb.${path}`, request, response, repeatable: false };
}

/** The RPCs by name. */
export interface Methods {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly rangeStream: Method<RangeRequest, RangeStreamResponse>;
  readonly put: Method<PutRequest, PutResponse>;
  readonly deleteRange: Method<DeleteRangeRequest, DeleteRangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly compact: Method<CompactionRequest, CompactionResponse>;
  readonly watch: Method<WatchRequest, WatchResponse>;
  readonly leaseGrant: Method<LeaseGrantRequest, LeaseGrantResponse>;
  readonly leaseRevoke: Method<LeaseRevokeRequest, LeaseRevokeResponse>;
  readonly leaseKeepAlive: Method<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;
  readonly leaseTimeToLive: Method<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>;
  readonly leaseLeases: Method<LeaseLeasesRequest, LeaseLeasesResponse>;
  readonly memberList: Method<MemberListRequest, MemberListResponse>;
  readonly status: Method<StatusRequest, StatusResponse>;
  readonly hash: Method<HashRequest, HashResponse>;
  readonly hashKv: Method<HashKVRequest, HashKVResponse>;
  readonly alarm: Method<AlarmRequest, AlarmResponse>;
}

/** The table of RPCs. */
export const methods: Methods = {
  range: read("KV/Range", RangeRequestCodec, RangeResponseCodec),
  rangeStream: read("KV/RangeStream", RangeRequestCodec, RangeStreamResponseCodec),
  put: write("KV/Put", PutRequestCodec, PutResponseCodec),
  deleteRange: write("KV/DeleteRange", DeleteRangeRequestCodec, DeleteRangeResponseCodec),
  txn: write("KV/Txn", TxnRequestCodec, TxnResponseCodec),
  compact: write("KV/Compact", CompactionRequestCodec, CompactionResponseCodec),
  watch: read("Watch/Watch", WatchRequestCodec, WatchResponseCodec),
  leaseGrant: write("Lease/LeaseGrant", LeaseGrantRequestCodec, LeaseGrantResponseCodec),
  leaseRevoke: write("Lease/LeaseRevoke", LeaseRevokeRequestCodec, LeaseRevokeResponseCodec),
  leaseKeepAlive: read(
    "Lease/LeaseKeepAlive",
    LeaseKeepAliveRequestCodec,
    LeaseKeepAliveResponseCodec,
  ),
  leaseTimeToLive: read(
    "Lease/LeaseTimeToLive",
    LeaseTimeToLiveRequestCodec,
    LeaseTimeToLiveResponseCodec,
  ),
  leaseLeases: read("Lease/LeaseLeases", LeaseLeasesRequestCodec, LeaseLeasesResponseCodec),
  memberList: read("Cluster/MemberList", MemberListRequestCodec, MemberListResponseCodec),
  status: read("Maintenance/Status", StatusRequestCodec, StatusResponseCodec),
  hash: read("Maintenance/Hash", HashRequestCodec, HashResponseCodec),
  hashKv: read("Maintenance/HashKV", HashKVRequestCodec, HashKVResponseCodec),
  alarm: write("Maintenance/Alarm", AlarmRequestCodec, AlarmResponseCodec),
};
