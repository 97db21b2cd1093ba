// Steps of graphs, forward and backward, a vector of graphs at a time: lane l of every vector belongs to graph l of a block.
//
// The rows of a block are transposed into lanes. Where all its coefficients are -1, 0 or 1, its signs ±1 and its gates 0 or
// 1, the hard path takes it, else the general one. Both give a graph the same bits, and neither lets the other graphs of a
// block matter to it: what `any` leaves out would change no lane. A graph that needs more than the vectors do (a product out
// of range before its divisions, an infinite share of a gradient, coefficients above 16) is done again by dag_step.h.
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

/** Graphs that one thread takes at a time: a multiple of ROWS. */
constexpr i64 GRAIN = 512;
/** Rows whose gradients of a shared plan are summed side by side: the same for all variants, so that sums keep their bits. */
constexpr i64 ROWS = 8;

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

// One block of graphs in lanes

/** Which gradients are wanted; the hard path leaves the others out. */
struct Wanted {
  bool V_sign, O, G;
};

class Block {
 public:
  static i64 vectors(i64 depth) {
    return NODES * paddedTo(2 * depth, TILE) + STEPS * paddedTo(depth, TILE) + TERMS * paddedTo(2 * depth * depth, TILE) +
           paddedTo(OPERANDS * depth, TILE);
  }

  Block(i64 depth, f64 limit, V* memory, bool gradients) : depth(depth), width(2 * depth), limit(limit) {
    const auto take = [&](i64 count) {
      V* taken = memory;
      memory += paddedTo(count, TILE);
      return taken;
    };
    V** const ofNodes[] = {&value, &magnitude, &sign, &log, &inverse, &before, &toValue, &toMagnitude, &toSign};
    V** const ofSteps[] = {&G, &linear, &product, &size, &Q, &outG};
    V** const ofTerms[] = {&O, &outO, &q, &flip, &turn};
    for (V** vectors : ofNodes) *vectors = take(width);
    for (V** vectors : ofSteps) *vectors = take(depth);
    for (V** vectors : ofTerms) *vectors = take(depth * width);
    whole = reinterpret_cast<Mask*>(take(depth));
    operands = take(depth * OPERANDS);
    terms = reinterpret_cast<i64*>(take(depth * width));
    termCount = reinterpret_cast<i64*>(take(depth));
    listLength = reinterpret_cast<i64*>(take(depth));
    for (i64 i = 0; i < depth; i++) {
      termCount[i] = depth + i;
      listLength[i] = 2;
      for (i64 j = 0; j < depth + i; j++) terms[i * width + j] = j;
    }
    // Those of coefficients that no step reads stay zero.
    for (i64 i = 0; gradients && i < depth * width; i++) outO[i] = V{};
  }

  const i64 depth, width;
  const f64 limit;
  // Inputs: the initial nodes, the plan.
  V *value, *magnitude, *sign, *O, *G;

  /** After O and G were set. */
  void planIsSet() {
    Mask is = ~Mask{};
    for (i64 i = 0; i < depth; i++) {
      is &= G[i] * G[i] == G[i];
      for (i64 j = 0; j < depth + i; j++) {
        const V c = O[i * width + j];
        is &= c * c * c == c;
      }
    }
    hardPlan = !any(~is);
  }

  /** The same where all lanes have one plan: the hard path leaves out what takes no part. */
  void sharedPlanIsSet() {
    planIsSet();
    for (i64 i = 0; i < depth; i++) {
      termCount[i] = 0;
      for (i64 j = 0; j < depth + i; j++)
        if (O[i * width + j][0] != 0) terms[i * width + termCount[i]++] = j;
    }
  }

  // Gradients: toMagnitude and toSign of the initial nodes, outO, outG.
  V *toMagnitude, *toSign, *outO, *outG;
  /** Whether all of them but outG are within the range of f32. */
  bool bounded;

  /** Makes the intermediate nodes; `backward` will follow where `GRADIENTS`, with the gradients by gates where wanted. */
  template <bool GRADIENTS>
  void forward(Mask inUse, bool gates = false) {
    wantsGates = gates;
    redo = Mask{};
    hard = hardPlan && hasHardNodes();
    overfull = false;
    logs = inverses = 0;
    anyWild = false;
    for (i64 j = 0; j < depth; j++) value[j] = sign[j] * magnitude[j];
    for (i64 i = 0; i < depth; i++) {
      const V x = hard ? hardStep<GRADIENTS>(i) : generalStep<GRADIENTS>(i);
      // More operands than the hard path keeps at hand.
      if (hard && overfull) {
        hard = false;
        redo = Mask{};
        i = -1;
        continue;
      }
      value[depth + i] = x;
      magnitude[depth + i] = magnitudeOf(x);
      sign[depth + i] = signOf(x);
    }
    redo &= inUse;
    if (any(redo)) each(redo, [&](const Nodes& nodes, Coefficients o, Coefficients g, i64) {
        runGraph(nodes, depth, o, g, limit);
      });
  }

  void backward(V upstream, Mask inUse, const Wanted& wanted) {
    // They lie one after another.
    std::memset(toValue, 0, (toSign + width - toValue) * sizeof(V));
    toValue[width - 1] = upstream;
    probe = V{};
    for (i64 i = depth - 1; i >= 0; i--) {
      const i64 k = depth + i;
      // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
      const V total = toValue[k] + (hard ? toMagnitude[k] : toMagnitude[k] * sign[k]);
      probe += magnitudeOf(total);
      if (hard) hardBackward(i, total, wanted);
      else generalBackward(i, total);
    }
    const Mask none = upstream == 0;
    for (i64 j = 0; j < depth; j++) {
      const V s = sign[j];
      const V byMagnitude = (hard ? s * toMagnitude[j] : toMagnitude[j]) + toValue[j] * s;
      const V bySign = (hard ? s * toSign[j] : toSign[j]) + toValue[j] * magnitude[j];
      probe += magnitudeOf(byMagnitude);
      probe += magnitudeOf(bySign);
      // 0 + x: a gradient that is zero is never −0.
      toMagnitude[j] = none ? V{} : 0 + byMagnitude;
      toSign[j] = none ? V{} : 0 + bySign;
    }
    redo = (redo | ~isFinite(probe)) & inUse;
    bounded = !any(redo | ~(probe <= __FLT_MAX__));
    if (any(redo)) each(redo, [&](const Nodes& nodes, Coefficients o, Coefficients g, i64 lane) {
        const NodeGradients out{lanesOf(toValue, lane), lanesOf(toMagnitude, lane), lanesOf(toSign, lane)};
        differentiateGraph(nodes, depth, o, g, limit, upstream[lane], out, lanesOf(outO, lane), lanesOf(outG, lane));
      });
    for (i64 j = depth; j < width; j++) toMagnitude[j] = toSign[j] = V{};
  }

 private:
  // Of each node: ln m where m is not 0, else 0; 1/m; gradients by value. `before`: products of the signs before a term.
  V *log, *inverse, *toValue, *before;
  // Of each step: the linear part; the log part; E before it is clamped; Q.
  V *linear, *product, *size, *Q;
  // Of each step: whether its coefficients are whole; on the hard path its operands, and how long their list is.
  Mask* whole;
  V* operands;
  i64* listLength;
  // Of each step, the nodes that the hard path looks at, in order.
  i64 *terms, *termCount;
  // Of each term: q; its derivatives (1 − cos πO)/2 by the sign and, with a minus, (1 − s)/2 · π · sin πO by O.
  V *q, *flip, *turn;
  static constexpr i64 NODES = 9, STEPS = 9, TERMS = 6, OPERANDS = 19;
  Mask redo;
  /** The sum of the sizes of all gradients: none is larger, and none is NaN where it is not. */
  V probe;
  bool wantsGates, hardPlan, hard, overfull;
  /** Whether a node is far from 1. */
  bool anyWild;
  /** Nodes that `log` is there for, and `inverse`. */
  i64 logs, inverses;

  static Numbers lanesOf(V* vectors, i64 lane) { return {reinterpret_cast<f64*>(vectors) + lane, L}; }

  template <typename Body>
  __attribute__((noinline)) void each(Mask lanes, const Body& body) {
    for (i64 lane = 0; lane < L; lane++) {
      if (!lanes[lane]) continue;
      const Nodes nodes{lanesOf(value, lane), lanesOf(magnitude, lane), lanesOf(sign, lane)};
      const auto constant = [&](V* v) { return Coefficients{reinterpret_cast<const f64*>(v) + lane, L}; };
      body(nodes, constant(O), constant(G), lane);
    }
  }

  bool hasHardNodes() const {
    Mask is = ~Mask{};
    for (i64 j = 0; j < depth; j++) is &= (magnitude[j] >= 0) & (magnitudeOf(sign[j]) == 1);
    return !any(~is);
  }

  /** Makes `log` of the first `count` nodes. */
  void takeLogs(i64 count) {
    for (; logs < count; logs++) {
      const V m = magnitude[logs];
      const Mask zero = m == 0;
      const Mask normal = (m >= MIN_NORMAL) & (m <= LARGEST);
      log[logs] = zero ? V{} : any(~(zero | normal)) ? log64(m) : logOfNormal64(m);
    }
  }

  V linearPart(const V* c, i64 count) const {
    // −0 + x is x, also for −0.
    V sum = splat(-0.0);
    Mask some = Mask{};
    for (i64 j = 0; j < count; j++) {
      const Mask takesPart = c[j] != 0;
      sum += takesPart ? c[j] * value[j] : splat(-0.0);
      some |= takesPart;
    }
    return some ? sum : V{};
  }

  // The hard path: signs are ±1, so products of signed values are E·Q.

  /**
   * The operands of a step with a coefficient of 1, and those with −1, the latest first; 1 where there are no more. Most
   * steps have two: lists for more of them are taken where a lane asks for them.
   */
  template <i64 ABOVE, i64 BELOW>
  struct Operands {
    V above[ABOVE], below[BELOW];
    V countAbove, countBelow;
    /** The product of all above, in node order. */
    V numerator;

    /** The product of those above but `except`, in node order. */
    V numerators(i64 except) const {
      V x = splat(1.0);
      for (i64 r = ABOVE - 1; r >= 0; r--)
        if (r != except) x *= above[r];
      return x;
    }

    /** x divided by those below, in node order, in the lanes that `where` names; `redo` where its numerators left the range. */
    V divided(V x, V numeratorCount, Mask where, Mask& redo) const {
      where &= countBelow > 0;
      if (!any(where)) return x;
      const Mask several = where & (numeratorCount > 1);
      if (any(several)) redo |= several & ~((magnitudeOf(x) >= MIN_NORMAL) & (magnitudeOf(x) <= LARGEST));
      for (i64 r = BELOW - 1; r >= 0; r--)
        if (r == 0 || any(where & (countBelow > static_cast<f64>(r)))) x /= below[r];
      return x;
    }
  };
  using Two = Operands<2, 1>;
  using Few = Operands<4, 3>;
  using Many = Operands<8, 8>;

  template <bool GRADIENTS>
  V hardStep(i64 i) {
    V result;
    if (hardStepWith<GRADIENTS, Two>(i, result) || hardStepWith<GRADIENTS, Few>(i, result)) return result;
    overfull = !hardStepWith<GRADIENTS, Many>(i, result);
    return result;
  }

  /** The value of step i, unless there are more operands than S holds. */
  template <bool GRADIENTS, typename S>
  bool hardStepWith(i64 i, V& result) {
    constexpr i64 ABOVE = sizeof(S::above) / sizeof(V), BELOW = sizeof(S::below) / sizeof(V);
    const V* c = O + i * width;
    const i64* nodes = terms + i * width;
    V above[ABOVE], below[BELOW];
    for (V& x : above) x = splat(1.0);
    for (V& x : below) x = splat(1.0);
    V countAbove = V{}, countBelow = V{};
    V numerator = splat(1.0);
    // −0 + x is x, also for −0.
    V sum = splat(-0.0);
    for (i64 t = 0; t < termCount[i]; t++) {
      const V v = value[nodes[t]];
      const Mask up = c[nodes[t]] > 0, down = c[nodes[t]] < 0;
      sum = up ? sum + v : sum;
      sum = down ? sum - v : sum;
      numerator = up ? numerator * v : numerator;
      for (i64 r = ABOVE - 1; GRADIENTS && r > 0; r--) above[r] = up ? above[r - 1] : above[r];
      for (i64 r = BELOW - 1; r > 0; r--) below[r] = down ? below[r - 1] : below[r];
      above[0] = up ? v : above[0];
      below[0] = down ? v : below[0];
      countAbove = up ? countAbove + 1 : countAbove;
      countBelow = down ? countBelow + 1 : countBelow;
    }
    linear[i] = countAbove + countBelow > 0 ? sum : V{};
    result = linear[i];
    const V g = G[i];
    if (!wantsGates && !any(g != 1)) return true;
    if (any(countBelow > f64{BELOW}) || (GRADIENTS && any(countAbove > f64{ABOVE}))) return false;
    S& of = *reinterpret_cast<S*>(operands + i * OPERANDS);
    for (i64 r = 0; GRADIENTS && r < ABOVE; r++) of.above[r] = above[r];
    for (i64 r = 0; r < BELOW; r++) of.below[r] = below[r];
    of.countAbove = countAbove;
    of.countBelow = countBelow;
    listLength[i] = ABOVE;
    const V p = of.divided(numerator, countAbove, ~Mask{}, redo);
    size[i] = magnitudeOf(p);
    product[i] = size[i] > limit ? signOf(p) * limit : p;
    result = g == 1 ? linear[i] : product[i];
    return true;
  }

  void hardBackward(i64 i, V total, const Wanted& wanted) {
    if (listLength[i] == 2) hardBackwardWith<Two>(i, total, wanted);
    else if (listLength[i] == 4) hardBackwardWith<Few>(i, total, wanted);
    else hardBackwardWith<Many>(i, total, wanted);
  }

  /** Here toMagnitude and toSign are kept without the sign of their node. */
  template <typename S>
  void hardBackwardWith(i64 i, V total, const Wanted& wanted) {
    constexpr i64 ABOVE = sizeof(S::above) / sizeof(V), BELOW = sizeof(S::below) / sizeof(V);
    const i64 k = depth + i;
    const V* c = O + i * width;
    const i64* nodes = terms + i * width;
    const V g = G[i];
    if (wanted.G) outG[i] = 0 + chain(total, linear[i] - product[i]);
    const V toLinear = total * g;
    const V toLog = total * (1 - g);
    const Mask active = toLog != 0;
    if (!any(active)) {
      // `log` may be what an earlier block left; no lane takes it.
      if (wanted.O) setByO(i, toLinear, V{});
      for (i64 t = 0; t < termCount[i]; t++) toValue[nodes[t]] += toLinear * c[nodes[t]];
      return;
    }
    const Mask free = active & ~(size[i] > limit);
    const V toSigns = active ? toLog * product[i] : V{};
    const V toLogs = free ? toSigns : V{};
    if (wanted.O) {
      takeLogs(k);
      setByO(i, toLinear, toLogs);
    }
    // By each operand, the latest first: E·Q without it, and its inverse.
    const S& of = *reinterpret_cast<const S*>(operands + i * OPERANDS);
    V above[ABOVE], below[BELOW];
    for (i64 r = 0; r < ABOVE; r++) {
      above[r] = V{};
      const Mask there = free & (of.countAbove > static_cast<f64>(r));
      if (any(there)) above[r] = there ? toLog * of.divided(of.numerators(r), of.countAbove - 1, there, redo) : V{};
    }
    for (i64 r = 0; r < BELOW; r++) {
      below[r] = V{};
      const Mask there = free & (of.countBelow > static_cast<f64>(r));
      if (any(there)) below[r] = there ? toLogs * (-1 / of.below[r]) : V{};
    }
    for (i64 at = termCount[i] - 1; at >= 0; at--) {
      const i64 j = nodes[at];
      const Mask up = c[j] > 0, down = c[j] < 0;
      V t = toValue[j];
      t = up ? t + toLinear : t;
      toValue[j] = down ? t - toLinear : t;
      t = toMagnitude[j];
      t = up ? t + above[0] : t;
      toMagnitude[j] = down ? t + below[0] : t;
      if (wanted.V_sign) {
        t = toSign[j];
        toSign[j] = up | down ? t + toSigns : t;
      }
      for (i64 r = 0; r + 1 < ABOVE; r++) above[r] = up ? above[r + 1] : above[r];
      for (i64 r = 0; r + 1 < BELOW; r++) below[r] = down ? below[r + 1] : below[r];
    }
  }

  /** Gradients by the coefficients of a hard step: those of linear lanes by values, of the others by logarithms. */
  void setByO(i64 i, V toLinear, V toLogs) {
    V* byO = outO + i * width;
    const Mask isLinear = G[i] == 1;
    V sum = probe;
    for (i64 j = 0; j < depth + i; j++) {
      // 0 + x: a gradient that is zero is never −0.
      byO[j] = 0 + (isLinear ? toLinear * value[j] : toLogs * log[j]);
      sum += magnitudeOf(byO[j]);
    }
    probe = sum;
  }

  // The general path: E and Q apart.

  /** body(t) for t = 1, 2, … while a lane of `size` has that much, up to 16. */
  template <typename Body>
  static void repeat(V size, const Body& body) {
    for (f64 t = 1; t <= MAX_REPEATED && any(size >= t); t++) body(size >= t);
  }

  /** E over all terms but `except`, for the lanes whose coefficients are whole. */
  V wholePart(const V* c, i64 count, i64 except) {
    V numerators = splat(1.0), above = V{};
    for (i64 j = 0; j < count; j++) {
      if (j == except) continue;
      above += c[j] > 0 ? c[j] : V{};
      repeat(c[j], [&](Mask times) { numerators *= times ? magnitude[j] : splat(1.0); });
    }
    V quotient = numerators;
    for (i64 j = 0; j < count; j++)
      if (j != except) repeat(-c[j], [&](Mask times) { quotient /= times ? magnitude[j] : splat(1.0); });
    // (a / b) · c may be in range where a · c is not. A single numerator is what it is.
    const Mask out = (above >= 2) & ~((numerators >= MIN_NORMAL) & (numerators <= LARGEST));
    if (!any(out)) return quotient;
    V all = splat(1.0);
    for (i64 j = 0; j < count; j++) {
      if (j == except) continue;
      repeat(c[j], [&](Mask times) { all *= times ? magnitude[j] : splat(1.0); });
      repeat(-c[j], [&](Mask times) { all /= times ? magnitude[j] : splat(1.0); });
    }
    return out ? all : quotient;
  }

  /** exp(Σ O·ln m), for the lanes whose coefficients are not whole. */
  V logPart(const V* c, i64 count) {
    takeLogs(count);
    V sum = V{};
    for (i64 j = 0; j < count; j++) {
      const V ln = magnitude[j] != 0 ? log[j] : splat(-__builtin_inf());
      sum += c[j] != 0 ? c[j] * ln : V{};
    }
    return exp64(sum);
  }

  /** Q of step i; `backward` wants the terms, also of positive nodes. */
  template <bool GRADIENTS>
  V signPart(i64 i) {
    V product = splat(1.0);
    for (i64 j = 0; j < depth + i; j++) {
      const i64 at = i * width + j;
      const V c = O[at], s = sign[j];
      const Mask takesPart = c != 0;
      SinCos<V> turned{V{}, takesPart ? splat(-1.0) : splat(1.0)};
      if (any((c * c * c != c) & ((s != 1) | (GRADIENTS ? ~Mask{} : Mask{})))) turned = sinCosPi64(c);
      const V expected = (1 + s) * 0.5 + (1 - s) * 0.5 * turned.cos;
      const V factor = takesPart & (s != 1) ? expected : splat(1.0);
      product *= factor;
      if (!GRADIENTS) continue;
      q[at] = factor;
      flip[at] = (1 - turned.cos) * 0.5;
      turn[at] = (1 - s) * 0.5 * PI * turned.sin;
    }
    return product;
  }

  template <bool GRADIENTS>
  V generalStep(i64 i) {
    const i64 k = depth + i;
    const V* c = O + i * width;
    const V g = G[i];
    linear[i] = linearPart(c, k);
    if (!GRADIENTS && !any(g != 1)) return linear[i];
    whole[i] = ~Mask{};
    for (i64 j = 0; j < k; j++) {
      whole[i] &= isWhole(c[j]);
      // NaN too.
      redo |= ~(magnitudeOf(c[j]) <= MAX_REPEATED);
    }
    const V E = any(whole[i]) ? wholePart(c, k, NONE) : V{};
    size[i] = any(~whole[i]) ? (whole[i] ? E : logPart(c, k)) : E;
    Q[i] = signPart<GRADIENTS>(i);
    product[i] = (size[i] > limit ? splat(limit) : size[i]) * Q[i];
    return g == 1 ? linear[i] : g == 0 ? product[i] : g * linear[i] + (1 - g) * product[i];
  }

  void generalBackward(i64 i, V total) {
    const i64 k = depth + i;
    const V* c = O + i * width;
    V* byO = outO + i * width;
    const V g = G[i];
    outG[i] = 0 + chain(total, linear[i] - product[i]);
    const V toLinear = total * g;
    const V toLog = total * (1 - g);
    const Mask active = toLog != 0;
    const Mask free = active & ~(size[i] > limit);
    takeLogs(k);
    for (; inverses < k; inverses++) {
      inverse[inverses] = 1 / magnitude[inverses];
      anyWild |= any(~((magnitude[inverses] > 0) & (magnitudeOf(log[inverses]) <= 18)));
    }
    const V E = size[i] > limit ? splat(limit) : size[i];
    const V toLogs = free ? toLog * product[i] : V{};
    const bool anyWhole = any(whole[i] & free);
    redo |= free & ~whole[i] & ~((size[i] >= 1e-130) & (size[i] <= 1e130));
    V qBefore = splat(1.0);
    for (i64 j = 0; j < k; j++) {
      before[j] = qBefore;
      qBefore *= q[i * width + j];
    }
    V qAfter = splat(1.0);
    for (i64 j = k - 1; j >= 0; j--) {
      const i64 at = i * width + j;
      const V m = magnitude[j];
      const Mask up = c[j] > 0;
      const Mask takesPart = c[j] != 0;
      const V others = takesPart & active ? toLog * (E * (before[j] * qAfter)) : V{};
      qAfter *= q[at];
      byO[j] = ((0 + toLinear * value[j]) + toLogs * log[j]) - others * turn[at];
      probe += magnitudeOf(byO[j]);
      toValue[j] += toLinear * c[j];
      toSign[j] += others * flip[at];
      // A product with 1/m will do where the coefficients are not whole.
      V share = toLogs * (c[j] * inverse[j]);
      if (anyWhole) {
        share = whole[i] ? toLogs * (c[j] / m) : share;
        const Mask wholeUp = free & up & whole[i];
        if (any(wholeUp)) {
          V power = c[j];
          repeat(c[j] - 1, [&](Mask times) { power *= times ? m : splat(1.0); });
          share = wholeUp ? toLog * (wholePart(c, k, j) * Q[i]) * power : share;
        }
      }
      // E/m stands for the other terms times m^(c−1) where both are well within the range.
      if (anyWild) redo |= free & up & ~whole[i] & ~((m > 0) & (magnitudeOf(log[j]) <= 18));
      toMagnitude[j] += takesPart & free ? share : V{};
    }
  }
};

// Kernels

template <typename T>
struct Fields {
  T *V_mag, *V_sign, *O, *G;
};

struct Spec {
  i64 depth, size;
  bool shared;
  f64 limit;
};

/** Rows of a field on their way to the lanes: those of a part of a block are followed by the first row again. */
template <typename T>
class Reader {
 public:
  Reader(const T* field, i64 rows, i64 stride, T* buffer) : field(field), rows(rows), stride(stride), buffer(buffer) {}

  void read(i64 row, i64 columns, V* to) const {
    // Whole tiles are read, also beyond the last row.
    if ((row + L) * stride + TILE - 1 <= rows * stride || (stride % TILE == 0 && row + L <= rows))
      return toLanes(field + row * stride, stride, columns, to);
    // The last row alone: it is its own successor.
    if (stride % TILE == 0 && row + 1 == rows) return toLanes(field + row * stride, 0, columns, to);
    for (i64 l = 0; l < L; l++)
      std::memcpy(buffer + l * stride, field + (row + l < rows ? row + l : row) * stride, stride * sizeof(T));
    toLanes(buffer, stride, columns, to);
  }

 private:
  const T* field;
  i64 rows, stride;
  T* buffer;
};

/** gradient (+)= the first `rows` rows of a block; `bounded`: T has room for them. `buffer` takes all of them in double. */
template <typename T>
void write(const V* columns, i64 stride, i64 rows, T* gradient, bool accumulate, bool bounded, void* buffer) {
  const i64 n = rows * stride;
  if (accumulate) {
    f64* made = static_cast<f64*>(buffer);
    toRows<f64, false>(columns, stride, made);
    constexpr f64 MOST = sizeof(T) == sizeof(f32) ? __FLT_MAX__ : LARGEST;
    for (i64 i = 0; i < n; i++) gradient[i] = static_cast<T>(held(gradient[i] + made[i], MOST));
    return;
  }
  T* made = rows == L ? gradient : static_cast<T*>(buffer);
  if (bounded) toRows<T, false>(columns, stride, made);
  else toRows<T, true>(columns, stride, made);
  if (rows < L) std::memcpy(gradient, made, n * sizeof(T));
}

/** body(block, row, rows, piece) for each block, its inputs read, the pieces in parallel. */
template <bool GRADIENTS, typename T, typename Body>
void forBlocks(const Spec& spec, const Fields<const T>& fields, const Body& body) {
  const i64 width = 2 * spec.depth, plan = spec.depth * width;
  parallelRanges(spec.size, GRAIN, [&](i64 begin, i64 end) {
    const i64 vectors = Block::vectors(spec.depth);
    // Behind the block, room for its rows of the largest field.
    const Scratch<V> memory(vectors + plan + TILE);
    Block block(spec.depth, spec.limit, memory, GRADIENTS);
    f64* buffer = reinterpret_cast<f64*>(memory + vectors);
    T* rowBuffer = reinterpret_cast<T*>(buffer);
    const Reader<T> V_mag(fields.V_mag, spec.size, width, rowBuffer);
    const Reader<T> V_sign(fields.V_sign, spec.size, width, rowBuffer);
    const Reader<T> O(fields.O, spec.size, plan, rowBuffer);
    const Reader<T> G(fields.G, spec.size, spec.depth, rowBuffer);
    if (spec.shared) {
      for (i64 i = 0; i < plan; i++) block.O[i] = splat(static_cast<f64>(fields.O[i]));
      for (i64 i = 0; i < spec.depth; i++) block.G[i] = splat(static_cast<f64>(fields.G[i]));
      block.sharedPlanIsSet();
    }
    for (i64 row = begin; row < end; row += L) {
      V_mag.read(row, spec.depth, block.magnitude);
      V_sign.read(row, spec.depth, block.sign);
      if (!spec.shared) {
        O.read(row, plan, block.O);
        G.read(row, spec.depth, block.G);
        block.planIsSet();
      }
      body(block, row, row + L <= end ? L : end - row, buffer);
    }
  });
}

template <typename T>
void dag(const Spec& spec, const Fields<const T>& fields, f64* values) {
  forBlocks<false>(spec, fields, [&](Block& block, i64 row, i64 rows, f64*) {
    block.forward<false>(firstLanes<f64>(rows));
    storePart(values + row, block.value[block.width - 1], rows);
  });
}

/** `sums` (null: none) receives for each piece the sums of outO and outG over its rows, ROWS of each, see below. */
template <typename T>
void dagBackward(const Spec& spec, const Fields<const T>& fields, const f64* upstream, f64* values,
                 const Fields<T>& gradients, i64 accumulate, f64* sums) {
  const i64 depth = spec.depth, width = 2 * depth, plan = depth * width;
  const Wanted wanted{gradients.V_sign != nullptr, gradients.O != nullptr, gradients.G != nullptr};
  forBlocks<true>(spec, fields, [&](Block& block, i64 row, i64 rows, f64* buffer) {
    const Mask inUse = firstLanes<f64>(rows);
    block.forward<true>(inUse, wanted.G);
    if (values) storePart(values + row, block.value[width - 1], rows);
    block.backward(upstream ? loadPart(upstream + row, rows) : inUse ? splat(1.0) : V{}, inUse, wanted);
    const auto put = [&](const V* columns, i64 stride, T* gradient, i64 bit) {
      if (gradient)
        write(columns, stride, rows, gradient + row * stride, accumulate >> bit & 1, block.bounded && bit < 3, buffer);
    };
    put(block.toMagnitude, width, gradients.V_mag, 0);
    put(block.toSign, width, gradients.V_sign, 1);
    if (!spec.shared) {
      put(block.outO, plan, gradients.O, 2);
      put(block.outG, depth, gradients.G, 3);
    }
    if (!sums) return;
    f64* sum = sums + row / GRAIN * (plan + depth) * ROWS + row % ROWS;
    const auto add = [&](V x, i64 at) {
      store(sum + at * ROWS, load(sum + at * ROWS) + (rows < L ? inUse ? x : V{} : x));
    };
    for (i64 i = 0; i < depth; i++) {
      for (i64 j = 0; wanted.O && j < depth + i; j++) add(block.outO[i * width + j], i * width + j);
      if (wanted.G) add(block.outG[i], plan + i);
    }
  });
}

/** The gradients of a shared plan: rows 0, ROWS, 2·ROWS, … of a piece are summed apart from 1, ROWS + 1, …; then all pieces. */
template <typename T>
void sharedBackward(const Spec& spec, const Fields<const T>& fields, const f64* upstream, f64* values,
                    const Fields<T>& gradients, i64 accumulate) {
  const i64 plan = 2 * spec.depth * spec.depth, count = plan + spec.depth;
  const i64 pieces = (spec.size + GRAIN - 1) / GRAIN;
  const Scratch<f64> sums(pieces * count * ROWS);
  std::memset(sums, 0, pieces * count * ROWS * sizeof(f64));
  dagBackward(spec, fields, upstream, values, gradients, accumulate, sums);
  constexpr f64 MOST = sizeof(T) == sizeof(f32) ? __FLT_MAX__ : LARGEST;
  for (i64 i = 0; i < count; i++) {
    f64 total = 0;
    for (i64 piece = 0; piece < pieces; piece++)
      for (i64 r = 0; r < ROWS; r++) total = held(total + sums[(piece * count + i) * ROWS + r]);
    T* field = i < plan ? gradients.O : gradients.G;
    if (!field) continue;
    T* to = field + (i < plan ? i : i - plan);
    const bool adds = accumulate >> (i < plan ? 2 : 3) & 1;
    *to = static_cast<T>(held((adds ? *to : 0) + total, MOST));
  }
}

}  // namespace

// `accumulate`: bit 0 … 3 where the gradient of V_mag, V_sign, O, G is added to. `limit` is e^maxLog.
#define DAG_KERNELS(T)                                                                                               \
  DAG_KERNEL(dag_##T)                                                                                                \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, f64* values, i64 depth, i64 size, i64 shared,            \
   f64 limit) {                                                                                                      \
    dag<T>({depth, size, shared != 0, limit}, {V_mag, V_sign, O, G}, values);                                        \
  }                                                                                                                  \
  DAG_KERNEL(dag_backward_##T)                                                                                       \
  (const T* V_mag, const T* V_sign, const T* O, const T* G, const f64* upstream, f64* values, T* gradV_mag,          \
   T* gradV_sign, T* gradO, T* gradG, i64 accumulate, i64 depth, i64 size, i64 shared, f64 limit) {                  \
    const Spec spec{depth, size, shared != 0, limit};                                                                \
    const Fields<const T> fields{V_mag, V_sign, O, G};                                                               \
    const Fields<T> gradients{gradV_mag, gradV_sign, gradO, gradG};                                                  \
    if (shared && (gradO || gradG)) sharedBackward(spec, fields, upstream, values, gradients, accumulate);           \
    else dagBackward(spec, fields, upstream, values, gradients, accumulate, nullptr);                                \
  }
DAG_KERNELS(f32)
DAG_KERNELS(f64)
