// The client: one connection per endpoint, and the services over it.

import {
  AlarmAction,
  type AlarmMember,
  type AlarmRequest,
  createAlarmRequest,
  createHashKVRequest,
  createHashRequest,
  createMemberListRequest,
  createStatusRequest,
  type HashKVResponse,
  type HashResponse,
  type MemberListResponse,
  type StatusResponse,
} from "../proto/index.ts";
import { type CallOptions, Connection, type ConnectionOptions } from "./connection.ts";
import type { Key } from "./key-value.ts";
import { Kv } from "./kv.ts";
import { Leases } from "./lease.ts";
import { type Method, methods } from "./methods.ts";
import { Watcher, type WatchOptions } from "./watcher.ts";

/** How a client connects; endpoints alone may be given as text. */
export type EtcdClientOptions = ConnectionOptions | string | readonly string[];

/**
 * A client of an etcd cluster, ours or any other. Connects with the first call; `close` ends every call and watch. Methods throw
 * EtcdError.
 */
export class EtcdClient {
  readonly #connection: Connection;
  readonly kv: Kv;
  readonly leases: Leases;
  readonly maintenance: Maintenance;
  readonly cluster: Cluster;

  constructor(options: EtcdClientOptions) {
    this.#connection = new Connection(connectionOptions(options));
    this.kv = new Kv(this.#connection);
    this.leases = new Leases(this.#connection);
    this.maintenance = new Maintenance(this.#connection);
    this.cluster = new Cluster(this.#connection);
  }

  /** Watches a key or a range of them. */
  watch(key: Key, options: WatchOptions = {}): Watcher {
    return new Watcher(this.#connection, key, options);
  }

  /** Any RPC of the table `methods`, message for message, for what the services above do not offer. */
  call<Req, Res>(method: Method<Req, Res>, request: Req, options: CallOptions = {}): Promise<Res> {
    return this.#connection.unary(method, request, options);
  }

  /** Ends every call, watch and renewal of this client, and its connections. */
  close(): void {
    this.#connection.close();
  }
}

/** What concerns one member: name it with `endpoint`, or the one in use answers. */
export class Maintenance {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async status(options: CallOptions = {}): Promise<StatusResponse> {
    return await this.#connection.unary(methods.status, createStatusRequest(), options);
  }

  /** Hash of the whole backend. */
  async hash(options: CallOptions = {}): Promise<HashResponse> {
    return await this.#connection.unary(methods.hash, createHashRequest(), options);
  }

  /** Hash of the keys up to `revision`, 0 for the newest: equal on members that hold the same. */
  async hashKv(revision: number, options: CallOptions = {}): Promise<HashKVResponse> {
    return await this.#connection.unary(methods.hashKv, createHashKVRequest({ revision }), options);
  }

  /** Alarms raised in the cluster. */
  async alarms(options: CallOptions = {}): Promise<AlarmMember[]> {
    return await this.alarm({ action: AlarmAction.GET }, options);
  }

  /** Raises or ends an alarm; the alarms concerned. */
  async alarm(request: Partial<AlarmRequest>, options: CallOptions = {}): Promise<AlarmMember[]> {
    const message = createAlarmRequest(request);
    return (await this.#connection.unary(methods.alarm, message, options)).alarms;
  }
}

/** The members of a cluster. */
export class Cluster {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** As the member asked knows them; with `linearizable` as the cluster does. */
  async memberList(
    options: { readonly linearizable?: boolean } & CallOptions = {},
  ): Promise<MemberListResponse> {
    const request = createMemberListRequest({ linearizable: options.linearizable ?? true });
    return await this.#connection.unary(methods.memberList, request, options);
  }
}

function connectionOptions(options: EtcdClientOptions): ConnectionOptions {
  if (typeof options === "string") return { endpoints: options.split(",") };
  return "endpoints" in options ? options : { endpoints: options };
}
