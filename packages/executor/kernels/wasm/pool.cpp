// The thread pool where memory is shared; see runtime/pool.cpp, the native one. JavaScript makes a worker for each further
// thread (src/backends/wasm/threads.ts). It instantiates this module on the same memory, with a stack of its own, and calls
// dag_work, which does not return.
#include <atomic>

#include "../cpu/runtime/exports.h"
#include "../cpu/runtime/pool.h"

/** JavaScript makes workers, until there are `threads` with the caller. They may come up later, or never. */
extern "C" __attribute__((import_module("env"), import_name("dag_start_workers"))) void dag_start_workers(int32_t threads);

namespace {

/** Turns to look for work before a thread sleeps: some tens of microseconds, the gap between two kernels of a step. */
constexpr int SPINS = 20000;
/** Workers are made after that many pieces of work: these take about as long as workers take to come up. */
constexpr int64_t WORTH_WORKERS = 256;

using Word = std::atomic<int32_t>;

/** One job at a time. Workers that find it open count themselves in, take indices until none is left, and count themselves out. */
struct Pool {
  /** Held by a job. Those that begin inside another one run serially. */
  std::atomic<bool> taken{false};
  /** Threads that may work on a job, its caller included. */
  Word limit{1};
  /** Threads that are there, the caller of jobs included. */
  Word started{1};
  int32_t requested = 1;
  int64_t pieces = 0;

  void (*task)(void*, int64_t) = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  Word published{0};
  Word open{0};
  Word inside{0};
  Word sleepers{0};
  /** Whether the caller may sleep: the main thread of a page may not. */
  bool maySleep = false;
  std::atomic<bool> callerSleeps{false};
  std::atomic<bool> failed{false};
};

Pool pool;

void sleepWhile(Word& word, int32_t value) {
  __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(&word), value, -1);
}

void wake(Word& word) { __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(&word), UINT32_MAX); }

void takeIndices() {
  for (int64_t i; (i = pool.next.fetch_add(1)) < pool.count;) pool.task(pool.context, i);
}

void awaitJob(int32_t seen) {
  for (int spin = 0; spin < SPINS; spin++)
    if (pool.published.load() != seen) return;
  pool.sleepers++;
  while (pool.published.load() == seen) sleepWhile(pool.published, seen);
  pool.sleepers--;
}

void leave() {
  if (--pool.inside == 0 && pool.callerSleeps.load()) wake(pool.inside);
}

void awaitWorkers() {
  for (int spin = 0; spin < SPINS || !pool.maySleep; spin++)
    if (pool.inside.load() == 0) return;
  pool.callerSleeps = true;
  for (int32_t count; (count = pool.inside.load()) != 0;) sleepWhile(pool.inside, count);
  pool.callerSleeps = false;
}

void requestWorkers(int64_t count) {
  if (pool.pieces < WORTH_WORKERS) pool.pieces += count;
  const int32_t limit = pool.limit.load();
  if (pool.pieces < WORTH_WORKERS || pool.requested >= limit) return;
  pool.requested = limit;
  dag_start_workers(limit);
}

}  // namespace

void dagPoolRun(int64_t count, void (*task)(void* context, int64_t index), void* context) {
  if (count > 1 && pool.limit.load() > 1 && !pool.taken.exchange(true)) {
    requestWorkers(count);
    pool.task = task;
    pool.context = context;
    pool.count = count;
    pool.next = 0;
    pool.open = pool.published.load() + 1;
    pool.published++;
    if (pool.sleepers.load() > 0) wake(pool.published);
    takeIndices();
    pool.open = 0;
    awaitWorkers();
    // The pool stays taken: all later work is serial.
    if (pool.failed.load()) __builtin_trap();
    pool.taken = false;
    return;
  }
  for (int64_t i = 0; i < count; i++) task(context, i);
}

int64_t dagPoolThreads() {
  const int32_t started = pool.started.load(), limit = pool.limit.load();
  return started < limit ? started : limit;
}

/** Sets how many threads may run a kernel, the caller included; `maySleep`: whether the caller may. */
DAG_EXPORT void dag_set_threads(int32_t threads, int32_t maySleep) {
  pool.limit = threads;
  pool.maySleep = maySleep != 0;
}

/** Threads that are there. */
DAG_EXPORT int32_t dag_started() { return pool.started.load(); }

/** The life of a worker. */
DAG_EXPORT void dag_work() {
  int32_t seen = pool.published.load();
  const int32_t index = pool.started++;
  for (;;) {
    awaitJob(seen);
    seen = pool.published.load();
    pool.inside++;
    if (pool.open.load() == seen && index < pool.limit.load()) takeIndices();
    leave();
  }
}

/** After a trap in dag_work: the kernel of the caller traps as well. */
DAG_EXPORT void dag_work_failed() {
  pool.failed = true;
  leave();
}
