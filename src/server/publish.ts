// What a member proposes on its own after it starts: its name and client URLs, and, as the leader, the first cluster version.
// A refused or timed-out proposal is made again; the member is ready once its own attributes are applied.
// Source: etcd server/etcdserver/server.go publishV3, monitorClusterVersions.

import {
  ClusterMemberAttrSetRequestCodec,
  ClusterVersionSetRequestCodec,
  createAttributes,
  createClusterMemberAttrSetRequest,
  createClusterVersionSetRequest,
} from "../proto/index.ts";
import type { Member } from "./member.ts";
import type { Clock } from "./ports.ts";
import { Arm, type Waiter } from "./proposal.ts";

/** Pause before a refused proposal is made again. */
const RETRY_MS = 100;

function again(clock: Clock, propose: (waiter: Waiter) => void, done: () => void): void {
  propose({
    onApplied: done,
    onRefused(refusal) {
      if (refusal === "stopped") return;
      clock.after(RETRY_MS, () => again(clock, propose, done));
    },
  });
}

/** Publishes name and client URLs; calls `done` once they are applied. */
export function publishAttributes(
  member: Member,
  attributes: { readonly name: string; readonly clientUrls: readonly string[] },
  done: () => void,
): void {
  const request = createClusterMemberAttrSetRequest({
    memberId: member.id,
    memberAttributes: createAttributes({
      name: attributes.name,
      clientUrls: [...attributes.clientUrls],
    }),
  });
  const codec = ClusterMemberAttrSetRequestCodec;
  again(
    member.clock,
    (waiter) => member.proposeMessage(Arm.clusterMemberAttrSet, codec, request, waiter),
    done,
  );
}

/** Sets the cluster version if there is none yet. */
export function publishClusterVersion(member: Member, version: string, done: () => void): void {
  if (member.cluster.version !== undefined) {
    done();
    return;
  }
  const request = createClusterVersionSetRequest({ ver: version });
  const codec = ClusterVersionSetRequestCodec;
  again(
    member.clock,
    (waiter) => member.proposeMessage(Arm.clusterVersionSet, codec, request, waiter),
    done,
  );
}
