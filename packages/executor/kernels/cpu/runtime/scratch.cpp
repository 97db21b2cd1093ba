#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "exports.h"
#include "pool.h"
#include "sanitizer.h"

namespace {

constexpr int64_t CACHE_LINE = 64;
/** Blocks of at least this size use huge pages, if the system has them. */
constexpr int64_t HUGE_PAGE = int64_t{1} << 21;

constexpr int64_t MOST = int64_t{1} << 48;

/** The header before each block of memory: one cache line. */
struct alignas(64) Block {
  int64_t bytes;
  Block* next;
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Block* idle = nullptr;
int64_t allocated = 0;
int64_t lent = 0;
int64_t failures = 0;

/** Sizes are rounded up to powers of two, so that a block fits the next request of about its size. */
int64_t classOf(int64_t bytes) {
  int64_t size = 4096;
  while (size < bytes && size < MOST) size *= 2;
  return size;
}

Block* takeIdle(int64_t bytes) {
  for (Block** at = &idle; *at; at = &(*at)->next)
    if ((*at)->bytes == bytes) {
      Block* found = *at;
      *at = found->next;
      return found;
    }
  return nullptr;
}

void* failed() {
  __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
  return nullptr;
}

}  // namespace

int64_t dagScratchFailures() { return __atomic_load_n(&failures, __ATOMIC_RELAXED); }

void* dagScratchTake(int64_t bytes) {
  const int64_t size = classOf(bytes);
  if (size < bytes) return failed();
  pthread_mutex_lock(&mutex);
  Block* block = takeIdle(size);
  if (!block) {
    void* memory = nullptr;
    if (posix_memalign(&memory, size < HUGE_PAGE ? CACHE_LINE : HUGE_PAGE, sizeof(Block) + size) != 0) {
      pthread_mutex_unlock(&mutex);
      return failed();
    }
#if defined(__linux__)
    if (size >= HUGE_PAGE) madvise(memory, sizeof(Block) + size, MADV_HUGEPAGE);
#endif
    block = static_cast<Block*>(memory);
    block->bytes = size;
    allocated++;
  }
  lent++;
  pthread_mutex_unlock(&mutex);
  char* const memory = reinterpret_cast<char*>(block + 1);
  permit(memory, bytes);
  forbid(memory + bytes, size - bytes);
  return memory;
}

void dagScratchReturn(void* memory) {
  Block* block = static_cast<Block*>(memory) - 1;
  forbid(memory, block->bytes);
  pthread_mutex_lock(&mutex);
  block->next = idle;
  idle = block;
  lent--;
  pthread_mutex_unlock(&mutex);
}

void dagUnknownKind(const char* kernel, int64_t kind) {
  fprintf(stderr, "@dag/executor: the kernel %s knows no kind %lld\n", kernel, static_cast<long long>(kind));
  abort();
}

/** stats[0]: blocks ever allocated, stats[1]: blocks in use by kernels now. */
DAG_EXPORT void dag_scratch_stats(double* stats) {
  pthread_mutex_lock(&mutex);
  stats[0] = static_cast<double>(allocated);
  stats[1] = static_cast<double>(lent);
  pthread_mutex_unlock(&mutex);
}
