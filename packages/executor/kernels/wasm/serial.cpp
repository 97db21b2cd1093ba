// One thread: what stands for the thread pool where memory is not shared.
#include "../cpu/runtime/pool.h"

void dagPoolRun(int64_t count, void (*task)(void* context, int64_t index), void* context) {
  for (int64_t i = 0; i < count; i++) task(context, i);
}

int64_t dagPoolThreads() { return 1; }
