// Every bound of the client port, with unit and reason. What an operator or a test may change is in `ConnectionLimits`; the rest is fixed.
//
// Two rules chose the numbers: a client that behaves never meets one, and what a hostile client can pin is bounded per connection.
// Source: reliability.md D.3 (attacks), RFC 9113 section 10.5, grpc-go's server transport for the keepalive rules.

/** Largest frame payload we accept, bytes: the smallest value RFC 9113 allows, so a frame cut by a chunk border costs at most one such copy. */
export const FRAME_BYTES_MAX = 16_384;
/** Receive window of a stream, bytes: a request of common size needs no WINDOW_UPDATE. */
export const STREAM_WINDOW_BYTES = 1_048_576;
/** Receive window of a connection, bytes: keeps a fast link full with one WINDOW_UPDATE per half of it. */
export const CONNECTION_WINDOW_BYTES = 4_194_304;
/** HPACK table the peer may use, bytes: the protocol's default; more would only help an attacker. */
export const HEADER_TABLE_BYTES = 4_096;
/** Compressed header block with its CONTINUATIONs, bytes: four times the decoded limit, beyond it the connection ends. */
export const HEADER_BLOCK_BYTES_MAX = 65_536;
/** CONTINUATION frames of one header block: 16 KiB of headers need one; floods (CVE-2024-27316) need thousands. */
export const CONTINUATION_FRAMES_MAX = 16;
/** Decoded header list, bytes as RFC 9113 6.5.2 counts them: an 8 KiB token and its company fit. */
export const HEADER_LIST_BYTES_MAX = 16_384;
/** Fields of one header list: real clients send about ten. */
export const HEADER_FIELDS_MAX = 64;
/** Header blocks remembered per connection: a client alternates between a few methods. */
export const BLOCK_CACHE_ENTRIES = 8;
/** Largest header block remembered, bytes: steady-state blocks are far smaller. */
export const BLOCK_CACHE_BYTES_MAX = 512;

/** Highest concurrency we advertise whatever the flag says: an idle stream costs about 0.5 KiB, so 8 MiB per connection. */
export const STREAMS_MAX = 16_384;
/** Stream ids remembered after we reset them, so that frames already under way are ignored and not answered. */
export const RESET_IDS_REMEMBERED = 128;
/** Gaps of never used stream ids remembered, only to give the exact error code for them. */
export const SKIPPED_RANGES_REMEMBERED = 16;

/** Output a connection gathers before replies wait in their streams, bytes: one write's worth, so a slow reader pins little. */
export const OUTPUT_SOFT_BYTES = 262_144;
/** Output beyond which a connection whose socket takes nothing is no longer read, bytes. */
export const OUTPUT_READ_STOP_BYTES = 524_288;
/** Idle connections give back output buffers larger than this, bytes. */
export const OUTPUT_KEEP_BYTES = 16_384;
/** Piece in which replies that have to wait are stored, bytes: small messages share one. */
export const QUEUE_PIECE_BYTES = 16_384;
/** Encoded replies waiting for windows on one connection, bytes; above it new requests get REFUSED_STREAM (safe to retry). */
export const QUEUED_REFUSE_BYTES = 33_554_432;
/** The same; above it the stream that adds more is reset (ENHANCE_YOUR_CALM). Large lists are sources and do not count. */
export const QUEUED_BYTES_MAX = 67_108_864;
/** Bytes of incomplete or held-back request messages on one connection; above it the call that adds more is refused. */
export const PENDING_REQUEST_BYTES_MAX = 67_108_864;
/** First allocation for a message that comes in pieces, bytes; it doubles, so memory stays below twice what was received. */
export const MESSAGE_BUFFER_BYTES_MIN = 16_384;

/** Streams the peer may reset at once within a second of opening them (rapid reset, CVE-2023-44487), and then per second. */
export const RAPID_RESETS_BURST = 200;
export const RAPID_RESETS_PER_SECOND = 20;
/** Age below which a reset counts as rapid, milliseconds; a cancelled watch or an expired deadline is older. */
export const RAPID_RESET_AGE_MS = 1_000;
/** SETTINGS frames at once, and then per second: a real client sends one or two. */
export const SETTINGS_BURST = 100;
export const SETTINGS_PER_SECOND = 10;
/** PING frames at once, and then per second, that no traffic of ours explains, when the keepalive rule is off. */
export const PINGS_BURST = 100;
export const PINGS_PER_SECOND = 10;
/** Pings that may come too early before the connection is closed (grpc-go: maxPingStrikes). */
export const PING_STRIKES_MAX = 2;
/** Interval a client must keep between pings while it has no call, milliseconds (grpc-go: defaultPingTimeout). */
export const IDLE_PING_INTERVAL_MS = 7_200_000;
/** Empty DATA frames without END_STREAM at once, and then per second (CVE-2019-9518). */
export const EMPTY_DATA_BURST = 1_000;
export const EMPTY_DATA_PER_SECOND = 100;
/** Frames per second that carry no work (WINDOW_UPDATE, PRIORITY, RST, acks, tiny DATA, unknown types) beyond four per frame of work. */
export const IDLE_FRAMES_PER_SECOND = 10_000;
export const IDLE_FRAMES_PER_WORK_FRAME = 4;
/** DATA payload below which a frame that neither ends nor completes a message counts as carrying no work, bytes. */
export const TINY_DATA_BYTES = 16;

/** Most bytes inflated in one turn: bounds what gzip bombs add to a turn (about 4 ms per MiB). */
export const INFLATE_BYTES_PER_TURN = 2_097_152;
/** What starting zlib for one message costs, as bytes inflated (about 30 us). */
export const INFLATE_START_BYTES = 8_192;

/** `grpc-message` is cut here, bytes after percent encoding: clients refuse header lists beyond 8 KiB. */
export const STATUS_TEXT_BYTES_MAX = 4_096;
/** Largest message we send, bytes: gRPC's signed length, and etcd's send limit. */
export const MESSAGE_SEND_BYTES_MAX = 2_147_483_647;

/** HTTP/1 request head looked at to find an `Upgrade: h2c` of a gRPC request, bytes (Node's own limit for a head). */
export const HTTP1_HEAD_BYTES_MAX = 16_384;
/** Time given to the peer to read our GOAWAY and close before the socket is destroyed, milliseconds. */
export const LINGER_MS = 1_000;
/** Sockets that may wait with their first bytes outstanding; a real client sends them with the handshake. */
export const SNIFFING_SOCKETS_MAX = 1_000;
/** Width of a deadline slot, milliseconds: how late a deadline may fire. */
export const DEADLINE_SLOT_MS = 4;
/** Slots of the deadline wheel: one rotation is 4 s, longer deadlines are passed over once per rotation. */
export const DEADLINE_SLOTS = 1_024;

/** What differs between servers and tests. Times in milliseconds. */
export interface ConnectionLimits {
  /** Concurrent calls per connection (`--max-concurrent-streams`); never more than STREAMS_MAX. */
  readonly streamsMax: number;
  /** Largest request message, bytes: `--max-request-bytes` + 512 KiB. */
  readonly messageBytesMax: number;
  /** Preface and SETTINGS must be there this long after accept. */
  readonly prefaceTimeoutMs: number;
  /** Our SETTINGS must be acknowledged within this time. */
  readonly settingsTimeoutMs: number;
  /** A header block that has begun must be complete within this time. */
  readonly headersTimeoutMs: number;
  /** A message that has begun must be complete within this time plus its size at `messageBytesPerSecondMin`. */
  readonly messageTimeoutMs: number;
  readonly messageBytesPerSecondMin: number;
  /** Waiting output that makes no progress this long ends its stream, or the connection if it is the socket that takes nothing. */
  readonly stallTimeoutMs: number;
  /** Least time between pings of a client that has calls (`--grpc-keepalive-min-time`); 0 turns the rule off. */
  readonly keepaliveMinTimeMs: number;
  /** Silence after which we ping the client (`--grpc-keepalive-interval`); 0 never. */
  readonly keepaliveIntervalMs: number;
  /** Silence after that ping which ends the connection (`--grpc-keepalive-timeout`). */
  readonly keepaliveTimeoutMs: number;
  /** Shutdown: longest wait for the answer to the ping between the two GOAWAYs. */
  readonly goawayPingTimeoutMs: number;
  /** Output, waiting answers and unfinished requests of all connections, bytes; above it a sweep ends those that hold most. */
  readonly heldBytesTotalMax: number;
  /** Period of the sweep that enforces all of these. */
  readonly sweepIntervalMs: number;
}

/** Etcd's defaults where etcd has a flag. */
export const defaultConnectionLimits: ConnectionLimits = {
  streamsMax: STREAMS_MAX,
  messageBytesMax: 1_572_864 + 524_288,
  prefaceTimeoutMs: 10_000,
  settingsTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  messageTimeoutMs: 30_000,
  messageBytesPerSecondMin: 1_024,
  stallTimeoutMs: 30_000,
  keepaliveMinTimeMs: 5_000,
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
  goawayPingTimeoutMs: 500,
  heldBytesTotalMax: 536_870_912,
  sweepIntervalMs: 1_000,
};
