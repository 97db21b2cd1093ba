// Reads and writes of four numbers at once: 16 bytes of f32, twice that of f64.
#pragma once
#include "common.h"

namespace {

/** Numbers that are neighbours in memory. Four of them are read and written at once: they begin at a multiple of 16 bytes. */
template <typename T, int N>
struct alignas(N == 4 ? 16 : sizeof(T)) Neighbours {
  T at[N];
};
template <typename T>
using Four = Neighbours<T, 4>;

/** x[i] … x[i + 3]; 0 from x[n] on. `aligned`: x begins, and i is, at a multiple of four numbers. */
template <typename T>
__device__ Four<T> fourOf(const T* x, int64_t i, int64_t n, bool aligned) {
  if (aligned && i + 4 <= n) return *reinterpret_cast<const Four<T>*>(x + i);
  Four<T> four;
#pragma unroll
  for (int j = 0; j < 4; j++) four.at[j] = i + j < n ? x[i + j] : T(0);
  return four;
}

/** y[i] … y[i + 3] = four, as far as they lie before y[n]. */
template <typename T>
__device__ void putFour(T* y, int64_t i, int64_t n, bool aligned, const Four<T>& four) {
  if (aligned && i + 4 <= n) {
    *reinterpret_cast<Four<T>*>(y + i) = four;
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (i + j < n) y[i + j] = four.at[j];
}

}  // namespace
