// Graphs in the lanes of vectors: lane l of every vector belongs to graph l of a block.
#pragma once
#include "math64.h"

#include "../dag_step.h"
#include "runtime/pool.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

using V = Vec<f64>;
using Mask = decltype(V{} < V{});
constexpr i64 L = LANES<f64>;

inline bool any(Mask mask) {
#if defined(__AVX512F__)
  return _mm512_movepi64_mask(bits<__m512i>(mask)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_pd(bits<__m256d>(mask)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_pd(bits<__m128d>(mask)) != 0;
#else
  i64 word = 0;
  for (i64 l = 0; l < L; l++) word |= mask[l];
  return word != 0;
#endif
}

inline V magnitudeOf(V x) { return bits<V>(bits<Vec<u64>>(x) & ~(u64{1} << 63)); }
inline Vec<u64> signBitOf(V x) { return bits<Vec<u64>>(x) & (u64{1} << 63); }
/** x, with the other sign where a sign bit of `signs` is set. */
inline V flipped(V x, Vec<u64> signs) { return bits<V>(bits<Vec<u64>>(x) ^ signs); }
inline V signOf(V x) {
  const V one = bits<V>((bits<Vec<u64>>(x) & (u64{1} << 63)) | 0x3ff0000000000000);
  return x == x ? one : splat(1.0);
}
/** `x` within ±`limit`. A NaN stays one: the second operand is what the comparisons of these leave. */
inline V held(V x, f64 limit = LARGEST) {
#if defined(__AVX512F__)
  return bits<V>(_mm512_maskz_min_pd(0xff, _mm512_set1_pd(limit),
                                     _mm512_maskz_max_pd(0xff, _mm512_set1_pd(-limit), bits<__m512d>(x))));
#elif defined(__AVX2__)
  return bits<V>(_mm256_min_pd(_mm256_set1_pd(limit), _mm256_max_pd(_mm256_set1_pd(-limit), bits<__m256d>(x))));
#else
  return smaller(splat(limit), larger(splat(-limit), x));
#endif
}
inline V chain(V upstream, V local) {
  const V product = upstream * local;
  return held(product == product ? product : V{});
}
inline Mask isFinite(V x) { return magnitudeOf(x) <= LARGEST; }
/** For |x| < 2^51. */
inline Mask isWhole(V x) { return (x + ROUND) - ROUND == x; }

// Rows and lanes

/** Columns that are transposed at a time. */
constexpr i64 TILE = 4;

template <typename T, i64 COUNT>
struct VectorOfCount {
  typedef T type __attribute__((vector_size(COUNT * sizeof(T))));
};
template <typename T, i64 COUNT>
using Elements = typename VectorOfCount<T, COUNT>::type;

/** TILE elements of one row. */
template <typename T>
inline Elements<T, TILE> loadTile(const T* p) {
  Elements<T, TILE> x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <typename T>
inline void storeTile(T* p, Elements<T, TILE> x) {
  std::memcpy(p, &x, sizeof x);
}

inline V widened(Elements<f32, L> x) {
#if defined(__AVX512F__)
  return bits<V>(_mm512_maskz_cvtps_pd(0xff, bits<__m256>(x)));
#else
  return __builtin_convertvector(x, V);
#endif
}
inline V widened(V x) { return x; }

/** HELD: what T has no room for becomes its largest number. */
template <typename T, bool HELD>
inline Elements<T, L> narrowed(V x) {
  if constexpr (sizeof(T) == sizeof(f64)) {
    return x;
  } else {
    if constexpr (HELD) x = held(x, __FLT_MAX__);
#if defined(__AVX512F__)
    return bits<Elements<T, L>>(_mm512_maskz_cvtpd_ps(0xff, bits<__m512d>(x)));
#else
    return __builtin_convertvector(x, Elements<T, L>);
#endif
  }
}

#define DAG_SHUFFLE __builtin_shufflevector

#if DAG_VECTOR_BYTES == 64

/** Four columns of eight rows. Rows are paired so that the shuffles stay within 128 bits as long as they can. */
template <typename T>
inline void tileToLanes(const T* rows, i64 stride, V* columns) {
  const auto pair = [&](i64 a, i64 b) {
    return DAG_SHUFFLE(loadTile(rows + a * stride), loadTile(rows + b * stride), 0, 1, 2, 3, 4, 5, 6, 7);
  };
  if constexpr (sizeof(T) == sizeof(f32)) {
    const auto a = pair(0, 4), b = pair(1, 5), c = pair(2, 6), d = pair(3, 7);
    const auto ab0 = DAG_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13), ab2 = DAG_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    const auto cd0 = DAG_SHUFFLE(c, d, 0, 8, 1, 9, 4, 12, 5, 13), cd2 = DAG_SHUFFLE(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    columns[0] = widened(DAG_SHUFFLE(ab0, cd0, 0, 1, 8, 9, 4, 5, 12, 13));
    columns[1] = widened(DAG_SHUFFLE(ab0, cd0, 2, 3, 10, 11, 6, 7, 14, 15));
    columns[2] = widened(DAG_SHUFFLE(ab2, cd2, 0, 1, 8, 9, 4, 5, 12, 13));
    columns[3] = widened(DAG_SHUFFLE(ab2, cd2, 2, 3, 10, 11, 6, 7, 14, 15));
  } else {
    const auto a = pair(0, 2), b = pair(1, 3), c = pair(4, 6), d = pair(5, 7);
    const auto ab0 = DAG_SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14), ab1 = DAG_SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    const auto cd0 = DAG_SHUFFLE(c, d, 0, 8, 2, 10, 4, 12, 6, 14), cd1 = DAG_SHUFFLE(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
    columns[0] = DAG_SHUFFLE(ab0, cd0, 0, 1, 4, 5, 8, 9, 12, 13);
    columns[1] = DAG_SHUFFLE(ab1, cd1, 0, 1, 4, 5, 8, 9, 12, 13);
    columns[2] = DAG_SHUFFLE(ab0, cd0, 2, 3, 6, 7, 10, 11, 14, 15);
    columns[3] = DAG_SHUFFLE(ab1, cd1, 2, 3, 6, 7, 10, 11, 14, 15);
  }
}

template <typename T, bool HELD>
inline void tileToRows(const V* columns, T* rows, i64 stride) {
  const auto a = narrowed<T, HELD>(columns[0]), b = narrowed<T, HELD>(columns[1]);
  const auto c = narrowed<T, HELD>(columns[2]), d = narrowed<T, HELD>(columns[3]);
  const auto put = [&](auto x, i64 low, i64 high) {
    storeTile(rows + low * stride, DAG_SHUFFLE(x, x, 0, 1, 2, 3));
    storeTile(rows + high * stride, DAG_SHUFFLE(x, x, 4, 5, 6, 7));
  };
  if constexpr (sizeof(T) == sizeof(f32)) {
    const auto ab0 = DAG_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13), ab2 = DAG_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    const auto cd0 = DAG_SHUFFLE(c, d, 0, 8, 1, 9, 4, 12, 5, 13), cd2 = DAG_SHUFFLE(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    put(DAG_SHUFFLE(ab0, cd0, 0, 1, 8, 9, 4, 5, 12, 13), 0, 4);
    put(DAG_SHUFFLE(ab0, cd0, 2, 3, 10, 11, 6, 7, 14, 15), 1, 5);
    put(DAG_SHUFFLE(ab2, cd2, 0, 1, 8, 9, 4, 5, 12, 13), 2, 6);
    put(DAG_SHUFFLE(ab2, cd2, 2, 3, 10, 11, 6, 7, 14, 15), 3, 7);
  } else {
    const auto ab0 = DAG_SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14), ab1 = DAG_SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    const auto cd0 = DAG_SHUFFLE(c, d, 0, 8, 2, 10, 4, 12, 6, 14), cd1 = DAG_SHUFFLE(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
    put(DAG_SHUFFLE(ab0, cd0, 0, 1, 8, 9, 2, 3, 10, 11), 0, 2);
    put(DAG_SHUFFLE(ab1, cd1, 0, 1, 8, 9, 2, 3, 10, 11), 1, 3);
    put(DAG_SHUFFLE(ab0, cd0, 4, 5, 12, 13, 6, 7, 14, 15), 4, 6);
    put(DAG_SHUFFLE(ab1, cd1, 4, 5, 12, 13, 6, 7, 14, 15), 5, 7);
  }
}

#elif DAG_VECTOR_BYTES == 32

/** The transpose of four by four. */
template <typename X>
inline void transposed(X a, X b, X c, X d, X* out) {
  const X ab0 = DAG_SHUFFLE(a, b, 0, 4, 2, 6), ab1 = DAG_SHUFFLE(a, b, 1, 5, 3, 7);
  const X cd0 = DAG_SHUFFLE(c, d, 0, 4, 2, 6), cd1 = DAG_SHUFFLE(c, d, 1, 5, 3, 7);
  out[0] = DAG_SHUFFLE(ab0, cd0, 0, 1, 4, 5);
  out[1] = DAG_SHUFFLE(ab1, cd1, 0, 1, 4, 5);
  out[2] = DAG_SHUFFLE(ab0, cd0, 2, 3, 6, 7);
  out[3] = DAG_SHUFFLE(ab1, cd1, 2, 3, 6, 7);
}

template <typename T>
inline void tileToLanes(const T* rows, i64 stride, V* columns) {
  Elements<T, 4> tile[4];
  transposed(loadTile(rows), loadTile(rows + stride), loadTile(rows + 2 * stride), loadTile(rows + 3 * stride), tile);
  for (i64 c = 0; c < TILE; c++) columns[c] = widened(tile[c]);
}

template <typename T, bool HELD>
inline void tileToRows(const V* columns, T* rows, i64 stride) {
  Elements<T, 4> tile[4];
  transposed(narrowed<T, HELD>(columns[0]), narrowed<T, HELD>(columns[1]), narrowed<T, HELD>(columns[2]), narrowed<T, HELD>(columns[3]), tile);
  for (i64 l = 0; l < L; l++) storeTile(rows + l * stride, tile[l]);
}

#else

template <typename T>
inline void tileToLanes(const T* rows, i64 stride, V* columns) {
  for (i64 c = 0; c < TILE; c++) columns[c] = V{static_cast<f64>(rows[c]), static_cast<f64>(rows[stride + c])};
}

template <typename T, bool HELD>
inline void tileToRows(const V* columns, T* rows, i64 stride) {
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

/** The inverse, for all columns of L rows that lie one after another. */
template <typename T, bool HELD>
inline void toRows(const V* columns, i64 stride, T* rows) {
  i64 c = 0;
  for (; c + TILE <= stride; c += TILE) tileToRows<T, HELD>(columns + c, rows + c, stride);
  for (; c < stride; c++) {
    const auto x = narrowed<T, HELD>(columns[c]);
    for (i64 l = 0; l < L; l++) rows[l * stride + c] = x[l];
  }
}

inline i64 paddedTo(i64 n, i64 multiple) { return (n + multiple - 1) / multiple * multiple; }

// Sets of lanes. AVX-512 has registers of their own for them, which the compiler leaves for whole vectors where a set is
// written as one; elsewhere they are vectors.

#if defined(__AVX512F__)

using Lanes = __mmask8;

inline bool anyOf(Lanes lanes) { return lanes != 0; }
/** Those of a that are not in b: `a & ~b` would go through registers of integers. */
inline Lanes without(Lanes a, Lanes b) { return _kandn_mask8(b, a); }
inline bool contains(Lanes lanes, i64 lane) { return lanes >> lane & 1; }
inline Lanes lanesOfWord(u64 word) { return static_cast<Lanes>(word); }
inline Lanes asLanes(Mask mask) { return _mm512_movepi64_mask(bits<__m512i>(mask)); }
inline Mask asMask(Lanes lanes) { return bits<Mask>(_mm512_movm_epi64(lanes)); }
template <int PREDICATE>
inline Lanes compared(V a, V b) {
  return _mm512_cmp_pd_mask(bits<__m512d>(a), bits<__m512d>(b), PREDICATE);
}
inline Lanes equal(V a, V b) { return compared<_CMP_EQ_OQ>(a, b); }
inline Lanes differ(V a, V b) { return compared<_CMP_NEQ_UQ>(a, b); }
inline Lanes above(V a, V b) { return compared<_CMP_GT_OQ>(a, b); }
inline Lanes atLeast(V a, V b) { return compared<_CMP_GE_OQ>(a, b); }
inline Lanes atMost(V a, V b) { return compared<_CMP_LE_OQ>(a, b); }
/** Where the words have a common bit. */
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) { return _mm512_test_epi64_mask(bits<__m512i>(a), bits<__m512i>(b)); }
inline V chosen(Lanes lanes, V a, V b) {
  return bits<V>(_mm512_mask_mov_pd(bits<__m512d>(b), lanes, bits<__m512d>(a)));
}
inline V only(Lanes lanes, V a) { return bits<V>(_mm512_maskz_mov_pd(lanes, bits<__m512d>(a))); }
/** 0 + a · b in a set of lanes, 0 in the others. */
inline V multipliedWhere(Lanes lanes, V a, V b) {
  return bits<V>(_mm512_maskz_fmadd_pd(lanes, bits<__m512d>(a), bits<__m512d>(b), _mm512_setzero_pd()));
}
#define DAG_WHERE(name, operation)                                                                 \
  inline V name(V a, Lanes lanes, V b) {                                                           \
    return bits<V>(_mm512_mask_##operation##_pd(bits<__m512d>(a), lanes, bits<__m512d>(a), bits<__m512d>(b))); \
  }
DAG_WHERE(plusWhere, add)
DAG_WHERE(minusWhere, sub)
DAG_WHERE(timesWhere, mul)
DAG_WHERE(dividedWhere, div)
#undef DAG_WHERE

#else

using Lanes = Mask;

inline bool anyOf(Lanes lanes) { return any(lanes); }
inline Lanes without(Lanes a, Lanes b) { return a & ~b; }
inline bool contains(Lanes lanes, i64 lane) { return lanes[lane] != 0; }
inline Lanes lanesOfWord(u64 word) {
  Lanes lanes;
  for (i64 l = 0; l < L; l++) lanes[l] = -static_cast<i64>(word >> l & 1);
  return lanes;
}
inline Lanes asLanes(Mask mask) { return mask; }
inline Mask asMask(Lanes lanes) { return lanes; }
inline Lanes equal(V a, V b) { return a == b; }
inline Lanes differ(V a, V b) { return a != b; }
inline Lanes above(V a, V b) { return a > b; }
inline Lanes atLeast(V a, V b) { return a >= b; }
inline Lanes atMost(V a, V b) { return a <= b; }
inline Lanes overlapping(Vec<u64> a, Vec<u64> b) { return (a & b) != 0; }
inline V chosen(Lanes lanes, V a, V b) { return lanes ? a : b; }
inline V only(Lanes lanes, V a) { return lanes ? a : V{}; }
inline V multipliedWhere(Lanes lanes, V a, V b) { return only(lanes, 0 + a * b); }
/** a, in the lanes of a set combined with b. */
inline V plusWhere(V a, Lanes lanes, V b) { return lanes ? a + b : a; }
inline V minusWhere(V a, Lanes lanes, V b) { return lanes ? a - b : a; }
inline V timesWhere(V a, Lanes lanes, V b) { return lanes ? a * b : a; }
inline V dividedWhere(V a, Lanes lanes, V b) { return lanes ? a / b : a; }

#endif

/** A few vectors of zeros: a call of memset, which the compiler would make of a loop, takes longer to begin. */
inline void clear(V* vectors, i64 count) {
  V zero = V{};
#if defined(__SSE2__)
  asm("" : "+x"(zero));
#endif
  for (i64 i = 0; i < count; i++) vectors[i] = zero;
}

inline Lanes allLanes(bool are) { return lanesOfWord(are ? ~u64{0} : 0); }

/** The signs of integers as bits: of comparisons, where they are true. */
template <typename T, typename X>
inline u64 signBits(X x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return _mm512_movepi32_mask(bits<__m512i>(x));
  else return _mm512_movepi64_mask(bits<__m512i>(x));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return _mm256_movemask_ps(bits<__m256>(x));
  else return _mm256_movemask_pd(bits<__m256d>(x));
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 4) return _mm_movemask_ps(bits<__m128>(x));
  else return _mm_movemask_pd(bits<__m128d>(x));
#else
  u64 word = 0;
  for (i64 l = 0; l < LANES<T>; l++) word |= static_cast<u64>(bits<Vec<IntOf<T>>>(x)[l] < 0) << l;
  return word;
#endif
}

}  // namespace
