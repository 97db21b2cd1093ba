// The thread pool and the scratch memory that all kernels share.
#pragma once
#include <cstdint>

/** Runs task(context, 0 … count − 1), on this thread and on idle workers; returns when all are done. */
void dagPoolRun(int64_t count, void (*task)(void* context, int64_t index), void* context);

/** Number of threads of a kernel. It may decide how work is cut, but results must not depend on it. */
int64_t dagPoolThreads();

/** Memory of at least `bytes`, aligned to a cache line, with unspecified contents; null if out of memory (such failures are counted). */
void* dagScratchTake(int64_t bytes);
void dagScratchReturn(void* memory);
int64_t dagScratchFailures();

/** Ends the process: the lists of kinds here and in src/backends/kinds.ts differ, so every result would be wrong. */
[[noreturn]] void dagUnknownKind(const char* kernel, int64_t kind);

namespace {

/** Calls body(index) for 0 … count − 1, on any threads in any order. */
template <typename Body>
void parallelFor(int64_t count, const Body& body) {
  dagPoolRun(
      count, [](void* context, int64_t index) { (*static_cast<const Body*>(context))(index); },
      const_cast<Body*>(&body));
}

/**
 * Calls body(begin, end) for 0 … n − 1 in pieces of `grain` elements, the last one shorter. The pieces depend on n and grain, never on
 * the number of threads, so that sums of partial sums have the same bits.
 */
template <typename Body>
void parallelRanges(int64_t n, int64_t grain, const Body& body) {
  parallelFor((n + grain - 1) / grain, [&](int64_t piece) {
    const int64_t begin = piece * grain;
    body(begin, begin + grain < n ? begin + grain : n);
  });
}

/** Return value of kernels that take scratch memory: 1 if there was not enough, so that there are no results. */
template <typename Body>
int32_t lacksMemory(const Body& body) {
  const int64_t before = dagScratchFailures();
  body();
  return dagScratchFailures() != before;
}

/** `count` elements of scratch memory for the lifetime of this object; null if out of memory. */
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(static_cast<T*>(dagScratchTake(count * sizeof(T)))) {}
  ~Scratch() {
    if (data_) dagScratchReturn(data_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  operator T*() const { return data_; }

 private:
  T* data_;
};

}  // namespace
