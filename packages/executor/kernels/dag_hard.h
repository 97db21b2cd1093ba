// The fast path for hard plans: all coefficients -1, 0 or 1, all gates 0 or 1, all signs ±1, all magnitudes at least 0 (not −0).
// Values are exact. Gradients have the bits of dag_step.h, except for the logarithms in those of O: the same operations in the
// same order without factors of 1, and the sign of a node is in its value. Lanes that need more (overflow, NaN, …) are detected
// and computed again by dag_step.h.
//
// All lanes execute the same operations: whether a term takes part is a condition on an operation, not a loop iteration, and nodes
// that no lane reads are skipped. The including file also defines overlapping(words, words) (true where they have a common bit),
// anyBits(words) (those of any lane), lowestBit and logOfMagnitude (for numbers ≥ 0); on CUDA also DAG_UNROLL, DAG_ANEW, and
// DAG_APART for long, rarely used functions.
#pragma once
#include "dag_step.h"

#ifndef DAG_UNROLL
#define DAG_UNROLL
#define DAG_APART __attribute__((noinline))
/** From here on the compiler reads the bits of x again: kept from the first use to the last, they cost the GPU more registers than it has. */
#define DAG_ANEW(x)
#endif

namespace {

/** Which gradients to compute besides that of V_mag. */
struct Wanted {
  bool V_sign, O, G;
};

/**
 * Graphs, one in each lane of L; the terms of a step are bits of a word W. DEPTH: depth of the graphs, 0 if only known at run time.
 * EACH: loops visit all nodes of a step, so that their indices are compile-time constants.
 */
template <typename L, typename W, int DEPTH, bool EACH>
struct HardGraphs {
  using S = SetOf<L>;
  /** A word has one bit for each coefficient of a step, which limits the depth. */
  static constexpr int MAX_DEPTH = DEPTH ? DEPTH : 32;
  /** Padded: arrays whose length is a power of two would compete for the same cache lines. */
  static constexpr int NODES = DEPTH ? 2 * DEPTH : 2 * MAX_DEPTH + 4, STEPS = MAX_DEPTH;

  // For each node: its value and, if a product reads it, ln |value| (0 where the value is 0).
  L value[NODES], log[NODES];
  // For each step: bits of the coefficients that are 1 (`up`) and -1 (`down`) in each lane; of those that are not 0 in any lane.
  W up[STEPS], down[STEPS];
  uint64_t any[STEPS];
  S isLinear[STEPS];
  // Gradients with respect to magnitudes and signs of initial nodes, and to gates.
  L toMagnitude[NODES], toSign[NODES], outG[NODES];
  /** Common factor of the gradients with respect to the coefficients of a step. */
  L scale[STEPS];
  /** Lanes that this path cannot compute; dag_step.h computes them again. */
  S redo;

  /** `column`: with EACH, memory for 2·depth values that are read by variable indices; without EACH `value` is used. */
  DAG_DEVICE HardGraphs(int depth, L* column) : redo{}, runtimeDepth(depth), column(EACH ? column : value) {}

  /** Sets an initial node. Lanes where it is not hard are added to `redo`. */
  DAG_DEVICE void setInitial(int j, L magnitude, L sign) {
    const L one = all<L>(1);
    column[j] = value[j] = sign * magnitude;
    redo = redo | differ(magnitudeOf(sign), one) | differ(flipped(one, magnitude), one);
  }

  /** Sets a step; coefficientOf(j) is that of node j. Lanes where it is not hard are added to `redo`. */
  template <typename CoefficientOf>
  DAG_DEVICE void setStep(int i, L gate, const CoefficientOf& coefficientOf) {
    isLinear[i] = equal(gate, all<L>(1));
    redo = redo | without(differ(gate, L{}), isLinear[i]);
    up[i] = down[i] = W{};
    DAG_UNROLL
    for (int j = 0; j < depth() + i; j++) {
      const auto c = coefficientOf(j), one = all<decltype(coefficientOf(j))>(1);
      const S isUp = equal(c, one), isDown = equal(c, -one);
      up[i] = up[i] | chosen(isUp, bitOf(j), W{});
      down[i] = down[i] | chosen(isDown, bitOf(j), W{});
      redo = redo | without(differ(c, one - one), isUp | isDown);
    }
    any[i] = anyBits(up[i] | down[i]);
  }

  /** Computes all nodes from the initial ones; returns the last node. With GRADIENTS also saves what `backward` needs. */
  template <bool GRADIENTS>
  DAG_DEVICE L forward(double limit) {
    DAG_UNROLL
    for (int i = 0; i < depth(); i++) column[depth() + i] = value[depth() + i] = stepForward<GRADIENTS>(i, limit);
    return value[2 * depth() - 1];
  }

  /** Computes the wanted gradients. Lanes with a gradient that may exceed `most` are added to `redo`. */
  DAG_DEVICE void backward(L upstream, const Wanted& wanted, double most) {
    const int width = 2 * depth();
    DAG_UNROLL
    for (int j = 0; j < width; j++) byLinear[j] = byProduct[j] = L{};
    DAG_UNROLL
    for (int j = 0; j < depth(); j++) bySign[j] = L{};
    byLinear[width - 1] = upstream;
    // Sums of absolute values: an upper bound of all gradients, and NaN if a gradient is NaN.
    probe = L{};
    L scales = L{}, sizes = all<L>(746);
    DAG_UNROLL
    for (int i = depth() - 1; i >= 0; i--) {
      stepBackward(i, wanted);
      scales = scales + magnitudeOf(scale[i]);
    }
    const S none = equal(upstream, L{});
    DAG_UNROLL
    for (int j = 0; j < depth(); j++) {
      const L byMagnitude = flipped(byProduct[j], value[j]) + flipped(byLinear[j], value[j]);
      const L bySigns = flipped(bySign[j], value[j]) + byLinear[j] * magnitudeOf(value[j]);
      probe = probe + (magnitudeOf(byMagnitude) + magnitudeOf(bySigns));
      // 0 + x: a gradient that is zero is never −0.
      toMagnitude[j] = chosen(none, L{}, 0 + byMagnitude);
      toSign[j] = chosen(none, L{}, 0 + bySigns);
    }
    // |ln m| is at most 745.2.
    DAG_UNROLL
    for (int j = 0; j < width - 1; j++) sizes = sizes + magnitudeOf(value[j]);
    if (wanted.O) probe = probe + scales * sizes;
    // Gradients of a NaN value are NaN: dag_step.h computes them.
    redo = redo | inverse(atMost(probe, all<L>(most))) | differ(value[width - 1], value[width - 1]);
  }

  /** Computes `log` of the nodes that a product reads. */
  DAG_DEVICE void takeLogs() {
    int read = 0;
    DAG_UNROLL
    for (int i = 0; i < depth(); i++)
      if (anyOf(inverse(isLinear[i]))) read = depth() + i;
    DAG_UNROLL
    for (int j = 0; j < 2 * depth() - 1; j++)
      if (j < read) log[j] = only(differ(value[j], L{}), logOfMagnitude(magnitudeOf(value[j])));
  }

  /** The gradient with respect to coefficient (i, j). */
  DAG_DEVICE L byCoefficient(int i, int j) const { return 0 + scale[i] * chosen(isLinear[i], value[j], log[j]); }

  DAG_DEVICE int depth() const { return DEPTH ? DEPTH : runtimeDepth; }

 private:
  const int runtimeDepth;
  L* const column;
  // Gradients with respect to each node as a term of sums, and of products; with respect to its sign in products, divided by its sign.
  L byLinear[NODES], byProduct[NODES], bySign[NODES];
  // For each step: the linear part minus the log part; its only denominator, or 1; the XOR of its numerators (and of 1 if there is
  // only one): another XOR with one numerator gives the other.
  L difference[STEPS], denominator[STEPS], numerators[STEPS];
  S clamped[STEPS];
  L probe;

  static DAG_DEVICE W bitOf(int j) { return (W{} + 1) << j; }
  /** Lanes whose word has any bit (`some`), and more than one (`several`). */
  static DAG_DEVICE S some(W words) { return overlapping(words, words); }
  static DAG_DEVICE S several(W words) { return overlapping(words, words - 1); }

  /** Calls body(j, lanes where node j is a numerator of step i, lanes where it is a denominator) in node order. */
  template <typename Body>
  DAG_DEVICE void forTerms(int i, const Body& body) const {
    if constexpr (EACH) {
      DAG_UNROLL
      for (int j = 0; j < depth() + i; j++) body(j, overlapping(up[i], bitOf(j)), overlapping(down[i], bitOf(j)));
    } else {
      for (uint64_t rest = any[i]; rest; rest &= rest - 1) {
        const int j = lowestBit(rest);
        body(j, overlapping(up[i], bitOf(j)), overlapping(down[i], bitOf(j)));
      }
    }
  }

  template <bool GRADIENTS>
  DAG_DEVICE L stepForward(int i, double limit) {
    // −0 + x is x, also for −0.
    L sum = all<L>(-0.0), numerator = all<L>(1), last = all<L>(1), bits = L{};
    forTerms(i, [&](int j, S isUp, S isDown) {
      const L v = value[j];
      sum = minusWhere(plusWhere(sum, isUp, v), isDown, v);
      numerator = timesWhere(numerator, isUp, v);
      last = chosen(isDown, v, last);
      if (GRADIENTS) bits = xorWhere(bits, isUp, v);
    });
    const L linear = only(some(up[i] | down[i]), sum);
    if (!GRADIENTS && !anyOf(inverse(isLinear[i]))) return linear;
    const S divides = some(down[i]);
    L p = numerator;
    if (anyOf(divides)) {
      // Otherwise (a / b) · c may be in range where a · c is not.
      redo = redo | without(divides & several(up[i]), isInRange(numerator));
      p = dividedWhere(numerator, divides, last);
      if (anyOf(several(down[i]))) p = dividedByAll(i, numerator, divides);
    }
    const S isOver = above(magnitudeOf(p), all<L>(limit));
    p = chosen(isOver, flipped(all<L>(limit), p), p);
    if (GRADIENTS) {
      clamped[i] = isOver;
      difference[i] = linear - p;
      denominator[i] = last;
      numerators[i] = xorWhere(bits, inverse(several(up[i])), all<L>(1));
    }
    return chosen(isLinear[i], linear, p);
  }

  static DAG_DEVICE S isInRange(L x) {
    return atLeast(magnitudeOf(x), all<L>(MIN_NORMAL)) & atMost(magnitudeOf(x), all<L>(LARGEST));
  }

  /** Calls body(value, lanes where its node is in the set `nodes`) for nodes of step i. */
  template <typename Body>
  DAG_DEVICE void forSome(int i, W nodes, const Body& body) const {
    if constexpr (EACH) {
      for (W rest = nodes; rest; rest &= rest - 1) body(column[lowestBit(rest)], true);
    } else {
      for (uint64_t rest = any[i]; rest; rest &= rest - 1)
        body(column[lowestBit(rest)], overlapping(nodes, bitOf(lowestBit(rest))));
    }
  }

  DAG_APART L dividedByAll(int i, L x, S where) const {
    forSome(i, down[i], [&](L v, S isDown) {
      if (anyOf(isDown)) x = dividedWhere(x, isDown & where, v);
    });
    return x;
  }

  DAG_DEVICE void stepBackward(int i, const Wanted& wanted) {
    DAG_ANEW(up[i]);
    DAG_ANEW(down[i]);
    const int k = depth() + i;
    // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
    const L total = byLinear[k] + byProduct[k];
    probe = probe + magnitudeOf(total);
    if (wanted.G) {
      outG[i] = 0 + total * difference[i];
      probe = probe + magnitudeOf(outG[i]);
    }
    const L toLinear = only(isLinear[i], total);
    const S active = without(differ(total, L{}), isLinear[i]), free = without(active, clamped[i]);
    const L toSigns = only(active, total * value[k]), toLogs = only(free, toSigns);
    scale[i] = toLinear + toLogs;
    if (!anyOf(active)) {
      forTerms(i, [&](int j, S isUp, S isDown) {
        byLinear[j] = minusWhere(plusWhere(byLinear[j], isUp, toLinear), isDown, toLinear);
      });
      return;
    }
    const S divides = some(down[i]);
    L reciprocal = all<L>(1);
    if (anyOf(divides)) reciprocal = dividedWhere(reciprocal, divides, denominator[i]);
    // With at most one other numerator and one denominator, an operand's derivative is that numerator over that denominator.
    const W two = up[i] & (up[i] - 1);
    const S many = free & (several(down[i]) | several(two) | (divides & some(two))), few = without(free, many);
    const L toNumerators = total * reciprocal, toDenominator = toLogs * reciprocal;
    forTerms(i, [&](int j, S isUp, S isDown) {
      byLinear[j] = minusWhere(plusWhere(byLinear[j], isUp, toLinear), isDown, toLinear);
      const L share = toNumerators * xorOf(numerators[i], value[j]);
      byProduct[j] = minusWhere(plusWhere(byProduct[j], isUp & few, share), isDown & few, toDenominator);
      if (wanted.V_sign && j < depth()) bySign[j] = plusWhere(bySign[j], isUp | isDown, toSigns);
    });
    DAG_ANEW(up[i]);
    DAG_ANEW(down[i]);
    if (anyOf(many)) manyBackward(i, many, total, toLogs);
  }

  /** Gradients of products in lanes whose step has several denominators, or more than two operands. */
  DAG_APART void manyBackward(int i, S many, L total, L toLogs) {
    const S divides = some(down[i]);
    forTerms(i, [&](int j, S isUp, S isDown) {
      const S toUp = isUp & many, toDown = isDown & many;
      if (anyOf(toUp)) {
        L x = all<L>(1);
        const W others = up[i] & ~bitOf(j);
        forSome(i, others, [&](L v, S isOther) { x = timesWhere(x, isOther, v); });
        redo = redo | without(toUp & divides & several(others), isInRange(x));
        if (anyOf(toUp & divides)) x = dividedByAll(i, x, toUp);
        byProduct[j] = plusWhere(byProduct[j], toUp, total * x);
      }
      if (anyOf(toDown)) byProduct[j] = plusWhere(byProduct[j], toDown, toLogs * (-1 / value[j]));
    });
  }
};

}  // namespace
