// Cost of the codecs on the hot messages: `node dist/test/bench/proto.bench.js` prints nanoseconds per message, best of three.
// The messages are those of a put, a get, a guarded txn as Kubernetes sends it, and a watch event, with a 36-byte key and 128 bytes.

import * as proto from "../../src/proto/index.ts";

/** One measurement lasts about this long. */
const MEASURE_MS = 150;

const key = "/registry/pods/default/pod-012345678";
const value = Buffer.alloc(128, 7);
const room = Buffer.alloc(1 << 20);

const header = proto.createResponseHeader({
  clusterId: 0x8fb3ccbe2dc08f49n,
  memberId: 0x89e9166a722859f9n,
  revision: 1_234_567,
  raftTerm: 3,
});
const put = proto.createPutRequest({ key, value });
const range = proto.createRangeRequest({ key });
const kv = proto.createKeyValue({
  key,
  value,
  createRevision: 1_000,
  modRevision: 1_234_567,
  version: 5,
});
const txn = proto.createTxnRequest({
  compare: [proto.createCompare({ target: proto.CompareTarget.MOD, key, modRevision: 1_234_567 })],
  success: [proto.createRequestOp({ requestPut: put })],
  failure: [proto.createRequestOp({ requestRange: range })],
});
const responsePut = proto.createPutResponse({ header });
const raftRequest = proto.createInternalRaftRequest({
  header: proto.createRequestHeader({ id: 0x32bc_9f02_c4d6_1a0cn }),
  put,
});
const entry = proto.createEntry({
  term: 3,
  index: 1_234_567,
  data: proto.encodeInternalRaftRequest(raftRequest),
});

/** Best time of three of `round`, which does its work `count` times, per unit of work. */
function nanoseconds(round: (count: number) => void): number {
  let count = 1_000;
  let best = Number.POSITIVE_INFINITY;
  for (let rounds = 0; rounds < 3; ) {
    const start = performance.now();
    round(count);
    const ms = performance.now() - start;
    if (ms < MEASURE_MS) {
      count = Math.ceil(count * Math.min(10, (1.2 * MEASURE_MS) / Math.max(ms, 0.01)));
      continue;
    }
    best = Math.min(best, (ms * 1e6) / count);
    rounds++;
  }
  return best;
}

function report<T>(name: string, codec: proto.Codec<T>, message: T): void {
  const size = codec.size(message);
  codec.write(message, room, 0);
  const encoded = Buffer.from(room.subarray(0, size));
  const decode = nanoseconds((count) => {
    for (let i = 0; i < count; i++) codec.decode(encoded, 0, size);
  });
  const write = nanoseconds((count) => {
    for (let i = 0; i < count; i++) codec.write(message, room, codec.size(message) & 63);
  });
  const columns = [`${size} B`, `decode ${decode.toFixed(0)}`, `size+write ${write.toFixed(0)}`];
  console.log(name.padEnd(28) + columns.map((column) => column.padStart(18)).join(""));
}

console.log("ns per message");
report("PutRequest", proto.PutRequestCodec, put);
report("RangeRequest", proto.RangeRequestCodec, range);
report("TxnRequest", proto.TxnRequestCodec, txn);
report("KeyValue", proto.KeyValueCodec, kv);
report("ResponseHeader", proto.ResponseHeaderCodec, header);
report("PutResponse", proto.PutResponseCodec, responsePut);
const oneKv = proto.createRangeResponse({ header, kvs: [kv], count: 1 });
report("RangeResponse of 1", proto.RangeResponseCodec, oneKv);
const hundredKvs = proto.createRangeResponse({ header, kvs: Array(100).fill(kv), count: 100 });
report("RangeResponse of 100", proto.RangeResponseCodec, hundredKvs);
const responses = [proto.createResponseOp({ responsePut })];
const txnResponse = proto.createTxnResponse({ header, succeeded: true, responses });
report("TxnResponse", proto.TxnResponseCodec, txnResponse);
const watched = proto.createWatchResponse({ header, events: [proto.createEvent({ kv })] });
report("WatchResponse of 1", proto.WatchResponseCodec, watched);
report("InternalRaftRequest (put)", proto.InternalRaftRequestCodec, raftRequest);
report("Entry", proto.EntryCodec, entry);
const record = proto.createWalRecord({ type: 2, crc: 0xdead_beef, data: proto.encodeEntry(entry) });
report("WalRecord", proto.WalRecordCodec, record);
