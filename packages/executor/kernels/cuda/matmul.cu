// Matrix products in the precision of their storage: tiles of A and B in shared memory, a block of results in the
// registers of every thread. While a tile is multiplied, the next one is copied from global to shared memory, past the registers.
#include "matmul.h"

namespace {

#ifndef DAG_EMULATED
/** cp.async: begins to copy BYTES (4, 8 or 16), or else zeros, to shared memory. Before compute capability 8.0 it has then copied them. */
template <int BYTES>
__device__ void beginCopy(void* to, const void* from, bool within) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from)), "n"(BYTES), "r"(within ? BYTES : 0)
               : "memory");
#else
  using Words = Neighbours<uint32_t, BYTES / 4>;
  *static_cast<Words*>(to) = within ? *static_cast<const Words*>(from) : Words{};
#endif
}

/** Waits for all copies that this thread began. */
__device__ inline void waitCopies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
#endif

/** A tile of DEPTH × SIZE numbers with one row for each k, from a matrix with SIZE along its rows or columns. */
template <typename T, int SIZE, int DEPTH>
struct Tile {
  /** Row stride: rows start four banks apart. */
  static constexpr int ROW = SIZE + 4;
  alignas(32) T numbers[DEPTH * ROW];

  /** Begins to copy numbers (k0 …, first …) of a matrix of `size` × k (k inner) or, with `inner`, k × size; 0 beyond the matrix. */
  __device__ void beginCopies(const T* matrix, int64_t size, int64_t k, bool inner, int64_t first, int64_t k0) {
    const Part<T> from(matrix, size, k, inner, first, k0);
    const int at = threadIdx.x;
    if (!inner) {
      // A warp copies eight numbers of four columns: sectors of 32 bytes of f32, to 32 banks.
      constexpr int EIGHTS = DEPTH / 8;
      copyEach<1, THREADS / WARP / EIGHTS * 4, 1, ROW>(from, at / WARP / EIGHTS * 4 + at % WARP / 8, at / WARP % EIGHTS * 8 + at % 8);
    } else if (from.byFour) {
      copyEach<4, THREADS / (SIZE / 4), ROW, 1>(from, at / (SIZE / 4), at % (SIZE / 4) * 4);
    } else {
      copyEach<1, THREADS / SIZE, ROW, 1>(from, at / SIZE, at % SIZE);
    }
  }

 private:
  /**
   * Begins to copy N numbers from i on of a line, and of every LINES-th after it, to places that are LINE numbers apart for the next
   * line and ALONG for the next number.
   */
  template <int N, int LINES, int LINE, int ALONG>
  __device__ void copyEach(const Part<T>& from, int line, int i) {
    constexpr int BYTES = N * sizeof(T), MOST = BYTES < 16 ? BYTES : 16, COUNT = SIZE * DEPTH / N / THREADS;
    const T* source = from.from + line * from.length + i;
    T* to = numbers + line * LINE + i * ALONG;
    const int lines = i < from.left ? from.lines : 0;
// Unrolled it would take registers from the sums.
#pragma unroll 1
    for (int c = 0; c < COUNT; c++, line += LINES, source += LINES * from.length, to += LINES * LINE) {
      const bool within = line < lines;
#pragma unroll
      for (int n = 0; n < N; n += MOST / sizeof(T)) beginCopy<MOST>(to + n, within ? source + n : from.from, within);
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
  using Numbers = Tile<T, SIZE, DEPTH>;
  // Double buffering, with one barrier per tile.
  __shared__ Numbers tileA[2], tileB[2];
  const int64_t m = product.m, n = product.n, k = product.k;
  const Tiles tiles(product, SIZE, SIZE, DEPTH, blockIdx.x);
  const int column = threadIdx.x % 16 * 4, row = threadIdx.x / 16 * 4;

  T sums[PARTS * 4][PARTS * 4] = {};
  auto along = tiles.first();
  const auto beginCopies = [&](int into) {
    const int64_t k0 = int64_t{along.tile} * DEPTH;
    tileA[into].beginCopies(a + along.matrix * product.strideA, m, k, product.transposeA, tiles.rows, k0);
    tileB[into].beginCopies(b + along.matrix * product.strideB, n, k, !product.transposeB, tiles.columns, k0);
    along.next();
  };
  const auto multiply = [&](int now) {
#pragma unroll 2
    for (int kk = 0; kk < DEPTH; kk++) {
      T x[PARTS * 4], w[PARTS * 4];
#pragma unroll
      for (int part = 0; part < PARTS; part++) {
        const int at = kk * Numbers::ROW + part * (SIZE / PARTS);
        const Four<T> fourA = *reinterpret_cast<const Four<T>*>(tileA[now].numbers + at + row);
        const Four<T> fourB = *reinterpret_cast<const Four<T>*>(tileB[now].numbers + at + column);
#pragma unroll
        for (int i = 0; i < 4; i++) x[part * 4 + i] = fourA.at[i], w[part * 4 + i] = fourB.at[i];
      }
#pragma unroll
      for (int i = 0; i < PARTS * 4; i++)
#pragma unroll
        for (int j = 0; j < PARTS * 4; j++) sums[i][j] += x[i] * w[j];
    }
  };
  // The first round copies alone: the code of copying is long, and stands once.
  const auto count = static_cast<int>(tiles.end - tiles.begin);
  for (int round = 0; round <= count; round++) {
    if (round < count) beginCopies(round % 2);
    if (round > 0) multiply(round % 2 ^ 1);
    waitCopies();
    __syncthreads();
  }

  // Found again, so that its numbers take no registers from the sums.
  uint32_t index = blockIdx.x;
  asm volatile("" : "+r"(index));
  const Tiles result(product, SIZE, SIZE, DEPTH, index);
  const Written<T, T, E> written(product, result, y, epilogue, partial);
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
    written.put(result.rows + i / 4 * (SIZE / PARTS) + row + i % 4, result.columns + at % PARTS * (SIZE / PARTS) + column, four);
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
