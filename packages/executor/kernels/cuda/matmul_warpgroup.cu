// Matrix products by the warpgroups of compute capability 9.0: inputs of f32 are rounded to bf16 or TF32, sums are f32. The block
// is a pipeline of three parts. The loader, one thread, starts copies of tiles to shared memory by tensor maps, which lay them out for the
// tensor cores and fill what is beyond a matrix with zeros. The consumers, two warpgroups, multiply the tiles and run the epilogue.
// Tensor cores read matrices with k inner: other matrices, and those of f32 for products of bf16, are first written so by a kernel of their
// own.
#include "matmul.h"
#include "tensor_core.h"
#include "warpgroup.h"

namespace {

/** Words per row of a tile: 128 bytes along k. */
constexpr int WORDS = 32;

struct Bf16 {
  static constexpr int PER_WORD = 2;
  __device__ static void store(uint32_t* to, const float (&x)[8]) {
    storeFour(to, {{roundBf16(x[0], x[1]), roundBf16(x[2], x[3]), roundBf16(x[4], x[5]), roundBf16(x[6], x[7])}});
  }
  __device__ static void multiply(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
    multiplyTilesBf16(sums, a, b);
  }
};
struct Tf32 {
  static constexpr int PER_WORD = 1;
  __device__ static void store(uint32_t* to, const float (&x)[8]) {
    storeFour(to, {{roundTf32Even(x[0]), roundTf32Even(x[1]), roundTf32Even(x[2]), roundTf32Even(x[3])}});
    storeFour(to + 4, {{roundTf32Even(x[4]), roundTf32Even(x[5]), roundTf32Even(x[6]), roundTf32Even(x[7])}});
  }
  __device__ static void multiply(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
    multiplyTilesTf32(sums, a, b);
  }
};

/** Numbers along k and rows that a block lays out at a time; a thread eight of a row. */
constexpr int LAID_DEPTH = 64, LAID_PIECES = 8, LAID_ROWS = THREADS / LAID_PIECES;

/**
 * Rounds `matrices` of rows × k (k inner) or, with `inner`, k × rows, and writes them with k inner, in rows of `words` words: a multiple of
 * four for bf16 and of eight for TF32. Numbers beyond k are 0.
 */
template <typename Number, typename From>
__device__ void layOut(const From* __restrict__ from, uint32_t* __restrict__ to, int64_t matrices, int64_t stride,
                       int64_t rows, int64_t words, int64_t k, int64_t inner) {
  // Neighbouring threads read neighbouring numbers; the pieces of two threads make a memory sector or more.
  const int piece = inner ? threadIdx.x / 32 % 4 * 2 + threadIdx.x / 16 % 2 : threadIdx.x % LAID_PIECES;
  const int within = inner ? threadIdx.x / 128 * 16 + threadIdx.x % 16 : threadIdx.x / LAID_PIECES;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * LAID_ROWS, row = first + within;
  // The host sees to it that they are fewer than 2³¹.
  const auto perMatrix = static_cast<uint32_t>((k + LAID_DEPTH - 1) / LAID_DEPTH);
  const auto parts = static_cast<uint32_t>(matrices) * perMatrix;
#pragma unroll 1
  for (uint32_t p = blockIdx.y; p < parts; p += gridDim.y) {
    const uint32_t matrix = p / perMatrix;
    const int64_t k0 = (p - matrix * perMatrix) * int64_t{LAID_DEPTH};
    const Part<From> part(from + matrix * stride, rows, k, inner, first, k0);
    float x[8];
    const auto read = [&](const auto& one, const auto& four) {
#pragma unroll
      for (int j = 0; j < 8; j += 4) {
        const int at = piece * 8 + j;
        const Four<From> numbers =
            inner ? Four<From>{{one(at, within), one(at + 1, within), one(at + 2, within), one(at + 3, within)}}
                  : four(within, at);
#pragma unroll
        for (int i = 0; i < 4; i++) x[j + i] = numbers.at[i];
      }
    };
    if (part.hasWhole(inner ? LAID_DEPTH : LAID_ROWS, inner ? LAID_ROWS : LAID_DEPTH))
      read([&](int line, int i) { return part.from[line * part.length + i]; },
           [&](int line, int i) { return part.wholeFour(line, i); });
    else
      read([&](int line, int i) { return part.at(line, i); }, [&](int line, int i) { return part.four(line, i); });
    const int64_t word = (k0 + piece * 8) / Number::PER_WORD;
    if (row < rows && word < words) Number::store(to + (matrix * rows + row) * words + word, x);
  }
}

/** Result tile of a block: that of two consumer warpgroups below each other. A third warpgroup has the loader. */
constexpr int GROUPS = 2, ROWS = GROUPS * WARPGROUP_ROWS, COLUMNS = WARPGROUP_COLUMNS;
constexpr int MULTIPLIERS = GROUPS * WARPGROUP, ALL = MULTIPLIERS + WARPGROUP;
/** Stages of the pipeline: tiles being loaded or multiplied. */
constexpr int STAGES = 4;

/** Shared memory of a block; the tiles come first, because they need alignment to 1024 bytes. */
struct alignas(1024) Shared {
  uint32_t a[STAGES][ROWS * WORDS], b[STAGES][COLUMNS * WORDS];
  float results[MULTIPLIERS / WARP][WRITTEN_FLOATS];
  /** Barriers that signal that a stage is full, and that it is empty again. */
  Barrier full[STAGES], empty[STAGES];
};
static_assert(sizeof(Shared) == 218112, "the host says so in products.ts");

__device__ void initBarriers(Shared* shared) {
  if (threadIdx.x == 0) {
    // Swizzles are of addresses.
    if (!isAligned(shared, alignof(Shared))) __trap();
    for (int i = 0; i < STAGES; i++) {
      initBarrier(&shared->full[i], 1);
      initBarrier(&shared->empty[i], MULTIPLIERS / WARP);
    }
    showBarriers();
  }
  __syncthreads();
}

/** Iterates over the stages in a ring; `parity` is that of the current round. */
struct Stage {
  int index = 0;
  uint32_t parity = 0;

  __device__ void next() {
    if (++index < STAGES) return;
    index = 0;
    parity ^= 1;
  }
};

/** Number of work items: result tiles of ROWS × COLUMNS times slices. */
__device__ int64_t worksOf(const Product& p) {
  return ((p.m + ROWS - 1) / ROWS) * ((p.n + COLUMNS - 1) / COLUMNS) * p.slices * (p.strideC == 0 ? 1 : p.batch);
}

/**
 * Registers per thread at launch (all of a multiprocessor's, divided among three warpgroups), of a thread beside the loader, and of a
 * consumer. Requesting more than others released would wait forever.
 */
constexpr int GIVEN = 65536 / ALL / 8 * 8, LOADING = 40;
constexpr int MULTIPLYING = (ALL / WARPGROUP * GIVEN - LOADING) / GROUPS / 8 * 8;

/** The consumer, run by the first GROUPS warpgroups: multiplies the stages, and writes results or partial sums of slices. */
template <typename Number, typename S, typename E>
__device__ void multiplyStages(Shared* shared, const Product& product, S* y, const E& epilogue, float* partial) {
  const int64_t works = worksOf(product);
  const int lane = laneOf(), warp = warpOf(), group = warp / 4;
  float* const results = shared->results[warp];
  Stage stage;
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, WORDS * Number::PER_WORD, work);
    float sums[WARPGROUP_SUMS] = {};
    int before = 0;
    for (int64_t t = tiles.begin; t < tiles.end; t++, stage.next()) {
      waitFor(&shared->full[stage.index], stage.parity);
      beginProducts(sums);
#pragma unroll
      for (int word = 0; word < WORDS; word += 8)
        Number::multiply(sums, shared->a[stage.index] + group * WARPGROUP_ROWS * WORDS + word,
                         shared->b[stage.index] + word);
      commitProducts();
      // While these products run, the previous ones are complete, so the stage that they read is empty.
      if (t > tiles.begin) {
        waitProducts<1>(sums);
        if (lane == 0) arrive(&shared->empty[before]);
      }
      before = stage.index;
    }
    waitProducts<0>(sums);
    if (lane == 0 && tiles.begin < tiles.end) arrive(&shared->empty[before]);

    const int64_t rows = tiles.rows + group * WARPGROUP_ROWS + warp % 4 * 16;
    const Written<float, S, E> written(product, tiles, y, epilogue, partial);
    // Not unrolled: the code of an epilogue is long.
#pragma unroll 1
    for (int from = 0; from < COLUMNS; from += WRITTEN) {
      // Through shared memory, so that a warp writes four neighbours of a row at once.
      __syncwarp();
      // Registers have no variable index.
#pragma unroll
      for (int part = 0; part < COLUMNS; part += WRITTEN)
        if (part == from)
#pragma unroll
          for (int s = 0; s < WRITTEN / 2; s += 2)
            putTwo(results, lane, s / 4, s / 2 % 2, sums[part / 2 + s], sums[part / 2 + s + 1]);
      __syncwarp();
      written.putRows(results, rows, tiles.columns + from);
    }
    // Whole warps must start products.
    __syncwarp();
  }
}

/** The loader, one thread: fills stages as they become empty. A matrix that all products share has stride 0. */
template <typename Number>
__device__ void loadStages(Shared* shared, const Product& product, const TensorMap& a, const TensorMap& b) {
  constexpr int DEPTH = WORDS * Number::PER_WORD;
  const int64_t works = worksOf(product);
  Stage stage;
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, DEPTH, work);
    auto along = tiles.first();
    for (int64_t t = tiles.begin; t < tiles.end; t++, along.next(), stage.next()) {
      Barrier* const full = &shared->full[stage.index];
      // In the first round the stage is empty: waiting for the phase before the first one returns at once.
      waitFor(&shared->empty[stage.index], stage.parity ^ 1);
      arriveExpecting(full, sizeof shared->a[0] + sizeof shared->b[0]);
      const int64_t k0 = int64_t{along.tile} * DEPTH;
      copyTensor(shared->a[stage.index], a, k0, tiles.rows, product.strideA ? along.matrix : 0, full);
      copyTensor(shared->b[stage.index], b, k0, tiles.columns, product.strideB ? along.matrix : 0, full);
    }
  }
}

template <typename Number, typename S, typename E>
__device__ void matmulWarpgroup(const Product& product, const TensorMap& a, const TensorMap& b, S* y, const E& epilogue,
                                float* partial) {
  DAG_DYNAMIC_SHARED(Shared, shared);
  initBarriers(shared);
  if (warpOf() < MULTIPLIERS / WARP) {
    takeRegisters<MULTIPLYING>();
    multiplyStages<Number>(shared, product, y, epilogue, partial);
  } else {
    giveRegisters<LOADING>();
    if (threadIdx.x == MULTIPLIERS) loadStages<Number>(shared, product, a, b);
  }
}

#ifdef DAG_EMULATED
#define DAG_ONE_BLOCK ALL
#else
/** Launch bounds: all threads, one block per multiprocessor. */
#define DAG_ONE_BLOCK ALL, 1
#endif

}  // namespace

// Names end in the storage of what is laid out, and of results.
#define DAG_LAY_OUT(Number, dtype, From)                                                                                 \
  DAG_EXPORT(layOut##Number##_##dtype, THREADS,                                                                          \
             (const From* from, uint32_t* to, int64_t matrices, int64_t stride, int64_t rows, int64_t words, int64_t k,   \
              int64_t inner),                                                                                            \
             (layOut<Number>(from, to, matrices, stride, rows, words, k, inner)))
#define DAG_WARPGROUPS_WITH(name, Number, S, E)                                                                           \
  DAG_EXPORT(name, DAG_ONE_BLOCK,                                                                                         \
             (Product product, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, S* y,           \
              E<float, S> epilogue, float* partial),                                                                     \
             (matmulWarpgroup<Number>(product, a, b, y, epilogue, partial)))
#define DAG_WARPGROUPS(Number, dtype, S)                                \
  DAG_WARPGROUPS_WITH(warpgroup##Number##_##dtype, Number, S, Epilogue) \
  DAG_WARPGROUPS_WITH(warpgroup##Number##Backward_##dtype, Number, S, BackwardEpilogue)
DAG_LAY_OUT(Bf16, f32, float)
DAG_LAY_OUT(Bf16, bf16, bf16)
DAG_LAY_OUT(Tf32, f32, float)
DAG_WARPGROUPS(Bf16, f32, float)
DAG_WARPGROUPS(Bf16, bf16, bf16)
DAG_WARPGROUPS(Tf32, f32, float)
