// Graphs in the lanes of vectors: lane l of every vector belongs to graph l of a block.
#pragma once
#include <utility>

#include "math64.h"
#include "runtime/pool.h"

namespace {

using V = Vec<f64>;
constexpr i64 L = LANES<f64>;

// The lane operations that kernels/dag_step.h requires, here for vectors. On AVX-512 sets of lanes are mask registers; the compiler
// would not use these for sets written as vectors.

#if defined(__AVX512F__)

struct Lanes {
  __mmask8 word;
};

inline bool anyOf(Lanes lanes) { return lanes.word != 0; }
inline Lanes operator&(Lanes a, Lanes b) { return {_kand_mask8(a.word, b.word)}; }
inline Lanes operator|(Lanes a, Lanes b) { return {_kor_mask8(a.word, b.word)}; }
inline Lanes inverse(Lanes lanes) { return {_knot_mask8(lanes.word)}; }
inline bool contains(Lanes lanes, i64 lane) { return lanes.word >> lane & 1; }
template <int PREDICATE>
inline Lanes compared(V a, V b) {
  return {_mm512_cmp_pd_mask(bits<__m512d>(a), bits<__m512d>(b), PREDICATE)};
}
inline Lanes equal(V a, V b) { return compared<_CMP_EQ_OQ>(a, b); }
inline Lanes differ(V a, V b) { return compared<_CMP_NEQ_UQ>(a, b); }
inline Lanes above(V a, V b) { return compared<_CMP_GT_OQ>(a, b); }
inline Lanes atLeast(V a, V b) { return compared<_CMP_GE_OQ>(a, b); }
/** The lanes whose words have a common bit. */
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) {
  return {_mm512_test_epi64_mask(bits<__m512i>(a), bits<__m512i>(b))};
}
template <typename X>
inline X chosen(Lanes lanes, X a, X b) {
  return bits<X>(_mm512_mask_mov_pd(bits<__m512d>(b), lanes.word, bits<__m512d>(a)));
}

#else

using Lanes = decltype(V{} < V{});

inline bool anyOf(Lanes lanes) {
#if defined(__AVX2__)
  return _mm256_movemask_pd(bits<__m256d>(lanes)) != 0;
#else
  return (lanes[0] | lanes[1]) != 0;
#endif
}
inline Lanes inverse(Lanes lanes) { return ~lanes; }
inline bool contains(Lanes lanes, i64 lane) { return lanes[lane] != 0; }
inline Lanes equal(V a, V b) { return a == b; }
inline Lanes differ(V a, V b) { return a != b; }
inline Lanes above(V a, V b) { return a > b; }
inline Lanes atLeast(V a, V b) { return a >= b; }
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) { return (a & b) != 0; }
template <typename X>
inline X chosen(Lanes lanes, X a, X b) { return lanes ? a : b; }

#endif

/** The lanes of a that are not in b. */
inline Lanes without(Lanes a, Lanes b) { return a & inverse(b); }
inline V magnitudeOf(V x) { return bits<V>(bits<Vec<u64>>(x) & ~(u64{1} << 63)); }
/** x, negated where `signs` is negative. */
inline V flipped(V x, V signs) { return bits<V>(bits<Vec<u64>>(x) ^ (bits<Vec<u64>>(signs) & u64{1} << 63)); }
inline V xorOf(V a, V b) { return bits<V>(bits<Vec<u64>>(a) ^ bits<Vec<u64>>(b)); }
inline u64 anyBits(Vec<u64> words) {
  u64 any = 0;
  for (i64 l = 0; l < L; l++) any |= words[l];
  return any;
}
inline int lowestBit(u64 word) { return __builtin_ctzll(word); }
/** ln m for m ≥ 0. */
inline V logOfMagnitude(V m) {
  const V zero = V{};
  const Lanes normal = atLeast(m, zero + 0x1p-1022) & atLeast(zero + 0x1.fffffffffffffp1023, m);
  if (anyOf(inverse(normal | equal(m, zero)))) return log64(m);
  return chosen(normal, logOfNormal64(m), zero - __builtin_inf());
}
/** Calls f for each lane of a set. */
template <typename F>
__attribute__((noinline)) V eachLane(Lanes lanes, V a, V b, const F& f) {
  V result{};
  for (i64 l = 0; l < L; l++)
    if (contains(lanes, l)) result[l] = f(a[l], b[l]);
  return result;
}

// Rows and lanes

/** Rows and columns of a tile, which are transposed at a time. */
constexpr i64 TILE = L < 4 ? L : 4;

template <typename T, i64 COUNT>
struct VectorOfCount {
  typedef T type __attribute__((vector_size(COUNT * sizeof(T))));
};
template <typename T, i64 COUNT>
using Elements = typename VectorOfCount<T, COUNT>::type;

template <typename T>
inline Elements<T, TILE> loadTile(const T* p) {
  Elements<T, TILE> x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

inline V widened(V x) { return x; }
inline V widened(Elements<f32, L> x) {
#if defined(__AVX512F__)
  return bits<V>(_mm512_maskz_cvtps_pd(0xff, bits<__m256>(x)));
#else
  return __builtin_convertvector(x, V);
#endif
}

/**
 * Index p of the permutation that interleaves the first (HALF 0) or second halves of groups of TILE of a and b, in pieces of
 * SIZE.
 */
template <int SIZE, int HALF>
constexpr int interleaved(int p) {
  const int piece = p % TILE / SIZE;
  return p / TILE * TILE + HALF * TILE / 2 + piece / 2 * SIZE + p % SIZE + piece % 2 * static_cast<int>(L);
}
template <int SIZE, int HALF, typename X, int... P>
inline DAG_INLINE X interleave(X a, X b, std::integer_sequence<int, P...>) {
  return __builtin_shufflevector(a, b, interleaved<SIZE, HALF>(P)...);
}
/** Transposes each group of TILE by TILE: x[r] holds row r of each group before and column r after, or the reverse. */
template <typename X>
inline DAG_INLINE void transpose(X (&x)[TILE]) {
  constexpr auto all = std::make_integer_sequence<int, L>{};
  const X ab0 = interleave<1, 0>(x[0], x[1], all), ab2 = interleave<1, 1>(x[0], x[1], all);
  if constexpr (TILE == 2) {
    x[0] = ab0, x[1] = ab2;
  } else {
    const X cd0 = interleave<1, 0>(x[2], x[3], all), cd2 = interleave<1, 1>(x[2], x[3], all);
    x[0] = interleave<2, 0>(ab0, cd0, all), x[1] = interleave<2, 1>(ab0, cd0, all);
    x[2] = interleave<2, 0>(ab2, cd2, all), x[3] = interleave<2, 1>(ab2, cd2, all);
  }
}

/** Reads TILE columns of L rows; in a vector, row r + TILE is next to row r. */
template <typename T>
inline DAG_INLINE void tileToLanes(const T* rows, i64 stride, V* columns) {
  Elements<T, L> x[TILE];
  for (i64 r = 0; r < TILE; r++) {
    const auto row = loadTile(rows + r * stride);
    if constexpr (L == TILE) x[r] = row;
    else x[r] = __builtin_shufflevector(row, loadTile(rows + (r + TILE) * stride), 0, 1, 2, 3, 4, 5, 6, 7);
  }
  transpose(x);
  for (i64 c = 0; c < TILE; c++) columns[c] = widened(x[c]);
}

template <typename T>
inline DAG_INLINE void tileToRows(const V* columns, T* rows, i64 stride) {
  Elements<T, L> x[TILE];
  for (i64 c = 0; c < TILE; c++) x[c] = __builtin_convertvector(columns[c], Elements<T, L>);
  transpose(x);
  for (i64 r = 0; r < TILE; r++) {
    std::memcpy(rows + r * stride, &x[r], TILE * sizeof(T));
    if constexpr (L > TILE) {
      const auto beside = __builtin_shufflevector(x[r], x[r], 4, 5, 6, 7);
      std::memcpy(rows + (r + TILE) * stride, &beside, sizeof beside);
    }
  }
}

/** Reads the first `count` columns of `lanes` rows. A single row fills all lanes; otherwise lanes without a row become 0. */
template <typename T>
inline DAG_INLINE void toLanes(const T* rows, i64 stride, i64 count, i64 lanes, V* columns) {
  if (lanes == 1) stride = 0, lanes = L;
  const i64 whole = lanes == L ? count / TILE * TILE : 0;
  for (i64 c = 0; c < whole; c += TILE) tileToLanes(rows + c, stride, columns + c);
  for (i64 c = whole; c < count; c++) {
    columns[c] = V{};
    for (i64 l = 0; l < lanes; l++) columns[c][l] = rows[l * stride + c];
  }
}

/** Writes all columns to rows. */
template <typename T>
inline DAG_INLINE void toRows(const V* columns, i64 stride, T* rows) {
  const i64 whole = stride / TILE * TILE;
  for (i64 c = 0; c < whole; c += TILE) tileToRows(columns + c, rows + c, stride);
  for (i64 c = whole; c < stride; c++)
    for (i64 l = 0; l < L; l++) rows[l * stride + c] = static_cast<T>(columns[c][l]);
}

}  // namespace
