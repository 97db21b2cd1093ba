// Matrix products in the precision of their storage: tiles of A and B in shared memory, a block of results in the
// registers of every thread. While a tile is multiplied the next one is on its way from global memory to registers.
#include "matmul.h"

namespace {

/** A tile of DEPTH × SIZE numbers, one row for each k, from a matrix whose rows or columns are the SIZE. */
template <typename T, int SIZE, int DEPTH, int COUNT>
struct Tile {
  /** Rows begin four banks apart: threads that store one column meet few others. */
  static constexpr int ROW = SIZE + 4;
  T next[COUNT];

  /** Numbers (k0 …, first …) of a matrix of `size` × k (k inner) or, `inner`, k × size. */
  __device__ void load(const T* from, int64_t first, int64_t size, int64_t k0, int64_t k, bool inner) {
#pragma unroll
    for (int e = 0; e < COUNT; e++) {
      const int i = threadIdx.x + e * THREADS;
      // Neighbouring threads read neighbours.
      const int64_t row = k0 + (inner ? i / SIZE : i % DEPTH);
      const int64_t column = first + (inner ? i % SIZE : i / DEPTH);
      const bool inside = row < k && column < size;
      next[e] = inside ? from[inner ? row * size + column : column * k + row] : T(0);
    }
  }

  __device__ void store(T* tile, bool inner) const {
#pragma unroll
    for (int e = 0; e < COUNT; e++) {
      const int i = threadIdx.x + e * THREADS;
      const int row = inner ? i / SIZE : i % DEPTH, column = inner ? i % SIZE : i / DEPTH;
      tile[row * ROW + column] = next[e];
    }
  }
};

/**
 * SIZE × SIZE results by THREADS threads, as 16 × 16: each has PARTS × PARTS blocks of 4 × 4, which lie SIZE / PARTS
 * apart, so that a warp reads its numbers from different banks.
 */
template <typename T, int SIZE, int DEPTH>
__device__ void matmul(const Product& product, const T* a, const T* b, T* y, const Epilogue<T>& epilogue, T* partial) {
  constexpr int PARTS = SIZE / 64, COUNT = SIZE * DEPTH / THREADS;
  using Part = Tile<T, SIZE, DEPTH, COUNT>;
  alignas(32) __shared__ T tileA[DEPTH * Part::ROW];
  alignas(32) __shared__ T tileB[DEPTH * Part::ROW];
  const int64_t m = product.m, n = product.n, k = product.k;
  const Tiles tiles(product, SIZE, SIZE, DEPTH, blockIdx.x);
  const int64_t rowsFrom = tiles.rows, columnsFrom = tiles.columns;
  const int column = threadIdx.x % 16 * 4, row = threadIdx.x / 16 * 4;

  T sums[PARTS * 4][PARTS * 4] = {};
  Part nextA, nextB;
  const auto load = [&](int64_t t) {
    const int64_t matrix = tiles.matrix + t / tiles.perMatrix, k0 = t % tiles.perMatrix * DEPTH;
    nextA.load(a + matrix * product.strideA, rowsFrom, m, k0, k, product.transposeA);
    nextB.load(b + matrix * product.strideB, columnsFrom, n, k0, k, !product.transposeB);
  };
  if (tiles.begin < tiles.end) load(tiles.begin);
  for (int64_t t = tiles.begin; t < tiles.end; t++) {
    nextA.store(tileA, product.transposeA);
    nextB.store(tileB, !product.transposeB);
    __syncthreads();
    if (t + 1 < tiles.end) load(t + 1);
#pragma unroll
    for (int kk = 0; kk < DEPTH; kk++) {
      T x[PARTS * 4], w[PARTS * 4];
#pragma unroll
      for (int part = 0; part < PARTS; part++) {
        const Four<T> fourA = *reinterpret_cast<const Four<T>*>(tileA + kk * Part::ROW + part * (SIZE / PARTS) + row);
        const Four<T> fourB = *reinterpret_cast<const Four<T>*>(tileB + kk * Part::ROW + part * (SIZE / PARTS) + column);
#pragma unroll
        for (int i = 0; i < 4; i++) x[part * 4 + i] = fourA.x[i], w[part * 4 + i] = fourB.x[i];
      }
#pragma unroll
      for (int i = 0; i < PARTS * 4; i++)
#pragma unroll
        for (int j = 0; j < PARTS * 4; j++) sums[i][j] += x[i] * w[j];
    }
    __syncthreads();
  }

  auto mask = epilogue.mask();
#pragma unroll
  for (int i = 0; i < PARTS * 4; i++)
#pragma unroll
    for (int j = 0; j < PARTS * 4; j++) {
      const int64_t r = rowsFrom + i / 4 * (SIZE / PARTS) + row + i % 4;
      const int64_t c = columnsFrom + j / 4 * (SIZE / PARTS) + column + j % 4;
      if (r >= m || c >= n) continue;
      if (product.slices > 1) partial[((tiles.slice * tiles.matrices + tiles.matrix) * m + r) * n + c] = sums[i][j];
      else epilogue.write(y, tiles.matrix * product.strideC + r * n + c, c, sums[i][j], mask);
    }
}

/** Adds up the slices of every element, in their order. */
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

template <typename T>
__device__ void matmul64(const Product& product, const T* a, const T* b, T* y, const Epilogue<T>& epilogue, T* partial) {
  matmul<T, 64, 16>(product, a, b, y, epilogue, partial);
}

template <typename T>
__device__ void matmul128(const Product& product, const T* a, const T* b, T* y, const Epilogue<T>& epilogue, T* partial) {
  matmul<T, 128, 16>(product, a, b, y, epilogue, partial);
}

}  // namespace

DAG_KERNELS(matmul64, THREADS,
            (Product product, const T* a, const T* b, T* y, Epilogue<T> epilogue, T* partial),
            (product, a, b, y, epilogue, partial))
DAG_KERNEL(matmul128, f32, float, THREADS,
           (Product product, const T* a, const T* b, T* y, Epilogue<T> epilogue, T* partial),
           (product, a, b, y, epilogue, partial))
DAG_KERNELS(matmulSlices, THREADS, (Product product, T* y, Epilogue<T> epilogue, const T* partial),
            (product, y, epilogue, partial))
