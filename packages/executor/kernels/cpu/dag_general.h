// Any plans: one block of graphs. A graph that needs more than the vectors do (a product out of range before its divisions,
// an infinite share of a gradient, coefficients above 16) is done again by dag_step.h.
#pragma once
#include "dag_lanes.h"

namespace {

class GeneralBlock {
 public:
  static i64 vectors(i64 depth) {
    return NODES * paddedTo(2 * depth, TILE) + STEPS * paddedTo(depth, TILE) + TERMS * paddedTo(2 * depth * depth, TILE);
  }

  GeneralBlock(i64 depth, f64 limit, V* memory, bool gradients) : depth(depth), width(2 * depth), limit(limit) {
    const auto take = [&](i64 count) {
      V* taken = memory;
      memory += paddedTo(count, TILE);
      return taken;
    };
    V** const ofNodes[] = {&value, &magnitude, &sign, &turned, &log, &inverse, &before, &toValue, &toMagnitude, &toSign};
    V** const ofSteps[] = {&G, &linear, &product, &size, &Q, &outG};
    V** const ofTerms[] = {&O, &outO, &q, &flip, &turn};
    for (V** vectors : ofNodes) *vectors = take(width);
    for (V** vectors : ofSteps) *vectors = take(depth);
    for (V** vectors : ofTerms) *vectors = take(depth * width);
    whole = reinterpret_cast<Mask*>(take(depth));
    // Those of coefficients that no step reads stay zero.
    for (i64 i = 0; gradients && i < depth * width; i++) outO[i] = V{};
  }

  const i64 depth, width;
  const f64 limit;
  // Inputs: the initial nodes, the plan.
  V *value, *magnitude, *sign, *O, *G;

  // Gradients: toMagnitude and toSign of the initial nodes, outO, outG.
  V *toMagnitude, *toSign, *outO, *outG;
  /** Whether all of them but outG are within the range of f32. */
  bool bounded = false;

  /** Makes the intermediate nodes; `backward` will follow where GRADIENTS. */
  template <bool GRADIENTS>
  void forward(Mask inUse) {
    redo = Mask{};
    logs = inverses = 0;
    anyWild = false;
    for (i64 j = 0; j < depth; j++) {
      value[j] = sign[j] * magnitude[j];
      // A negative magnitude, −0 too, counts as the positive one with the opposite sign.
      turned[j] = bits<V>(signBitOf(magnitude[j]));
      magnitude[j] = magnitudeOf(magnitude[j]);
      sign[j] = flipped(sign[j], signBitOf(turned[j]));
    }
    for (i64 i = 0; i < depth; i++) {
      const V x = stepForward<GRADIENTS>(i);
      value[depth + i] = x;
      magnitude[depth + i] = magnitudeOf(x);
      sign[depth + i] = signOf(x);
    }
    redo &= inUse;
    if (any(redo)) each(redo, [&](const Nodes& nodes, Coefficients o, Coefficients g, i64) {
        runGraph(nodes, depth, o, g, limit);
      });
  }

  void backward(V upstream, Mask inUse) {
    // They lie one after another.
    std::memset(toValue, 0, (toSign + width - toValue) * sizeof(V));
    toValue[width - 1] = upstream;
    probe = V{};
    for (i64 i = depth - 1; i >= 0; i--) {
      const i64 k = depth + i;
      // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
      const V total = toValue[k] + toMagnitude[k] * sign[k];
      probe += magnitudeOf(total);
      stepBackward(i, total);
    }
    const Mask none = upstream == 0;
    for (i64 j = 0; j < depth; j++) {
      const V s = sign[j];
      const V byMagnitude = toMagnitude[j] + toValue[j] * s;
      const V bySign = toSign[j] + toValue[j] * magnitude[j];
      probe += magnitudeOf(byMagnitude);
      probe += magnitudeOf(bySign);
      // 0 + x: a gradient that is zero is never −0.
      toMagnitude[j] = none ? V{} : 0 + byMagnitude;
      toSign[j] = none ? V{} : 0 + bySign;
    }
    // A value of NaN makes its gradients NaN, which differentiateGraph sees to.
    redo = (redo | ~isFinite(probe) | (value[width - 1] != value[width - 1])) & inUse;
    bounded = !any(redo | ~(probe <= __FLT_MAX__));
    if (any(redo)) each(redo, [&](const Nodes& nodes, Coefficients o, Coefficients g, i64 lane) {
        const NodeGradients out{lanesOf(toValue, lane), lanesOf(toMagnitude, lane), lanesOf(toSign, lane)};
        differentiateGraph(nodes, depth, o, g, limit, upstream[lane], out, lanesOf(outO, lane), lanesOf(outG, lane));
      });
    for (i64 j = 0; j < depth; j++) {
      toMagnitude[j] = 0 + flipped(toMagnitude[j], signBitOf(turned[j]));
      toSign[j] = 0 + flipped(toSign[j], signBitOf(turned[j]));
    }
    for (i64 j = depth; j < width; j++) toMagnitude[j] = toSign[j] = V{};
  }

 private:
  // Of each node: ln m where m is not 0, else 0; 1/m; gradients by value. `before`: products of the signs before a term.
  V *log, *inverse, *toValue, *before;
  /** The sign bit of the magnitude of each initial node as it came. */
  V* turned;
  // Of each step: the linear part; the log part; E before it is clamped; Q.
  V *linear, *product, *size, *Q;
  // Of each step: whether its coefficients are whole.
  Mask* whole;
  // Of each term: q; its derivatives (1 − cos πO)/2 by the sign and, with a minus, (1 − s)/2 · π · sin πO by O.
  V *q, *flip, *turn;
  static constexpr i64 NODES = 10, STEPS = 7, TERMS = 5;
  Mask redo;
  /** The sum of the sizes of all gradients: none is larger, and none is NaN where it is not. */
  V probe;
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
  V stepForward(i64 i) {
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

  void stepBackward(i64 i, V total) {
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

}  // namespace
