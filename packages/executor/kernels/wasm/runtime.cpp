// Replaces kernels/cpu/runtime in WebAssembly, with the pool of pool.cpp or serial.cpp: growing memory, and faults, whose reason
// JavaScript reads after the trap; see src/backends/wasm/instance.ts.
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "../cpu/runtime/exports.h"
#include "../cpu/runtime/pool.h"

namespace {

constexpr uint64_t CACHE_LINE = 64;
constexpr uint64_t ADDRESSES = uint64_t{1} << 32;

enum Fault : int32_t { NONE, UNKNOWN_KIND };
int32_t fault = NONE;
std::atomic<int64_t> failures{0};

[[noreturn]] void stop(Fault reason) {
  fault = reason;
  __builtin_trap();
}

std::atomic<bool> isAllocating{false};

/** The allocator of wasi-libc is made for one thread. */
struct Alone {
  Alone() {
    while (isAllocating.exchange(true)) {
    }
  }
  ~Alone() { isAllocating = false; }
};

void* allocate(uint64_t bytes) {
  const uint64_t whole = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
  const Alone alone;
  return whole < ADDRESSES ? aligned_alloc(CACHE_LINE, whole > 0 ? whole : CACHE_LINE) : nullptr;
}

void giveBack(void* memory) {
  const Alone alone;
  free(memory);
}

}  // namespace

void* dagScratchTake(int64_t bytes) {
  void* const memory = allocate(static_cast<uint64_t>(bytes));
  if (!memory) failures++;
  return memory;
}

int64_t dagScratchFailures() { return failures; }

void dagScratchReturn(void* memory) { giveBack(memory); }

void dagUnknownKind(const char*, int64_t) { stop(UNKNOWN_KIND); }

/** Memory for a tensor, aligned to a cache line; null if out of memory. */
DAG_EXPORT void* dag_allocate(double bytes) { return allocate(static_cast<uint64_t>(bytes)); }
DAG_EXPORT void dag_free(void* memory) { giveBack(memory); }

/** Why the last kernel trapped, a Fault. */
DAG_EXPORT int32_t dag_fault() {
  const int32_t reason = fault;
  fault = NONE;
  return reason;
}
