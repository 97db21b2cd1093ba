// Matrix products C (+)= A·B, f32 and f64, after Goto & van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008): B is packed into panels of NR columns, A block by block into panels of MR rows, and a kernel
// keeps an MR×NR tile of C in registers while it walks along k.
//
// An element of C is the sum over blocks of KC terms in order, each block summed in order: its bits depend on the shapes
// alone, not on the number of threads.
#pragma once
#include "runtime/pool.h"
#include "shuffle.h"

namespace {

/** C (m×n) = A·B, or C += A·B: A is m×k or, transposed, stored k×m; B is k×n or, transposed, stored n×k. */
template <typename T>
struct Matrices {
  i64 m, n, k;
  bool transposeA, transposeB, accumulate;
  const T* a;
  const T* b;
  T* c;
};

/** What is done to a part of C when it is complete, while it is in the cache. */
struct Finish {
  void (*body)(const void* context, i64 row, i64 rowEnd, i64 column, i64 columnEnd) = nullptr;
  const void* context = nullptr;
  void operator()(i64 row, i64 rowEnd, i64 column, i64 columnEnd) const {
    if (body) body(context, row, rowEnd, column, columnEnd);
  }
};

/** Rows and vectors of columns of a register tile: as many accumulators as leave room for a row of B and one of A. */
#if DAG_VECTOR_BYTES == 64
constexpr i64 MR = 14;
#else
constexpr i64 MR = 6;
#endif
constexpr i64 NV = 2;
template <typename T>
constexpr i64 NR = NV * LANES<T>;
/** Terms of a block: a panel of B of KC rows stays in the L1 cache while panels of A pass by. */
constexpr i64 KC = 256;
/** Most register tiles in a block of A: it stays in the L2 cache while panels of B pass by. */
constexpr i64 MAX_TILES = 24;
/** Bytes of B that are packed at a time. */
constexpr i64 PACKED_BYTES = i64{16} << 20;
/** Below this many multiplications packing costs more than it gains. */
constexpr i64 SMALL = 4096;

template <typename T>
struct Tile {
  Vec<T> at[MR][NV];
};

/** Σ_p a[p]·b[p]ᵀ of packed panels. */
template <typename T>
inline __attribute__((always_inline)) Tile<T> product(const T* a, const T* b, i64 k) {
  Tile<T> tile = {};
  for (i64 p = 0; p < k; p++, a += MR, b += NR<T>) {
    const Vec<T> b0 = load(b), b1 = load(b + LANES<T>);
#pragma GCC unroll 16
    for (i64 i = 0; i < MR; i++) {
      const Vec<T> x = splat(a[i]);
      tile.at[i][0] += x * b0;
      tile.at[i][1] += x * b1;
    }
  }
  return tile;
}

/** One block: packed A (rows × k) times packed B (k × columns) into C. */
template <typename T>
__attribute__((noinline)) void block(const T* a, const T* b, T* c, i64 rows, i64 columns, i64 k, i64 ldc, bool add) {
  for (i64 j = 0; j < columns; j += NR<T>)
    for (i64 i = 0; i < rows; i += MR) {
      T* corner = c + i * ldc + j;
      if (i + MR <= rows && j + NR<T> <= columns) {
        for (i64 r = 0; r < MR; r++)
          for (i64 v = 0; v < NV; v++) __builtin_prefetch(corner + r * ldc + v * LANES<T>, 1, 2);
        const Tile<T> tile = product<T>(a + i * k, b + j * k, k);
        // The rows are unrolled like the registers they lie in.
#pragma GCC unroll 16
        for (i64 r = 0; r < MR; r++)
#pragma GCC unroll 2
          for (i64 v = 0; v < NV; v++) {
            T* at = corner + r * ldc + v * LANES<T>;
            store(at, add ? load(at) + tile.at[r][v] : tile.at[r][v]);
          }
        continue;
      }
      T edge[MR * NR<T>];
      const Tile<T> tile = product<T>(a + i * k, b + j * k, k);
      std::memcpy(edge, &tile, sizeof tile);
      for (i64 r = 0; r < MR && i + r < rows; r++)
        for (i64 s = 0; s < NR<T> && j + s < columns; s++)
          corner[r * ldc + s] = add ? corner[r * ldc + s] + edge[r * NR<T> + s] : edge[r * NR<T> + s];
    }
}

/** One panel of a matrix whose panels run across memory: to[p·PANEL + i] = from[i·step + p], zeros from `valid` on. */
template <typename T, i64 PANEL>
void packAcross(const T* from, i64 step, i64 depth, i64 valid, T* to) {
  constexpr i64 L = LANES<T>;
  // Squares in registers. One that reaches past the panel writes into the next line, which is written after it: squares
  // go down the lines, and from the last columns to the first.
  for (i64 i = (PANEL - 1) / L * L; i >= 0; i -= L) {
    i64 p = 0;
    for (; p + L < depth; p += L) {
      Vec<T> square[L];
      for (i64 r = 0; r < L; r++) square[r] = i + r < PANEL && i + r < valid ? load(from + (i + r) * step + p) : Vec<T>{};
      transpose<T>(square);
      for (i64 r = 0; r < L; r++) store(to + (p + r) * PANEL + i, square[r]);
    }
    for (; p < depth; p++)
      for (i64 r = i; r < i + L && r < PANEL; r++) to[p * PANEL + r] = r < valid ? from[r * step + p] : T{0};
  }
}

/** All panels of a matrix whose lines lie along memory: line by line, as memory is read fastest. */
template <typename T, i64 PANEL>
void packAlong(const T* from, i64 step, i64 depth, i64 valid, T* to) {
  for (i64 p = 0; p < depth; p++) {
    const T* line = from + p * step;
    T* at = to + p * PANEL;
    i64 i = 0;
    for (; i + PANEL <= valid; i += PANEL, at += depth * PANEL) std::memcpy(at, line + i, PANEL * sizeof(T));
    if (i == valid) continue;
    for (i64 r = 0; r < PANEL; r++) at[r] = i + r < valid ? line[i + r] : T{0};
  }
}

/** Packs `valid` rows (or columns) of depth `depth` into panels; `along`: a line of a panel lies along memory. */
template <typename T, i64 PANEL>
void pack(const T* from, i64 step, bool along, i64 depth, i64 valid, T* to) {
  if (along) return packAlong<T, PANEL>(from, step, depth, valid, to);
  for (i64 i = 0; i < valid; i += PANEL) packAcross<T, PANEL>(from + i * step, step, depth, valid - i, to + i * depth);
}

i64 roundUp(i64 n, i64 to) { return (n + to - 1) / to * to; }
i64 least(i64 a, i64 b) { return a < b ? a : b; }

/** Panels of B that a thread packs at a time. */
constexpr i64 PACK_PANELS = 8;

/** Packs columns `from … from + columns − 1` of B: for each block of KC rows its panels one after another. */
template <typename T>
void packB(const Matrices<T>& x, i64 from, i64 columns, T* packed) {
  const i64 blocks = (x.k + KC - 1) / KC, wide = PACK_PANELS * NR<T>, groups = (columns + wide - 1) / wide;
  parallelFor(blocks * groups, [&](i64 piece) {
    const i64 p = piece / groups * KC, j = piece % groups * wide, depth = least(KC, x.k - p);
    const T* source = x.transposeB ? x.b + (from + j) * x.k + p : x.b + p * x.n + from + j;
    pack<T, NR<T>>(source, x.transposeB ? x.k : x.n, !x.transposeB, depth, least(wide, columns - j),
                   packed + p * roundUp(columns, NR<T>) + j * depth);
  });
}

template <typename T>
void packA(const Matrices<T>& x, i64 row, i64 rows, i64 p, i64 depth, T* packed) {
  const T* source = x.transposeA ? x.a + p * x.m + row : x.a + row * x.k + p;
  pack<T, MR>(source, x.transposeA ? x.m : x.k, x.transposeA, depth, rows, packed);
}

/** Rows of a block of A: large ones read B less often, small ones keep the threads evenly busy. */
i64 blockRows(i64 m) {
  const i64 tiles = (m + MR - 1) / MR, threads = dagPoolThreads();
  i64 best = 1, least = INT64_MAX;
  for (i64 size = 1; size <= MAX_TILES; size++) {
    const i64 blocks = (tiles + size - 1) / size, rounds = (blocks + threads - 1) / threads;
    // To read the panels of B once more costs about as much as a tile.
    if (rounds * (size + 1) <= least) best = size, least = rounds * (size + 1);
  }
  return best * MR;
}

template <typename T>
void packedProduct(const Matrices<T>& x, const Finish& finish) {
  const i64 columnsAtOnce = least(roundUp(x.n, NR<T>), roundUp(PACKED_BYTES / i64{sizeof(T)} / x.k, NR<T>));
  Scratch<T> packedB(columnsAtOnce * x.k);
  const i64 rowsAtOnce = blockRows(x.m);
  for (i64 from = 0; from < x.n; from += columnsAtOnce) {
    const i64 columns = least(columnsAtOnce, x.n - from);
    packB(x, from, columns, static_cast<T*>(packedB));
    parallelRanges(x.m, rowsAtOnce, [&](i64 row, i64 end) {
      Scratch<T> packedA(roundUp(rowsAtOnce, MR) * KC);
      for (i64 p = 0; p < x.k; p += KC) {
        const i64 depth = least(KC, x.k - p);
        packA(x, row, end - row, p, depth, static_cast<T*>(packedA));
        block<T>(packedA, packedB + p * roundUp(columns, NR<T>), x.c + row * x.n + from, end - row, columns, depth, x.n,
                 x.accumulate || p > 0);
      }
      finish(row, end, from, from + columns);
    });
  }
}

/** Rows of C as sums of rows of B; or, where B is transposed, as products of rows. */
template <typename T>
void smallProduct(const Matrices<T>& x) {
  const i64 rowA = x.transposeA ? 1 : x.k, stepA = x.transposeA ? x.m : 1;
  for (i64 i = 0; i < x.m; i++) {
    T* c = x.c + i * x.n;
    if (!x.accumulate)
      for (i64 j = 0; j < x.n; j++) c[j] = 0;
    if (x.transposeB) {
      for (i64 j = 0; j < x.n; j++) {
        T sum = 0;
        for (i64 p = 0; p < x.k; p++) sum += x.a[i * rowA + p * stepA] * x.b[j * x.k + p];
        c[j] += sum;
      }
      continue;
    }
    for (i64 p = 0; p < x.k; p++) {
      const T factor = x.a[i * rowA + p * stepA];
      for (i64 j = 0; j < x.n; j++) c[j] += factor * x.b[p * x.n + j];
    }
  }
}

template <typename T>
void oneProduct(const Matrices<T>& x, const Finish& finish) {
  if (x.m == 0 || x.n == 0) return;
  if (x.k == 0 || x.m * x.n * x.k < SMALL) {
    smallProduct(x);
    finish(0, x.m, 0, x.n);
  } else {
    packedProduct(x, finish);
  }
}

}  // namespace
