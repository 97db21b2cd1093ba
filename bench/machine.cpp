// What the machine can do at most: single-precision multiply-adds and copying, on the threads given. Prints JSON.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
typedef float Vector __attribute__((vector_size(BYTES)));

constexpr int MAX_THREADS = 64, REPEATS = 15;
constexpr long ROUNDS = 8000000;
constexpr int CHAINS = 12;
constexpr size_t COPIED = size_t{256} << 20;

static int threads;
static pthread_barrier_t barrier;
static double seconds[MAX_THREADS];
static float sink[MAX_THREADS];
static char *from, *to;

static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/** Independent chains of multiply-adds in registers, more of them than the units are deep. */
static void multiplyAdd(int index) {
  Vector sum[CHAINS], factor, term;
  for (int lane = 0; lane < BYTES / 4; lane++) factor[lane] = 0.999f, term[lane] = 0.001f * index;
  for (Vector& s : sum) s = term;
  for (long round = 0; round < ROUNDS; round++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * factor + term;
  for (Vector& s : sum) sink[index] += s[0];
}

static void copy(int index) {
  const size_t part = COPIED / threads;
  memcpy(to + index * part, from + index * part, part);
}

struct Work {
  void (*body)(int);
  int index;
};

static void* timed(void* argument) {
  const Work& work = *static_cast<Work*>(argument);
#if defined(__linux__)
  // A core each: new threads may begin on the same one.
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(work.index, &core);
  sched_setaffinity(0, sizeof core, &core);
#endif
  pthread_barrier_wait(&barrier);
  const double begin = now();
  work.body(work.index);
  seconds[work.index] = now() - begin;
  return nullptr;
}

/** The time of the slowest thread, the median of some repeats. */
static double median(void (*body)(int)) {
  double times[REPEATS];
  for (double& time : times) {
    pthread_t thread[MAX_THREADS];
    Work work[MAX_THREADS];
    for (int i = 0; i < threads; i++) {
      work[i] = {body, i};
      pthread_create(&thread[i], nullptr, timed, &work[i]);
    }
    for (int i = 0; i < threads; i++) pthread_join(thread[i], nullptr);
    time = *std::max_element(seconds, seconds + threads);
  }
  std::sort(times, times + REPEATS);
  return times[REPEATS / 2];
}

int main(int argc, char** argv) {
  threads = std::min(MAX_THREADS, argc > 1 ? atoi(argv[1]) : 2);
  pthread_barrier_init(&barrier, nullptr, threads);
  from = static_cast<char*>(malloc(COPIED));
  to = static_cast<char*>(malloc(COPIED));
  memset(from, 1, COPIED);
  memset(to, 2, COPIED);
  const double flops = 2.0 * (BYTES / 4) * CHAINS * ROUNDS * threads / median(multiplyAdd);
  const double bytes = 2.0 * COPIED / median(copy);
  printf("{\"gflops\": %.1f, \"copyGBs\": %.2f}\n", flops * 1e-9, bytes * 1e-9);
}
