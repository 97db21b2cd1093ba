// Interleaving and transposing vectors.
#pragma once
#include "simd.h"

namespace {

/** a0 b0 a1 b1 … of the lower halves of a and b. */
template <typename V>
inline __attribute__((always_inline)) V zipLow(V a, V b) {
  constexpr i64 lanes = sizeof(V) / sizeof(a[0]);
  if constexpr (lanes == 2) return __builtin_shufflevector(a, b, 0, 2);
  if constexpr (lanes == 4) return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  if constexpr (lanes == 8) return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  if constexpr (lanes == 16)
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** The same of the upper halves. */
template <typename V>
inline __attribute__((always_inline)) V zipHigh(V a, V b) {
  constexpr i64 lanes = sizeof(V) / sizeof(a[0]);
  if constexpr (lanes == 2) return __builtin_shufflevector(a, b, 1, 3);
  if constexpr (lanes == 4) return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  if constexpr (lanes == 8) return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  if constexpr (lanes == 16)
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** Transposes a square of LANES × LANES, by interleaving halves of rows log₂(LANES) times. */
template <typename T>
inline __attribute__((always_inline)) void transpose(Vec<T> (&rows)[LANES<T>]) {
  constexpr i64 L = LANES<T>;
#pragma GCC unroll 4
  for (i64 stage = 1; stage < L; stage *= 2) {
    Vec<T> next[L];
#pragma GCC unroll 16
    for (i64 i = 0; i < L / 2; i++) {
      next[2 * i] = zipLow(rows[i], rows[i + L / 2]);
      next[2 * i + 1] = zipHigh(rows[i], rows[i + L / 2]);
    }
#pragma GCC unroll 16
    for (i64 i = 0; i < L; i++) rows[i] = next[i];
  }
}

/** Combines all elements in pairs, lower half with upper half, always in the same order; `combine` takes two vectors. */
template <typename T, typename Combine>
inline __attribute__((always_inline)) T folded(Vec<T> v, const Combine& combine) {
  // After each round every combined element occurs twice, in neighbouring lanes.
#pragma GCC unroll 4
  for (i64 lanes = LANES<T>; lanes > 1; lanes /= 2) v = combine(zipLow(v, v), zipHigh(v, v));
  return v[0];
}

template <typename T>
inline __attribute__((always_inline)) T sumOf(Vec<T> v) {
  return folded<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}

template <typename T>
inline __attribute__((always_inline)) T maxOf(Vec<T> v) {
  return folded<T>(v, [](Vec<T> a, Vec<T> b) { return larger(a, b); });
}

}  // namespace
