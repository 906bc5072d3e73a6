/*
 * The reference for bench/native.js: the same operations by libpmem, from C. It reads lines "OPERATION SIZE COUNT" and answers
 * each with the nanoseconds an operation took, so that it and Node can be measured in turn.
 */
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Operations walk through so much of the file, as in bench/native.js. */
#define SPAN (32u << 20)
#define BATCH 64

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int count, char **arguments) {
  size_t mapped;
  int is_pmem;
  if (count < 2) return 2;
  char *base = pmem_map_file(arguments[1], 0, 0, 0, &mapped, &is_pmem);
  if (base == NULL || !is_pmem || mapped < 2 * SPAN) {
    fprintf(stderr, "%s\n", base == NULL ? pmem_errormsg() : "the mapping does not pass for persistent memory");
    return 1;
  }
  char *source = malloc(1 << 20);
  memset(source, 7, 1 << 20);

  char operation[32];
  size_t size;
  long times;
  while (scanf("%31s %zu %ld", operation, &size, &times) == 3) {
    size_t offset = 0;
    const double start = now();
    if (strcmp(operation, "copyPersist") == 0) {
      for (long i = 0; i < times; i++) {
        pmem_memcpy_persist(base + offset, source, size);
        offset = (offset + size) & (SPAN - 1);
      }
    } else if (strcmp(operation, "persist") == 0) {
      for (long i = 0; i < times; i++) {
        base[offset] = (char)i;
        pmem_persist(base + offset, size);
        offset = (offset + size) & (SPAN - 1);
      }
    } else {
      for (long i = 0; i < times; i++) {
        for (int j = 0; j < BATCH; j++) {
          memcpy(base + offset, source, size);
          pmem_flush(base + offset, size);
          offset = (offset + size) & (SPAN - 1);
        }
        pmem_drain();
      }
    }
    printf("%.3f\n", (now() - start) / (double)times);
    fflush(stdout);
  }
  pmem_unmap(base, mapped);
  return 0;
}
