#include "pool.h"

#if defined(__APPLE__)
#include <dlfcn.h>
#endif
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <atomic>

#include "exports.h"

namespace {

/** Polls for work before a thread sleeps: tens of microseconds, the gap between two kernels of a step. */
constexpr int SPINS = 4000;
/** Same as MAX_THREADS in src/devices.ts. */
constexpr int MAX_THREADS = 1024;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/**
 * The pool runs one job at a time. A job is open from the moment its number is published until its caller closes it. Workers
 * that find it open increment a counter, take indices until none is left, and decrement it. All data is static and never
 * destroyed, so that workers which sleep when the process exits simply end with it.
 */
struct Pool {
  /** Set while a thread runs a job. Another thread (of another Node worker) then runs its job alone, without the pool. */
  std::atomic<bool> taken{false};
  /** Maximum number of threads that work on a job, including its caller. */
  std::atomic<int> limit{1};
  /** Whether dag_set_threads was called. */
  std::atomic<bool> limited{false};
  int started = 1;

  void (*task)(void*, int64_t) = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> open{0};
  std::atomic<int> inside{0};

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t work = PTHREAD_COND_INITIALIZER;
  pthread_cond_t done = PTHREAD_COND_INITIALIZER;
  std::atomic<int> sleepers{0};
  std::atomic<bool> callerSleeps{false};
};

Pool pool;

void takeIndices() {
  for (int64_t i; (i = pool.next.fetch_add(1)) < pool.count;) pool.task(pool.context, i);
}

void awaitJob(uint64_t seen) {
  for (int spin = 0; spin < SPINS; spin++) {
    if (pool.published.load() != seen) return;
    pause();
  }
  pthread_mutex_lock(&pool.mutex);
  pool.sleepers++;
  while (pool.published.load() == seen) pthread_cond_wait(&pool.work, &pool.mutex);
  pool.sleepers--;
  pthread_mutex_unlock(&pool.mutex);
}

void* workerMain(void* argument) {
  const int index = static_cast<int>(reinterpret_cast<intptr_t>(argument));
  uint64_t seen = 0;
  for (;;) {
    awaitJob(seen);
    seen = pool.published.load();
    pool.inside++;
    if (pool.open.load() == seen && index < pool.limit.load()) takeIndices();
    if (--pool.inside == 0 && pool.callerSleeps.load()) {
      pthread_mutex_lock(&pool.mutex);
      pthread_cond_signal(&pool.done);
      pthread_mutex_unlock(&pool.mutex);
    }
  }
}

void awaitWorkers() {
  for (int spin = 0; spin < SPINS; spin++) {
    if (pool.inside.load() == 0) return;
    pause();
  }
  pthread_mutex_lock(&pool.mutex);
  pool.callerSleeps = true;
  while (pool.inside.load() != 0) pthread_cond_wait(&pool.done, &pool.mutex);
  pool.callerSleeps = false;
  pthread_mutex_unlock(&pool.mutex);
}

/** Keeps the library loaded, because workers run its code until the process ends. On other systems the linker's `nodelete` does. */
void keepLoaded() {
#if defined(__APPLE__)
  Dl_info library;
  if (dladdr(&pool, &library) != 0) dlopen(library.dli_fname, RTLD_NOW | RTLD_NODELETE);
#endif
}

void startWorkers(int threads) {
  if (threads > pool.started) keepLoaded();
  sigset_t all, before;
  sigfillset(&all);
  // Workers block all signals: JavaScript's threads handle them.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; pool.started < threads; pool.started++) {
    pthread_t thread;
    void* index = reinterpret_cast<void*>(static_cast<intptr_t>(pool.started));
    if (pthread_create(&thread, nullptr, workerMain, index) != 0) break;
    pthread_detach(thread);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

void dagPoolRun(int64_t count, void (*task)(void*, int64_t), void* context) {
  if (count > 1 && pool.limit.load() > 1 && !pool.taken.exchange(true)) {
    pool.task = task;
    pool.context = context;
    pool.count = count;
    pool.next = 0;
    pool.open = pool.published.load() + 1;
    pool.published++;
    if (pool.sleepers.load() > 0) {
      pthread_mutex_lock(&pool.mutex);
      pthread_cond_broadcast(&pool.work);
      pthread_mutex_unlock(&pool.mutex);
    }
    takeIndices();
    pool.open = 0;
    awaitWorkers();
    pool.taken = false;
    return;
  }
  for (int64_t i = 0; i < count; i++) task(context, i);
}

int64_t dagPoolThreads() { return pool.limit.load(); }

/** Number of threads per kernel; 0 before dag_set_threads was called. */
DAG_EXPORT int32_t dag_threads(void) { return pool.limited.load() ? pool.limit.load() : 0; }

/** Sets the number of threads per kernel, including the caller; returns the actual number. */
DAG_EXPORT int32_t dag_set_threads(int32_t threads) {
  while (pool.taken.exchange(true)) sched_yield();
  const int wanted = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
  startWorkers(wanted);
  const int there = wanted < pool.started ? wanted : pool.started;
  pool.limit = there;
  pool.limited = true;
  pool.taken = false;
  return there;
}
