import assert from "node:assert/strict";
import { test } from "node:test";
import {
  LOCAL_APPEND_THREAD,
  MemoryLogStorage,
  type RaftConfig,
  RawNode,
  type Ready,
} from "../../../src/core/raft/index.ts";
import {
  ConfChangeType,
  createConfChange,
  createConfState,
  createEntry,
  createMessage,
  createSnapshot,
  decodeConfChange,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  ProtoError,
} from "../../../src/proto/index.ts";

const NO_BYTES = new Uint8Array(0);

function configOf(storage: MemoryLogStorage, more: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: 1n,
    storage,
    electionTicks: 10,
    heartbeatTicks: 1,
    randomElectionTicks: (ticks) => ticks,
    inflightMessagesMax: 256,
    ...more,
  };
}

function nodeOf(
  voters: bigint[],
  more: Partial<RaftConfig> = {},
): { node: RawNode; storage: MemoryLogStorage } {
  const storage = new MemoryLogStorage();
  const metadata = { confState: createConfState({ voters }), index: 1, term: 1 };
  storage.applySnapshot(createSnapshot({ metadata }));
  return { node: new RawNode(configOf(storage, { applied: 1, ...more })), storage };
}

/** Carries out Readys until there is none; returns them. */
function drain(node: RawNode, storage: MemoryLogStorage): Ready[] {
  const readies: Ready[] = [];
  while (node.hasReady()) {
    const rd = node.ready();
    if (rd.hardState !== undefined) storage.setHardState(rd.hardState);
    storage.append(rd.entries);
    for (const entry of rd.committedEntries) {
      if (entry.type === EntryType.EntryNormal) continue;
      const change = decodeConfChange(entry.data, 0, entry.data.length);
      assert.ok(!(change instanceof ProtoError));
      node.applyConfChange(change);
    }
    node.advance();
    readies.push(rd);
  }
  return readies;
}

function batch(...payloads: string[]): Entry[] {
  return payloads.map((payload) => createEntry({ data: Buffer.from(payload) }));
}

function leaderOf(voters: bigint[], more: Partial<RaftConfig> = {}): RawNode {
  const { node, storage } = nodeOf(voters, more);
  node.campaign();
  drain(node, storage);
  for (const from of voters.slice(1)) {
    node.step(createMessage({ type: MessageType.MsgVoteResp, from, to: 1n, term: node.term }));
  }
  drain(node, storage);
  assert.equal(node.role, "leader");
  return node;
}

test("a sole voter commits a batch as soon as its own append is acknowledged", () => {
  const { node, storage } = nodeOf([1n]);
  node.campaign();
  drain(node, storage);
  const entries = batch("a", "b", "c");
  assert.equal(node.propose(entries), "ok");
  const written = node.ready();
  assert.deepEqual(
    written.entries.map(({ term, index }) => [term, index]),
    [
      [1, 3],
      [1, 4],
      [1, 5],
    ],
  );
  assert.deepEqual([written.committedEntries.length, written.mustSync], [0, true]);
  assert.equal(written.entries[0], entries[0], "entries are taken, not copied");
  storage.append(written.entries);
  assert.equal(node.committed, 2);
  node.advance();
  assert.equal(node.committed, 5);
  const applied = node.ready();
  assert.deepEqual([applied.committedEntries.length, applied.mustSync], [3, false]);
  node.advance();
  assert.deepEqual([node.applied, node.hasReady()], [5, false]);
});

test("ready() must be advanced before the next one; advance() is not for asynchronous storage", () => {
  const { node } = nodeOf([1n]);
  node.ready();
  assert.throws(() => node.ready(), /advance comes before/);
  node.advance();
  const { node: other } = nodeOf([1n], { asyncStorageWrites: true });
  assert.throws(() => other.advance(), /take the place of advance/);
});

test("bootstrap() commits the first members, which count at once and are applied once", () => {
  const storage = new MemoryLogStorage();
  const node = new RawNode(configOf(storage));
  node.bootstrap([{ id: 1n, context: Buffer.from("m") }]);
  assert.deepEqual(node.status().config.voters.incoming, [1n]);
  const [first] = drain(node, storage);
  assert.deepEqual(first?.hardState, { term: 1, vote: 0n, commit: 1 });
  assert.deepEqual(
    first?.committedEntries.map(({ type, term, index }) => [type, term, index]),
    [[EntryType.EntryConfChange, 1, 1]],
  );
  node.campaign();
  drain(node, storage);
  assert.deepEqual([node.role, node.term, node.applied], ["leader", 2, 2]);
  assert.throws(() => node.bootstrap([{ id: 1n, context: NO_BYTES }]), /empty storage/);
});

test("a restart keeps term, vote and log, and hands out what was not applied", () => {
  const { node, storage } = nodeOf([1n]);
  node.campaign();
  drain(node, storage);
  node.proposePayload(Buffer.from("x"));
  drain(node, storage);
  const restarted = new RawNode(configOf(storage, { applied: 2 }));
  const { term, vote, commit, role } = restarted.basicStatus();
  assert.deepEqual([term, vote, commit, role], [1, 1n, 3, "follower"]);
  assert.equal(restarted.hasReady(), true);
  assert.deepEqual(
    restarted.ready().committedEntries.map(({ index }) => index),
    [3],
  );
});

test("what is applied is committed, even where the stored commit index is older", () => {
  const { node, storage } = nodeOf([1n]);
  node.campaign();
  drain(node, storage);
  node.proposePayload(Buffer.from("x"));
  drain(node, storage);
  storage.setHardState({ term: 1, vote: 1n, commit: 2 });
  const restarted = new RawNode(configOf(storage, { applied: 3 }));
  assert.deepEqual([restarted.committed, restarted.applied], [3, 3]);
  assert.throws(() => new RawNode(configOf(storage, { applied: 4 })), /lost or damaged/);
  storage.setHardState({ term: 1, vote: 1n, commit: 9 });
  assert.throws(() => new RawNode(configOf(storage)), /lies in the stored log/);
});

test("step() refuses what no peer may send", () => {
  const node = leaderOf([1n, 2n]);
  const before = node.basicStatus();
  const from = 2n;
  const term = node.term + 5;
  const refused: [Partial<Message>, string][] = [
    [{ type: MessageType.MsgHup, from }, "localMessage"],
    [{ type: MessageType.MsgBeat, from }, "localMessage"],
    [{ type: MessageType.MsgCheckQuorum, from }, "localMessage"],
    [{ type: MessageType.MsgUnreachable, from }, "localMessage"],
    [{ type: MessageType.MsgSnapStatus, from }, "localMessage"],
    [{ type: MessageType.MsgStorageAppendResp, from, index: 2, term }, "localMessage"],
    [{ type: MessageType.MsgStorageApplyResp, from: LOCAL_APPEND_THREAD }, "localMessage"],
    [{ type: MessageType.MsgAppResp, from: LOCAL_APPEND_THREAD, term }, "localMessage"],
    [{ type: MessageType.MsgAppResp, from: 1n, index: 2, term: node.term }, "localMessage"],
    [{ type: MessageType.MsgVoteResp, from: 1n, term: node.term }, "localMessage"],
    [{ type: MessageType.MsgAppResp, from: 9n, term }, "unknownPeer"],
    [{ type: MessageType.MsgHeartbeatResp, from: 9n, term }, "unknownPeer"],
    [{ type: MessageType.MsgAppResp, from, term: node.term, index: 99 }, "malformed"],
    [{ type: MessageType.MsgProp, from }, "malformed"],
    [{ type: MessageType.MsgProp, from, term, entries: batch("x") }, "malformed"],
    [{ type: MessageType.MsgReadIndex, from }, "malformed"],
    [{ type: MessageType.MsgReadIndexResp, from, term }, "malformed"],
    [{ type: MessageType.MsgHeartbeat, from }, "malformed"],
    [{ type: MessageType.MsgVote, from }, "malformed"],
    [{ type: MessageType.MsgSnap, from, term }, "malformed"],
    [{ type: MessageType.MsgSnap, from, term, snapshot: createSnapshot() }, "malformed"],
    [{ type: 77, from, term }, "malformed"],
  ];
  const entry = (index: number, entryTerm: number): Entry =>
    createEntry({ index, term: entryTerm });
  const slices: Partial<Message>[] = [
    { index: 2, logTerm: 1, entries: [entry(4, 1)] },
    { index: 2, logTerm: 1, entries: [entry(3, 2), entry(4, 1)] },
    { index: 2, logTerm: 2, entries: [entry(3, 1)] },
    { index: 2, logTerm: 1, entries: [entry(3, term + 1)] },
  ];
  for (const slice of slices) {
    refused.push([{ type: MessageType.MsgApp, from, term, ...slice }, "malformed"]);
  }
  for (const [fields, outcome] of refused) {
    const m = createMessage({ to: 1n, ...fields });
    assert.equal(node.step(m), outcome, `type ${m.type} from ${m.from}`);
  }
  assert.deepEqual(node.basicStatus(), before);
  assert.equal(node.hasReady(), false);
});

test("a damaged membership change is refused with its whole batch", () => {
  const node = leaderOf([1n]);
  const damaged = createEntry({ type: EntryType.EntryConfChange, data: Buffer.from([0xff]) });
  const last = node.lastIndex;
  assert.equal(node.propose([...batch("x"), damaged]), "malformed");
  assert.equal(node.propose([]), "malformed");
  assert.equal(node.lastIndex, last);
});

test("a second membership change becomes an empty entry while the first is unapplied", () => {
  const node = leaderOf([1n]);
  const change = (nodeId: bigint): Entry => {
    const cc = createConfChange({ type: ConfChangeType.ConfChangeAddNode, nodeId });
    const probe = leaderOf([1n]);
    probe.proposeConfChange(cc);
    const { type, data } = probe.ready().entries[0] as Entry;
    return createEntry({ type, data });
  };
  const given = [change(2n), change(3n), ...batch("x")];
  const kept = [...given];
  assert.equal(node.propose(given), "ok");
  assert.deepEqual(
    node.ready().entries.map(({ type, data }) => [type, data.length > 0]),
    [
      [EntryType.EntryConfChange, true],
      [EntryType.EntryNormal, false],
      [EntryType.EntryNormal, true],
    ],
  );
  assert.deepEqual(given, kept, "the caller's array is not changed");
});

test("a dropped proposal leaves entries and log as they were", () => {
  const { node } = nodeOf([1n, 2n]);
  const entries = batch("x");
  assert.equal(node.propose(entries), "dropped");
  assert.deepEqual([entries[0]?.term, entries[0]?.index], [0, 0]);
  assert.equal(node.readIndex(Buffer.from("r")), "dropped");
  assert.equal(node.transferLeader(2n), "dropped");
  assert.equal(node.hasReady(), false);
});

test("a committed membership change that does not fit stops the process", () => {
  const { node } = nodeOf([1n]);
  const removeSelf = createConfChange({ type: ConfChangeType.ConfChangeRemoveNode, nodeId: 1n });
  assert.throws(() => node.applyConfChange(removeSelf), /removed all voters/);
  const nobody = createConfChange({ type: ConfChangeType.ConfChangeRemoveNode, nodeId: 0n });
  assert.deepEqual(node.applyConfChange(nobody).voters, [1n], "id 0: rejected by the server");
});

test("a removed leader does not answer reads by itself for the one voter left", () => {
  const node = leaderOf([1n, 2n]);
  const ack = (index: number): void => {
    node.step(
      createMessage({ type: MessageType.MsgAppResp, from: 2n, to: 1n, term: node.term, index }),
    );
  };
  ack(node.lastIndex);
  const removeSelf = createConfChange({ type: ConfChangeType.ConfChangeRemoveNode, nodeId: 1n });
  node.applyConfChange(removeSelf);
  assert.equal(node.role, "leader");
  node.ready();
  node.advance();
  node.readIndex(Buffer.from("r"));
  const asked = node.ready();
  assert.equal(asked.readStates.length, 0);
  const [heartbeat] = asked.messages.filter(({ type }) => type === MessageType.MsgHeartbeat);
  assert.ok(heartbeat !== undefined);
  node.advance();
  const { term } = node;
  const { context } = heartbeat;
  const type = MessageType.MsgHeartbeatResp;
  node.step(createMessage({ type, from: 2n, to: 1n, term, context: Buffer.from([9]) }));
  const tooHigh = Buffer.alloc(8, 0xff);
  node.step(createMessage({ type, from: 2n, to: 1n, term, context: tooHigh }));
  assert.deepEqual(node.raft.readStates, []);
  node.step(createMessage({ type, from: 2n, to: 1n, term, context }));
  assert.equal(node.raft.readStates.length, 1);
});

test("a quiet logger is not even asked; a level that is on gets whole lines", () => {
  const lines: string[] = [];
  const { node } = nodeOf([0x1n], { logger: { info: (text) => lines.push(text) } });
  node.campaign();
  assert.ok(lines.includes("1 switched to configuration voters=(1)"));
  assert.ok(lines.includes("1 became follower at term 0"));
  assert.ok(lines.includes("1 is starting a new election at term 0"));
  assert.ok(lines.includes("1 became candidate at term 1"));
});

test("settings that contradict each other are refused", () => {
  const bad: Partial<RaftConfig>[] = [
    { id: 0n },
    { id: LOCAL_APPEND_THREAD },
    { heartbeatTicks: 0 },
    { electionTicks: 1 },
    { inflightMessagesMax: 0 },
    { inflightBytesMax: 10, messageBytesMax: 11 },
    { readOnly: "leaseBased" },
  ];
  for (const settings of bad) {
    assert.throws(() => new RawNode(configOf(new MemoryLogStorage(), settings)));
  }
});

test("a node does not campaign while a committed membership change is unapplied", () => {
  const { storage } = nodeOf([1n]);
  const type = EntryType.EntryConfChange;
  storage.append([createEntry({ type, term: 1, index: 2 })]);
  storage.setHardState({ term: 1, vote: 0n, commit: 2 });
  const node = new RawNode(configOf(storage, { applied: 1 }));
  node.campaign();
  assert.equal(node.role, "follower");
  const rd = node.ready();
  assert.equal(rd.committedEntries.length, 1);
  node.campaign();
  assert.equal(node.role, "follower", "handed out is not applied");
  node.advance();
  node.campaign();
  assert.equal(node.role, "candidate");
});
