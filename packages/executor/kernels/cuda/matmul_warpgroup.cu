// Matrix products of f32 storage by the warpgroups of compute capability 9.0: inputs are rounded to bf16 and laid out in
// global memory as the tensor cores read them, sums are f32.
#include "matmul.h"
#include "tensor_core.h"
#include "warpgroup.h"

namespace {

/** Numbers along k of a panel, words of its rows, and pieces of 16 bytes of them. */
constexpr int DEPTH = 64, WORDS = DEPTH / 2, PIECES = 8;
/** Rows that a block lays out. */
constexpr int PACKED_ROWS = THREADS / PIECES;

/**
 * Panels of bf16 from `matrices` of rows × k (k inner) or, `inner`, k × rows: of each panel all rows, up to `padded` ones, of
 * 64 numbers, whose pieces are exchanged as `descriptorOf` says. Numbers beyond the matrix are 0.
 */
__device__ void pack(const float* from, uint32_t* to, int64_t matrices, int64_t stride, int64_t rows, int64_t padded,
                     int64_t k, int64_t inner) {
  // Neighbouring threads read neighbours, and the pieces of two of them make 32 bytes, the least that memory takes.
  const int piece = inner ? threadIdx.x / 32 % 4 * 2 + threadIdx.x / 16 % 2 : threadIdx.x % PIECES;
  const int within = inner ? threadIdx.x / 128 * 16 + threadIdx.x % 16 : threadIdx.x / PIECES;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * PACKED_ROWS, row = first + within;
  const int64_t perMatrix = (k + DEPTH - 1) / DEPTH;
  for (int64_t panel = blockIdx.y; panel < matrices * perMatrix; panel += gridDim.y) {
    const Part<float> part(from + panel / perMatrix * stride, rows, k, inner, first, panel % perMatrix * DEPTH);
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      const int at = piece * 8 + j;
      const Four<float> four = inner ? Four<float>{{part.at(at, within), part.at(at + 1, within),
                                                    part.at(at + 2, within), part.at(at + 3, within)}}
                                     : part.four(within, at);
#pragma unroll
      for (int i = 0; i < 4; i++) x[j + i] = four.x[i];
    }
    *reinterpret_cast<Four<uint32_t>*>(to + (panel * padded + row) * WORDS + (piece ^ row % 8) * 4) = {
        {roundBf16(x[0], x[1]), roundBf16(x[2], x[3]), roundBf16(x[4], x[5]), roundBf16(x[6], x[7])}};
  }
}

/** Results of a block at a time: of two warpgroups below each other. One more warp brings what they multiply. */
constexpr int GROUPS = 2, ROWS = GROUPS * WARPGROUP_ROWS, COLUMNS = WARPGROUP_COLUMNS;
constexpr int MULTIPLIERS = GROUPS * WARPGROUP, ALL = MULTIPLIERS + WARP;
/** Panels that are on their way or being multiplied. */
constexpr int STAGES = 4;
/** Columns of results that a warp writes at a time; their rows begin eight banks apart. */
constexpr int WRITTEN = 32, WRITTEN_ROW = WRITTEN + 8;

/** Shared memory of a block; a multiple of 1024 bytes first. */
struct alignas(1024) Shared {
  uint32_t a[STAGES][ROWS * WORDS], b[STAGES][COLUMNS * WORDS];
  float results[MULTIPLIERS / WARP][16 * WRITTEN_ROW];
  /** A stage is full; it is free again. */
  Barrier full[STAGES], free[STAGES];
};
static_assert(sizeof(Shared) == 218112, "the host says so in products.ts");

/** The stages in their order, time and again. */
struct Stage {
  int index = 0;
  uint32_t parity = 0;

  __device__ void next() {
    if (++index < STAGES) return;
    index = 0;
    parity ^= 1;
  }
};

/** Panels of A and B, with rows up to multiples of ROWS and COLUMNS; one result, or one of each slice. */
__device__ void matmulWarpgroup(const Product& product, const uint32_t* a, const uint32_t* b, float* y,
                                const Epilogue<float>& epilogue, float* partial) {
  DAG_DYNAMIC_SHARED(Shared, shared);
  const int64_t m = product.m, n = product.n;
  const int64_t rowTiles = (m + ROWS - 1) / ROWS, columnTiles = (n + COLUMNS - 1) / COLUMNS;
  const int64_t works = rowTiles * columnTiles * product.slices;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; i++) {
      initBarrier(&shared->full[i], 1);
      initBarrier(&shared->free[i], MULTIPLIERS / WARP);
    }
    showBarriers();
  }
  __syncthreads();

  Stage stage;
  const int lane = laneOf(), warp = warpOf();
  if (warp == MULTIPLIERS / WARP) {
    if (lane != 0) return;
    for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
      const Tiles tiles(product, ROWS, COLUMNS, DEPTH, work);
      for (int64_t t = tiles.begin; t < tiles.end; t++, stage.next()) {
        Barrier* const full = &shared->full[stage.index];
        // The first time it is free: the phase before the first one counts as ended.
        waitFor(&shared->free[stage.index], stage.parity ^ 1);
        constexpr uint32_t bytesA = sizeof shared->a[0], bytesB = sizeof shared->b[0];
        arriveExpecting(full, bytesA + bytesB);
        copyBulk(shared->a[stage.index], a + (t * rowTiles * ROWS + tiles.rows) * WORDS, bytesA, full);
        copyBulk(shared->b[stage.index], b + (t * columnTiles * COLUMNS + tiles.columns) * WORDS, bytesB, full);
      }
    }
    return;
  }

  const int group = warp / 4;
  float* const results = shared->results[warp];
  for (int64_t work = blockIdx.x; work < works; work += gridDim.x) {
    const Tiles tiles(product, ROWS, COLUMNS, DEPTH, work);
    float sums[WARPGROUP_SUMS] = {};
    int before = 0;
    for (int64_t t = tiles.begin; t < tiles.end; t++, stage.next()) {
      waitFor(&shared->full[stage.index], stage.parity);
      beginProducts();
#pragma unroll
      for (int word = 0; word < WORDS; word += 8)
        multiplyTiles(sums, shared->a[stage.index] + group * WARPGROUP_ROWS * WORDS + word,
                      shared->b[stage.index] + word);
      commitProducts();
      // While these are made those before are done: what they read is free.
      if (t > tiles.begin) {
        waitProducts<1>();
        if (lane == 0) arrive(&shared->free[before]);
      }
      before = stage.index;
    }
    waitProducts<0>();
    if (lane == 0 && tiles.begin < tiles.end) arrive(&shared->free[before]);

    auto mask = epilogue.mask();
    const int64_t rows = tiles.rows + group * WARPGROUP_ROWS + warp % 4 * 16;
#pragma unroll
    for (int from = 0; from < COLUMNS; from += WRITTEN) {
      // By way of shared memory, so that a warp writes a row's neighbours.
      __syncwarp();
#pragma unroll
      for (int s = 0; s < WRITTEN / 2; s++)
        results[(lane / 4 + s / 2 % 2 * 8) * WRITTEN_ROW + s / 4 * 8 + lane % 4 * 2 + s % 2] = sums[from / 2 + s];
      __syncwarp();
      const int64_t c = tiles.columns + from + lane;
      if (c >= n) continue;
      for (int row = 0; row < 16 && rows + row < m; row++) {
        const int64_t i = (rows + row) * n + c;
        const float sum = results[row * WRITTEN_ROW + lane];
        if (product.slices > 1) partial[tiles.slice * m * n + i] = sum;
        else epilogue.write(y, i, c, sum, mask);
      }
    }
    // Products are begun by whole warps.
    __syncwarp();
  }
}

}  // namespace

DAG_EXPORT(packBf16_f32, THREADS,
           (const float* from, uint32_t* to, int64_t matrices, int64_t stride, int64_t rows, int64_t padded, int64_t k,
            int64_t inner),
           (pack(from, to, matrices, stride, rows, padded, k, inner)))
DAG_EXPORT(matmulWarpgroup_f32, ALL,
           (Product product, const uint32_t* a, const uint32_t* b, float* y, Epilogue<float> epilogue, float* partial),
           (matmulWarpgroup(product, a, b, y, epilogue, partial)))
