// Matrix products C (+)= A·B, f32 and f64, after Goto & van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008): B is packed into panels of NR columns, and a kernel keeps an MR×NR tile of C in registers while
// it walks along k. Rows of A that are contiguous are read in place, others are packed into panels of MR rows.
//
// An element of C is the sum over blocks of KC terms in order, each block summed in order. So its bits depend only on its row
// of A and its column of B, not on the number of threads or on other rows and columns.
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

/** The epilogue, called for each part of C when it is complete, while it is in the cache. */
struct Finish {
  void (*body)(const void* context, i64 row, i64 rowEnd, i64 column, i64 columnEnd) = nullptr;
  const void* context = nullptr;
  void operator()(i64 row, i64 rowEnd, i64 column, i64 columnEnd) const {
    if (body) body(context, row, rowEnd, column, columnEnd);
  }
};

/**
 * Rows of a register tile (MR), and vectors per row (NV). A step along k takes MR + NV loads for MR·NV multiply-adds; 6×4 leaves
 * room for a row of B among 32 registers. 14×2 has as many accumulators, but ran at 0.78 of the peak where 6×4 ran at 0.85, on
 * processors that share their load units with another thread. V8 has 15 registers for WebAssembly on x86: 6×2 spilled in every
 * step, 4×2 took 0.53 of its time.
 */
#ifdef __wasm__
constexpr i64 MR = 4;
#else
constexpr i64 MR = 6;
#endif
constexpr i64 NV = DAG_VECTOR_BYTES == 64 ? 4 : 2;
template <typename T>
constexpr i64 NR = NV * LANES<T>;
/** Terms per block: a panel of B of KC rows stays in the L1 and L2 caches while rows of A stream through. */
constexpr i64 KC = 256;
/** Most register tiles in a block of A: it stays in the L2 cache while panels of B stream through. */
constexpr i64 MAX_TILES = 48;
/** Most columns of B that are packed at a time: KC lines of them stay in the L2 cache beside a block of A. */
constexpr i64 MAX_COLUMNS = 512;
/** Below this many multiplications packing costs more than it gains. */
constexpr i64 SMALL = 4096;

inline i64 roundUp(i64 n, i64 to) { return (n + to - 1) / to * to; }
constexpr i64 least(i64 a, i64 b) { return a < b ? a : b; }

template <typename T, i64 V = NV>
struct Tile {
  Vec<T> at[MR][V];
};

/**
 * Σ_p A[·, p]·b[p], a tile of C of V of the vectors of a panel of B. Rows of A beyond the last valid one are not read; the last valid
 * one is read again instead.
 */
template <bool PACKED, i64 V = NV, typename T>
inline __attribute__((always_inline)) Tile<T, V> product(const T* a, i64 row, i64 valid, const T* b, i64 k) {
  const T* rows[MR];
  for (i64 i = 0; i < MR; i++) rows[i] = a + (PACKED ? i : (i < valid ? i : valid - 1) * row);
  Tile<T, V> tile = {};
  for (i64 p = 0; p < k; p++, b += NR<T>) {
    Vec<T> line[V];
#pragma GCC unroll 4
    for (i64 v = 0; v < V; v++) line[v] = load(b + v * LANES<T>);
#pragma GCC unroll 8
    for (i64 i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (i64 v = 0; v < V; v++) tile.at[i][v] += (PACKED ? a[p * MR + i] : rows[i][p]) * line[v];
  }
  return tile;
}

/** A tile at the edge of C, of at most MR rows and at most V vectors of columns. */
template <bool PACKED, i64 V, typename T>
inline void edgeTile(const T* a, i64 rowStep, const T* b, T* c, i64 rows, i64 columns, i64 k, i64 ldc, bool add) {
  if constexpr (V > 1)
    if (columns <= (V - 1) * LANES<T>) return edgeTile<PACKED, V - 1>(a, rowStep, b, c, rows, columns, k, ldc, add);
  const Tile<T, V> tile = product<PACKED, V>(a, rowStep, rows, b, k);
  T edge[MR][V * LANES<T>];
  std::memcpy(edge, &tile, sizeof tile);
  for (i64 r = 0; r < MR && r < rows; r++)
    for (i64 s = 0; s < V * LANES<T> && s < columns; s++)
      c[r * ldc + s] = add ? c[r * ldc + s] + edge[r][s] : edge[r][s];
}

/** One block: rows of A times packed B (k × columns) into C. Calls `done(j, end)` when columns j … end − 1 of all rows are written. */
template <bool PACKED, typename T, typename Done>
__attribute__((noinline)) void block(const T* a, i64 rowStep, const T* b, T* c, i64 rows, i64 columns, i64 k, i64 ldc,
                                     bool add, const Done& done) {
  // Each tile prefetches its share of the next panel of B, which may be in the L3 cache.
  constexpr i64 LINE = 64 / sizeof(T);
  const i64 share = roundUp(k * NR<T> / LINE * MR, rows) / rows * LINE;
  for (i64 j = 0; j < columns; j += NR<T>) {
    for (i64 i = 0; i < rows; i += MR) {
      const T* next = b + (j + NR<T>) * k + i / MR * share;
      for (i64 q = 0; q < share; q += LINE) __builtin_prefetch(next + q, 0, 2);
      T* corner = c + i * ldc + j;
      const T* from = a + (PACKED ? i * k : i * rowStep);
      if (i + MR <= rows && j + NR<T> <= columns) {
        for (i64 r = 0; r < MR; r++)
          for (i64 v = 0; v < NV; v++) __builtin_prefetch(corner + r * ldc + v * LANES<T>, 1, 2);
        const Tile<T> tile = product<PACKED>(from, rowStep, MR, b + j * k, k);
        // Unrolled, because each row is in its own registers.
#pragma GCC unroll 8
        for (i64 r = 0; r < MR; r++)
#pragma GCC unroll 4
          for (i64 v = 0; v < NV; v++) {
            T* at = corner + r * ldc + v * LANES<T>;
            store(at, add ? load(at) + tile.at[r][v] : tile.at[r][v]);
          }
        continue;
      }
      edgeTile<PACKED, NV>(from, rowStep, b + j * k, corner, rows - i, columns - j, k, ldc, add);
    }
    done(j, least(j + NR<T>, columns));
  }
}

/** One panel of a matrix whose panels run across memory: to[p·PANEL + i] = from[i·step + p], zeros from `valid` on. */
template <typename T, i64 PANEL>
void packAcross(const T* from, i64 step, i64 depth, i64 valid, T* to) {
  constexpr i64 L = LANES<T>;
  // Transposes squares in registers. A square that reaches past the panel also writes into the next line; that line is written
  // later, since squares are processed from the last columns to the first and down the lines.
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

/** Lines to prefetch: the hardware prefetcher does not follow a stride of whole pages. */
constexpr i64 AHEAD = 8;

/** Packs all panels of a matrix whose lines are contiguous: line by line, which reads memory fastest. */
template <typename T, i64 PANEL>
void packAlong(const T* from, i64 step, i64 depth, i64 valid, T* to) {
  for (i64 p = 0; p < depth; p++) {
    const T* line = from + p * step;
    T* at = to + p * PANEL;
    i64 i = 0;
    for (; i + PANEL <= valid; i += PANEL, at += depth * PANEL) {
      __builtin_prefetch(line + i + AHEAD * step);
      std::memcpy(at, line + i, PANEL * sizeof(T));
    }
    if (i == valid) continue;
    for (i64 r = 0; r < PANEL; r++) at[r] = i + r < valid ? line[i + r] : T{0};
  }
}

/** Packs `valid` rows (or columns) of depth `depth` into panels; `along`: the lines of a panel are contiguous in memory. */
template <typename T, i64 PANEL>
void pack(const T* from, i64 step, bool along, i64 depth, i64 valid, T* to) {
  if (along) return packAlong<T, PANEL>(from, step, depth, valid, to);
  for (i64 i = 0; i < valid; i += PANEL) packAcross<T, PANEL>(from + i * step, step, depth, valid - i, to + i * depth);
}

/** Panels of B that a thread packs at a time. */
constexpr i64 PACK_PANELS = 8;

/** Packs columns `from … from + columns − 1` of B: for each block of KC rows its panels in order. */
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

/** Rows of a block of A: large ones read B less often, small ones keep the threads evenly busy. */
i64 blockRows(i64 m) {
  const i64 tiles = (m + MR - 1) / MR, threads = dagPoolThreads();
  i64 best = 1, least = INT64_MAX;
  for (i64 size = 1; size <= MAX_TILES; size++) {
    const i64 blocks = (tiles + size - 1) / size, rounds = (blocks + threads - 1) / threads;
    // Reading the panels of B once more costs about as much as a tile.
    if (rounds * (size + 1) <= least) best = size, least = rounds * (size + 1);
  }
  return best * MR;
}

template <typename T>
void packedProduct(const Matrices<T>& x, const Finish& finish) {
  const i64 columnsAtOnce = least(roundUp(x.n, NR<T>), MAX_COLUMNS);
  Scratch<T> packedB(columnsAtOnce * x.k);
  if (!packedB) return;
  const i64 rowsAtOnce = blockRows(x.m);
  for (i64 from = 0; from < x.n; from += columnsAtOnce) {
    const i64 columns = least(columnsAtOnce, x.n - from);
    packB(x, from, columns, static_cast<T*>(packedB));
    parallelRanges(x.m, rowsAtOnce, [&](i64 row, i64 end) {
      Scratch<T> packedA(x.transposeA ? rowsAtOnce * KC : 0);
      if (!packedA) return;
      for (i64 p = 0; p < x.k; p += KC) {
        const i64 depth = least(KC, x.k - p);
        const T* b = packedB + p * roundUp(columns, NR<T>);
        T* c = x.c + row * x.n + from;
        const bool add = x.accumulate || p > 0;
        const auto done = [&](i64 j, i64 jEnd) {
          if (p + depth == x.k) finish(row, end, from + j, from + jEnd);
        };
        if (x.transposeA) {
          packAlong<T, MR>(x.a + p * x.m + row, x.m, depth, end - row, packedA);
          block<true, T>(packedA, 0, b, c, end - row, columns, depth, x.n, add, done);
        } else {
          block<false, T>(x.a + row * x.k + p, x.k, b, c, end - row, columns, depth, x.n, add, done);
        }
      }
    });
  }
}

/** a·b + c with the same rounding as in the tiles: fused if the processor has FMA. Explicit, because a compiler that vectorises a sum would split it. */
template <typename T>
inline T multiplyAdd(T a, T b, T c) {
#if defined(__FMA__) || defined(__aarch64__)
  if constexpr (sizeof(T) == 4) return __builtin_fmaf(a, b, c);
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/**
 * A product of fewer than SMALL multiplications. Terms are added in the order of packed products, so that a row of C has the same
 * bits however many rows are multiplied at once.
 */
template <typename T>
void smallProduct(const Matrices<T>& x) {
  const i64 rowA = x.transposeA ? 1 : x.k, stepA = x.transposeA ? x.m : 1;
  if (!x.transposeB) {
    // Lanes are columns of C.
    for (i64 i = 0; i < x.m; i++)
      for (i64 j = 0; j < x.n; j += LANES<T>) {
        const i64 lanes = least(LANES<T>, x.n - j);
        T* c = x.c + i * x.n + j;
        if (x.k == 0 && !x.accumulate) storeUpTo(c, Vec<T>{}, lanes);
        for (i64 begin = 0; begin < x.k; begin += KC) {
          Vec<T> sum{};
          for (i64 p = begin; p < least(begin + KC, x.k); p++)
            sum += x.a[i * rowA + p * stepA] * loadUpTo(x.b + p * x.n + j, lanes);
          storeUpTo(c, x.accumulate || begin > 0 ? loadUpTo(c, lanes) + sum : sum, lanes);
        }
      }
    return;
  }
  for (i64 i = 0; i < x.m; i++)
    for (i64 j = 0; j < x.n; j++) {
      const T *a = x.a + i * rowA, *b = x.b + j * x.k;
      T& c = x.c[i * x.n + j];
      if (!x.accumulate) c = 0;
      for (i64 begin = 0; begin < x.k; begin += KC) {
        T sum = 0;
        for (i64 p = begin; p < least(begin + KC, x.k); p++) sum = multiplyAdd(a[p * stepA], b[p], sum);
        // Not 0 + sum: that would lose the sign of a zero.
        c = x.accumulate || begin > 0 ? c + sum : sum;
      }
    }
}

/** Up to this many rows, reading B again for each vector of rows is faster than packing it. */
constexpr i64 FEW_ROWS = 64;
/** Most vectors of rows in a tile of `fewRows`, registers for its sums, and most columns: their addresses need registers, too. */
constexpr i64 ROW_VECTORS = 4;
#ifdef __wasm__
constexpr i64 SUMS = 8, MOST_COLUMNS = 4;
#else
constexpr i64 SUMS = DAG_VECTOR_BYTES == 64 ? 20 : 12, MOST_COLUMNS = SUMS;
#endif
constexpr i64 columnsOf(i64 vectors) { return least(SUMS / vectors, MOST_COLUMNS); }
/** Columns that a thread computes at a time. */
constexpr i64 STRIP_COLUMNS = 64;
/** Number of multiplications from which another thread pays off. */
constexpr i64 WORTH_A_THREAD = 1 << 21;

/**
 * A tile of a product of few rows: V vectors of rows of A (packed in panels of LANES rows, one row per lane), times columns j … jEnd − 1
 * of B, whose terms are contiguous (B is stored n×k). Written to C from `row` on.
 */
template <typename T, i64 V>
__attribute__((noinline)) void fewRowsTile(const Matrices<T>& x, const T* panels, i64 row, i64 j, i64 jEnd) {
  constexpr i64 COLUMNS = columnsOf(V), L = LANES<T>;
  const i64 rows = least(V * L, x.m - row), columns = jEnd - j;
  const T* b[COLUMNS];
  for (i64 c = 0; c < COLUMNS; c++) b[c] = x.b + (j + least(c, columns - 1)) * x.k;
  // Columns of the next tile, to prefetch: they may be in the L3 cache.
  const T* next = b[0] + COLUMNS * x.k;
  T total[COLUMNS][V * L];
  if (x.accumulate)
    for (i64 c = 0; c < columns; c++)
      for (i64 i = 0; i < rows; i++) total[c][i] = x.c[(row + i) * x.n + j + c];
  for (i64 begin = 0; begin < x.k; begin += KC) {
    Vec<T> sums[COLUMNS][V] = {};
    for (i64 p = begin; p < least(begin + KC, x.k); p++) {
      __builtin_prefetch(next + p * COLUMNS);
      Vec<T> line[V];
#pragma GCC unroll 4
      for (i64 v = 0; v < V; v++) line[v] = load(panels + (v * x.k + p) * L);
#pragma GCC unroll 20
      for (i64 c = 0; c < COLUMNS; c++)
#pragma GCC unroll 4
        for (i64 v = 0; v < V; v++) sums[c][v] += b[c][p] * line[v];
    }
    const bool add = x.accumulate || begin > 0;
#pragma GCC unroll 20
    for (i64 c = 0; c < COLUMNS; c++)
#pragma GCC unroll 4
      for (i64 v = 0; v < V; v++) {
        T* at = total[c] + v * L;
        store(at, add ? load(at) + sums[c][v] : sums[c][v]);
      }
  }
  for (i64 i = 0; i < rows; i++)
    for (i64 c = 0; c < columns; c++) x.c[(row + i) * x.n + j + c] = total[c][i];
}

/** Columns j … jEnd − 1 of V vectors of rows, tile by tile. */
template <typename T, i64 V>
void fewRowsColumns(const Matrices<T>& x, const T* panels, i64 row, i64 j, i64 jEnd) {
  constexpr i64 COLUMNS = columnsOf(V);
  for (; j < jEnd; j += COLUMNS) fewRowsTile<T, V>(x, panels, row, j, least(j + COLUMNS, jEnd));
}

/** A product of few rows with B stored n×k, which is read in place. Terms are added in the order of packed products. */
template <typename T>
void fewRows(const Matrices<T>& x, const Finish& finish) {
  constexpr i64 L = LANES<T>;
  Scratch<T> packed(roundUp(x.m, L) * x.k);
  if (!packed) return;
  pack<T, L>(x.a, x.k, false, x.k, x.m, packed);
  const i64 grain = roundUp(1 + WORTH_A_THREAD / (x.m * x.k), STRIP_COLUMNS);
  parallelRanges(x.n, grain, [&](i64 from, i64 to) {
    for (i64 j = from; j < to; j += STRIP_COLUMNS) {
      const i64 jEnd = least(j + STRIP_COLUMNS, to);
      for (i64 row = 0; row < x.m; row += ROW_VECTORS * L) {
        const T* panels = packed + row * x.k;
        switch ((least(ROW_VECTORS * L, x.m - row) + L - 1) / L) {
          case 1: fewRowsColumns<T, 1>(x, panels, row, j, jEnd); break;
          case 2: fewRowsColumns<T, 2>(x, panels, row, j, jEnd); break;
          case 3: fewRowsColumns<T, 3>(x, panels, row, j, jEnd); break;
          default: fewRowsColumns<T, 4>(x, panels, row, j, jEnd);
        }
      }
      finish(0, x.m, j, jEnd);
    }
  });
}

template <typename T>
void oneProduct(const Matrices<T>& x, const Finish& finish) {
  if (x.m == 0 || x.n == 0) return;
  if (x.k == 0 || x.m * x.n * x.k < SMALL) {
    smallProduct(x);
    finish(0, x.m, 0, x.n);
  } else if (x.transposeB && !x.transposeA && x.m <= FEW_ROWS) {
    fewRows(x, finish);
  } else {
    packedProduct(x, finish);
  }
}

}  // namespace
