// The Cluster service. MemberList is local unless `linearizable`; changes of the membership come with the peer port.
// Source: etcd server/etcdserver/api/v3rpc/member.go.

import {
  createMember,
  createMemberListResponse,
  decodeMemberListRequest,
  MemberListResponseCodec,
  ProtoError,
} from "../../proto/index.ts";
import type { ServerCall } from "../../server/index.ts";
import type { RpcContext, Service } from "./context.ts";

/** Handlers of the Cluster service. */
export function clusterService(context: RpcContext): Service {
  return {
    MemberList(call, buf, start, end) {
      const request = decodeMemberListRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      if (!request.linearizable) return list(context, call);
      return context.member.reads.wait({
        onReadable: () => list(context, call),
        onRefused: (refusal) => context.refuse(call, refusal),
      });
    },
  };
}

function list(context: RpcContext, call: ServerCall): void {
  const members = context.member.cluster.list().map((member) =>
    createMember({
      id: member.id,
      name: member.name,
      peerUrls: [...member.peerUrls],
      clientUrls: [...member.clientUrls],
      isLearner: member.isLearner,
    }),
  );
  // Cluster responses carry no revision.
  const header = context.header(0);
  call.reply(MemberListResponseCodec, createMemberListResponse({ header, members }));
}
