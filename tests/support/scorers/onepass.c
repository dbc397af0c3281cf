/* A yardstick for scoring a CSV file: one pass over its bytes that finds each cell, parses the
 * numbers, hashes the words and writes an id and a number for each row. No trees, no checks.
 *
 *     onepass IN.csv OUT.csv KINDS
 *
 * KINDS has a letter for each column of the file: i(d), n(umber), w(ord), - (passed over). */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, LINE = 1 << 16 };

static const double TENTHS[] = {1,    1e-1, 1e-2, 1e-3,  1e-4,  1e-5,  1e-6,  1e-7,
                                1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15};
static char in[BLOCK + LINE + 1], out[BLOCK + LINE];

static double number(const char *at, const char *end) {
  const char *begin = at;
  uint64_t digits = 0;
  int after = 0, count = 0, minus = at < end && *at == '-';
  for (at += minus; at < end && *at >= '0' && *at <= '9'; at++, count++)
    digits = digits * 10 + (uint64_t)(*at - '0');
  if (at < end && *at == '.')
    for (at++; at < end && *at >= '0' && *at <= '9'; at++, after++, count++)
      digits = digits * 10 + (uint64_t)(*at - '0');
  if (at == end && count <= 15)
    return (minus ? -1.0 : 1.0) * (double)digits * TENTHS[after];
  char copy[64] = {0}; /* an exponent, or more digits than a double holds */
  size_t length = (size_t)(end - begin) < 63 ? (size_t)(end - begin) : 63;
  memcpy(copy, begin, length);
  return strtod(copy, NULL);
}

static void whole_write(int file, const char *from, size_t bytes) {
  while (bytes) {
    ssize_t written = write(file, from, bytes);
    if (written < 0) exit(1);
    from += written;
    bytes -= (size_t)written;
  }
}

/* Read the row at `at`, and write its line to `*to`; return where it ends, or NULL if it is cut. */
static const char *row(const char *at, const char *end, const char *kinds, char **to) {
  double sum = 0;
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  const char *id = at, *id_end = at;
  for (int column = 0;; column++) {
    const char *begin = at, *stop;
    if (at < end && *at == '"') {
      for (begin = ++at; at < end && !(*at == '"' && at[1] != '"'); at += *at == '"' ? 2 : 1) {}
      stop = at++;
    } else {
      while (at < end && *at != ',' && *at != '\n') at++;
      stop = at;
    }
    if (at >= end) return NULL;
    switch (kinds[column]) {
      case 'i': id = begin, id_end = stop; break;
      case 'n': sum += number(begin, stop); break;
      case 'w':
        for (const char *c = begin; c < stop; c++) hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    }
    if (*at++ == '\n') break;
    if (!kinds[column + 1]) exit(3); /* more cells than the header has */
  }
  memcpy(*to, id, (size_t)(id_end - id));
  *to += id_end - id;
  memcpy(*to, ",0.", 3);
  *to += 3;
  uint64_t digits = (hash ^ (uint64_t)(int64_t)(sum * 100)) % 1000000;
  for (int place = 5; place >= 0; place--, digits /= 10) (*to)[place] = (char)('0' + digits % 10);
  (*to)[6] = '\n';
  *to += 7;
  return at;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  int source = open(arguments[1], O_RDONLY);
  int target = open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (source < 0 || target < 0) return 1;
  size_t kept = 0;
  int is_header = 1;
  char *to = out;
  for (;;) {
    ssize_t got = read(source, in + kept, BLOCK);
    if (got < 0) return 1;
    const char *at = in, *end = in + kept + got, *next;
    if (got == 0 && kept && end[-1] != '\n') in[kept] = '\n', end++;
    if (is_header) at = (const char *)memchr(in, '\n', (size_t)(end - in)) + 1, is_header = 0;
    while (at < end && (next = row(at, end, arguments[3], &to))) {
      at = next;
      if (to - out > BLOCK) whole_write(target, out, (size_t)(to - out)), to = out;
    }
    kept = (size_t)(end - at);
    if (got == 0) break;
    if (kept > LINE) return 1;
    memmove(in, at, kept);
  }
  whole_write(target, out, (size_t)(to - out));
  return kept != 0;
}
