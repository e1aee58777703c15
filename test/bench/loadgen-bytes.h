/* Growing buffers, protobuf fields, random numbers, the clock, and what the kernel knows of a process. */
#ifndef LOADGEN_BYTES_H
#define LOADGEN_BYTES_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  uint8_t *at;
  size_t len, cap;
} Buf;

static void die(const char *what) {
  fprintf(stderr, "loadgen: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* xorshift64: fast, and the same keys on both servers. */
static uint64_t random_state = 0x2545F4914F6CDD1Dull;
static uint64_t random_next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static uint8_t *reserve(Buf *b, size_t n) {
  if (b->len + n > b->cap) {
    while (b->len + n > b->cap) b->cap = b->cap ? b->cap * 2 : 4096;
    b->at = realloc(b->at, b->cap);
    if (!b->at) die("out of memory");
  }
  return b->at + b->len;
}

static void append(Buf *b, const void *from, size_t n) {
  memcpy(reserve(b, n), from, n);
  b->len += n;
}

static void append_byte(Buf *b, uint8_t v) { append(b, &v, 1); }

/* ------------------------------------------------------------------------------------------------ what the kernel knows */

static double cpu_seconds(int pid) {
  char path[64], text[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = 0;
  char *p = strrchr(text, ')');
  unsigned long user = 0, system = 0;
  /* After the name: state and ten numbers, then utime and stime. */
  if (p) sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kb(int pid) {
  char path[64], line[256];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "VmRSS: %ld", &kb) == 1) break;
  }
  fclose(f);
  return kb;
}

/* ------------------------------------------------------------------------------------------------------------- protobuf */

static void put_varint(Buf *b, uint64_t v) {
  while (v > 0x7f) {
    append_byte(b, (uint8_t)(v | 0x80));
    v >>= 7;
  }
  append_byte(b, (uint8_t)v);
}

static void put_bytes(Buf *b, int field, const void *from, size_t n) {
  put_varint(b, (uint64_t)field << 3 | 2);
  put_varint(b, n);
  append(b, from, n);
}

static void put_int(Buf *b, int field, uint64_t v) {
  put_varint(b, (uint64_t)field << 3);
  put_varint(b, v);
}

/* A field of a message: its number, its integer value or its bytes. */
typedef struct {
  uint32_t number;
  uint64_t value;
  const uint8_t *at;
  size_t len;
} Field;

static bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v) {
  *v = 0;
  for (int shift = 0; *p < end && shift < 64; shift += 7) {
    uint8_t b = *(*p)++;
    *v |= (uint64_t)(b & 0x7f) << shift;
    if (b < 0x80) return true;
  }
  return false;
}

static bool next_field(const uint8_t **p, const uint8_t *end, Field *f) {
  uint64_t tag;
  if (*p >= end || !get_varint(p, end, &tag) || !get_varint(p, end, &f->value)) return false;
  f->number = (uint32_t)(tag >> 3);
  f->at = *p;
  f->len = 0;
  if ((tag & 7) == 2) {
    if (f->value > (uint64_t)(end - *p)) return false;
    f->len = f->value;
    *p += f->len;
  }
  return true;
}

static bool find_field(const uint8_t *at, size_t len, uint32_t number, Field *f) {
  const uint8_t *p = at;
  while (next_field(&p, at + len, f)) {
    if (f->number == number) return true;
  }
  return false;
}

#endif
