/*
 * loadgen: loads an etcd client port over plain HTTP/2 and says how it did, at a cost of its own so small that on a two-core
 * machine the server is measured and not the client. One thread, one epoll loop, no library.
 *
 *   loadgen PORT [pid=N] [seconds=S] [wait=S] group op=... [option=value ...] [group ...]
 *
 * Groups run side by side, each on connections of its own:
 *   op       put | get | txn (guarded put as Kubernetes sends it) | list (the whole prefix) | watch (the whole prefix)
 *   conns    connections (1)            streams  requests in flight per connection, or watchers on it (1)
 *   total    requests; 0: until the other groups are done or `seconds` have passed
 *   rate     requests per second, open loop: latency counts from when a request was due; 0: closed loop
 *   keys     number of keys (100000)    order    rand | seq | same
 *   value    bytes of a value (128)     limit    of a list (0)         prefix   of the keys ("key-")
 *
 * With `wait` a refused connection is tried again for so long; `lastReplyS` is CLOCK_MONOTONIC.
 * The run starts when all watchers are created, and ends when every group with a total is done and its events have arrived, or
 * after `seconds`. Output: one JSON object. A reply without a message counts as an error: every reply of a healthy server has one.
 */
#include "loadgen-calls.h"

/* Sends what is due in the open-loop groups and says when the next request is, 0 for never. */
static double run_schedule(double t) {
  double next = 0;
  for (int i = 0; i < group_count; i++) {
    Group *g = &groups[i];
    if (!g->rate || !g->started) continue;
    double due = g->started + (double)g->sent / (double)g->rate;
    while (due <= t && may_send(g)) {
      Conn *c = &g->conn[g->turn++ % g->conns];
      /* A connection without window holds one body back; the schedule goes on, and its lateness is in the latency. */
      if (!send_pending(c)) break;
      issue(c, due);
      c->is_dirty = true;
      due = g->started + (double)g->sent / (double)g->rate;
    }
    for (long n = 0; n < g->conns; n++) {
      if (g->conn[n].is_dirty) flush(&g->conn[n]);
      g->conn[n].is_dirty = false;
    }
    if (may_send(g) && (next == 0 || due < next)) next = due;
  }
  return next;
}

static void arm_timer(double at, double t) {
  double wait = at > t ? at - t : 1e-6;
  struct itimerspec spec = {.it_value = {(time_t)wait, (long)(fmod(wait, 1) * 1e9) + 1}};
  if (spec.it_value.tv_nsec > 999999999) spec.it_value.tv_nsec = 999999999;
  timerfd_settime(timer_fd, 0, &spec, 0);
}

static void turn(double until) {
  struct epoll_event events[256];
  double t = now();
  double next = run_schedule(t);
  if (next == 0 || next > until) next = until;
  arm_timer(next, t);
  int n = epoll_wait(epoll_fd, events, 256, -1);
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (!c) {
      uint64_t ticks;
      if (read(timer_fd, &ticks, sizeof ticks) < 0) continue;
      continue;
    }
    if (events[i].events & EPOLLOUT) flush(c);
    if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) on_readable(c);
  }
}

static bool watchers_created(void) {
  for (int i = 0; i < group_count; i++) {
    if (*groups[i].op == 'w' && groups[i].created < groups[i].conns * groups[i].streams) return false;
  }
  return true;
}

/* True when every group with a total has all its replies; time over counts as done once nothing is under way. */
static bool is_done(double t) {
  bool is_over = deadline != 0 && t >= deadline;
  for (int i = 0; i < group_count; i++) {
    Group *g = &groups[i];
    if (*g->op == 'w') continue;
    if (is_over ? g->done < g->sent : g->total && g->done < g->total) return false;
    if (!is_over && !g->total && deadline) return false;
  }
  return true;
}

static long expected_events(const Group *watch) {
  long puts = 0;
  for (int i = 0; i < group_count; i++) {
    if (*groups[i].op == 'p' && !strcmp(groups[i].prefix, watch->prefix)) puts += groups[i].done;
  }
  return puts * watch->conns * watch->streams;
}

static bool events_arrived(void) {
  for (int i = 0; i < group_count; i++) {
    if (*groups[i].op == 'w' && groups[i].events < expected_events(&groups[i])) return false;
  }
  return true;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static double percentile(const Group *g, double p) {
  if (!g->latency_count) return 0;
  long at = (long)((double)g->latency_count * p);
  if (at >= g->latency_count) at = g->latency_count - 1;
  return (double)g->latencies[at] * 1e3;
}

static void print_group(Group *g) {
  qsort(g->latencies, (size_t)g->latency_count, sizeof(float), by_size);
  double seconds = g->ended - g->started;
  printf("{\"op\":\"%s\",\"done\":%ld,\"errors\":%ld,\"conflicts\":%ld,\"events\":%ld,\"bytes\":%ld,\"perSecond\":%.1f,"
         "\"p50Ms\":%.4f,\"p99Ms\":%.4f,\"p999Ms\":%.4f,\"maxMs\":%.4f}",
         g->op, g->done, g->errors, g->conflicts, g->events, g->bytes, seconds > 0 ? (double)g->done / seconds : 0,
         percentile(g, 0.5), percentile(g, 0.99), percentile(g, 0.999), percentile(g, 1));
}

static void parse_group_option(Group *g, const char *name, const char *value) {
  if (!strcmp(name, "op")) g->op = value;
  else if (!strcmp(name, "order")) g->order = value;
  else if (!strcmp(name, "prefix")) g->prefix = value;
  else if (!strcmp(name, "conns")) g->conns = atol(value);
  else if (!strcmp(name, "streams")) g->streams = atol(value);
  else if (!strcmp(name, "total")) g->total = atol(value);
  else if (!strcmp(name, "rate")) g->rate = atol(value);
  else if (!strcmp(name, "keys")) g->keys = atol(value);
  else if (!strcmp(name, "value")) g->value = atol(value);
  else if (!strcmp(name, "limit")) g->limit = atol(value);
  else die("unknown option");
}

static double parse(int argc, char **argv) {
  double seconds = 0;
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "group")) {
      if (group_count == GROUPS_MAX) die("too many groups");
      groups[group_count++] = (Group){.op = "", .order = "rand", .prefix = "key-", .conns = 1, .streams = 1,
                                      .keys = 100000, .value = 128};
      continue;
    }
    char *eq = strchr(argv[i], '=');
    if (!eq) die("expected name=value");
    *eq = 0;
    if (group_count) parse_group_option(&groups[group_count - 1], argv[i], eq + 1);
    else if (!strcmp(argv[i], "pid")) server_pid = atoi(eq + 1);
    else if (!strcmp(argv[i], "seconds")) seconds = atof(eq + 1);
    else if (!strcmp(argv[i], "wait")) wait_seconds = atof(eq + 1);
    else die("unknown option");
  }
  for (int i = 0; i < group_count; i++) {
    Group *g = &groups[i];
    if (!*g->op || !strchr("pgtlw", *g->op)) die("a group needs an op");
    if (g->value > VALUE_MAX || g->keys < 1 || g->conns < 1 || strlen(g->prefix) > 100) die("option out of range");
    if (*g->op == 't') g->revisions = calloc((size_t)g->keys, sizeof(int64_t));
  }
  return seconds;
}

static void connect_all(int port) {
  for (int i = 0; i < group_count; i++) {
    Group *g = &groups[i];
    g->conn = calloc((size_t)g->conns, sizeof(Conn));
    for (long n = 0; n < g->conns; n++) connect_to(&g->conn[n], g, port);
    if (*g->op != 'w') continue;
    for (long n = 0; n < g->conns; n++) {
      for (long s = 0; s < g->streams; s++) issue(&g->conn[n], now());
    }
  }
  for (int i = 0; i < group_count; i++) {
    for (long n = 0; n < groups[i].conns; n++) flush(&groups[i].conn[n]);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) die("usage: loadgen PORT [pid=N] [seconds=S] group op=put|get|txn|list|watch [option=value ...]");
  double seconds = parse(argc, argv);
  pool = malloc(POOL_BYTES);
  for (int i = 0; i < POOL_BYTES; i++) pool[i] = (uint8_t)(random_next() >> 32);
  epoll_fd = epoll_create1(0);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &e);
  connect_all(atoi(argv[1]));
  /* Servers differ in what they say on a new connection; a moment for it, except where the time to the first answer counts. */
  double limit = now() + CREATE_TIMEOUT_S, settle = now() + (wait_seconds > 0 ? 0 : 0.02);
  while (now() < settle || !watchers_created()) {
    if (now() > limit) die("the watchers were not created in time");
    turn(now() + 0.01);
  }
  double cpu0 = cpu_seconds(server_pid), own0 = cpu_seconds(getpid()), t0 = now();
  deadline = seconds > 0 ? t0 + seconds : 0;
  for (int i = 0; i < group_count; i++) {
    groups[i].started = t0;
    for (long n = 0; n < groups[i].conns; n++) {
      fill(&groups[i].conn[n], t0);
      flush(&groups[i].conn[n]);
    }
  }
  while (!is_done(now())) turn(now() + 0.1);
  limit = now() + EVENTS_TIMEOUT_S;
  while (!events_arrived()) {
    if (now() > limit) die("not all events arrived");
    turn(now() + 0.01);
  }
  double t1 = now();
  printf("{\"seconds\":%.4f,\"lastReplyS\":%.6f,\"cpuSeconds\":%.3f,\"ownCpuSeconds\":%.3f,\"rssKb\":%ld,\"groups\":[", t1 - t0,
         groups[0].ended,
         cpu_seconds(server_pid) - cpu0, cpu_seconds(getpid()) - own0, rss_kb(server_pid));
  for (int i = 0; i < group_count; i++) {
    if (i) printf(",");
    print_group(&groups[i]);
  }
  printf("]}\n");
  return 0;
}
