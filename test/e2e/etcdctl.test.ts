// A new user's first hour: etcdctl, the real one in two releases, against the program. The same steps run on the real etcd where there
// is one, so that every line expected here is what etcd shows.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeRangeResponse, ProtoError } from "../../src/proto/index.ts";
import { Desk, etcdctls, servers } from "./programs.ts";

interface Step {
  readonly args: readonly string[];
  readonly input?: string;
  /** Exact standard output, or what it must match; ids and times are replaced first. */
  readonly prints: string | RegExp;
  /** Part of the error output of a command that fails. */
  readonly fails?: string;
  /** Only with this release of etcdctl. */
  readonly only?: string;
}

/** What differs between two runs: ids, addresses, times. */
function settled(text: string): string {
  return text
    .replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS")
    .replaceAll(/"(cluster_id|member_id|ID|leader)":\d+/g, '"$1":ID')
    .replaceAll(/"(ClusterID|MemberID|Leader|ID)" : \d+/g, '"$1" : ID')
    .replaceAll(/\b[0-9a-f]{15,16}\b/g, "HEX")
    .replaceAll(/took =? ?[0-9.]+[µa-z]+/g, "took TIME");
}

function step(line: string, prints: string | RegExp, more: Partial<Step> = {}): Step {
  const args = (line.match(/"[^"]*"|\S+/g) ?? []).map((arg) => arg.replaceAll('"', ""));
  return { args, prints, ...more };
}

const COMPACTED = "etcdserver: mvcc: required revision has been compacted";
const FUTURE = "etcdserver: mvcc: required revision is a future revision";
const PROMPTS = "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\n";
const HEADER = '"header":{"cluster_id":ID,"member_id":ID,"revision":';

const writing: readonly Step[] = [
  step("put a 1", "OK\n"),
  step("put b 2 --prev-kv", "OK\n"),
  step("put b 3 --prev-kv", "OK\nb\n2\n"),
  step("put c 4", "OK\n"),
  step("put d", "OK\n", { input: "from stdin" }),
  step("put", "", { fails: "put command needs" }),
  step("put a --ignore-value", "OK\n"),
  step("put absent --ignore-value", "", { fails: "etcdserver: key not found" }),
  step("put leased x --lease=1234", "", { fails: "etcdserver: requested lease not found" }),
];

const reading: readonly Step[] = [
  step("get a", "a\n1\n"),
  step('get "" --prefix', "a\n1\nb\n3\nc\n4\nd\nfrom stdin\n"),
  step("get a d --limit 2", "a\n1\nb\n3\n"),
  step("get b --from-key --keys-only", "b\n\nc\n\nd\n\n"),
  step('get "" --prefix --sort-by VALUE --order DESCEND', "d\nfrom stdin\nc\n4\nb\n3\na\n1\n"),
  step('get "" --prefix --sort-by=MODIFY --keys-only', "b\n\nc\n\nd\n\na\n\n"),
  step('get "" --prefix --sort-by=VERSION --order=DESCEND --keys-only', "a\n\nb\n\nc\n\nd\n\n"),
  step("get b --rev 3", "b\n2\n"),
  step("get b --consistency=s", "b\n3\n"),
  step("get b --rev 99", "", { fails: FUTURE }),
  step("get nothing", ""),
  step("get a --print-value-only", "1\n"),
  step("get a --hex", "\\x61\n\\x31\n"),
  step(
    "get a -w json",
    `{${HEADER}7,"raft_term":2},"kvs":[{"key":"YQ==","create_revision":2,"mod_revision":7,"version":2,"value":"MQ=="}],"count":1}\n`,
  ),
  step(
    "get a -w fields",
    '"ClusterID" : ID\n"MemberID" : ID\n"Revision" : 7\n"RaftTerm" : 2\n"Key" : "a"\n"CreateRevision" : 2\n' +
      '"ModRevision" : 7\n"Version" : 2\n"Value" : "1"\n"Lease" : 0\n"More" : false\n"Count" : 1\n',
  ),
  step("get a --count-only -w fields", /"Count" : 1\n$/, { only: "3.7" }),
];

const deleting: readonly Step[] = [
  step("del a --prev-kv", "1\na\n1\n"),
  step("del nothing", "0\n"),
  step(
    "del c d -w json --prev-kv",
    `{${HEADER}9,"raft_term":2},"deleted":1,"prev_kvs":[{"key":"Yw==","create_revision":5,"mod_revision":5,"version":1,"value":"NA=="}]}\n`,
  ),
  step('del "" --prefix', "2\n"),
];

const transactions: readonly Step[] = [
  step("put x 1", "OK\n"),
  step("put y 2", "OK\n"),
  step("txn -i", `${PROMPTS}SUCCESS\n\nOK\n\nx\n1\n\n1\n`, {
    input: 'mod("x") > "0"\nvalue("y") = "2"\n\nput z 3\nget x\ndel y\n\nget z\n\n',
  }),
  step("txn -i", `${PROMPTS}FAILURE\n\nOK\n\nz\n3\n`, {
    input: 'create("q") != "0"\n\nput z 3\n\nput q "with space"\nget z\n\n',
  }),
  step("get q", "q\nwith space\n"),
  step("txn", `SUCCESS\n\nq\nwith space\n`, { input: 'ver("q") = "1"\n\nget q\n\n\n' }),
  step("txn -i", "compares:\n", { input: "bad\n\n\n\n", fails: "malformed comparison: bad" }),
  step("txn -i", PROMPTS, {
    input: "\nput q 1\nput q 2\n\n\n",
    fails: "etcdserver: duplicate key given in txn request",
  }),
];

const leases: readonly Step[] = [
  step("lease list", "found 0 leases\n"),
  step("lease grant 100", "lease HEX granted with TTL(100s)\n"),
  step("lease grant 0", "lease HEX granted with TTL(2s)\n"),
  step("lease revoke 1234", "", { fails: "etcdserver: requested lease not found" }),
  step("lease timetolive 1234", "lease HEX already expired\n"),
  step("lease keep-alive --once 1234", "", { fails: "etcdserver: requested lease not found" }),
];

const maintaining: readonly Step[] = [
  step("compact 5", "compacted revision 5\n"),
  step("compact 5", "", { fails: COMPACTED }),
  step("compact 9999", "", { fails: FUTURE }),
  step("compact --physical 8", "compacted revision 8\n"),
  step("get x --rev 2", "", { fails: COMPACTED }),
  step("watch x --rev 2", "", { fails: COMPACTED }),
  step("member list", /^HEX, started, default, http:\/\/ADDRESS, http:\/\/ADDRESS, false\n$/),
  step("member list -w json", /"clientURLs":\["http:\/\/ADDRESS"\]/),
  step("member list -w table", /HEX .* started .* default .* http:\/\/ADDRESS/),
  step("endpoint status", /^ADDRESS, HEX, 3\.7\.1, /),
  step("endpoint status -w json", /"version":"3\.7\.1".*"raftTerm":2/),
  step("endpoint status -w table", /ADDRESS .* HEX .* 3\.7\.1 .* true .* false /),
  step("endpoint hashkv", /^ADDRESS, \d+/),
  step("endpoint hashkv -w json", /"compact_revision":8/),
  step("alarm list", ""),
  step("alarm disarm", ""),
];

function matches(actual: string, expected: string | RegExp, line: string): void {
  if (typeof expected === "string") assert.equal(actual, expected, line);
  else assert.match(actual, expected, line);
}

async function follow(desk: Desk, steps: readonly Step[]): Promise<void> {
  for (const { args, input, prints, fails, only } of steps) {
    if (only !== undefined && only !== desk.etcdctl.release) continue;
    const line = args.join(" ");
    const { stdout, stderr, code } = await desk.run(args, input);
    matches(settled(stdout), prints, `${line}\n${stderr}`);
    if (fails === undefined) assert.equal(code, 0, `${line}\n${stderr}`);
    else {
      assert.notEqual(code, 0, line);
      assert.ok(`${stdout}${stderr}`.includes(fails), `${line}\n${stderr}`);
    }
  }
}

for (const etcdctl of etcdctls) {
  for (const command of servers) {
    describe(`${etcdctl.name} on ${command.name}`, { skip: etcdctl.skip }, () => {
      let desk: Desk;
      before(async () => {
        if (etcdctl.skip === false) desk = await Desk.open(command, etcdctl);
      });
      after(() => desk?.close());

      test("puts", () => follow(desk, writing));
      test("gets, in every format", async () => {
        await follow(desk, reading);
        await protobufOutput(desk);
      });
      test("deletes", () => follow(desk, deleting));
      test("runs transactions, interactively and from a file", () => follow(desk, transactions));
      test("grants leases and asks about them", () => follow(desk, leases));
      test("keeps a lease alive, puts under it and revokes it", () => leaseLife(desk));
      test("compacts, lists members, asks endpoints", () => follow(desk, maintaining));
      test("is told that the endpoint is healthy", () => health(desk));
      test("watches live, history, prefixes and previous values", () => watches(desk));
      test("watches interactively, with progress", () => interactiveWatch(desk));
    });
  }
}

/** `-w protobuf` prints the message as it came. */
async function protobufOutput(desk: Desk): Promise<void> {
  const { stdout } = await desk.run(["get", "a", "-w", "protobuf"]);
  const bytes = Buffer.from(stdout, "latin1");
  const message = decodeRangeResponse(bytes, 0, bytes.length);
  assert.ok(!(message instanceof ProtoError));
  assert.deepEqual([message.count, message.kvs.map((kv) => kv.key)], [1, ["a"]]);
}

async function health(desk: Desk): Promise<void> {
  const { stdout, stderr } = await desk.run(["endpoint", "health"]);
  // 3.4 prints it to the error output.
  const healthy = "ADDRESS is healthy: successfully committed proposal: took TIME\n";
  assert.equal(settled(stdout + stderr), healthy);
}

async function leaseLife(desk: Desk): Promise<void> {
  const granted = await desk.run(["lease", "grant", "60"]);
  const id = /lease ([0-9a-f]+) granted/.exec(granted.stdout)?.[1] ?? "";
  await follow(desk, [step(`put k v --lease=${id}`, "OK\n")]);
  const asked = await desk.run(["lease", "timetolive", id, "--keys"]);
  assert.match(
    asked.stdout,
    /^lease [0-9a-f]+ granted with TTL\(60s\), remaining\((59|60)s\), attached keys\(\[k\]\)\n$/,
  );
  const once = await desk.run(["lease", "keep-alive", "--once", id]);
  assert.equal(once.stdout, `lease ${id} keepalived with TTL(60)\n`);
  const keeping = desk.start("lease", "keep-alive", id);
  await keeping.until(`lease ${id} keepalived with TTL(60)\n`);
  const revoked = await desk.run(["lease", "revoke", id]);
  assert.equal(revoked.stdout, `lease ${id} revoked\n`);
  keeping.interrupt();
  await keeping.ended;
  await follow(desk, [step("get k", "")]);
}

async function watches(desk: Desk): Promise<void> {
  await follow(desk, [step("put w/a 1", "OK\n")]);
  const { stdout } = await desk.run(["get", "w/a", "-w", "json"]);
  const revision = Number(/"mod_revision":(\d+)/.exec(stdout)?.[1]);
  const history = desk.start("watch", "w/", "--prefix", "--rev", String(revision), "--prev-kv");
  assert.equal(await history.until("1\n"), "PUT\nw/a\n1\n");
  await follow(desk, [step("put w/a 2", "OK\n"), step("put other x", "OK\n")]);
  await follow(desk, [step("del w/a", "1\n"), step("put w/b 3", "OK\n")]);
  const seen = await history.until("3\n");
  assert.equal(seen, "PUT\nw/a\n1\nPUT\nw/a\n1\nw/a\n2\nDELETE\nw/a\n2\nw/a\n\nPUT\nw/b\n3\n");
  history.interrupt();
  await history.ended;
}

async function interactiveWatch(desk: Desk): Promise<void> {
  const watching = desk.start("watch", "-i");
  watching.say("watch i1\nwatch --prefix i2\nprogress\n");
  // The answer to `progress` shows that both watchers are there.
  await watching.until("progress notify:");
  await follow(desk, [step("put i1 one", "OK\n"), step("put i2/x two", "OK\n")]);
  const seen = await watching.until("two\n");
  assert.ok(seen.includes("PUT\ni1\none\n") && seen.includes("PUT\ni2/x\ntwo\n"), seen);
  watching.interrupt();
  await watching.ended;
}
