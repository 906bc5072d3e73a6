/* The simulation of ../main.js in C: it keeps its checkpoint at a daemon, through the Redis protocol (hiredis).
 *
 *     cc -O2 -o heat heat.c -lhiredis
 *     ./heat STEPS [SIDE]
 *
 * BEDROCK_RESP_PORT says where the daemon is: port 7481 of 127.0.0.1 by default. The checkpoint has the same form as that of main.js, so
 * each program resumes what the other has left. The form is little-endian, as all processors are that the daemon runs on. */
#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY 50
#define NAME "heat"
#define MAGIC 0x54504b43u /* "CKPT" */
#define VERSION 1u

typedef struct {
  uint32_t magic;
  uint32_t version;
  uint64_t step;
} Header;

static void fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void* allocate(size_t size) {
  void* const memory = calloc(1, size);
  if (memory == NULL) fail("heat", "no memory");
  return memory;
}

/* Sends a command, and ends the program if it fails. */
static redisReply* command(redisContext* daemon, int count, const char** words, const size_t* lengths) {
  redisReply* const reply = redisCommandArgv(daemon, count, words, lengths);
  if (reply == NULL) fail(words[0], daemon->errstr);
  if (reply->type == REDIS_REPLY_ERROR) fail(words[0], reply->str);
  return reply;
}

/* Replaces the checkpoint. It is durable when this returns, if the target is persistent. */
static void save(redisContext* daemon, uint64_t step, const double* cells, size_t size) {
  const Header header = {MAGIC, VERSION, step};
  char* const bytes = allocate(sizeof header + size);
  memcpy(bytes, &header, sizeof header);
  memcpy(bytes + sizeof header, cells, size);
  const char* words[] = {"SET", NAME, bytes};
  const size_t lengths[] = {3, strlen(NAME), sizeof header + size};
  freeReplyObject(command(daemon, 3, words, lengths));
  free(bytes);
}

/* Fills the cells from the last checkpoint. Returns its step, or 0 if there is none. */
static uint64_t load(redisContext* daemon, double* cells, size_t size) {
  const char* words[] = {"GET", NAME};
  const size_t lengths[] = {3, strlen(NAME)};
  redisReply* const reply = command(daemon, 2, words, lengths);
  Header header = {0, 0, 0};
  if (reply->type == REDIS_REPLY_STRING) {
    if (reply->len < sizeof header) fail(NAME, "not a checkpoint");
    memcpy(&header, reply->str, sizeof header);
    if (header.magic != MAGIC || header.version != VERSION) fail(NAME, "not a checkpoint that this program knows");
    if (reply->len - sizeof header != size) fail(NAME, "the checkpoint is of a plate of another size");
    memcpy(cells, reply->str + sizeof header, size);
  }
  freeReplyObject(reply);
  return header.step;
}

/* One step of Jacobi's iteration on a square plate whose left edge is kept hot. */
static void advance(const double* cells, double* next, size_t side) {
  for (size_t row = 0; row < side; row++) {
    for (size_t column = 0; column < side; column++) {
      const size_t at = row * side + column;
      if (column == 0) {
        next[at] = 100;
      } else if (row == 0 || row == side - 1 || column == side - 1) {
        next[at] = 0;
      } else {
        next[at] = (cells[at - 1] + cells[at + 1] + cells[at - side] + cells[at + side]) / 4;
      }
    }
  }
}

static double mean(const double* cells, size_t count) {
  double sum = 0;
  for (size_t at = 0; at < count; at++) sum += cells[at];
  return sum / (double)count;
}

int main(int count, char** arguments) {
  const uint64_t steps = count > 1 ? strtoull(arguments[1], NULL, 10) : 0;
  const size_t side = count > 2 ? strtoull(arguments[2], NULL, 10) : 64;
  if (count > 3 || steps == 0 || side < 3 || side > 20000) {
    fprintf(stderr, "usage: heat STEPS [SIDE]\n");
    return 2;
  }
  const char* const port = getenv("BEDROCK_RESP_PORT");
  redisContext* const daemon = redisConnect("127.0.0.1", port == NULL ? 7481 : atoi(port));
  if (daemon == NULL || daemon->err != 0) fail("connect", daemon == NULL ? "no memory" : daemon->errstr);

  const size_t size = side * side * sizeof(double);
  double* cells = allocate(size);
  double* next = allocate(size);
  const uint64_t first = load(daemon, cells, size);
  if (first == 0) {
    printf("starting\n");
  } else {
    printf("resuming from step %" PRIu64 "\n", first);
  }
  for (uint64_t step = first + 1; step <= steps; step++) {
    advance(cells, next, side);
    double* const old = cells;
    cells = next;
    next = old;
    if (step % EVERY == 0 || step == steps) {
      save(daemon, step, cells, size);
      printf("step %" PRIu64 ": %.3f degrees on average\n", step, mean(cells, side * side));
      fflush(stdout);
    }
  }
  free(cells);
  free(next);
  redisFree(daemon);
  return 0;
}
