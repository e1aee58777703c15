// Command lines, variables and files that etcd refuses, with what it prints and its exit code: one table for our program and, where
// it is built, for etcd itself.

/** One refused start. */
export interface Refusal {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Content of a config file, given as `--config-file`. */
  readonly file?: string;
  readonly code: 1 | 2;
  /** First line on stderr that is not JSON. */
  readonly line?: string;
  /** `error` of the line `failed to verify flags`. */
  readonly error?: string;
  /** `msg` of the last JSON line, when it is another. */
  readonly message?: string;
}

function usage(line: string, ...args: string[]): Refusal {
  return { args, code: 2, line };
}

function refused(error: string, ...args: string[]): Refusal {
  return { args, code: 1, error };
}

function inFile(error: string, file: string): Refusal {
  return { file, code: 1, error };
}

function typeError(what: string): string {
  return `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${what}`;
}

/** Mistakes in the form of flags and in single values. */
export const badFlags: readonly Refusal[] = [
  usage("flag provided but not defined: -bogus", "--bogus"),
  usage("flag provided but not defined: -bogus", "-bogus=3"),
  usage("flag provided but not defined: -enable-v2", "--enable-v2=true"),
  usage("flag provided but not defined: -bogus", "--name=", "--bogus"),
  usage("flag provided but not defined: -bogus", "--config", "--bogus"),
  usage("flag needs an argument: -name", "-name"),
  usage("bad flag syntax: ---x", "---x"),
  usage("bad flag syntax: --=x", "--=x"),
  usage("bad flag syntax: -=x", "-=x"),
  usage('invalid value "abc" for flag -snapshot-count: parse error', "--snapshot-count", "abc"),
  usage('invalid value "-1" for flag -snapshot-count: parse error', "--snapshot-count", "-1"),
  usage('invalid value "+1" for flag -snapshot-count: parse error', "--snapshot-count=+1"),
  usage('invalid value "0x" for flag -snapshot-count: parse error', "--snapshot-count=0x"),
  usage('invalid value "1__0" for flag -max-wals: parse error', "--max-wals=1__0"),
  usage('invalid value "08" for flag -max-wals: parse error', "--max-wals=08"),
  usage('invalid value "" for flag -max-wals: parse error', "--max-wals="),
  usage(
    'invalid value "99999999999999999999999" for flag -snapshot-count: value out of range',
    "--snapshot-count=99999999999999999999999",
  ),
  usage(
    'invalid value "9223372036854775808" for flag -backend-batch-limit: value out of range',
    "--backend-batch-limit=9223372036854775808",
  ),
  usage(
    'invalid value "abc" for flag -max-concurrent-streams: strconv.ParseUint: parsing "abc": invalid syntax',
    "--max-concurrent-streams=abc",
  ),
  usage(
    'invalid value "4294967296" for flag -max-concurrent-streams: strconv.ParseUint: parsing "4294967296": value out of range',
    "--max-concurrent-streams=4294967296",
  ),
  usage('invalid boolean value "maybe" for -pre-vote: parse error', "--pre-vote=maybe"),
  usage('invalid boolean value "" for -pre-vote: parse error', "--pre-vote="),
  usage(
    'invalid value "5" for flag -grpc-keepalive-min-time: parse error',
    "--grpc-keepalive-min-time=5",
  ),
  usage(
    'invalid value "bogus" for flag -initial-cluster-state: invalid value',
    "--initial-cluster-state=bogus",
  ),
  usage(
    'invalid value "not-yet" for flag -v2-deprecation: invalid value "not-yet"',
    "--v2-deprecation=not-yet",
  ),
  usage(
    'invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X',
    "--feature-gates=X=true",
  ),
  usage(
    'invalid value "AllAlpha" for flag -feature-gates: missing bool value for AllAlpha',
    "--feature-gates=AllAlpha",
  ),
  usage(
    'invalid value "AllAlpha=x" for flag -feature-gates: invalid value of AllAlpha=x, err: strconv.ParseBool: parsing "x": invalid syntax',
    "--feature-gates=AllAlpha=x",
  ),
  refused('"true" is not a valid flag', "--pre-vote", "true"),
  refused('"-" is not a valid flag', "-"),
  refused('"foo" is not a valid flag', "--", "foo"),
  refused('"foo" is not a valid flag', "--version", "foo"),
  refused('"x" is not a valid flag', "--config", "x"),
  { args: ["--log-level=foo"], code: 2, line: 'panic: unrecognized level: "foo"' },
];

/** URLs that cannot be listened on or advertised. */
export const badUrls: readonly Refusal[] = (
  [
    ["foo", "URL scheme must be http, https, unix, or unixs: foo"],
    ["ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"],
    ["localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"],
    ["http://localhost", 'URL address does not have the form "host:port": http://localhost'],
    ["http://::1:2379", 'parse "http://::1:2379": invalid port "::1:2379" after host'],
    ["http://localhost:1/", "URL must not contain a path: http://localhost:1/"],
    ["http://loc%zz:23", 'parse "http://loc%zz:23": invalid URL escape "%zz"'],
    ["http://127.0.0.1:abc", 'parse "http://127.0.0.1:abc": invalid port ":abc" after host'],
    ["http://[::1]:1,:2379", 'parse ":2379": missing protocol scheme'],
    ["127.0.0.1:2379", 'parse "127.0.0.1:2379": first path segment in URL cannot contain colon'],
    ["http://a b:1", 'parse "http://a b:1": invalid character " " in host name'],
    ["http://[::1:1", `parse "http://[::1:1": missing ']' in host`],
    ["http://a:1,", "URL scheme must be http, https, unix, or unixs: "],
  ] as const
).map(([url, reason]) => {
  return usage(
    `invalid value ${JSON.stringify(url)} for flag -listen-client-urls: ${reason}`,
    `--listen-client-urls=${url}`,
  );
});

/** Flags that contradict each other. */
export const badCombinations: readonly Refusal[] = [
  refused(
    "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    "--listen-client-urls=http://127.0.0.1:1",
  ),
  refused(
    "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    "--listen-client-urls=",
  ),
  refused(
    "expected IP in URL for binding (http://example.com:1)",
    "--listen-peer-urls=http://example.com:1",
  ),
  refused("expected IP in URL for binding (http://:1)", "--listen-metrics-urls=http://:1"),
  refused(
    '--advertise-client-urls "http://:1" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:1))',
    "--advertise-client-urls=http://:1",
  ),
  refused(
    '--initial-advertise-peer-urls "http://:1" must be "host:port" (unexpected empty host (http://:1))',
    "--initial-advertise-peer-urls=http://:1",
  ),
  refused(
    'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    "--discovery-srv=example.invalid",
    "--initial-cluster=default=http://localhost:2380",
  ),
  refused("both --discovery-token and --discovery-endpoints must be set", "--discovery-token=x"),
  refused(
    "--discovery-endpoints must not contain empty endpoints",
    "--discovery-token=x",
    "--discovery-endpoints=a,",
  ),
  refused("--heartbeat-interval must be >0 (set to 0ms)", "--heartbeat-interval=0"),
  refused("--election-timeout must be >0 (set to 0ms)", "--election-timeout=0"),
  refused(
    "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[500ms]",
    "--heartbeat-interval=500",
  ),
  refused(
    "--election-timeout[60000ms] is too long, and should be set less than 50000ms",
    "--election-timeout=60000",
  ),
  refused("undefined auto-compaction-mode", "--auto-compaction-mode="),
  refused('unknown auto-compaction-mode "zzz"', "--auto-compaction-mode=zzz"),
  refused("--compact-hash-check-time must be >0 (set to 0s)", "--compact-hash-check-time=0"),
  refused("--compact-hash-check-time must be >0 (set to -5m0s)", "--compact-hash-check-time=-5m"),
  refused(
    "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
    "--feature-gates=LeaseCheckpointPersist=true",
  ),
  refused(
    "distributed tracing configurition is not valid: (tracing sampling rate must be positive)",
    "--enable-distributed-tracing",
    "--distributed-tracing-sampling-rate=-1",
  ),
  refused(
    "distributed tracing configurition is not valid: (tracing sampling rate must be less than 1000000)",
    "--enable-distributed-tracing",
    "--distributed-tracing-sampling-rate=1000001",
  ),
  refused(
    'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)',
    "--tls-min-version=TLS1.1",
  ),
  refused(
    "min version (TLS1.3) is greater than max version (TLS1.2)",
    "--tls-min-version=TLS1.3",
    "--tls-max-version=TLS1.2",
  ),
  refused(
    "cipher suites cannot be configured when only TLS1.3 is enabled",
    "--tls-min-version=TLS1.3",
    "--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  ),
  refused(
    `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
    "--discovery-fallback=proxy",
  ),
  refused("--logger=capnslog is removed in v3.5", "--logger=capnslog"),
  refused('unknown logger option "foo"', "--logger=foo"),
  refused("unknown log format: x, supported values json, console", "--log-format=x"),
  refused('multi logoutput for "default" is not supported yet', "--log-outputs=default,stderr"),
  refused(
    `running with systemd/journal but other '--log-outputs' values (["stderr" "systemd/journal"]) are configured with 'default'; override 'default' value with something else`,
    "--log-outputs=systemd/journal,stderr",
  ),
  refused(
    "--log-outputs requires a single file path when --log-rotate-config-json is defined",
    "--enable-log-rotation",
  ),
  refused('open sink "/nope/x": open /nope/x: no such file or directory', "--log-outputs=/nope/x"),
];

/** Variables. */
export const badVariables: readonly Refusal[] = [
  {
    env: { ETCD_SNAPSHOT_COUNT: "abc" },
    code: 1,
    error: 'invalid value "abc" for ETCD_SNAPSHOT_COUNT: parse error',
  },
  {
    env: { ETCD_PRE_VOTE: "maybe" },
    code: 1,
    error: 'invalid value "maybe" for ETCD_PRE_VOTE: parse error',
  },
  {
    env: { ETCD_NAME: "a" },
    args: ["--name=a"],
    code: 1,
    message:
      "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))",
  },
  { env: { ETCD_CONFIG_FILE: "/nope" }, code: 1, error: "open /nope: no such file or directory" },
];

/** Config files. */
export const badFiles: readonly Refusal[] = [
  refused("open /nope: no such file or directory", "--config-file=/nope"),
  inFile(typeError("array into Go value of type embed.configYAML"), "- a\n"),
  inFile(typeError("string into Go value of type embed.configYAML"), "foo\n"),
  inFile(
    typeError("number into Go struct field configYAML.Config.name of type string"),
    "name: 5\nsnapshot-count: abc\n",
  ),
  inFile(
    typeError(
      "string into Go struct field configYAML.Config.watch-progress-notify-interval of type time.Duration",
    ),
    "watch-progress-notify-interval: 10m\n",
  ),
  inFile(
    typeError(
      "number into Go struct field configYAML.configJSON.peer-transport-security of type embed.securityConfig",
    ),
    "peer-transport-security: 3\n",
  ),
  inFile(
    typeError("string into Go struct field configYAML.Config.log-outputs of type []string"),
    "log-outputs: stderr\n",
  ),
  inFile(
    typeError("number into Go struct field configYAML.Config.log-outputs of type string"),
    "log-outputs: [1]\n",
  ),
  inFile(
    typeError("number into Go struct field configYAML.Config.pre-vote of type bool"),
    "pre-vote: 3\n",
  ),
  inFile(
    typeError("number -1 into Go struct field configYAML.Config.heartbeat-interval of type uint"),
    "heartbeat-interval: -1\n",
  ),
  inFile(
    typeError("number 1.5 into Go struct field configYAML.Config.snapshot-count of type uint64"),
    "snapshot-count: 1.5\n",
  ),
  inFile(
    typeError(
      "number 4294967296 into Go struct field configYAML.Config.max-concurrent-streams of type uint32",
    ),
    "max-concurrent-streams: 4294967296\n",
  ),
  inFile(
    typeError(
      "number into Go struct field securityConfig.configJSON.client-transport-security.cert-file of type string",
    ),
    "client-transport-security:\n  cert-file: 5\n",
  ),
  inFile(
    typeError(
      "number into Go struct field DiscoveryConfig.Config.discovery-config.token of type string",
    ),
    "socket-options:\n  reuse-port: 5\ndiscovery-config:\n  token: 4\n",
  ),
  inFile('unexpected clusterState "zz"', "initial-cluster-state: zz\n"),
  inFile("unrecognized feature gate: X", 'feature-gates: "X=1"\n'),
  inFile('unknown auto-compaction-mode "zz"', "NAME: foo\nAuto-Compaction-Mode: zz\n"),
  inFile(
    'unknown auto-compaction-mode "zz"',
    "name: ~\nname: a\nbackend-batch-interval: 1e9\nunknown: [1]\nauto-compaction-mode: zz\n",
  ),
  {
    file: "listen-client-urls: foo\n",
    code: 1,
    line: "unexpected error setting up listen-client-urls: URL scheme must be http, https, unix, or unixs: foo",
  },
  {
    file: "advertise-client-urls: foo\n",
    code: 1,
    line: "unexpected error setting up advertise-peer-urls: URL scheme must be http, https, unix, or unixs: foo",
  },
  {
    file: "cors: foo\n",
    code: 2,
    line: "panic: new UniqueURLs should never fail: URL scheme must be http, https, unix, or unixs: foo",
  },
];
