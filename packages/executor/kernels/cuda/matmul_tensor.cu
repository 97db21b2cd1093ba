// Matrix products on tensor cores, for compute capability 8.0 and later: inputs of f32 are rounded to bf16 or TF32 when they are stored to
// shared memory; sums are f32.
#include "matmul.h"
#include "tensor_core.h"

namespace {

/** Result tile of a block: 128 × 128, by 8 warps of 64 × 32 each. */
constexpr int SIZE = 128, WARP_ROWS = 64, WARP_COLUMNS = 32;
/** Words per row of a tile, and row stride: rows start 20 banks apart, so that eight of them are in different banks. */
constexpr int WORDS = 16, ROW = WORDS + 4;
/** Words of a tile that a thread loads. */
constexpr int COUNT = SIZE * WORDS / THREADS;

struct Bf16 {
  static constexpr int PER_WORD = 2;
  __device__ static uint32_t pack(const float (&x)[2]) { return roundBf16(x[0], x[1]); }
  __device__ static uint32_t pack(const uint32_t (&x)[2]) { return x[0] | x[1] << 16; }
  __device__ static void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    multiplyBf16(sums, a, b0, b1);
  }
};

struct Tf32 {
  static constexpr int PER_WORD = 1;
  __device__ static uint32_t pack(const float (&x)[1]) { return roundTf32(x[0]); }
  __device__ static void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    multiplyTf32(sums, a, b0, b1);
  }
};

/** What a thread holds of words with N numbers until it packs them. Numbers of bf16 are held as bits. */
template <int N>
__device__ void holdFour(float (*x)[N], const float* from, bool within) {
  const Four<float> four = within ? *reinterpret_cast<const Four<float>*>(from) : Four<float>{};
#pragma unroll
  for (int j = 0; j < 4; j++) x[j / N][j % N] = four.at[j];
}
/** Words as they are, so that nothing waits for them here. */
__device__ inline void holdFour(uint32_t (*x)[2], const bf16* from, bool within) {
  using Two = Neighbours<uint32_t, 2>;
  const Two two = within ? *reinterpret_cast<const Two*>(from) : Two{};
#pragma unroll
  for (int j = 0; j < 2; j++) x[j][0] = two.at[j], x[j][1] = 0;
}
__device__ inline float held(float x) { return x; }
__device__ inline uint32_t held(bf16 x) { return x.bits; }

/** An operand: matrices of `size` × k (k inner) or, with `inner`, k × size; whether four numbers along k can be read at once. */
template <typename From>
struct Operand {
  const From* numbers;
  int64_t size, k, stride;
  bool inner, byFour;

  __device__ Operand(const From* numbers, int64_t size, int64_t k, int64_t stride, bool inner)
      : numbers(numbers), size(size), k(k), stride(stride), inner(inner),
        byFour(!inner && (k | stride) % 4 == 0 && reinterpret_cast<uintptr_t>(numbers) % sizeof(Four<From>) == 0) {}
};

/** The part that a thread loads of a tile of SIZE rows with WORDS words along k each. */
template <typename Number, typename From>
struct Next {
  static constexpr int PER_WORD = Number::PER_WORD;
  decltype(held(From())) x[COUNT][PER_WORD];

  /** By four, a thread takes units of four words of a row. */
  __device__ static int unitRow(int unit) { return threadIdx.x / (WORDS / 4) + unit * (THREADS / (WORDS / 4)); }
  __device__ static int unitWord() { return threadIdx.x % (WORDS / 4) * 4; }
  /** Else a warp takes four words of eight contiguous rows, so that it stores to 32 banks. */
  static constexpr int TAKEN = THREADS / WARP * 8, TIMES = SIZE / TAKEN;
  __device__ static int row(int e) { return warpOf() * 8 + threadIdx.x % 8 + e % TIMES * TAKEN; }
  __device__ static int word(int e) { return e / TIMES * 4 + threadIdx.x / 8 % 4; }

  /** Loads rows `first` …, from number k0 on; 0 beyond the matrix. */
  __device__ void load(const Operand<From>& of, int64_t matrix, int64_t first, int64_t k0) {
    const int rows = partOf(of.size - first), depth = partOf(of.k - k0);
    const int64_t rowStep = of.inner ? 1 : of.k, step = of.inner ? of.size : 1;
    const From* const from = of.numbers + matrix * of.stride + first * rowStep + k0 * step;
    if (of.byFour) {
#pragma unroll
      for (int i = 0; i < COUNT; i += 4 / PER_WORD) {
        const int row = unitRow(i / 4), at = (unitWord() + i % 4) * PER_WORD;
        holdFour(x + i, from + row * rowStep + at, row < rows && at < depth);
      }
      return;
    }
#pragma unroll
    for (int e = 0; e < COUNT; e++)
#pragma unroll
      for (int j = 0; j < PER_WORD; j++) {
        const int at = word(e) * PER_WORD + j;
        x[e][j] = row(e) < rows && at < depth ? held(from[row(e) * rowStep + at * step]) : 0;
      }
  }

  __device__ void store(uint32_t* tile, bool byFour) const {
    if (byFour) {
#pragma unroll
      for (int unit = 0; unit < COUNT / 4; unit++)
        *reinterpret_cast<Four<uint32_t>*>(tile + unitRow(unit) * ROW + unitWord()) = {
            {Number::pack(x[unit * 4]), Number::pack(x[unit * 4 + 1]), Number::pack(x[unit * 4 + 2]),
             Number::pack(x[unit * 4 + 3])}};
      return;
    }
#pragma unroll
    for (int e = 0; e < COUNT; e++) tile[row(e) * ROW + word(e)] = Number::pack(x[e]);
  }
};

template <typename Number, typename From, typename S, typename E>
__device__ void matmulTensor(const Product& product, const From* a, const From* b, S* y, const E& epilogue, float* partial) {
  // Double buffering: while one tile is multiplied, the next one is stored, with one barrier per tile.
  alignas(16) __shared__ uint32_t tileA[2][SIZE * ROW];
  alignas(16) __shared__ uint32_t tileB[2][SIZE * ROW];
  constexpr int DEPTH = WORDS * Number::PER_WORD;
  const Operand<From> ofA(a, product.m, product.k, product.strideA, product.transposeA);
  const Operand<From> ofB(b, product.n, product.k, product.strideB, !product.transposeB);
  const Tiles tiles(product, SIZE, SIZE, DEPTH, blockIdx.x);
  const int64_t rowsFrom = tiles.rows, columnsFrom = tiles.columns;
  const int lane = laneOf();
  const int warpRow = warpOf() % (SIZE / WARP_ROWS) * WARP_ROWS;
  const int warpColumn = warpOf() / (SIZE / WARP_ROWS) * WARP_COLUMNS;
  constexpr int ROW_BLOCKS = WARP_ROWS / 16, COLUMN_BLOCKS = WARP_COLUMNS / 8;

  float sums[ROW_BLOCKS][COLUMN_BLOCKS][4] = {};
  Next<Number, From> nextA, nextB;
  auto along = tiles.first();
  const auto load = [&] {
    nextA.load(ofA, along.matrix, rowsFrom, int64_t{along.tile} * DEPTH);
    nextB.load(ofB, along.matrix, columnsFrom, int64_t{along.tile} * DEPTH);
    along.next();
  };
  const auto multiply = [&](int now) {
#pragma unroll
    for (int word = 0; word < WORDS; word += 8) {
      uint32_t fragmentsA[ROW_BLOCKS][4], fragmentsB[COLUMN_BLOCKS / 2][4];
      // A fragment of 16 × 8 words: rows 0 … 7 and 8 … 15 with the first four words, then both with the other four.
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; i++)
        loadMatrices(fragmentsA[i], tileA[now] + (warpRow + i * 16 + lane % 16) * ROW + word + lane / 16 * 4);
      // Two blocks of eight columns: for each the first four words, then the other four.
#pragma unroll
      for (int j = 0; j < COLUMN_BLOCKS / 2; j++)
        loadMatrices(fragmentsB[j], tileB[now] + (warpColumn + j * 16 + lane / 16 * 8 + lane % 8) * ROW + word +
                                        lane / 8 % 2 * 4);
#pragma unroll
      for (int i = 0; i < ROW_BLOCKS; i++)
#pragma unroll
        for (int j = 0; j < COLUMN_BLOCKS; j++)
          Number::multiply(sums[i][j], fragmentsA[i], fragmentsB[j / 2][j % 2 * 2], fragmentsB[j / 2][j % 2 * 2 + 1]);
    }
  };
  const auto store = [&](int into) {
    nextA.store(tileA[into], ofA.byFour);
    nextB.store(tileB[into], ofB.byFour);
  };
  // The first round loads alone: the code of loading is long, and stands once.
  const auto count = static_cast<int>(tiles.end - tiles.begin);
  for (int round = 0; round <= count; round++) {
    if (round < count) load();
    if (round > 0) multiply(round % 2 ^ 1);
    if (round < count) store(round % 2);
    __syncthreads();
  }

  // The last barrier was behind the last tile: its memory is free.
  static_assert(WARP_COLUMNS == WRITTEN && THREADS / WARP * WRITTEN_FLOATS <= 2 * SIZE * ROW);
  float* const results = reinterpret_cast<float*>(tileA) + warpOf() * WRITTEN_FLOATS;
  const Written<float, S, E> written(product, tiles, y, epilogue, partial);
  // Not unrolled: the code of an epilogue is long.
#pragma unroll 1
  for (int from = 0; from < ROW_BLOCKS; from++) {
    __syncwarp();
    // Registers have no variable index.
#pragma unroll
    for (int i = 0; i < ROW_BLOCKS; i++)
      if (i == from)
#pragma unroll
        for (int j = 0; j < COLUMN_BLOCKS; j++)
#pragma unroll
          for (int e = 0; e < 4; e += 2) putTwo(results, lane, j, e / 2, sums[i][j][e], sums[i][j][e + 1]);
    __syncwarp();
    written.putRows(results, rowsFrom + warpRow + from * 16, columnsFrom + warpColumn);
  }
}

}  // namespace

#define DAG_TENSOR_WITH(name, Number, From, S, E)                                                                          \
  DAG_EXPORT(name, DAG_TWO_BLOCKS,                                                                                         \
             (Product product, const From* a, const From* b, S* y, E<float, S> epilogue, float* partial),                   \
             (matmulTensor<Number>(product, a, b, y, epilogue, partial)))
#define DAG_TENSOR(name, dtype, Number, From, S)            \
  DAG_TENSOR_WITH(name##_##dtype, Number, From, S, Epilogue) \
  DAG_TENSOR_WITH(name##Backward_##dtype, Number, From, S, BackwardEpilogue)
DAG_TENSOR(matmulBf16, f32, Bf16, float, float)
DAG_TENSOR(matmulTf32, f32, Tf32, float, float)
// Of operands stored as bf16; names end in the storage of results.
DAG_TENSOR(matmulOfBf16, f32, Bf16, bf16, float)
DAG_TENSOR(matmulOfBf16, bf16, Bf16, bf16, bf16)
