/* Calls over HTTP/2 with prior knowledge (RFC 9113): builds the requests of a group, sends them, reads the replies. */
#ifndef LOADGEN_CALLS_H
#define LOADGEN_CALLS_H
#include "loadgen-bytes.h"

enum { GROUPS_MAX = 8, VALUE_MAX = 16000, FRAME_HEAD = 9, GRPC_HEAD = 5, POOL_BYTES = 1 << 20 };
enum { RECV_BYTES = 1 << 20, WINDOW_STEP = 16 << 20, CREATE_TIMEOUT_S = 30, EVENTS_TIMEOUT_S = 30 };
/* HTTP/2 frame types and flags (RFC 9113, 6). */
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

/* A request under way, found by its stream id. */
typedef struct {
  double due;
  long key;
  uint32_t id;
  bool has_data;
  Buf message; /* only where the group reads its replies */
} Stream;

typedef struct Group Group;

typedef struct {
  Group *group;
  int fd;
  Buf in, out;
  size_t out_sent;
  bool wants_write, has_table, is_dirty;
  uint32_t next_id;
  int in_flight;
  int64_t send_window, received;
  Stream *streams; /* by (id >> 1) & mask */
  uint32_t mask;
  Buf pending; /* a request body that found no window */
  Stream pending_stream;
} Conn;

struct Group {
  const char *op, *order, *prefix;
  long conns, streams, total, rate, keys, value, limit;
  Conn *conn;
  long sent, done, errors, conflicts, events, created, seq;
  double started, ended;
  int64_t *revisions; /* txn: last known mod_revision by key */
  float *latencies;
  long latency_count, latency_cap;
  long bytes;
  int turn; /* open loop: the connection that is next */
};

static Group groups[GROUPS_MAX];
static int group_count, epoll_fd, timer_fd, server_pid;
static double deadline, wait_seconds;
static uint8_t *pool;

/* ------------------------------------------------------------------------------------------------------------- requests */

static long pick_key(Group *g) {
  if (!strcmp(g->order, "same")) return 0;
  if (!strcmp(g->order, "seq")) return g->seq++ % g->keys;
  return (long)(random_next() % (uint64_t)g->keys);
}

static size_t key_text(const Group *g, long key, char *to, size_t cap) {
  return (size_t)snprintf(to, cap, "%s%012ld", g->prefix, key);
}

static const uint8_t *some_value(const Group *g) {
  return pool + random_next() % (POOL_BYTES - (uint64_t)g->value);
}

static void put_request(Buf *b, const Group *g, const char *key, size_t key_len) {
  put_bytes(b, 1, key, key_len);
  put_bytes(b, 2, some_value(g), (size_t)g->value);
}

/* [prefix, prefix with its last byte one higher) into fields 1 and 2. */
static void put_prefix_range(Buf *b, const Group *g) {
  size_t n = strlen(g->prefix);
  char end[128];
  memcpy(end, g->prefix, n);
  end[n - 1]++;
  put_bytes(b, 1, g->prefix, n);
  put_bytes(b, 2, end, n);
}

/* compare mod_revision(key) = what was last seen; then put, else range. */
static void txn_request(Buf *b, const Group *g, long key, const char *text, size_t text_len) {
  static Buf inner, op;
  inner.len = op.len = 0;
  put_int(&inner, 2, 2); /* target MOD; result EQUAL is 0 */
  put_bytes(&inner, 3, text, text_len);
  put_int(&inner, 6, (uint64_t)g->revisions[key]);
  put_bytes(b, 1, inner.at, inner.len);
  inner.len = 0;
  put_request(&inner, g, text, text_len);
  put_bytes(&op, 2, inner.at, inner.len); /* RequestOp.request_put */
  put_bytes(b, 2, op.at, op.len);
  inner.len = op.len = 0;
  put_bytes(&inner, 1, text, text_len);
  put_bytes(&op, 1, inner.at, inner.len); /* RequestOp.request_range */
  put_bytes(b, 3, op.at, op.len);
}

/* The body of the group's next request, with its gRPC head, into `b`. */
static void build_request(Group *g, Buf *b, Stream *s) {
  static Buf inner;
  char text[160];
  s->key = *g->op == 'l' || *g->op == 'w' ? 0 : pick_key(g);
  size_t n = key_text(g, s->key, text, sizeof text);
  b->len = 0;
  reserve(b, GRPC_HEAD);
  b->len = GRPC_HEAD;
  if (*g->op == 'p') put_request(b, g, text, n);
  else if (*g->op == 'g') put_bytes(b, 1, text, n);
  else if (*g->op == 't') txn_request(b, g, s->key, text, n);
  else if (*g->op == 'l') {
    put_prefix_range(b, g);
    if (g->limit) put_int(b, 3, (uint64_t)g->limit);
  } else {
    inner.len = 0;
    put_prefix_range(&inner, g);
    put_bytes(b, 1, inner.at, inner.len); /* WatchRequest.create_request */
  }
  uint32_t size = htonl((uint32_t)(b->len - GRPC_HEAD));
  b->at[0] = 0;
  memcpy(b->at + 1, &size, 4);
}

static const char *path_of(const Group *g) {
  switch (*g->op) {
    case 'p': return "/etcdserverpb.KV/Put";
    case 't': return "/etcdserverpb.KV/Txn";
    case 'w': return "/etcdserverpb.Watch/Watch";
    default: return "/etcdserverpb.KV/Range";
  }
}

/* --------------------------------------------------------------------------------------------------------------- HTTP/2 */

static void frame(Buf *b, uint32_t len, uint8_t type, uint8_t flags, uint32_t id) {
  uint8_t head[FRAME_HEAD] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags,
                              (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
  append(b, head, FRAME_HEAD);
}

static void window_update(Buf *b, uint32_t by) {
  uint32_t n = htonl(by);
  frame(b, 4, WINDOW_UPDATE, 0, 0);
  append(b, &n, 4);
}

/* A header the peer is to remember (RFC 7541, 6.2.1); `name` is an index of the static table, or 0 with the name's text. */
static void remembered_header(Buf *b, int name, const char *name_text, const char *value) {
  append_byte(b, (uint8_t)(0x40 | name));
  if (!name) {
    append_byte(b, (uint8_t)strlen(name_text));
    append(b, name_text, strlen(name_text));
  }
  append_byte(b, (uint8_t)strlen(value));
  append(b, value, strlen(value));
}

static void headers(Conn *c, uint32_t id) {
  static Buf block;
  block.len = 0;
  append_byte(&block, 0x83); /* :method POST */
  append_byte(&block, 0x86); /* :scheme http */
  if (!c->has_table) {
    remembered_header(&block, 4, 0, path_of(c->group));
    remembered_header(&block, 1, 0, "127.0.0.1");
    remembered_header(&block, 31, 0, "application/grpc");
    remembered_header(&block, 58, 0, "loadgen");
    remembered_header(&block, 0, "te", "trailers");
    c->has_table = true;
  } else {
    /* The five entries, the newest of which is 62. */
    for (int index = 66; index >= 62; index--) append_byte(&block, (uint8_t)(0x80 | index));
  }
  frame(&c->out, (uint32_t)block.len, HEADERS, END_HEADERS, id);
  append(&c->out, block.at, block.len);
}

static int open_socket(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  double until = now() + wait_seconds;
  for (;;) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    if (now() > until) die("cannot connect");
    usleep(500);
  }
}

static void connect_to(Conn *c, Group *g, int port) {
  c->group = g;
  c->fd = open_socket(port);
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->next_id = 1;
  c->send_window = 65535;
  uint32_t slots = 1024;
  while (slots < 8 * (uint32_t)g->streams) slots *= 2;
  c->mask = slots - 1;
  c->streams = calloc(slots, sizeof(Stream));
  append(&c->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  /* SETTINGS_INITIAL_WINDOW_SIZE (4) = 2^30 - 1: streams are never short of window. */
  frame(&c->out, 6, SETTINGS, 0, 0);
  append(&c->out, "\0\4\x3f\xff\xff\xff", 6);
  window_update(&c->out, 0x3f000000);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void flush(Conn *c) {
  while (c->out_sent < c->out.len) {
    ssize_t n = send(c->fd, c->out.at + c->out_sent, c->out.len - c->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) die("connection lost while sending");
    if (n < 0) break;
    c->out_sent += (size_t)n;
  }
  bool wants = c->out_sent < c->out.len;
  if (!wants) c->out.len = c->out_sent = 0;
  if (wants == c->wants_write) return;
  c->wants_write = wants;
  struct epoll_event e = {.events = EPOLLIN | (wants ? EPOLLOUT : 0u), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

/* Sends the connection's pending body if the window, and the table of open streams, allow. */
static bool send_pending(Conn *c) {
  if (c->pending.len == 0) return true;
  if (c->send_window < (int64_t)c->pending.len || (uint32_t)c->in_flight > c->mask / 2) return false;
  uint32_t id = c->next_id;
  c->next_id += 2;
  Stream *s = &c->streams[id >> 1 & c->mask];
  Buf kept = s->message;
  *s = c->pending_stream;
  s->message = kept;
  s->message.len = 0;
  s->id = id;
  s->has_data = false;
  headers(c, id);
  /* Bodies are below the smallest frame limit (16,384). A watch stays open to its client side. */
  frame(&c->out, (uint32_t)c->pending.len, DATA, *c->group->op == 'w' ? 0 : END_STREAM, id);
  append(&c->out, c->pending.at, c->pending.len);
  c->send_window -= (int64_t)c->pending.len;
  c->pending.len = 0;
  c->in_flight++;
  return true;
}

/* Sends one more request, due at `due`. */
static void issue(Conn *c, double due) {
  Group *g = c->group;
  c->pending_stream.due = due;
  build_request(g, &c->pending, &c->pending_stream);
  g->sent++;
  send_pending(c);
}

static bool may_send(const Group *g) {
  return (g->total == 0 || g->sent < g->total) && (deadline == 0 || now() < deadline);
}

static void fill(Conn *c, double t) {
  Group *g = c->group;
  /* Before the clock runs nothing is sent, though the server may already speak: it would be work nobody counts. */
  if (!send_pending(c) || g->rate || *g->op == 'w' || g->started == 0) return;
  while (c->in_flight < g->streams && c->pending.len == 0 && may_send(g)) issue(c, t);
}

/* -------------------------------------------------------------------------------------------------------------- replies */

static void note_latency(Group *g, double seconds) {
  if (g->latency_count == g->latency_cap) {
    g->latency_cap = g->latency_cap ? g->latency_cap * 2 : 1 << 16;
    g->latencies = realloc(g->latencies, sizeof(float) * (size_t)g->latency_cap);
    if (!g->latencies) die("out of memory");
  }
  g->latencies[g->latency_count++] = (float)seconds;
}

/* Learns the key's revision from a TxnResponse. */
static void read_txn(Group *g, Stream *s, const uint8_t *at, size_t len) {
  Field f, header;
  if (find_field(at, len, 2, &f) && f.value) { /* succeeded */
    if (find_field(at, len, 1, &header) && find_field(header.at, header.len, 3, &f)) {
      g->revisions[s->key] = (int64_t)f.value;
    }
    return;
  }
  g->conflicts++;
  /* responses[0].response_range.kvs[0].mod_revision; no kv: the key is gone. */
  g->revisions[s->key] = 0;
  if (find_field(at, len, 3, &f) && find_field(f.at, f.len, 1, &f) && find_field(f.at, f.len, 2, &f) &&
      find_field(f.at, f.len, 3, &f)) {
    g->revisions[s->key] = (int64_t)f.value;
  }
}

static void read_watch(Group *g, const uint8_t *at, size_t len) {
  const uint8_t *p = at;
  Field f;
  while (next_field(&p, at + len, &f)) {
    if (f.number == 11) g->events++;
    else if (f.number == 3 && f.value) g->created++;
    else if (f.number == 4 && f.value) die("a watcher was cancelled");
  }
}

/* Takes every whole gRPC message out of the stream's buffer. */
static void read_messages(Group *g, Stream *s) {
  size_t pos = 0;
  while (s->message.len - pos >= GRPC_HEAD) {
    uint32_t size;
    memcpy(&size, s->message.at + pos + 1, 4);
    size = ntohl(size);
    if (s->message.len - pos < GRPC_HEAD + (size_t)size) break;
    const uint8_t *at = s->message.at + pos + GRPC_HEAD;
    if (*g->op == 't') read_txn(g, s, at, size);
    else read_watch(g, at, size);
    pos += GRPC_HEAD + size;
  }
  memmove(s->message.at, s->message.at + pos, s->message.len - pos);
  s->message.len -= pos;
}

static void end_stream(Conn *c, Stream *s, double t, bool ok) {
  Group *g = c->group;
  if (*g->op == 'w') die("a watch ended");
  c->in_flight--;
  g->done++;
  g->ended = t;
  if (ok && s->has_data) note_latency(g, t - s->due);
  else g->errors++;
}

static void on_frame(Conn *c, uint8_t type, uint8_t flags, uint32_t id, const uint8_t *at, uint32_t len, double t) {
  Stream *s = &c->streams[id >> 1 & c->mask];
  switch (type) {
    case DATA:
      c->received += len;
      c->group->bytes += len;
      if (s->id != id) die("a reply to a stream that is not open");
      if (len >= GRPC_HEAD) s->has_data = true;
      if (*c->group->op == 't' || *c->group->op == 'w') {
        append(&s->message, at, len);
        read_messages(c->group, s);
      }
      if (flags & END_STREAM) end_stream(c, s, t, true);
      break;
    case HEADERS:
      if (flags & END_STREAM) end_stream(c, s, t, true);
      break;
    case RST_STREAM:
      end_stream(c, s, t, false);
      break;
    case SETTINGS:
      if (flags & ACK) break;
      for (uint32_t i = 0; i + 6 <= len; i += 6) {
        uint32_t v = (uint32_t)at[i + 2] << 24 | (uint32_t)at[i + 3] << 16 | (uint32_t)at[i + 4] << 8 | at[i + 5];
        if (at[i + 1] == 3 && v < (uint32_t)c->group->streams) die("the server allows fewer streams");
      }
      frame(&c->out, 0, SETTINGS, ACK, 0);
      break;
    case PING:
      if (flags & ACK) break;
      frame(&c->out, 8, PING, ACK, 0);
      append(&c->out, at, 8);
      break;
    case WINDOW_UPDATE:
      if (id == 0) {
        c->send_window += (int64_t)(at[0] & 0x7f) << 24 | (int64_t)at[1] << 16 | (int64_t)at[2] << 8 | at[3];
      }
      break;
    case GOAWAY:
      die("the server is going away");
  }
}

static void on_readable(Conn *c) {
  uint8_t *to = reserve(&c->in, RECV_BYTES);
  ssize_t n = recv(c->fd, to, RECV_BYTES, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) die("the server closed a connection");
  c->in.len += (size_t)n;
  double t = now();
  size_t pos = 0;
  while (c->in.len - pos >= FRAME_HEAD) {
    const uint8_t *p = c->in.at + pos;
    uint32_t len = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    if (c->in.len - pos < FRAME_HEAD + (size_t)len) break;
    uint32_t id = (uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];
    on_frame(c, p[3], p[4], id, p + FRAME_HEAD, len, t);
    pos += FRAME_HEAD + len;
  }
  memmove(c->in.at, c->in.at + pos, c->in.len - pos);
  c->in.len -= pos;
  if (c->received > WINDOW_STEP) {
    window_update(&c->out, (uint32_t)c->received);
    c->received = 0;
  }
  fill(c, t);
  flush(c);
}

#endif
