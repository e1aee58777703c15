// The replicated set of alarms: (type, member) pairs, kept in the backend's alarm bucket (key: the encoded AlarmMember, no value).
// NOSPACE of any member stops writes that need room on all of them, CORRUPT stops every write. Source: etcd server/etcdserver/api/v3alarm.

import {
  type AlarmMember,
  type AlarmRequest,
  AlarmType,
  createAlarmMember,
  decodeAlarmMember,
  encodeAlarmMember,
  ProtoError,
} from "../../proto/index.ts";
import { type BackendBatch, Bucket } from "../ports.ts";

const Action = { get: 0, activate: 1, deactivate: 2 } as const;
const NO_VALUE = new Uint8Array(0);

/** Name of an alarm type as etcd prints it. */
export function alarmName(type: number): string {
  if (type === AlarmType.NOSPACE) return "NOSPACE";
  if (type === AlarmType.CORRUPT) return "CORRUPT";
  return type === AlarmType.NONE ? "NONE" : String(type);
}

function keyOf(memberId: bigint, type: number): string {
  return `${type}/${memberId}`;
}

/** All active alarms. */
export class Alarms {
  readonly #active: Map<string, AlarmMember> = new Map();

  /** True while any member's NOSPACE alarm is active. */
  noSpace = false;
  /** True while any CORRUPT alarm is active. */
  corrupt = false;

  /** Takes a row of the alarm bucket; false if it is damaged. */
  restore(key: Uint8Array): boolean {
    const alarm = decodeAlarmMember(key, 0, key.length);
    if (alarm instanceof ProtoError) return false;
    this.#active.set(keyOf(alarm.memberId, alarm.alarm), alarm);
    this.#refresh();
    return true;
  }

  /** True while the alarm `type` of member `memberId` is active. */
  has(type: number, memberId: bigint): boolean {
    return this.#active.has(keyOf(memberId, type));
  }

  /** All active alarms, in order of activation. */
  list(): AlarmMember[] {
    return [...this.#active.values()];
  }

  /** Applies a replicated request; returns the alarms of the response. */
  apply(request: AlarmRequest, batch: BackendBatch): AlarmMember[] {
    const { action, memberId, alarm: type } = request;
    if (action === Action.get) {
      return this.list().filter((a) => type === AlarmType.NONE || a.alarm === type);
    }
    if (type === AlarmType.NONE && action === Action.activate) return [];
    const key = keyOf(memberId, type);
    const known = this.#active.get(key);
    if (action === Action.activate) {
      if (known !== undefined) return [known];
      const alarm = createAlarmMember({ memberId, alarm: type });
      this.#active.set(key, alarm);
      batch.put(Bucket.alarm, encodeAlarmMember(alarm), NO_VALUE);
      this.#refresh();
      return [alarm];
    }
    if (action !== Action.deactivate || known === undefined) return [];
    this.#active.delete(key);
    batch.delete(Bucket.alarm, encodeAlarmMember(known));
    this.#refresh();
    return [known];
  }

  #refresh(): void {
    const types = new Set(this.list().map((a) => a.alarm));
    this.noSpace = types.has(AlarmType.NOSPACE);
    this.corrupt = types.has(AlarmType.CORRUPT);
  }
}
