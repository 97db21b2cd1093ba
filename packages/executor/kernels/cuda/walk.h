// Walks over the elements of several operands, each with its own strides; see src/backends/cuda/walk.ts.
#pragma once
#include "fours.h"

namespace {

/** Most dimensions of a walk after neighbours are collapsed. */
constexpr int MAX_RANK = 12;
constexpr int OPERANDS = 3;

/** Kept dimensions come first, then summed dimensions. */
struct Walk {
  int64_t kept, summed;
  int64_t size[MAX_RANK];
  int64_t stride[OPERANDS][MAX_RANK];
};

/** The current offset of each operand of a walk. */
struct Place {
  int64_t at[OPERANDS];
};

template <typename Index>
__device__ void stepTo(const Walk& walk, int first, int last, Index index, Place& place) {
  // Not unrolled: that would be several times as long and no faster, as most walks have one or two dimensions.
#pragma unroll 1
  for (int d = last - 1; d >= first; d--) {
    // A size beyond Index is larger than any index, and so is the largest Index.
    constexpr Index LARGEST = static_cast<Index>(~uint64_t{0} >> (sizeof(Index) < 8 ? 32 : 1));
    const Index size = walk.size[d] < static_cast<int64_t>(LARGEST) ? static_cast<Index>(walk.size[d]) : LARGEST;
    // The outermost dimension needs no division; so most walks, which have one dimension, need none.
    const Index i = d == first ? index : index % size;
    index /= d == first ? 1 : size;
#pragma unroll
    for (int o = 0; o < OPERANDS; o++) place.at[o] += static_cast<int64_t>(i) * walk.stride[o][d];
  }
}

/** Adds the offsets of element `index` of the dimensions first … last − 1, row-major. */
__device__ inline void moveTo(const Walk& walk, int first, int last, int64_t index, Place& place) {
  // 32-bit division if possible: 64-bit division takes several times as long.
  if (index < 0xffffffffll) stepTo(walk, first, last, static_cast<uint32_t>(index), place);
  else stepTo(walk, first, last, index, place);
}

__device__ inline int64_t sizeOf(const Walk& walk, int first, int last) {
  int64_t size = 1;
  for (int d = first; d < last; d++) size *= walk.size[d];
  return size;
}

/**
 * x[at] and the N − 1 elements after it along a dimension of the given stride, which is 0 or 1 if N > 1. Groups of four are aligned
 * to 16 bytes.
 */
template <int N, typename T>
__device__ Neighbours<T, N> neighboursAt(const T* x, int64_t at, int64_t stride) {
  if (N == 1 || stride == 1) return *reinterpret_cast<const Neighbours<T, N>*>(x + at);
  Neighbours<T, N> all;
  const T value = x[at];
#pragma unroll
  for (int j = 0; j < N; j++) all.at[j] = value;
  return all;
}

/** Writes (or adds) `value` to y[at] and the N − 1 elements after it. */
template <int N, typename T>
__device__ void putNeighbours(T* y, int64_t at, Neighbours<T, N> value, bool accumulate) {
  if (accumulate) {
    const Neighbours<T, N> before = *reinterpret_cast<const Neighbours<T, N>*>(y + at);
#pragma unroll
    for (int j = 0; j < N; j++) value.at[j] = before.at[j] + value.at[j];
  }
  if constexpr (N == 4) storeFour(y + at, value);
  else *reinterpret_cast<Neighbours<T, N>*>(y + at) = value;
}

}  // namespace
