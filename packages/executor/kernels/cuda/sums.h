// Sums by many blocks: each block sums a slice of the terms, then the slices are added up.
#pragma once
#include "fours.h"

namespace {

/** Columns per block of sumColumns, four per lane; each warp takes every LINES-th row. */
constexpr int COLUMNS = 4 * WARP, LINES = THREADS / WARP;
using ColumnSums = double[LINES][COLUMNS];

/**
 * partial[slice][column] = Σ over the rows of a slice (grid y) of `fourAt(row, column)`, which returns four columns. A block in x has
 * COLUMNS of the n columns. If `partial` is null, `fourAt` is still called for all rows. `shared` is shared memory of the block.
 */
template <typename FourAt>
__device__ void sumColumns(int64_t rows, int64_t n, double* partial, ColumnSums& shared, FourAt fourAt) {
  const int64_t slice = (rows + gridDim.y - 1) / gridDim.y;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < rows ? begin + slice : rows;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * COLUMNS, column = first + 4 * laneOf();
  double sums[4] = {};
  if (column < n)
#pragma unroll 2
    for (int64_t row = begin + warpOf(); row < end; row += LINES) {
      const auto four = fourAt(row, column);
#pragma unroll
      for (int j = 0; j < 4; j++) sums[j] += four.at[j];
    }
  if (!partial) return;
  for (int j = 0; j < 4; j++) shared[warpOf()][4 * laneOf() + j] = sums[j];
  __syncthreads();
  const int mine = threadIdx.x;
  if (mine >= COLUMNS || first + mine >= n) return;
  double sum = 0;
  for (int line = 0; line < LINES; line++) sum += shared[line][mine];
  partial[blockIdx.y * n + first + mine] = sum;
}

/** Most threads per block of sumSlices. */
constexpr int SLICE_THREADS = 1024;

/** Calls `use(i, sum)` for each of n sums over the slices. The warps of a block divide the slices of WARP sums. */
template <typename Use>
__device__ void sumSlices(const double* partial, int64_t slices, int64_t n, Use use) {
  __shared__ double shared[SLICE_THREADS / WARP][WARP];
  const int lines = blockDim.x / WARP;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * WARP; first < n; first += static_cast<int64_t>(gridDim.x) * WARP) {
    const int64_t i = first + laneOf();
    double sum = 0;
    if (i < n)
#pragma unroll 8
      for (int64_t s = warpOf(); s < slices; s += lines) sum += partial[s * n + i];
    shared[warpOf()][laneOf()] = sum;
    __syncthreads();
    if (warpOf() == 0 && i < n) {
      for (int line = 1; line < lines; line++) sum += shared[line][laneOf()];
      use(i, sum);
    }
    __syncthreads();
  }
}

}  // namespace
