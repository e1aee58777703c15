// First clusters that etcd refuses to make, with its words (taken from etcd 3.7.1), and those it makes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { uniqueEndpoints } from "../../../src/cli/endpoints.ts";
import { bootstrapProblem, firstClusterText } from "../../../src/cli/etcd/bootstrap.ts";
import { BadValue } from "../../../src/cli/go-text.ts";
import { defaultConfig, type EtcdConfig } from "../../../src/embed/config.ts";

function configOf(initialCluster: string, advertise?: string, name = "default"): EtcdConfig {
  const config: EtcdConfig = { ...defaultConfig(), initialCluster, name };
  if (advertise === undefined) return config;
  const endpoints = uniqueEndpoints(advertise);
  assert.ok(!(endpoints instanceof BadValue));
  return { ...config, initialAdvertisePeerUrls: endpoints };
}

test("a first cluster without this member, or with other URLs of it, is refused", async () => {
  const cases: [config: EtcdConfig, problem: string][] = [
    [configOf(""), `couldn't find local name "default" in the initial cluster configuration`],
    [
      configOf("bar=http://localhost:2380", undefined, "foo"),
      `couldn't find local name "foo" in the initial cluster configuration`,
    ],
    [
      configOf(" default=http://localhost:2380"),
      `couldn't find local name "default" in the initial cluster configuration`,
    ],
    [
      configOf("default"),
      "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
    ],
    [
      configOf("default=ftp://x:1"),
      "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ftp://x:1",
    ],
    [
      configOf("default=http://localhost:2380,default=http://localhost:2381"),
      '--initial-cluster has default=http://localhost:2381 but missing from --initial-advertise-peer-urls=http://localhost:2380 (len(["http://localhost:2380"]) != len(["http://localhost:2380" "http://localhost:2381"]))',
    ],
    [
      configOf("default=http://127.0.0.1:2480"),
      '--initial-cluster has default=http://127.0.0.1:2480 but missing from --initial-advertise-peer-urls=http://localhost:2380 (resolved urls: "http://localhost:2380" != "http://127.0.0.1:2480")',
    ],
    [
      configOf("default=http://127.0.0.1:1", "http://127.0.0.1:1,http://127.0.0.1:2"),
      "--initial-advertise-peer-urls has http://127.0.0.1:2 but missing from --initial-cluster=default=http://127.0.0.1:1,default=http://127.0.0.1:2",
    ],
    [
      configOf("default=http://localhost:2380,b=http://localhost:2380"),
      "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url",
    ],
    [
      { ...defaultConfig(), initialClusterState: "existing" },
      "joining an existing cluster is not supported yet by etcd-ts (--initial-cluster-state=existing)",
    ],
  ];
  for (const [config, problem] of cases) assert.equal(await bootstrapProblem(config), problem);
});

test("a first cluster of this member under its advertised URLs is made, in any order and with gaps", async () => {
  assert.equal(await bootstrapProblem(defaultConfig()), undefined);
  const two = configOf(
    ",,default=http://127.0.0.1:2,default=http://127.0.0.1:1,",
    "http://127.0.0.1:1,http://127.0.0.1:2",
  );
  assert.equal(await bootstrapProblem(two), undefined);
  assert.equal(firstClusterText(two), "default=http://127.0.0.1:1,default=http://127.0.0.1:2");
});
