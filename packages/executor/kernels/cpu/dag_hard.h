// Hard plans: all coefficients -1, 0 or 1, all gates 0 or 1, all signs of nodes ±1. Values are exact, and gradients have
// the bits of dag_step.h but for the logarithms in those of O. What leaves the range of T on the way is left to others.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "dag_lanes.h"

namespace {

/** Which gradients are wanted. */
struct Wanted {
  bool V_sign, O, G;
};

/** Of coefficients, one bit each: which are not 0, which are negative; `hard` where all are -1, 0 or 1. */
struct CoefficientBits {
  u64 nonzero, negative;
  bool hard;
};

/** Of the first n coefficients, at most a vector. */
template <typename T>
inline CoefficientBits coefficientBits(const T* p, i64 n) {
  using U = std::conditional_t<sizeof(T) == sizeof(f32), u32, u64>;
  const Vec<U> word = bits<Vec<U>>(loadUpTo(p, n));
  // The shift drops the sign.
  constexpr U ONE = sizeof(T) == sizeof(f32) ? U{0x7f000000} : static_cast<U>(0x7fe0000000000000);
  const Vec<U> size = word + word;
  const u64 nonzero = signBits<U>(size != 0), ones = signBits<U>(size == ONE);
  return {nonzero, signBits<U>(word), nonzero == ones};
}

/** A block of graphs. DEPTH: that of all of them, 0 where it is known only at run time. SHARED: all have the same plan. */
template <i64 DEPTH, bool SHARED>
class HardBlock {
 public:
  /** The coefficients of a step are bits of a word. */
  static constexpr i64 MAX_DEPTH = 32;

  static i64 vectors(i64 depth) {
    const i64 nodes = paddedTo(2 * depth, TILE), steps = paddedTo(depth, TILE);
    return NODES * nodes + STEPS * steps + depth * 2 * depth + 2 * wordsOf(depth) + L;
  }

  HardBlock(i64 depth, f64 limit, V* memory, const V* magnitude, const V* sign)
      : runtimeDepth(depth), limit(limit), magnitude(magnitude), sign(sign) {
    const auto take = [&](i64 count) {
      V* taken = memory;
      memory += count;
      return taken;
    };
    const i64 nodes = paddedTo(2 * depth, TILE), steps = paddedTo(depth, TILE);
    V** const ofNodes[] = {&value, &log, &byLinear, &byProduct, &bySign, &toMagnitude, &toSign, &rows[0], &rows[1]};
    V** const ofSteps[] = {&G, &outG, &product, &difference, &denominator, &scale};
    static_assert(sizeof ofNodes == NODES * sizeof(V**) && sizeof ofSteps == STEPS * sizeof(V**));
    for (V** vectors : ofNodes) *vectors = take(nodes);
    for (V** vectors : ofSteps) *vectors = take(steps);
    before = take(depth * 2 * depth);
    up = reinterpret_cast<Vec<u64>*>(take(wordsOf(depth)));
    down = reinterpret_cast<Vec<u64>*>(take(wordsOf(depth)));
    // What is written as rows of whole tiles.
    for (V* const vectors : std::initializer_list<V*>{value, log, toMagnitude, toSign}) clear(vectors, nodes);
    clear(outG, steps);
  }

  /** Gates, in lanes. */
  V* G;

  /** Takes the coefficients of graph `lane`; false where they are not hard. */
  template <typename T>
  bool setCoefficients(i64 lane, const T* O) {
    const i64 width = 2 * depth(), step = bitsOfStep(depth());
    u64* const ups = reinterpret_cast<u64*>(up) + lane;
    u64* const downs = reinterpret_cast<u64*>(down) + lane;
    for (i64 w = 0; w < wordsOf(depth()); w++) ups[w * L] = downs[w * L] = 0;
    // Steps that fill their bits lie in the words as in memory.
    const i64 run = step == width ? depth() * width : width;
    bool hard = true;
    for (i64 begin = 0, bit = 0; begin < depth() * width; begin += run, bit += step)
      for (i64 c = 0; c < run; c += LANES<T>) {
        const i64 n = run - c < LANES<T> ? run - c : LANES<T>;
        const CoefficientBits b = coefficientBits(O + begin + c, n);
        const i64 at = (bit + c) / 64 * L, shift = (bit + c) % 64;
        ups[at] |= (b.nonzero & ~b.negative) << shift;
        downs[at] |= (b.nonzero & b.negative) << shift;
        hard &= b.hard;
      }
    return hard;
  }

  /** Those of the lanes whose gates and nodes are hard. */
  Lanes hardAmong(Lanes lanes) const {
    for (i64 i = 0; i < depth(); i++) lanes &= equal(G[i], V{}) | equal(G[i], splat(1.0));
    for (i64 j = 0; j < depth(); j++)
      lanes &= atLeast(magnitude[j], V{}) & equal(magnitudeOf(sign[j]), splat(1.0));
    return lanes;
  }

  /** After the coefficients of a shared plan were set in all lanes. */
  void listTerms() {
    for (i64 i = 0; i < depth(); i++) {
      termCount[i] = 0;
      const Step s = stepOf(i);
      for (i64 j = 0; j < depth() + i; j++)
        if ((s.up | s.down)[0] >> j & 1) terms[i][termCount[i]++] = static_cast<uint8_t>(j);
    }
  }

  /** The values of all graphs, and what `backward` needs where GRADIENTS. */
  template <bool GRADIENTS>
  V forward() {
    redo = Lanes{};
    for (i64 j = 0; j < depth(); j++) value[j] = sign[j] * magnitude[j];
    const i64 steps = depth();
    for (i64 i = 0; i < steps; i++) value[steps + i] = stepForward<GRADIENTS>(i);
    return value[2 * depth() - 1];
  }

  /** The gradients that are wanted, none of them larger than `most` in the lanes that are not in `redo`. */
  void backward(V upstream, const Wanted& wanted, f64 most) {
    const i64 width = 2 * depth();
    clear(byLinear, paddedTo(width, TILE) * 3);
    byLinear[width - 1] = upstream;
    // Sums of sizes: no gradient is larger, and none is NaN where they are not.
    probe = V{};
    V scales = V{};
    for (i64 i = depth() - 1; i >= 0; i--) {
      stepBackward(i, wanted);
      scales += magnitudeOf(scale[i]);
    }
    const Lanes none = equal(upstream, V{});
    for (i64 j = 0; j < depth(); j++) {
      const V s = sign[j];
      const V byMagnitude = s * byProduct[j] + byLinear[j] * s;
      const V bySigns = s * bySign[j] + byLinear[j] * magnitude[j];
      probe += magnitudeOf(byMagnitude) + magnitudeOf(bySigns);
      // 0 + x: a gradient that is zero is never −0.
      toMagnitude[j] = chosen(none, V{}, 0 + byMagnitude);
      toSign[j] = chosen(none, V{}, 0 + bySigns);
    }
    if (wanted.O) {
      takeLogs();
      // |ln m| is at most 745.2.
      V sizes = splat(746.0);
      for (i64 j = 0; j < width - 1; j++) sizes += magnitudeOf(value[j]);
      probe += scales * sizes;
    }
    // A value of NaN makes its gradients NaN.
    redo |= ~atMost(probe, splat(most)) | differ(value[width - 1], value[width - 1]);
  }

  /** Lanes that need more than this path does. */
  Lanes redo;
  /** Gradients by the magnitudes and signs of the nodes, zero for intermediate ones, and by the gates. */
  V *toMagnitude, *toSign, *outG;

  /** The gradient by coefficient (i, j). */
  V byCoefficient(i64 i, i64 j) const { return 0 + scale[i] * chosen(isLinear[i], value[j], log[j]); }

  /** As rows: what `columns` has for each initial node, and 0 for the others. */
  template <typename T>
  void writeNodes(const V* columns, T* out) const {
    const i64 width = 2 * depth();
    if (depth() % TILE != 0) return toRows<T, false>(columns, width, out);
    for (i64 c = 0; c < depth(); c += TILE) tileToRows<T, false>(columns + c, out + c, width);
    for (i64 lane = 0; lane < L; lane++) std::memset(out + lane * width + depth(), 0, depth() * sizeof(T));
  }
  template <typename T>
  void writeSteps(const V* columns, T* out) const {
    toRows<T, false>(columns, depth(), out);
  }

  /** The gradients by the coefficients as rows. */
  template <typename T>
  void writeO(T* out) {
    const i64 width = 2 * depth(), stride = paddedTo(width, TILE);
    f64* const values = reinterpret_cast<f64*>(rows[0]);
    f64* const logs = reinterpret_cast<f64*>(rows[1]);
    for (i64 c = 0; c < stride; c += TILE) {
      tileToRows<f64, false>(value + c, values + c, stride);
      tileToRows<f64, false>(log + c, logs + c, stride);
    }
    const f64* const scales = reinterpret_cast<const f64*>(scale);
    const i64 steps = depth();
    for (i64 i = 0; i < steps; i++)
      for (i64 c = 0; c < width; c += L) {
        const Lanes read = asLanes(firstLanes<f64>(depth() + i - c));
        for (i64 lane = 0; lane < L; lane++) {
          const f64* row = values + lane * stride + (contains(isLinear[i], lane) ? 0 : logs - values);
          // 0 + x: a gradient that is zero is never −0.
          const auto x = narrowed<T, false>(multipliedWhere(read, splat(scales[i * L + lane]), load(row + c)));
          T* to = out + (lane * depth() + i) * width + c;
          if (width - c >= L) std::memcpy(to, &x, sizeof x);
          else for (i64 l = 0; l < width - c; l++) to[l] = x[l];
        }
      }
  }

 private:
  static constexpr i64 NODES = 9, STEPS = 6;
  const i64 runtimeDepth;
  const f64 limit;
  const V *magnitude, *sign;
  // Of each node: its value, and of those that a step reads ln |value|, 0 where it is 0; gradients by its value as a term
  // of sums, and of products; by its sign, where it is in products, over its sign.
  V *value, *log, *byLinear, *byProduct, *bySign;
  // Values and logarithms as rows.
  V* rows[2];
  // Of each step: the log part; the linear part less that; the last denominator, or 1; what its gradients have in common.
  V *product, *difference, *denominator, *scale;
  // Of each step and node: the product of the numerators before it.
  V* before;
  // Which coefficients are 1, and -1.
  Vec<u64>*up, *down;
  Lanes isLinear[MAX_DEPTH], clamped[MAX_DEPTH];
  uint8_t terms[SHARED ? MAX_DEPTH : 1][2 * MAX_DEPTH];
  i64 termCount[MAX_DEPTH];
  V probe;

  i64 depth() const { return DEPTH ? DEPTH : runtimeDepth; }

  static i64 bitsOfStep(i64 depth) {
    i64 n = 2;
    while (n < 2 * depth) n *= 2;
    return n;
  }
  static i64 wordsOf(i64 depth) { return (depth * bitsOfStep(depth) + 63) / 64; }

  struct Step {
    Vec<u64> up, down;
  };
  Step stepOf(i64 i) const {
    const i64 bit = i * bitsOfStep(depth());
    const u64 read = (u64{1} << (depth() + i)) - 1;
    return {up[bit / 64] >> bit % 64 & read, down[bit / 64] >> bit % 64 & read};
  }

  /**
   * body(j, lanes where node j is a numerator of the step, lanes where it is a denominator) in node order, or the latest
   * node first.
   */
  template <bool BACKWARD = false, typename Body>
  DAG_INLINE void forTerms(i64 i, const Step& step, const Body& body) const {
    const i64 count = SHARED ? termCount[i] : depth() + i;
    for (i64 n = 0; n < count; n++) {
      const i64 t = BACKWARD ? count - 1 - n : n;
      const i64 j = SHARED ? terms[i][t] : t;
      const Vec<u64> bit = splat(u64{1} << j);
      body(j, overlapping(step.up, bit), overlapping(step.down, bit));
    }
  }

  template <bool GRADIENTS>
  DAG_INLINE V stepForward(i64 i) {
    const Step step = stepOf(i);
    // −0 + x is x, also for −0.
    V sum = splat(-0.0), numerator = splat(1.0), last = splat(1.0);
    forTerms(i, step, [&](i64 j, Lanes isUp, Lanes isDown) DAG_INLINE {
      const V v = value[j];
      sum = minusWhere(plusWhere(sum, isUp, v), isDown, v);
      if (GRADIENTS) before[i * 2 * depth() + j] = numerator;
      numerator = timesWhere(numerator, isUp, v);
      last = chosen(isDown, v, last);
    });
    const V linear = only(overlapping(step.up | step.down, step.up | step.down), sum);
    const Lanes divides = overlapping(step.down, step.down), several = overlapping(step.down, step.down - 1);
    V p = numerator;
    if (!SHARED || anyOf(divides)) {
      const V size = magnitudeOf(numerator);
      // (a / b) · c may be in range where a · c is not. A single numerator is what it is.
      redo |= without(divides & overlapping(step.up, step.up - 1),
                      atLeast(size, splat(MIN_NORMAL)) & atMost(size, splat(LARGEST)));
      p = dividedWhere(numerator, divides, last);
      if (anyOf(several)) p = dividedByAll(i, step, numerator);
    }
    const Lanes isOver = above(magnitudeOf(p), splat(limit));
    p = chosen(isOver, signOf(p) * limit, p);
    isLinear[i] = equal(G[i], splat(1.0));
    if (GRADIENTS) {
      clamped[i] = isOver;
      product[i] = p;
      difference[i] = linear - p;
      denominator[i] = last;
    }
    return chosen(isLinear[i], linear, p);
  }

  __attribute__((noinline)) V dividedByAll(i64 i, const Step& step, V x) const {
    forTerms(i, step, [&](i64 j, Lanes, Lanes isDown) {
      if (anyOf(isDown)) x = dividedWhere(x, isDown, value[j]);
    });
    return x;
  }

  DAG_INLINE void stepBackward(i64 i, const Wanted& wanted) {
    const i64 k = depth() + i;
    const Step step = stepOf(i);
    // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
    const V total = byLinear[k] + byProduct[k];
    probe += magnitudeOf(total);
    if (wanted.G) {
      outG[i] = 0 + total * difference[i];
      probe += magnitudeOf(outG[i]);
    }
    const V toLinear = only(isLinear[i], total);
    const Lanes active = without(differ(total, V{}), isLinear[i]);
    const Lanes free = without(active, clamped[i]);
    const V toSigns = only(active, total * product[i]);
    const V toLogs = only(free, toSigns);
    scale[i] = toLinear + toLogs;
    if (SHARED && !anyOf(active)) {
      forTerms<true>(i, step, [&](i64 j, Lanes isUp, Lanes isDown) DAG_INLINE {
        byLinear[j] = minusWhere(plusWhere(byLinear[j], isUp, toLinear), isDown, toLinear);
      });
      return;
    }
    const Lanes divides = overlapping(step.down, step.down);
    const V inverse = dividedWhere(splat(1.0), divides, denominator[i]);
    // One operand's derivative is the product of the others, where these are at most two numerators or a denominator.
    const Vec<u64> two = step.up & (step.up - 1), three = two & (two - 1);
    const Lanes many = free & (overlapping(step.down, step.down - 1) | overlapping(three, three - 1) |
                               (divides & overlapping(two, two)));
    const Lanes few = without(free, many);
    // With a denominator these others are 1, without one its inverse is.
    const V toNumerators = only(few, total) * inverse, toDenominator = only(few, toLogs) * inverse;
    V after = splat(1.0);
    forTerms<true>(i, step, [&](i64 j, Lanes isUp, Lanes isDown) DAG_INLINE {
      byLinear[j] = minusWhere(plusWhere(byLinear[j], isUp, toLinear), isDown, toLinear);
      const V share = toNumerators * (before[i * 2 * depth() + j] * after);
      byProduct[j] = minusWhere(plusWhere(byProduct[j], isUp, share), isDown, toDenominator);
      after = timesWhere(after, isUp, value[j]);
      if (wanted.V_sign && j < depth()) bySign[j] = plusWhere(bySign[j], isUp | isDown, toSigns);
    });
    if (anyOf(many)) manyBackward(i, step, many, total, toLogs);
  }

  /** The shares of products in lanes whose step has several denominators, or many operands. */
  __attribute__((noinline)) void manyBackward(i64 i, const Step& step, Lanes many, V total, V toLogs) {
    const Lanes divides = overlapping(step.down, step.down);
    forTerms(i, step, [&](i64 j, Lanes isUp, Lanes isDown) {
      if (anyOf(isUp & many)) {
        const Step others{step.up & ~(u64{1} << j), step.down};
        V x = splat(1.0);
        forTerms(i, others, [&](i64 t, Lanes isUp, Lanes) { x = timesWhere(x, isUp, value[t]); });
        redo |= without(many & isUp & divides & overlapping(others.up, others.up - 1),
                        atLeast(magnitudeOf(x), splat(MIN_NORMAL)) & atMost(magnitudeOf(x), splat(LARGEST)));
        byProduct[j] = plusWhere(byProduct[j], isUp & many, total * dividedByAll(i, others, x));
      }
      byProduct[j] = plusWhere(byProduct[j], isDown & many, toLogs * (-1 / value[j]));
    });
  }

  void takeLogs() {
    for (i64 j = 0; j < 2 * depth() - 1; j++) {
      const V m = magnitudeOf(value[j]);
      const Lanes zero = equal(m, V{});
      const Lanes normal = atLeast(m, splat(MIN_NORMAL)) & atMost(m, splat(LARGEST));
      log[j] = anyOf(~(zero | normal)) ? log64(m) : logOfNormal64(m);
      log[j] = chosen(zero, V{}, log[j]);
    }
  }
};

}  // namespace
