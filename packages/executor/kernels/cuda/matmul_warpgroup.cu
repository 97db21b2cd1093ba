// Matrix products of f32 storage by the warpgroups of compute capability 9.0: inputs are rounded to bf16 or TF32, sums are f32. The block
// is a pipeline: a producer fills stages in shared memory, consumer warpgroups multiply them and run the epilogue. For large products in
// bf16, a kernel first packs the inputs in global memory in the layout that tensor cores read, and the producer uses bulk copies, with a
// quarter of the traffic. Otherwise a producer warpgroup reads the inputs, rounds them and writes them to shared memory.
#include "matmul.h"
#include "tensor_core.h"
#include "warpgroup.h"

#include <type_traits>

namespace {

/** A panel: numbers along k, words per row, and pieces of 16 bytes per row. */
constexpr int DEPTH = 64, WORDS = DEPTH / 2, PIECES = 8;
/** Rows that a block packs. */
constexpr int PACKED_ROWS = THREADS / PIECES;

struct Bf16 {
  static constexpr int PER_WORD = 2;
  __device__ static Four<uint32_t> pack(const float (&x)[8]) {
    return {{roundBf16(x[0], x[1]), roundBf16(x[2], x[3]), roundBf16(x[4], x[5]), roundBf16(x[6], x[7])}};
  }
  __device__ static void multiply(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
    multiplyTilesBf16(sums, a, b);
  }
};

/**
 * Packs `matrices` of rows × k (k inner) or, with `inner`, k × rows into panels of bf16. Each panel has all rows, padded to `padded`, of
 * 64 numbers, whose pieces are swizzled as `descriptorOf` describes. Numbers beyond the matrix are 0.
 */
__device__ void pack(const float* __restrict__ from, uint32_t* __restrict__ to, int64_t matrices, int64_t stride,
                     int64_t rows, int64_t padded, int64_t k, int64_t inner) {
  // Neighbouring threads read neighbouring numbers; the pieces of two threads make 32 bytes, a memory sector.
  const int piece = inner ? threadIdx.x / 32 % 4 * 2 + threadIdx.x / 16 % 2 : threadIdx.x % PIECES;
  const int within = inner ? threadIdx.x / 128 * 16 + threadIdx.x % 16 : threadIdx.x / PIECES;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * PACKED_ROWS, row = first + within;
  // Fewer than 2³² panels, because each takes at least 16 KB.
  const auto perMatrix = static_cast<uint32_t>((k + DEPTH - 1) / DEPTH);
  const auto panels = static_cast<uint32_t>(matrices) * perMatrix;
#pragma unroll 1
  for (uint32_t panel = blockIdx.y; panel < panels; panel += gridDim.y) {
    const uint32_t matrix = panel / perMatrix;
    const Part<float> part(from + matrix * stride, rows, k, inner, first, (panel - matrix * perMatrix) * int64_t{DEPTH});
    float x[8];
    const auto read = [&](const auto& one, const auto& four) {
#pragma unroll
      for (int j = 0; j < 8; j += 4) {
        const int at = piece * 8 + j;
        const Four<float> numbers =
            inner ? Four<float>{{one(at, within), one(at + 1, within), one(at + 2, within), one(at + 3, within)}}
                  : four(within, at);
#pragma unroll
        for (int i = 0; i < 4; i++) x[j + i] = numbers.at[i];
      }
    };
    if (part.hasWhole(inner ? DEPTH : PACKED_ROWS, inner ? PACKED_ROWS : DEPTH))
      read([&](int line, int i) { return part.from[line * part.length + i]; },
           [&](int line, int i) { return part.wholeFour(line, i); });
    else
      read([&](int line, int i) { return part.at(line, i); }, [&](int line, int i) { return part.four(line, i); });
    storeFour(to + (panel * padded + row) * WORDS + (piece ^ row % 8) * 4, Bf16::pack(x));
  }
}

/** Result tile of a block: that of two consumer warpgroups below each other. A third warpgroup is the producer. */
constexpr int GROUPS = 2, ROWS = GROUPS * WARPGROUP_ROWS, COLUMNS = WARPGROUP_COLUMNS;
constexpr int MULTIPLIERS = GROUPS * WARPGROUP, ALL = MULTIPLIERS + WARPGROUP;
/** Stages of the pipeline: panels being loaded or multiplied. */
constexpr int STAGES = 4;
/** Columns of results that a warp writes at a time, and their row stride in shared memory: rows start eight banks apart. */
constexpr int WRITTEN = 32, WRITTEN_ROW = WRITTEN + 8;

/** Shared memory of a block; the tiles come first, because they need alignment to 1024 bytes. */
struct alignas(1024) Shared {
  uint32_t a[STAGES][ROWS * WORDS], b[STAGES][COLUMNS * WORDS];
  float results[MULTIPLIERS / WARP][16 * WRITTEN_ROW];
  /** Barriers that signal that a stage is full, and that it is empty again. */
  Barrier full[STAGES], free[STAGES];
};
static_assert(sizeof(Shared) == 218112, "the host says so in products.ts");

/** `fillers`: number of arrivals that make a stage full. */
__device__ void initBarriers(Shared* shared, int fillers) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      initBarrier(&shared->full[i], fillers);
      initBarrier(&shared->free[i], MULTIPLIERS / WARP);
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

struct Tf32 {
  static constexpr int PER_WORD = 1;
  __device__ static Four<uint32_t> pack(const float (&x)[4]) {
    return {{roundTf32(x[0]), roundTf32(x[1]), roundTf32(x[2]), roundTf32(x[3])}};
  }
  __device__ static void multiply(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
    multiplyTilesTf32(sums, a, b);
  }
};

/**
 * Registers per thread at launch (all of a multiprocessor's, divided among three warpgroups), and registers per consumer thread if each
 * producer thread keeps OTHERS. Requesting more than the producer released would wait forever.
 */
constexpr int GIVEN = 65536 / ALL / 8 * 8;
template <int OTHERS>
constexpr int REGISTERS_BESIDE = (ALL / WARPGROUP * GIVEN - OTHERS) / GROUPS / 8 * 8;

/** The consumer, run by the first GROUPS warpgroups: multiplies the stages, and writes results or partial sums of slices. */
template <typename Number>
__device__ void multiplyStages(Shared* shared, const Product& product, float* y, const Epilogue<float>& epilogue,
                               float* partial) {
  const int64_t m = product.m, n = product.n, works = worksOf(product);
  const int lane = laneOf(), warp = warpOf(), group = warp / 4;
  float* const results = shared->results[warp];
  Stage stage;
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, WORDS * Number::PER_WORD, work);
    float sums[WARPGROUP_SUMS] = {};
    int before = 0;
    for (int64_t t = tiles.begin; t < tiles.end; t++, stage.next()) {
      waitFor(&shared->full[stage.index], stage.parity);
      beginProducts();
#pragma unroll
      for (int word = 0; word < WORDS; word += 8)
        Number::multiply(sums, shared->a[stage.index] + group * WARPGROUP_ROWS * WORDS + word,
                         shared->b[stage.index] + word);
      commitProducts();
      // While these products run, the previous ones are complete, so the stage that they read is free.
      if (t > tiles.begin) {
        waitProducts<1>();
        if (lane == 0) arrive(&shared->free[before]);
      }
      before = stage.index;
    }
    waitProducts<0>();
    if (lane == 0 && tiles.begin < tiles.end) arrive(&shared->free[before]);

    const auto mask = epilogue.dropoutOf();
    const int64_t rows = tiles.rows + group * WARPGROUP_ROWS + warp % 4 * 16;
    const int64_t matrix = product.slices > 1 ? (tiles.slice * tiles.matrices + tiles.matrix) * m * n
                                              : tiles.matrix * product.strideC;
#pragma unroll
    for (int from = 0; from < COLUMNS; from += WRITTEN) {
      // Through shared memory, so that a warp writes four neighbours of a row at once.
      __syncwarp();
#pragma unroll
      for (int s = 0; s < WRITTEN / 2; s += 2)
        *reinterpret_cast<Neighbours<float, 2>*>(results + (lane / 4 + s / 2 % 2 * 8) * WRITTEN_ROW + s / 4 * 8 +
                                                 lane % 4 * 2) = {{sums[from / 2 + s], sums[from / 2 + s + 1]}};
      __syncwarp();
      const int64_t c = tiles.columns + from + lane % 8 * 4;
      if (c >= n) continue;
#pragma unroll 1
      for (int row = lane / 8; row < 16 && rows + row < m; row += 4) {
        const int64_t i = matrix + (rows + row) * n + c;
        const Four<float> four = *reinterpret_cast<const Four<float>*>(results + row * WRITTEN_ROW + lane % 8 * 4);
        if (product.slices > 1) Epilogue<float>{}.writeFour(partial, i, c, n, four, mask);
        else epilogue.writeFour(y, i, c, n, four, mask);
      }
    }
    // Whole warps must start products.
    __syncwarp();
  }
}

/** Product of packed panels of A and B, whose rows are padded to multiples of ROWS and COLUMNS. */
__device__ void matmulPanels(const Product& product, const uint32_t* a, const uint32_t* b, float* y,
                             const Epilogue<float>& epilogue, float* partial) {
  DAG_DYNAMIC_SHARED(Shared, shared);
  initBarriers(shared, 1);
  constexpr int COPYING = 40;
  if (warpOf() < MULTIPLIERS / WARP) {
    takeRegisters<REGISTERS_BESIDE<COPYING>>();
    multiplyStages<Bf16>(shared, product, y, epilogue, partial);
    return;
  }
  giveRegisters<COPYING>();
  if (threadIdx.x != MULTIPLIERS) return;
  const int64_t rowsA = (product.m + ROWS - 1) / ROWS * ROWS, rowsB = (product.n + COLUMNS - 1) / COLUMNS * COLUMNS;
  const int64_t works = worksOf(product);
  Stage stage;
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, DEPTH, work);
    for (int64_t t = tiles.begin; t < tiles.end; t++, stage.next()) {
      Barrier* const full = &shared->full[stage.index];
      // In the first round the stage is free: waiting for the phase before the first one returns at once.
      waitFor(&shared->free[stage.index], stage.parity ^ 1);
      constexpr uint32_t bytesA = sizeof shared->a[0], bytesB = sizeof shared->b[0];
      arriveExpecting(full, bytesA + bytesB);
      copyBulk(shared->a[stage.index], a + (t * rowsA + tiles.rows) * WORDS, bytesA, full);
      copyBulk(shared->b[stage.index], b + (t * rowsB + tiles.columns) * WORDS, bytesB, full);
    }
  }
}

/**
 * A part of the rows of A or B for a stage, in the registers of the producer warpgroup: each thread has eight fours of a matrix of
 * rows × k or, with INNER, k × rows, which become pieces of 16 bytes in shared memory.
 */
template <typename Number, bool INNER>
struct Passing {
  static constexpr int PER_WORD = Number::PER_WORD, PART_ROWS = 128 / PER_WORD;
  /** Numbers per piece. */
  static constexpr int PIECE = 4 * PER_WORD;

  Four<float> fours[8];
  /** One bit for each four: whether it is beyond the matrix. */
  uint32_t missing;

  /**
   * Row and piece of a thread's unit i. If k is inner, units are in rows 16 apart, and neighbouring threads have neighbouring pieces of a
   * row. With INNER, a unit is four rows, whose numbers are contiguous; eight threads that write at the same time have four pieces
   * of two such fours, which are in different banks.
   */
  __device__ static int block(int i) { return warpOf() % 4 * (2 / PER_WORD) + i; }
  __device__ static int row(int i) {
    return INNER ? block(i) / 2 * 32 + laneOf() / 4 * 4 : i * 16 + threadIdx.x % WARPGROUP / 8;
  }
  __device__ static int piece(int i) { return INNER ? block(i) % 2 * 4 + laneOf() % 4 : threadIdx.x % 8; }

  /**
   * Loads `rows` rows of `numbers` numbers, from `from` on, of a matrix whose lines have `length` numbers. WHOLE: the part is complete.
   * Missing numbers become 0: the beginning of the matrix (`begin`) is read instead, without a branch, so that all loads are
   * issued before any is waited for.
   */
  template <bool WHOLE>
  __device__ void load(const float* begin, const float* from, int64_t length, int rows, int numbers) {
    from += INNER ? piece(0) * PIECE * length + row(0) : row(0) * length + piece(0) * PIECE;
    const int down = INNER ? numbers - piece(0) * PIECE : rows - row(0);
    const int along = INNER ? rows - row(0) : numbers - piece(0) * PIECE;
    missing = 0;
    int line = 0, column = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int lineOf = INNER ? i / PIECE * 16 + i % PIECE : i / PER_WORD * 16, columnOf = INNER ? 0 : i % PER_WORD * 4;
      from += (lineOf - line) * length + (columnOf - column);
      line = lineOf, column = columnOf;
      stepByStep(from);
      const bool isThere = WHOLE || (line < down && column < along);
      missing |= isThere ? 0u : 1u << i;
      fours[i] = loadGlobal(isThere ? from : begin);
    }
  }

  __device__ void store(uint32_t* to) {
    if (missing != 0) {
#pragma unroll
      for (int i = 0; i < 8; i++)
        if (missing >> i & 1) fours[i] = {};
    }
#pragma unroll
    for (int i = 0; i < 8 / PER_WORD; i++) {
      const int unit = INNER ? i / 4 : i, down = INNER ? i % 4 : 0;
      float x[PIECE];
#pragma unroll
      for (int j = 0; j < PIECE; j++)
        x[j] = INNER ? fours[unit * PIECE + j].at[down] : fours[unit * PER_WORD + j / 4].at[j % 4];
      const int line = row(unit) + down;
      storeShared(to + line * WORDS + (piece(unit) ^ line % 8) * 4, Number::pack(x));
    }
  }
};

/** Tiles along k to prefetch into L2. */
constexpr int AHEAD = 2;

/** Prefetches `rows` (up to MOST) rows of `numbers` (up to TILE) numbers along k into L2: each thread one line of 128 bytes. */
template <bool INNER, int MOST, int TILE>
__device__ void prefetchLines(const float* from, int64_t length, int rows, int numbers) {
  constexpr int LINE = 128 / sizeof(float), PER_LINE = (INNER ? MOST : TILE) / LINE, LINES = INNER ? TILE : MOST;
#pragma unroll
  for (int i = 0; i < LINES * PER_LINE; i += WARPGROUP) {
    const int at = i + threadIdx.x % WARPGROUP, down = at / PER_LINE, along = at % PER_LINE * LINE;
    if (down < (INNER ? numbers : rows) && along < (INNER ? rows : numbers)) prefetch(from + down * length + along);
  }
}

/** The producer, run by the last warpgroup: reads and rounds the inputs and fills the stages. */
template <typename Number, bool INNER_A, bool INNER_B>
__device__ void fillStages(Shared* shared, const Product& product, const float* a, const float* b) {
  using OfA = Passing<Number, INNER_A>;
  using OfB = Passing<Number, INNER_B>;
  constexpr int PART = OfA::PART_ROWS, PARTS_A = ROWS / PART, PARTS_B = COLUMNS / PART, TILE = WORDS * Number::PER_WORD;
  const int64_t works = worksOf(product), m = product.m, n = product.n, k = product.k;
  /** Numbers per line; stride from row to row; stride along k. */
  const int64_t lengthA = INNER_A ? m : k, downA = INNER_A ? 1 : k, alongA = INNER_A ? m : 1;
  const int64_t lengthB = INNER_B ? n : k, downB = INNER_B ? 1 : k, alongB = INNER_B ? n : 1;
  const auto atMost = [](int64_t count, int most) { return static_cast<int>(count < most ? count : most); };
  Stage stage;
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, TILE, work);
    auto along = tiles.first();
    const int rowsA = atMost(m - tiles.rows, ROWS), rowsB = atMost(n - tiles.columns, COLUMNS);
    for (int64_t t = tiles.begin; t < tiles.end; t++, along.next(), stage.next()) {
      const int64_t k0 = along.tile * TILE;
      const int numbers = atMost(k - k0, TILE);
      const float* const fromA = a + along.matrix * product.strideA + tiles.rows * downA + k0 * alongA;
      const float* const fromB = b + along.matrix * product.strideB + tiles.columns * downB + k0 * alongB;
      const bool isWhole = rowsA == ROWS && rowsB == COLUMNS && numbers == TILE;
      if (t + AHEAD < tiles.end && along.tile + AHEAD < along.perMatrix) {
        const int ahead = atMost(k - k0 - AHEAD * TILE, TILE);
        prefetchLines<INNER_A, ROWS, TILE>(fromA + AHEAD * TILE * alongA, lengthA, rowsA, ahead);
        prefetchLines<INNER_B, COLUMNS, TILE>(fromB + AHEAD * TILE * alongB, lengthB, rowsB, ahead);
      }
      // One part at a time: there are no registers for more.
#pragma unroll 1
      for (int part = 0; part < PARTS_A; part++) {
        OfA ofA;
        OfB ofB[2];
        const auto load = [&](auto whole) {
          constexpr bool WHOLE = decltype(whole)::value;
          ofA.template load<WHOLE>(a, fromA + part * PART * downA, lengthA, rowsA - part * PART, numbers);
#pragma unroll
          for (int i = 0; i < 2; i++) {
            const int row = (part * 2 + i) * PART;
            ofB[i].template load<WHOLE>(b, fromB + row * downB, lengthB, rowsB - row, numbers);
          }
        };
        if (isWhole) load(std::true_type());
        else load(std::false_type());
        // In the first round the stage is free: waiting for the phase before the first one returns at once.
        if (part == 0) waitFor(&shared->free[stage.index], stage.parity ^ 1);
        ofA.store(shared->a[stage.index] + part * PART * WORDS);
#pragma unroll
        for (int i = 0; i < 2; i++) ofB[i].store(shared->b[stage.index] + (part * 2 + i) * PART * WORDS);
      }
      static_assert(PARTS_B == 2 * PARTS_A, "parts of B go with those of A");
      showWrites();
      __syncwarp();
      if (laneOf() == 0) arrive(&shared->full[stage.index]);
    }
  }
}

/** Registers per producer thread. */
constexpr int PASSING = 152;

template <typename Number>
__device__ void matmulWarpgroup(const Product& product, const float* a, const float* b, float* y,
                                const Epilogue<float>& epilogue, float* partial) {
  DAG_DYNAMIC_SHARED(Shared, shared);
  initBarriers(shared, WARPGROUP / WARP);
  if (warpOf() < MULTIPLIERS / WARP) {
    takeRegisters<REGISTERS_BESIDE<PASSING>>();
    multiplyStages<Number>(shared, product, y, epilogue, partial);
  } else {
    giveRegisters<PASSING>();
    if (product.transposeA != 0)
      if (product.transposeB != 0) fillStages<Number, true, false>(shared, product, a, b);
      else fillStages<Number, true, true>(shared, product, a, b);
    else if (product.transposeB != 0) fillStages<Number, false, false>(shared, product, a, b);
    else fillStages<Number, false, true>(shared, product, a, b);
  }
}

#ifdef DAG_EMULATED
#define DAG_ONE_BLOCK ALL
#else
/** Launch bounds: all threads, one block per multiprocessor. */
#define DAG_ONE_BLOCK ALL, 1
#endif

}  // namespace

DAG_EXPORT(packBf16_f32, THREADS,
           (const float* from, uint32_t* to, int64_t matrices, int64_t stride, int64_t rows, int64_t padded, int64_t k,
            int64_t inner),
           (pack(from, to, matrices, stride, rows, padded, k, inner)))
DAG_EXPORT(matmulPanels_f32, DAG_ONE_BLOCK,
           (Product product, const uint32_t* a, const uint32_t* b, float* y, Epilogue<float> epilogue, float* partial),
           (matmulPanels(product, a, b, y, epilogue, partial)))
DAG_EXPORT(warpgroupBf16_f32, DAG_ONE_BLOCK,
           (Product product, const float* a, const float* b, float* y, Epilogue<float> epilogue, float* partial),
           (matmulWarpgroup<Bf16>(product, a, b, y, epilogue, partial)))
DAG_EXPORT(warpgroupTf32_f32, DAG_ONE_BLOCK,
           (Product product, const float* a, const float* b, float* y, Epilogue<float> epilogue, float* partial),
           (matmulWarpgroup<Tf32>(product, a, b, y, epilogue, partial)))
