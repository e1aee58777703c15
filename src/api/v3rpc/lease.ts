// The Lease service: grant and revoke through the log, renewals and remaining time from the lessor of the leader.
// Source: etcd server/etcdserver/api/v3rpc/lease.go, v3_server.go.

import {
  createLeaseKeepAliveResponse,
  createLeaseLeasesResponse,
  createLeaseStatus,
  createLeaseTimeToLiveResponse,
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseLeasesRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  LeaseGrantRequestCodec,
  type LeaseGrantResponse,
  LeaseGrantResponseCodec,
  LeaseKeepAliveResponseCodec,
  LeaseLeasesResponseCodec,
  LeaseRevokeRequestCodec,
  type LeaseRevokeResponse,
  LeaseRevokeResponseCodec,
  LeaseTimeToLiveResponseCodec,
  ProtoError,
} from "../../proto/index.ts";
import { Arm, LEASE_QUOTA_COST_BYTES, type ServerCall } from "../../server/index.ts";
import type { RpcContext, Service } from "./context.ts";
import { replyWaiter } from "./reply-waiter.ts";

/** Keepalives of one stream that may wait behind one that is blocked; above it the client gets no further window. */
const KEEPALIVES_WAITING_MAX = 1000;

/** Handlers of the Lease service. */
export function leaseService(context: RpcContext): Service {
  const { member } = context;
  return {
    LeaseGrant(call, buf, start, end) {
      const request = decodeLeaseGrantRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const waiter = replyWaiter<LeaseGrantResponse>(context, call, LeaseGrantResponseCodec);
      if (!member.hasSpaceFor(LEASE_QUOTA_COST_BYTES)) return member.raiseNoSpace(waiter);
      if (request.id === 0n) request.id = member.nextLeaseId();
      return member.proposeMessage(Arm.leaseGrant, LeaseGrantRequestCodec, request, waiter);
    },
    LeaseRevoke(call, buf, start, end) {
      const request = decodeLeaseRevokeRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const waiter = replyWaiter<LeaseRevokeResponse>(context, call, LeaseRevokeResponseCodec);
      return member.proposeMessage(Arm.leaseRevoke, LeaseRevokeRequestCodec, request, waiter);
    },
    LeaseKeepAlive(call) {
      new KeepAliveStream(context, call).open();
    },
    LeaseTimeToLive(call, buf, start, end) {
      const request = decodeLeaseTimeToLiveRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const header = context.currentHeader();
      const time = member.lessor.timeToLive(request.id, member.clock.nowMs());
      if (time === "notPrimary") return context.refuse(call, "noLeader");
      const found = time !== "leaseNotFound";
      const keys = found && request.keys ? [...member.lessor.keysOf(request.id)].sort() : [];
      const response = createLeaseTimeToLiveResponse({
        header,
        id: request.id,
        ttl: found ? time.remainingS : -1,
        grantedTtl: found ? time.grantedS : 0,
        keys,
      });
      return call.reply(LeaseTimeToLiveResponseCodec, response);
    },
    LeaseLeases(call, buf, start, end) {
      const request = decodeLeaseLeasesRequest(buf, start, end);
      if (request instanceof ProtoError) return context.undecodable(call, request);
      const leases = member.lessor.leases().map((id) => createLeaseStatus({ id }));
      const header = context.currentHeader();
      return call.reply(LeaseLeasesResponseCodec, createLeaseLeasesResponse({ header, leases }));
    },
  };
}

/** One LeaseKeepAlive call: requests are answered one after the other, in order. */
class KeepAliveStream {
  readonly #context: RpcContext;
  readonly #call: ServerCall;
  #waiting: bigint[] = [];
  #blocked = false;
  #halfClosed = false;

  constructor(context: RpcContext, call: ServerCall) {
    this.#context = context;
    this.#call = call;
  }

  /** Begins to answer. */
  open(): void {
    const call = this.#call;
    call.onMessage = (buf, start, end) => this.#onMessage(buf, start, end);
    call.onHalfClose = () => {
      this.#halfClosed = true;
      this.#work();
    };
    call.onCancel = () => {
      this.#waiting = [];
      this.#blocked = true;
    };
  }

  #onMessage(buf: Uint8Array, start: number, end: number): void {
    const request = decodeLeaseKeepAliveRequest(buf, start, end);
    if (request instanceof ProtoError) {
      return this.#context.undecodableInStream(this.#call, request);
    }
    this.#waiting.push(request.id);
    if (this.#waiting.length >= KEEPALIVES_WAITING_MAX) this.#call.pauseMessages(true);
    return this.#work();
  }

  #work(): void {
    while (!this.#blocked) {
      const id = this.#waiting[0];
      if (id === undefined) {
        this.#call.pauseMessages(false);
        if (this.#halfClosed) this.#call.finish();
        return;
      }
      this.#waiting.shift();
      this.#renew(id);
    }
  }

  #renew(id: bigint): void {
    const { member } = this.#context;
    // etcd samples the revision before it renews.
    const header = this.#context.currentHeader();
    const outcome = member.lessor.renew(id, member.clock.nowMs());
    if (outcome === "notPrimary") {
      this.#context.refuse(this.#call, "noLeader");
      return;
    }
    if (outcome === "expired" || outcome === "checkpointed") {
      this.#blocked = true;
      const resume = (): void => {
        if (this.#call.ended) return;
        this.#blocked = false;
        this.#renew(id);
        this.#work();
      };
      if (outcome === "expired") member.whenLeaseRevoked(id, resume);
      else member.resetLeaseCheckpoint(id, resume);
      return;
    }
    const ttl = outcome === "leaseNotFound" ? 0 : outcome;
    if (ttl > 0) member.metrics.lease.renewed.inc();
    this.#call.send(LeaseKeepAliveResponseCodec, createLeaseKeepAliveResponse({ header, id, ttl }));
  }
}
