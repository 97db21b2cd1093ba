// Matrix products in the precision of their storage: tiles of A and B in shared memory, a block of results in the
// registers of every thread. While a tile is multiplied, the next one is loaded from global memory into registers.
#include "matmul.h"

namespace {

/** A tile of DEPTH × SIZE numbers with one row for each k, from a matrix with SIZE along its rows or columns. */
template <typename T, int SIZE, int DEPTH>
struct Tile {
  /** Row stride: rows start four banks apart. */
  static constexpr int ROW = SIZE + 4, FOURS = SIZE * DEPTH / THREADS / 4;
  Four<T> next[FOURS];

  /** Row and first column of this thread's f-th four, if the four are columns of a row. */
  __device__ static int row(int f) { return (threadIdx.x + f * THREADS) / (SIZE / 4); }
  __device__ static int column() { return threadIdx.x % (SIZE / 4) * 4; }
  /** If k is inner, a four is four rows of a column: a warp takes 16 columns of eight rows, which it stores to 32 banks. */
  __device__ static int rowInner(int f) {
    return (threadIdx.x + f * THREADS) / WARP / (SIZE / 16) * 8 + threadIdx.x / 16 % 2 * 4;
  }
  __device__ static int columnInner(int f) {
    return (threadIdx.x + f * THREADS) / WARP % (SIZE / 16) * 16 + threadIdx.x % 16;
  }

  /** Loads numbers (k0 …, first …) of a matrix of `size` × k (k inner) or, with `inner`, k × size. */
  __device__ void load(const T* numbers, int64_t size, int64_t k, bool inner, int64_t first, int64_t k0) {
    const Part<T> from(numbers, size, k, inner, first, k0);
#pragma unroll
    for (int f = 0; f < FOURS; f++)
      next[f] = inner ? from.four(row(f), column()) : from.four(columnInner(f), rowInner(f));
  }

  __device__ void store(T* tile, bool inner) const {
#pragma unroll
    for (int f = 0; f < FOURS; f++)
      if (inner) {
        *reinterpret_cast<Four<T>*>(tile + row(f) * ROW + column()) = next[f];
      } else {
#pragma unroll
        for (int i = 0; i < 4; i++) tile[(rowInner(f) + i) * ROW + columnInner(f)] = next[f].at[i];
      }
  }
};

/**
 * SIZE × SIZE results by 16 × 16 threads. Each has PARTS × PARTS blocks of 4 × 4, which are SIZE / PARTS apart, so that a warp reads
 * its numbers from different banks.
 */
template <int SIZE, typename T, typename E>
__device__ void matmul(const Product& product, const T* a, const T* b, T* y, const E& epilogue, T* partial) {
  constexpr int DEPTH = 16;
  constexpr int PARTS = SIZE / 64;
  using Next = Tile<T, SIZE, DEPTH>;
  // Double buffering: while one tile is multiplied, the next one is stored, that of A and then that of B, for want of registers.
  alignas(32) __shared__ T tileA[2][DEPTH * Next::ROW];
  alignas(32) __shared__ T tileB[2][DEPTH * Next::ROW];
  const int64_t m = product.m, n = product.n, k = product.k;
  const Tiles tiles(product, SIZE, SIZE, DEPTH, blockIdx.x);
  const int64_t rowsFrom = tiles.rows, columnsFrom = tiles.columns;
  const int column = threadIdx.x % 16 * 4, row = threadIdx.x / 16 * 4;

  T sums[PARTS * 4][PARTS * 4] = {};
  Next next;
  auto along = tiles.first();
  const auto loadA = [&] {
    next.load(a + along.matrix * product.strideA, m, k, product.transposeA, rowsFrom, int64_t{along.tile} * DEPTH);
  };
  const auto loadB = [&] {
    next.load(b + along.matrix * product.strideB, n, k, !product.transposeB, columnsFrom, int64_t{along.tile} * DEPTH);
    along.next();
  };
  // The first round loads alone: the code of loading is long, and stands once.
  int now = 1;
  bool isFilled = false;
  for (auto left = static_cast<int>(tiles.end - tiles.begin); left >= 0; left--, now ^= 1, isFilled = true) {
    const bool more = left > 0;
    const auto multiply = [&](int from) {
#pragma unroll 2
      for (int kk = from; kk < from + DEPTH / 2; kk++) {
        T x[PARTS * 4], w[PARTS * 4];
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
          const Four<T> fourA = *reinterpret_cast<const Four<T>*>(tileA[now] + kk * Next::ROW + part * (SIZE / PARTS) + row);
          const Four<T> fourB = *reinterpret_cast<const Four<T>*>(tileB[now] + kk * Next::ROW + part * (SIZE / PARTS) + column);
#pragma unroll
          for (int i = 0; i < 4; i++) x[part * 4 + i] = fourA.at[i], w[part * 4 + i] = fourB.at[i];
        }
#pragma unroll
        for (int i = 0; i < PARTS * 4; i++)
#pragma unroll
          for (int j = 0; j < PARTS * 4; j++) sums[i][j] += x[i] * w[j];
      }
    };
    if (more) loadA();
    if (isFilled) multiply(0);
    if (more) {
      next.store(tileA[now ^ 1], product.transposeA);
      loadB();
    }
    if (isFilled) multiply(DEPTH / 2);
    if (more) next.store(tileB[now ^ 1], !product.transposeB);
    __syncthreads();
  }

  const Written<T, T, E> written(product, tiles, y, epilogue, partial);
  // Not unrolled: the code of an epilogue is long.
#pragma unroll 1
  for (int at = 0; at < PARTS * PARTS * 4; at++) {
    Four<T> four{};
    // Registers have no variable index.
#pragma unroll
    for (int i = 0; i < PARTS * 4; i++)
#pragma unroll
      for (int j = 0; j < PARTS; j++)
        if (at == i * PARTS + j)
#pragma unroll
          for (int e = 0; e < 4; e++) four.at[e] = sums[i][j * 4 + e];
    const int i = at / PARTS;
    written.put(rowsFrom + i / 4 * (SIZE / PARTS) + row + i % 4, columnsFrom + at % PARTS * (SIZE / PARTS) + column, four);
  }
}

/** Adds up the slices of every element, in order. */
template <typename T>
__device__ void matmulSlices(const Product& product, T* y, const Epilogue<T>& epilogue, const T* partial) {
  auto mask = epilogue.mask();
  const int64_t each = product.m * product.n;
  const int64_t all = product.strideC == 0 ? each : each * product.batch;
  for (int64_t i = firstIndex(); i < all; i += indexStep()) {
    T sum = 0;
    for (int64_t s = 0; s < product.slices; s++) sum += partial[s * all + i];
    epilogue.write(y, i / each * product.strideC + i % each, i % product.n, sum, mask);
  }
}

}  // namespace

#define DAG_MATMUL64(name, T, E)                                                                           \
  DAG_EXPORT(name, THREADS, (Product product, const T* a, const T* b, T* y, E<T> epilogue, T* partial), \
             (matmul<64>(product, a, b, y, epilogue, partial)))
#define DAG_MATMUL128(name, E)                                                                                             \
  DAG_EXPORT(name, DAG_TWO_BLOCKS,                                                                                        \
             (Product product, const float* a, const float* b, float* y, E<float> epilogue, float* partial),               \
             (matmul<128>(product, a, b, y, epilogue, partial)))
DAG_MATMUL64(matmul64_f32, float, Epilogue)
DAG_MATMUL64(matmul64_f64, double, Epilogue)
DAG_MATMUL64(matmul64Backward_f32, float, BackwardEpilogue)
DAG_MATMUL64(matmul64Backward_f64, double, BackwardEpilogue)
DAG_MATMUL128(matmul128_f32, Epilogue)
DAG_MATMUL128(matmul128Backward_f32, BackwardEpilogue)
DAG_KERNELS(matmulSlices, THREADS, (Product product, T* y, Epilogue<T> epilogue, const T* partial),
            (product, y, epilogue, partial))
