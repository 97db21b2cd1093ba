// Loops over contiguous memory.
#pragma once
#include "runtime/pool.h"
#include "shuffle.h"

namespace {

/** Elements that one thread takes at a time in memory-bound kernels. */
constexpr i64 GRAIN = 1 << 15;

/** Calls body(i, LANES) for each whole vector of begin … end − 1, and body(i, rest) for the rest. */
template <typename T, typename Body>
inline DAG_INLINE void forVectors(i64 begin, i64 end, const Body& body) {
  i64 i = begin;
  for (; i + LANES<T> <= end; i += LANES<T>) body(i, LANES<T>);
  if (i < end) body(i, end - i);
}

/** The same on all threads. */
template <typename T, typename Body>
inline void stream(i64 n, const Body& body) {
  parallelRanges(n, GRAIN, [&](i64 begin, i64 end) { forVectors<T>(begin, end, body); });
}

/** y[0 … n) = v, or += v. */
template <typename T>
inline DAG_INLINE void put(T* y, Vec<T> v, i64 n, bool accumulate) {
  storeUpTo(y, accumulate ? loadUpTo(y, n) + v : v, n);
}

inline i64 least(i64 a, i64 b) { return a < b ? a : b; }
inline i64 most(i64 a, i64 b) { return a > b ? a : b; }

}  // namespace
