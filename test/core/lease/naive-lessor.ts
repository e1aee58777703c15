// The lessor said plainly: a list of leases, scanned whole for every question. The oracle of the property test.

interface NaiveLease {
  id: bigint;
  ttlS: number;
  restS: number;
  expiryMs: number;
  seq: number;
  /** Not handed out again before this. */
  retryMs: number;
  checkpointMs: number;
  keys: Set<string>;
}

const MIN_TTL_S = 2;
const RETRY_MS = 7000;
const INTERVAL_MS = 300_000;

export class NaiveLessor {
  leases: NaiveLease[] = [];
  primary = false;
  seq = 0;

  find(id: bigint): NaiveLease | undefined {
    return this.leases.find((lease) => lease.id === id);
  }

  schedule(lease: NaiveLease, nowMs: number): void {
    if ((lease.restS > 0 ? lease.restS : lease.ttlS) > 300)
      lease.checkpointMs = nowMs + INTERVAL_MS;
  }

  grant(id: bigint, ttlS: number, nowMs: number): string | number {
    if (id === 0n) return "leaseNotFound";
    if (ttlS > 9_000_000_000) return "leaseTtlTooLarge";
    if (this.find(id) !== undefined) return "leaseExists";
    const effectiveS = ttlS < MIN_TTL_S ? MIN_TTL_S : ttlS;
    const lease: NaiveLease = {
      id,
      ttlS: effectiveS,
      restS: 0,
      expiryMs: nowMs + effectiveS * 1000,
      seq: ++this.seq,
      retryMs: 0,
      checkpointMs: Number.POSITIVE_INFINITY,
      keys: new Set(),
    };
    this.leases.push(lease);
    if (this.primary) this.schedule(lease, nowMs);
    return effectiveS;
  }

  revoke(id: bigint): string[] | "leaseNotFound" {
    const lease = this.find(id);
    if (lease === undefined) return "leaseNotFound";
    this.leases = this.leases.filter((l) => l !== lease);
    return [...lease.keys].sort((a, b) =>
      Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")),
    );
  }

  renew(id: bigint, nowMs: number): number | string {
    if (!this.primary) return "notPrimary";
    const lease = this.find(id);
    if (lease === undefined) return "leaseNotFound";
    if (nowMs >= lease.expiryMs) return "expired";
    if (lease.restS > 0) return "checkpointed";
    lease.expiryMs = nowMs + lease.ttlS * 1000;
    lease.seq = ++this.seq;
    return lease.ttlS;
  }

  checkpoint(id: bigint, restS: number, nowMs: number): boolean {
    const lease = this.find(id);
    if (lease === undefined) return false;
    lease.restS = restS;
    if (this.primary) this.schedule(lease, nowMs);
    return true;
  }

  dueCheckpoints(nowMs: number): string[] {
    const out: string[] = [];
    for (const lease of this.leases) {
      if (!this.primary || lease.checkpointMs > nowMs) continue;
      lease.checkpointMs = Number.POSITIVE_INFINITY;
      const restS = Math.ceil((lease.expiryMs - nowMs) / 1000);
      if (restS > 0 && restS < lease.ttlS) out.push(`${lease.id}=${restS}`);
    }
    return out.sort();
  }

  attach(id: bigint, key: string): void {
    const lease = this.find(id);
    if (lease === undefined) return;
    for (const other of this.leases) other.keys.delete(key);
    lease.keys.add(key);
  }

  detach(id: bigint, key: string): void {
    this.find(id)?.keys.delete(key);
  }

  expired(nowMs: number): bigint[] {
    if (!this.primary) return [];
    const due = this.leases.filter((l) => l.expiryMs <= nowMs && l.retryMs <= nowMs);
    for (const lease of due) lease.retryMs = nowMs + RETRY_MS;
    return due.map((l) => l.id);
  }

  promote(nowMs: number, extendMs: number): void {
    this.primary = true;
    const byTtl = [...this.leases].sort((a, b) => (a.restS || a.ttlS) - (b.restS || b.ttlS));
    for (const lease of byTtl) {
      lease.expiryMs = nowMs + (lease.restS || lease.ttlS) * 1000 + extendMs;
      lease.seq = ++this.seq;
      lease.retryMs = 0;
      lease.checkpointMs = Number.POSITIVE_INFINITY;
      this.schedule(lease, nowMs);
    }
  }

  list(): bigint[] {
    if (!this.primary) return this.leases.map((l) => l.id);
    return [...this.leases]
      .sort((a, b) => a.expiryMs - b.expiryMs || a.seq - b.seq)
      .map((l) => l.id);
  }
}
