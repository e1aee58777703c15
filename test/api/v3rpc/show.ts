// Messages as short plain objects for comparisons: what is at its default is left out, bytes are text, and a header shows at a glance
// whether it is whole, carries only its revision, or is empty.

/** A message, a list or a scalar as a test compares it. */
export type Shown =
  | string
  | number
  | boolean
  | bigint
  | { readonly [name: string]: Shown }
  | Shown[];

const HEADER_FIELDS = 4;

function isHeader(value: object): value is {
  clusterId: bigint;
  memberId: bigint;
  revision: number;
  raftTerm: number;
} {
  return "clusterId" in value && "raftTerm" in value && Object.keys(value).length === HEADER_FIELDS;
}

/** `5`: whole, at revision 5; `only 5`: nothing but the revision; `empty`. A whole one names cluster, member and term. */
function showHeader(header: {
  clusterId: bigint;
  memberId: bigint;
  revision: number;
  raftTerm: number;
}): string {
  const { clusterId, memberId, revision, raftTerm } = header;
  if (clusterId !== 0n && memberId !== 0n && raftTerm !== 0) return `${revision}`;
  if (clusterId === 0n && memberId === 0n && raftTerm === 0) {
    return revision === 0 ? "empty" : `only ${revision}`;
  }
  return `torn: ${clusterId} ${memberId} ${revision} ${raftTerm}`;
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === undefined || value === 0 || value === 0n || value === "" || value === false;
}

/** Shows `value`; repeated fields stay lists, runs of one byte longer than 40 become `x*1000`. */
export function show(value: unknown): Shown {
  if (value instanceof Uint8Array) return showBytes(value);
  if (Array.isArray(value)) return value.map(show);
  if (typeof value === "object" && value !== null) {
    if (isHeader(value)) return showHeader(value);
    const shown: Record<string, Shown> = {};
    for (const [name, field] of Object.entries(value)) {
      if (!isDefault(field)) shown[name] = show(field);
    }
    return shown;
  }
  return value as Shown;
}

function showBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  const first = text[0] ?? "";
  return text.length > 40 && text === first.repeat(text.length) ? `${first}*${text.length}` : text;
}
