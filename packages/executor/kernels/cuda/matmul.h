// What matrix products share: which part of a product a block makes, and what is done with it.
#pragma once
#include "random.h"

namespace {

/** C (m×n) = A·B for `batch` matrices, see MatmulSpec in src/backend.ts; numbers of 8 bytes, as the host packs them. */
struct Product {
  int64_t batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC;
  /** Parts of the sums that blocks of their own make; with more than one they go to `partial` (slices, batch, m, n). */
  int64_t slices;
};

/** Four numbers that lie together, read at once. */
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T x[4];
};

/** What follows the sum: y = residual + dropout(activation(sum + bias)), or y += sum. Null pointers: not wanted. */
template <typename T>
struct Epilogue {
  const T *bias, *residual;
  T* preactivation;
  /** 0: none, 1: GELU, 2: GELU by tanh. */
  double activation, dropout, low, high;
  const double* lowAt;
  int64_t accumulate;

  __device__ DropoutInOrder<T> mask() const { return DropoutInOrder<T>(Dropout<T>(dropout, low, high, lowAt)); }

  /** Element `i` of the result, of column `column`. */
  __device__ void write(T* y, int64_t i, int64_t column, T sum, DropoutInOrder<T>& mask) const {
    if (bias) sum += bias[column];
    if (preactivation) preactivation[i] = sum;
    if (activation != 0) sum = activation == 1 ? gelu(sum) : geluTanh(sum);
    sum *= mask.factor(i);
    if (residual) sum += residual[i];
    put(y, i, sum, accumulate);
  }
};

/**
 * What a block makes: rows and columns from where on, of which matrix, and the tiles along k that it adds up, of one
 * matrix or of all where they share their result. The grid has one dimension, the only one that is long enough for any
 * product: (matrices with a result of their own) × slices × tiles of results. Blocks that run at the same time take tiles
 * that are near each other, GROUP of them below each other before the next column, so that they find most of what they
 * read in the cache.
 */
struct Tiles {
  static constexpr int64_t GROUP = 16;
  int64_t rows, columns, matrix, matrices, slice, perMatrix, begin, end;

  /** Those of block `index`: `height` × `width` results, `depth` along k. */
  __device__ Tiles(const Product& p, int height, int width, int depth, int64_t index) {
    const bool shared = p.strideC == 0;
    const int64_t rowTiles = (p.m + height - 1) / height, columnTiles = (p.n + width - 1) / width;
    int64_t rest = index;
    const int64_t tile = rest % (rowTiles * columnTiles);
    rest /= rowTiles * columnTiles;
    const int64_t above = tile / (GROUP * columnTiles) * GROUP;
    const int64_t group = rowTiles - above < GROUP ? rowTiles - above : GROUP;
    const int64_t within = tile - above * columnTiles;
    rows = (above + within % group) * height;
    columns = within / group * width;
    slice = rest % p.slices;
    matrix = rest / p.slices;
    matrices = shared ? 1 : p.batch;
    perMatrix = (p.k + depth - 1) / depth;
    const int64_t all = perMatrix * (shared ? p.batch : 1);
    const int64_t each = (all + p.slices - 1) / p.slices;
    begin = slice * each < all ? slice * each : all;
    end = begin + each < all ? begin + each : all;
  }
};

}  // namespace
