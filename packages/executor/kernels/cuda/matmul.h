// Shared by the matrix products: the tile scheduler (which part of a product a block computes) and the epilogue.
#pragma once
#include "fours.h"
#include "random.h"

#include "../elementwise.h"

/** Launch bounds: threads per block, and two blocks per multiprocessor, so that one loads while the other multiplies. */
#ifdef DAG_EMULATED
#define DAG_TWO_BLOCKS THREADS
#else
#define DAG_TWO_BLOCKS THREADS, 2
#endif

namespace {

/** C (m×n) = A·B for `batch` matrices, see MatmulSpec in src/backend.ts; all fields have 8 bytes, as the host packs them. */
struct Product {
  int64_t batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC;
  /** Split-k: parts of each sum that separate blocks compute. If more than one, they go to `partial` (slices, batch, m, n). */
  int64_t slices;
};

/** A count in 32 bits, whose comparisons are half as long: of more numbers than any tile has, it is irrelevant how many. */
__device__ inline int partOf(int64_t count) { return static_cast<int>(count < 1 << 30 ? count : 1 << 30); }

/** A part of a matrix from a given element on; elements beyond the matrix are 0. */
template <typename T>
struct Part {
  const T* from;
  /** Distance of lines in numbers; the remaining lines, and the remaining numbers of each line. */
  int64_t length;
  int lines, left;
  /** Whether four contiguous numbers can be read at once. */
  bool byFour;

  /** The part from row `first` and column k0 on of a matrix of `size` × k (k inner) or, with `inner`, k × size. */
  __device__ Part(const T* numbers, int64_t size, int64_t k, bool inner, int64_t first, int64_t k0)
      : length(inner ? size : k), lines(partOf(inner ? k - k0 : size - first)), left(partOf(inner ? size - first : k - k0)),
        byFour(length % 4 == 0 && reinterpret_cast<uintptr_t>(numbers) % sizeof(Four<T>) == 0) {
    from = numbers + (inner ? k0 * size + first : first * k + k0);
  }

  __device__ T at(int line, int i) const { return line < lines && i < left ? from[line * length + i] : T{}; }

  /** Whether `count` lines of `numbers` can be read by fours without bounds checks. */
  __device__ bool hasWhole(int count, int numbers) const { return byFour && count <= lines && numbers <= left; }
  __device__ Four<T> wholeFour(int line, int i) const {
    return *reinterpret_cast<const Four<T>*>(from + line * length + i);
  }

  /** Four numbers of a line from i on, a multiple of four. */
  __device__ Four<T> four(int line, int i) const {
    if (!byFour) return {{at(line, i), at(line, i + 1), at(line, i + 2), at(line, i + 3)}};
    return line < lines && i < left ? wholeFour(line, i) : Four<T>{};
  }
};

/**
 * The epilogue of a product of T: y = residual + dropout(activation(sum + bias)), or y += sum. Parts whose pointer is null are left out. Storage
 * of y and of the preactivation is S.
 */
template <typename T, typename S = T>
struct Epilogue {
  const T *bias, *residual;
  S* preactivation;
  /** activation: a kind of Activation. */
  double activation, dropout, low, high;
  const double* lowAt;
  int64_t accumulate;

  __device__ Dropout<T> dropoutOf() const { return Dropout<T>(dropout, low, high, lowAt); }
  __device__ DropoutInOrder<T> mask() const { return DropoutInOrder<T>(dropoutOf()); }

  /** Writes element `i` of the result, in column `column`. */
  __device__ void write(S* y, int64_t i, int64_t column, T sum, DropoutInOrder<T>& mask) const {
    writeOne(y, i, column, sum, mask.factor(i));
  }

  /** Writes four elements from `column` on, or fewer at the end of `columns`. All is inlined, because not every kernel can make calls. */
  __device__ void writeFour(S* y, int64_t i, int64_t column, int64_t columns, Four<T> sums, const Dropout<T>& mask) const {
    const auto factor = [&](const Words& words, int64_t i) { return mask.threshold == 0 ? mask.scale : mask.factor(words, i); };
    const auto wordsAt = [&](int64_t i) {
      return mask.threshold == 0 ? Words{} : philox(mask.k0, mask.k1, static_cast<uint64_t>(i / 4));
    };
    const auto addresses = reinterpret_cast<uintptr_t>(y) | reinterpret_cast<uintptr_t>(bias) |
                           reinterpret_cast<uintptr_t>(residual) | reinterpret_cast<uintptr_t>(preactivation);
    if (columns % 4 != 0 || addresses % sizeof(Four<T>) != 0) {
#pragma unroll 1
      for (int e = 0; e < 4 && column + e < columns; e++) {
        const T sum = e == 0 ? sums.at[0] : e == 1 ? sums.at[1] : e == 2 ? sums.at[2] : sums.at[3];
        writeOne(y, i + e, column + e, sum, factor(wordsAt(i + e), i + e));
      }
      return;
    }
    const auto add = [&](const auto* from) {
      const Four<T> more = loadFour(from);
#pragma unroll
      for (int e = 0; e < 4; e++) sums.at[e] += more.at[e];
    };
    if (bias) add(bias + column);
    if (preactivation) storeFour(preactivation + i, sums);
    const Words words = wordsAt(i);
#pragma unroll
    for (int e = 0; e < 4; e++) sums.at[e] = activated(sums.at[e]) * factor(words, e);
    if (residual) add(residual + i);
    if (accumulate) add(y + i);
    storeFour(y + i, sums);
  }

 private:
  __device__ T activated(T sum) const {
    switch (static_cast<Activation>(static_cast<int64_t>(activation))) {
#define DAG_CASE(name) \
  case Activation::name: return unary_ops::name::value(sum, sum, sum);
      DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
      case Activation::none: return sum;
    }
    __trap();  // Without unknownKind: a call in the epilogue takes registers.
    return sum;
  }

  __device__ void writeOne(S* y, int64_t i, int64_t column, T sum, T factor) const {
    if (bias) sum += bias[column];
    if (preactivation) preactivation[i] = S(sum);
    sum = activated(sum) * factor;
    if (residual) sum += residual[i];
    put(y, i, sum, accumulate);
  }
};

/**
 * The epilogue of a product that is the gradient of an activation's results, with the same members: y = sum · activation'(preactivation), the
 * gradient of the activation's arguments.
 */
template <typename T, typename S = T>
struct BackwardEpilogue : Epilogue<T, S> {
  __device__ void writeFour(S* y, int64_t i, int64_t column, int64_t columns, Four<T> sums, const Dropout<T>&) const {
    const int64_t end = i - column + columns;
    const Four<T> x = fourOf(this->preactivation, i, end, columns % 4 == 0);
#pragma unroll
    for (int e = 0; e < 4; e++) sums.at[e] *= derivative(x.at[e]);
    putFour(y, i, end, columns % 4 == 0, sums);
  }

 private:
  __device__ T derivative(T x) const {
    switch (static_cast<Activation>(static_cast<int64_t>(this->activation))) {
#define DAG_CASE(name) \
  case Activation::name: return unary_ops::name::derivative(x, x, x, x);
      DAG_ACTIVATIONS(DAG_CASE)
#undef DAG_CASE
      case Activation::none: break;
    }
    __trap();  // Without unknownKind, as above.
    return x;
  }
};

/**
 * The tile scheduler: the rows, columns and matrix of a block's result, and the tiles along k that it adds up (over all matrices, if
 * these share one result). The grid has one dimension, because only the first can be long enough for any product:
 * (matrices with their own result) × slices × tiles of the result. Consecutive blocks take nearby tiles, GROUP of them below each
 * other before the next column, so that blocks that run at the same time share most of their reads in the cache.
 */
struct Tiles {
  static constexpr uint32_t GROUP = 16;
  int64_t rows, columns, matrix, matrices, slice, perMatrix, begin, end;

  /** A tile along k: its matrix, and its index there. */
  struct Along {
    int64_t matrix;
    int32_t tile, perMatrix;

    __device__ void next() {
      if (++tile < perMatrix) return;
      tile = 0;
      matrix++;
    }
  };
  /** The tile at `begin`, if there is any. */
  __device__ Along first() const {
    return begin < end ? Along{matrix + begin / perMatrix, static_cast<int32_t>(begin % perMatrix),
                               static_cast<int32_t>(perMatrix)}
                       : Along{};
  }

  /** The work of block `index`, with result tiles of `height` × `width` and tiles of `depth` along k. */
  __device__ Tiles(const Product& p, int height, int width, int depth, int64_t index) {
    const bool shared = p.strideC == 0;
    // Of 32 bits, whose division is several times as fast: the host sees to it that there is less work.
    const auto rowTiles = static_cast<uint32_t>((p.m + height - 1) / height);
    const auto columnTiles = static_cast<uint32_t>((p.n + width - 1) / width);
    const auto slices = static_cast<uint32_t>(p.slices), work = static_cast<uint32_t>(index);
    const uint32_t rest = work / (rowTiles * columnTiles), tile = work - rest * (rowTiles * columnTiles);
    const uint32_t above = tile / (GROUP * columnTiles) * GROUP;
    const uint32_t group = rowTiles - above < GROUP ? rowTiles - above : GROUP;
    const uint32_t within = tile - above * columnTiles, column = within / group;
    rows = int64_t{above + within - column * group} * height;
    columns = int64_t{column} * width;
    matrix = rest / slices;
    slice = rest - matrix * slices;
    matrices = shared ? 1 : p.batch;
    perMatrix = (p.k + depth - 1) / depth;
    const int64_t all = perMatrix * (shared ? p.batch : 1);
    const int64_t each = (all + p.slices - 1) / p.slices;
    begin = slice * each < all ? slice * each : all;
    end = begin + each < all ? begin + each : all;
  }
};

/** Columns of results that a warp writes at a time, and their row stride in shared memory, where 16 rows start eight banks apart. */
constexpr int WRITTEN = 32, WRITTEN_ROW = WRITTEN + 8, WRITTEN_FLOATS = 16 * WRITTEN_ROW;

/** Puts two neighbours as tensor cores give them to a lane: of a 16 × 8 block of columns, in its upper or lower (half 1) rows. */
__device__ inline void putTwo(float* results, int lane, int block, int half, float x, float y) {
  *reinterpret_cast<Neighbours<float, 2>*>(results + (lane / 4 + half * 8) * WRITTEN_ROW + block * 8 + lane % 4 * 2) = {{x, y}};
}

/** Where the results of a block go: through the epilogue to y, or as sums of a slice to `partial`. */
template <typename T, typename S, typename E>
struct Written {
  const Product& product;
  const int64_t matrix;
  S* const y;
  const E& epilogue;
  T* const partial;
  const Dropout<T> mask;

  __device__ Written(const Product& product, const Tiles& tiles, S* y, const E& epilogue, T* partial)
      : product(product),
        matrix(product.slices > 1 ? (tiles.slice * tiles.matrices + tiles.matrix) * product.m * product.n
                                  : tiles.matrix * product.strideC),
        y(y), epilogue(epilogue), partial(partial), mask(epilogue.dropoutOf()) {}

  /** Writes four results of a row, or those of them that are within the matrix. */
  __device__ void put(int64_t row, int64_t column, const Four<T>& four) const {
    if (row >= product.m || column >= product.n) return;
    const int64_t i = matrix + row * product.n + column;
    if (product.slices > 1) Epilogue<T>{}.writeFour(partial, i, column, product.n, four, Epilogue<T>{}.dropoutOf());
    else epilogue.writeFour(y, i, column, product.n, four, mask);
  }

  /** Writes 16 rows of WRITTEN results in shared memory; a warp writes four neighbours of a row at once. */
  __device__ void putRows(const T* results, int64_t row, int64_t column) const {
    const int along = laneOf() % 8 * 4;
#pragma unroll 1
    for (int r = laneOf() / 8; r < 16; r += 4)
      put(row + r, column + along, *reinterpret_cast<const Four<T>*>(results + r * WRITTEN_ROW + along));
  }
};

}  // namespace
