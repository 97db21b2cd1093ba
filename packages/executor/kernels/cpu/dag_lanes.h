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
/** The lanes of a that are not in b. */
inline Lanes without(Lanes a, Lanes b) { return {_kandn_mask8(b.word, a.word)}; }
inline bool contains(Lanes lanes, i64 lane) { return lanes.word >> lane & 1; }
inline Lanes lanesOfWord(u64 word) { return {static_cast<__mmask8>(word)}; }
template <int PREDICATE>
inline Lanes compared(V a, V b) {
  return {_mm512_cmp_pd_mask(bits<__m512d>(a), bits<__m512d>(b), PREDICATE)};
}
inline Lanes equal(V a, V b) { return compared<_CMP_EQ_OQ>(a, b); }
inline Lanes differ(V a, V b) { return compared<_CMP_NEQ_UQ>(a, b); }
inline Lanes above(V a, V b) { return compared<_CMP_GT_OQ>(a, b); }
inline Lanes atLeast(V a, V b) { return compared<_CMP_GE_OQ>(a, b); }
inline Lanes atMost(V a, V b) { return compared<_CMP_LE_OQ>(a, b); }
/** The lanes whose words have a common bit. */
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) {
  return {_mm512_test_epi64_mask(bits<__m512i>(a), bits<__m512i>(b))};
}
inline V chosen(Lanes lanes, V a, V b) {
  return bits<V>(_mm512_mask_mov_pd(bits<__m512d>(b), lanes.word, bits<__m512d>(a)));
}
inline V only(Lanes lanes, V a) { return bits<V>(_mm512_maskz_mov_pd(lanes.word, bits<__m512d>(a))); }
inline V xorWhere(V a, Lanes lanes, V b) {
  return bits<V>(_mm512_mask_xor_pd(bits<__m512d>(a), lanes.word, bits<__m512d>(a), bits<__m512d>(b)));
}
/** 0 + a · b in a set of lanes, 0 in the other lanes. */
inline V multipliedWhere(Lanes lanes, V a, V b) {
  return bits<V>(_mm512_maskz_fmadd_pd(lanes.word, bits<__m512d>(a), bits<__m512d>(b), _mm512_setzero_pd()));
}
#define DAG_WHERE(name, sign, operation)                                                           \
  inline V name(V a, Lanes lanes, V b) {                                                           \
    return bits<V>(_mm512_mask_##operation##_pd(bits<__m512d>(a), lanes.word, bits<__m512d>(a), bits<__m512d>(b))); \
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
inline Lanes without(Lanes a, Lanes b) { return a & ~b; }
inline bool contains(Lanes lanes, i64 lane) { return lanes[lane] != 0; }
inline Lanes lanesOfWord(u64 word) {
  Lanes lanes;
  for (i64 l = 0; l < L; l++) lanes[l] = -static_cast<i64>(word >> l & 1);
  return lanes;
}
inline Lanes equal(V a, V b) { return a == b; }
inline Lanes differ(V a, V b) { return a != b; }
inline Lanes above(V a, V b) { return a > b; }
inline Lanes atLeast(V a, V b) { return a >= b; }
inline Lanes atMost(V a, V b) { return a <= b; }
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) { return (a & b) != 0; }
inline V chosen(Lanes lanes, V a, V b) { return lanes ? a : b; }
inline V only(Lanes lanes, V a) { return lanes ? a : V{}; }
inline V xorWhere(V a, Lanes lanes, V b) { return bits<V>(bits<Vec<u64>>(a) ^ bits<Vec<u64>>(only(lanes, b))); }
inline V multipliedWhere(Lanes lanes, V a, V b) { return only(lanes, 0 + a * b); }
/** Combines a with b in the lanes of a set; a in the other lanes. */
#define DAG_WHERE(name, sign, operation) \
  inline V name(V a, Lanes lanes, V b) { return lanes ? a sign b : a; }

#endif
DAG_WHERE(plusWhere, +, add)
DAG_WHERE(minusWhere, -, sub)
DAG_WHERE(timesWhere, *, mul)
DAG_WHERE(dividedWhere, /, div)
#undef DAG_WHERE

inline V magnitudeOf(V x) { return bits<V>(bits<Vec<u64>>(x) & ~(u64{1} << 63)); }
/** x, negated where `signs` is negative. */
inline V flipped(V x, V signs) { return bits<V>(bits<Vec<u64>>(x) ^ (bits<Vec<u64>>(signs) & u64{1} << 63)); }
inline V xorOf(V a, V b) { return bits<V>(bits<Vec<u64>>(a) ^ bits<Vec<u64>>(b)); }
inline int lowestBit(u64 word) { return __builtin_ctzll(word); }
/** ln m for m ≥ 0. */
inline V logOfMagnitude(V m) {
  const V zero = V{};
  const Lanes normal = atLeast(m, zero + 0x1p-1022) & atMost(m, zero + 0x1.fffffffffffffp1023);
  return anyOf(inverse(normal | equal(m, zero))) ? log64(m) : logOfNormal64(m);
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

/** Columns that are transposed at a time. */
constexpr i64 TILE = 4;

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

/** HELD: clamps to the largest finite number of T. */
template <typename T, bool HELD>
inline Elements<T, L> narrowed(V x) {
  if constexpr (sizeof(T) == sizeof(f64)) {
    return x;
  } else {
    if constexpr (HELD) x = x > __FLT_MAX__ ? splat<f64>(__FLT_MAX__) : x < -__FLT_MAX__ ? splat<f64>(-__FLT_MAX__) : x;
#if defined(__AVX512F__)
    return bits<Elements<T, L>>(_mm512_maskz_cvtpd_ps(0xff, bits<__m512d>(x)));
#else
    return __builtin_convertvector(x, Elements<T, L>);
#endif
  }
}
inline V widened(V x) { return x; }
inline V widened(Elements<f32, L> x) {
#if defined(__AVX512F__)
  return bits<V>(_mm512_maskz_cvtps_pd(0xff, bits<__m256>(x)));
#else
  return __builtin_convertvector(x, V);
#endif
}

#if DAG_VECTOR_BYTES > 16

/** Index p of the permutation that interleaves the first (HALF 0) or second halves of groups of four of a and b, in pieces of SIZE. */
template <int SIZE, int HALF>
constexpr int interleaved(int p) {
  const int piece = p % TILE / SIZE;
  return p / TILE * TILE + HALF * 2 + piece / 2 * SIZE + p % SIZE + piece % 2 * static_cast<int>(L);
}
template <int SIZE, int HALF, typename X, int... P>
inline DAG_INLINE X interleave(X a, X b, std::integer_sequence<int, P...>) {
  return __builtin_shufflevector(a, b, interleaved<SIZE, HALF>(P)...);
}
/** Transposes each group of four by four: x[r] holds row r of each group before and column r after, or the reverse. */
template <typename X>
inline DAG_INLINE void transpose(X (&x)[TILE]) {
  constexpr auto all = std::make_integer_sequence<int, L>{};
  const X ab0 = interleave<1, 0>(x[0], x[1], all), ab2 = interleave<1, 1>(x[0], x[1], all);
  const X cd0 = interleave<1, 0>(x[2], x[3], all), cd2 = interleave<1, 1>(x[2], x[3], all);
  x[0] = interleave<2, 0>(ab0, cd0, all), x[1] = interleave<2, 1>(ab0, cd0, all);
  x[2] = interleave<2, 0>(ab2, cd2, all), x[3] = interleave<2, 1>(ab2, cd2, all);
}

/** Reads four columns of L rows; in a vector, row r + 4 is next to row r. */
template <typename T>
inline DAG_INLINE void tileToLanes(const T* rows, i64 stride, V* columns) {
  Elements<T, L> x[TILE];
  for (i64 r = 0; r < TILE; r++) {
    const auto row = loadTile(rows + r * stride);
#if DAG_VECTOR_BYTES == 64
    x[r] = __builtin_shufflevector(row, loadTile(rows + (r + TILE) * stride), 0, 1, 2, 3, 4, 5, 6, 7);
#else
    x[r] = row;
#endif
  }
  transpose(x);
  for (i64 c = 0; c < TILE; c++) columns[c] = widened(x[c]);
}

template <typename T, bool HELD>
inline DAG_INLINE void tileToRows(const V* columns, T* rows, i64 stride) {
  Elements<T, L> x[TILE];
  for (i64 c = 0; c < TILE; c++) x[c] = narrowed<T, HELD>(columns[c]);
  transpose(x);
  for (i64 r = 0; r < TILE; r++) {
    std::memcpy(rows + r * stride, &x[r], TILE * sizeof(T));
#if DAG_VECTOR_BYTES == 64
    const auto beside = __builtin_shufflevector(x[r], x[r], 4, 5, 6, 7);
    std::memcpy(rows + (r + TILE) * stride, &beside, sizeof beside);
#endif
  }
}

#else

template <typename T>
inline DAG_INLINE void tileToLanes(const T* rows, i64 stride, V* columns) {
  for (i64 c = 0; c < TILE; c++) columns[c] = V{static_cast<f64>(rows[c]), static_cast<f64>(rows[stride + c])};
}

template <typename T, bool HELD>
inline DAG_INLINE void tileToRows(const V* columns, T* rows, i64 stride) {
  for (i64 c = 0; c < TILE; c++) {
    const auto x = narrowed<T, HELD>(columns[c]);
    rows[c] = x[0];
    rows[stride + c] = x[1];
  }
}

#endif

/** Columns 0 … count−1, rounded up to TILE, of L rows; reads up to TILE − 1 elements beyond the last row. */
template <typename T>
inline void toLanes(const T* rows, i64 stride, i64 count, V* columns) {
  for (i64 c = 0; c < count; c += TILE) tileToLanes(rows + c, stride, columns + c);
}

/** The inverse, for all columns of L contiguous rows. */
template <typename T, bool HELD>
inline void toRows(const V* columns, i64 stride, T* rows) {
  const i64 whole = stride / TILE * TILE;
  for (i64 c = 0; c < whole; c += TILE) tileToRows<T, HELD>(columns + c, rows + c, stride);
  for (i64 c = whole; c < stride; c++) {
    const auto x = narrowed<T, HELD>(columns[c]);
    for (i64 l = 0; l < L; l++) rows[l * stride + c] = x[l];
  }
}

/** One bit per lane: the sign bits of x, which are set where a comparison is true. */
template <typename T, typename X>
inline u64 signBits(X x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_movepi32_mask(bits<__m512i>(x));
  else return _mm512_movepi64_mask(bits<__m512i>(x));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return _mm256_movemask_ps(bits<__m256>(x));
  else return _mm256_movemask_pd(bits<__m256d>(x));
#else
  u64 word = 0;
  for (i64 l = 0; l < LANES<T>; l++) word |= static_cast<u64>(bits<Vec<IntOf<T>>>(x)[l] < 0) << l;
  return word;
#endif
}

}  // namespace
