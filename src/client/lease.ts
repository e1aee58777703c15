// Leases: granting, ending, asking, and keeping one alive.

import {
  createLeaseGrantRequest,
  createLeaseKeepAliveRequest,
  createLeaseLeasesRequest,
  createLeaseRevokeRequest,
  createLeaseTimeToLiveRequest,
  type LeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
  type ResponseHeader,
} from "../proto/index.ts";
import { type CallOptions, type Connection, type Duplex, pause } from "./connection.ts";
import { codeOf, EtcdError, toEtcdError } from "./error.ts";
import { methods } from "./methods.ts";

/** A lease granted. */
export interface LeaseGrant {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  /** Seconds, as the server decided. */
  readonly ttlS: number;
}

/** How long a lease has to live. */
export interface LeaseTimeToLive {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  /** Whole seconds left; -1 if there is no such lease. */
  readonly remainingS: number;
  readonly grantedS: number;
  /** Keys bound to it, if asked for. */
  readonly keys: Buffer[];
}

/** The leases of a cluster. Every method throws EtcdError. */
export class Leases {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Grants a lease of `ttlS` seconds; without an `id` the server chooses one. */
  async grant(
    ttlS: number,
    options: { readonly id?: bigint } & CallOptions = {},
  ): Promise<LeaseGrant> {
    const request = createLeaseGrantRequest({ ttl: ttlS, id: options.id ?? 0n });
    const { header, id, ttl } = await this.#connection.unary(methods.leaseGrant, request, options);
    return { header, id, ttlS: ttl };
  }

  /** Ends a lease and deletes its keys. */
  async revoke(id: bigint, options: CallOptions = {}): Promise<ResponseHeader | undefined> {
    const request = createLeaseRevokeRequest({ id });
    return (await this.#connection.unary(methods.leaseRevoke, request, options)).header;
  }

  async timeToLive(
    id: bigint,
    options: { readonly keys?: boolean } & CallOptions = {},
  ): Promise<LeaseTimeToLive> {
    const request = createLeaseTimeToLiveRequest({ id, keys: options.keys ?? false });
    const response = await this.#connection.unary(methods.leaseTimeToLive, request, options);
    return {
      header: response.header,
      id: response.id,
      remainingS: response.ttl,
      grantedS: response.grantedTtl,
      keys: response.keys.map((key) => Buffer.from(key, "latin1")),
    };
  }

  /** Ids of all leases. */
  async list(options: CallOptions = {}): Promise<bigint[]> {
    const request = createLeaseLeasesRequest();
    const { leases } = await this.#connection.unary(methods.leaseLeases, request, options);
    return leases.map((lease) => lease.id);
  }

  /** Keeps lease `id` alive until stopped or lost. */
  keepAlive(id: bigint): LeaseKeeper {
    return new LeaseKeeper(this.#connection, id);
  }

  /** Renews once; the TTL in seconds, or NOT_FOUND if there is no such lease. */
  async keepAliveOnce(id: bigint, options: CallOptions = {}): Promise<number> {
    const { stream } = await this.#connection.duplex(methods.leaseKeepAlive, options);
    try {
      stream.send(createLeaseKeepAliveRequest({ id }));
      for await (const { ttl } of stream) {
        if (ttl <= 0) throw leaseNotFound();
        return ttl;
      }
      throw new EtcdError(codeOf("UNAVAILABLE"), "the stream ended without an answer");
    } finally {
      stream.cancel();
    }
  }
}

/** Time given to the first answer, over all attempts, before the TTL is known. */
const FIRST_ANSWER_MS = 5000;
/** A stream that leaves a renewal unanswered for this long, or a third of the TTL if that is more, is given up for a new one. */
const ANSWER_MS_MIN = 1000;

/**
 * Renews one lease at a third of its TTL, over reconnects and endpoints. It gives up only when the server says that the lease is gone,
 * or when the TTL has passed since the last renewal that was answered: then the lease must be taken for gone.
 */
export class LeaseKeeper {
  readonly id: bigint;
  /** Resolves with why the lease must be taken for gone; never if it is stopped before. */
  readonly lost: Promise<EtcdError>;
  readonly #connection: Connection;
  #declareLost: (error: EtcdError) => void = () => undefined;
  #stream: Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  /** When the last renewal was sent; one is on its way at a time. */
  #sentMs = 0;
  #ttlS = 0;
  #over = false;

  constructor(connection: Connection, id: bigint) {
    this.#connection = connection;
    this.id = id;
    this.lost = new Promise((resolve) => {
      this.#declareLost = resolve;
    });
    this.#expectRenewalUntil(performance.now() + FIRST_ANSWER_MS);
    void this.#run();
  }

  /** TTL in seconds as last answered; 0 before the first answer. */
  get ttlS(): number {
    return this.#ttlS;
  }

  /** Renews no more; the lease runs out unless it is revoked. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#stream?.cancel();
  }

  #lose(error: EtcdError): void {
    if (this.#over) return;
    this.stop();
    this.#declareLost(error);
  }

  /** Counted from when the renewal was sent, because that is from when the server may count at the earliest. */
  #expectRenewalUntil(ms: number): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(
      () => {
        this.#lose(
          new EtcdError(codeOf("DEADLINE_EXCEEDED"), "no renewal was answered within the TTL"),
        );
      },
      Math.max(0, ms - performance.now()),
    );
  }

  async #run(): Promise<void> {
    const forget = this.#connection.onClose(() => this.stop());
    for (let attempt = 0; !this.#over; attempt++) {
      try {
        if (await this.#runStream()) attempt = 0;
      } catch (failure) {
        const error = toEtcdError(failure);
        if (["PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"].includes(error.codeName)) {
          this.#lose(error);
        }
      }
      if (!this.#over) await pause(attempt, 500);
    }
    forget();
  }

  /** Runs one stream to its end; true if it ever worked. */
  async #runStream(): Promise<boolean> {
    const opened = await this.#connection.duplex(methods.leaseKeepAlive);
    const stream: Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse> = opened.stream;
    this.#stream = stream;
    let worked = false;
    try {
      if (this.#over) return false;
      this.#send(stream);
      for await (const { ttl } of stream) {
        worked = true;
        if (ttl <= 0) {
          this.#lose(leaseNotFound());
          break;
        }
        this.#answered(stream, ttl);
      }
    } finally {
      clearTimeout(this.#timer);
      stream.cancel();
      if (!this.#over) this.#connection.turnFrom(opened.at);
    }
    return worked;
  }

  #send(stream: Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse>): void {
    stream.send(createLeaseKeepAliveRequest({ id: this.id }));
    this.#sentMs = performance.now();
    const patienceMs = Math.max(ANSWER_MS_MIN, (this.#ttlS * 1000) / 3);
    this.#timer = setTimeout(() => stream.cancel(), patienceMs);
  }

  #answered(stream: Duplex<LeaseKeepAliveRequest, LeaseKeepAliveResponse>, ttlS: number): void {
    clearTimeout(this.#timer);
    this.#ttlS = ttlS;
    this.#expectRenewalUntil(this.#sentMs + ttlS * 1000);
    this.#timer = setTimeout(() => this.#send(stream), (ttlS * 1000) / 3);
  }
}

function leaseNotFound(): EtcdError {
  return new EtcdError(codeOf("NOT_FOUND"), "etcdserver: requested lease not found");
}
