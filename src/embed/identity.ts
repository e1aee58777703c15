// Who a member is: its id and its cluster's, computed from the configuration at first start, read from the WAL ever after.
// Source: etcd server/etcdserver/api/membership, peer-protocol 6.

import { createHash } from "node:crypto";
import { clusterId, type Member, memberId } from "../core/membership/index.ts";
import {
  createWalMetadata,
  decodeWalMetadata,
  encodeWalMetadata,
  ProtoError,
} from "../proto/index.ts";
import type { EtcdConfig } from "./config.ts";

/** A member's ids. */
export interface Identity {
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash("sha1").update(bytes).digest();
}

/** Peer URLs of each name in `--initial-cluster`. */
export function initialClusterUrls(initialCluster: string): Map<string, string[]> {
  const urls = new Map<string, string[]>();
  for (const pair of initialCluster.split(",")) {
    const at = pair.indexOf("=");
    if (at < 0) continue;
    const name = pair.slice(0, at).trim();
    urls.set(name, [...(urls.get(name) ?? []), pair.slice(at + 1).trim()]);
  }
  return urls;
}

/** Identity of a member that has never run. */
export function newIdentity(config: EtcdConfig): Identity {
  const ids = new Map<string, bigint>();
  for (const [name, urls] of initialClusterUrls(config.initialCluster)) {
    ids.set(name, memberId(sha1, urls, config.initialClusterToken));
  }
  const own = ids.get(config.name);
  if (own === undefined) {
    throw new Error(
      `couldn't find local name "${config.name}" in the initial cluster configuration`,
    );
  }
  return { memberId: own, clusterId: clusterId(sha1, [...ids.values()]) };
}

/** The record of itself a new member begins its log with. */
export function selfOf(config: EtcdConfig, identity: Identity): Member {
  const peerUrls = initialClusterUrls(config.initialCluster).get(config.name) ?? [];
  return { id: identity.memberId, peerUrls, isLearner: false, name: config.name, clientUrls: [] };
}

/** The metadata record of the WAL. */
export function encodeIdentity(identity: Identity): Uint8Array {
  return encodeWalMetadata(
    createWalMetadata({ nodeId: identity.memberId, clusterId: identity.clusterId }),
  );
}

/** The identity a WAL holds. */
export function decodeIdentity(metadata: Uint8Array): Identity {
  const decoded = decodeWalMetadata(metadata, 0, metadata.length);
  if (decoded instanceof ProtoError || decoded.nodeId === 0n) {
    throw new Error("the metadata record of the WAL does not name a member");
  }
  return { memberId: decoded.nodeId, clusterId: decoded.clusterId };
}
