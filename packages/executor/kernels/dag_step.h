// The arithmetic of one step, forward and backward, in IEEE double, over a lane type L: a vector with one graph per lane
// (kernels/cpu), or a double, the graph of one CUDA thread. It is the counterpart of src/dag/step.ts, which has the mathematics.
//
// The including file first defines, for each type of lanes and the sets of lanes that its comparisons return (those for double
// are here): anyOf inverse without equal differ above atLeast chosen magnitudeOf flipped xorOf eachLane, and exp64 log64 sinCosPi64(x)
// → { sin, cos }. On CUDA DAG_DEVICE is `inline __device__` and DAG_CALLED `__noinline__ __device__`. Compile without
// contraction: a product and a sum must round twice.
#pragma once
#include <cstdint>
#include <cstring>

#ifndef DAG_DEVICE
#define DAG_DEVICE inline
#endif
/** For long, rarely run functions with many callers: the CUDA compiler inlines all others. */
#ifndef DAG_CALLED
#define DAG_CALLED DAG_DEVICE
#endif

namespace {

constexpr double LARGEST = 0x1.fffffffffffffp1023;
/** Smallest normal double: below it a product has lost digits. */
constexpr double MIN_NORMAL = 0x1p-1022;
/** Whole coefficients up to this size are computed by repeated multiplication; larger ones as one power. */
constexpr double MAX_REPEATED = 16;
constexpr double PI = 0x1.921fb54442d18p1;
constexpr int NONE = -1;

DAG_DEVICE double bitsOf(uint64_t word) {
  double x;
  memcpy(&x, &word, sizeof x);
  return x;
}
DAG_DEVICE uint64_t wordOf(double x) {
  uint64_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}

// A double as one lane.

DAG_DEVICE bool anyOf(bool lane) { return lane; }
DAG_DEVICE bool inverse(bool lane) { return !lane; }
DAG_DEVICE bool without(bool a, bool b) { return a && !b; }
DAG_DEVICE bool equal(double a, double b) { return a == b; }
DAG_DEVICE bool differ(double a, double b) { return a != b; }
DAG_DEVICE bool equal(float a, float b) { return a == b; }
DAG_DEVICE bool differ(float a, float b) { return a != b; }
DAG_DEVICE bool above(double a, double b) { return a > b; }
DAG_DEVICE bool atLeast(double a, double b) { return a >= b; }
DAG_DEVICE bool overlapping(uint32_t a, uint32_t b) { return (a & b) != 0; }
DAG_DEVICE uint64_t anyBits(uint32_t words) { return words; }
template <typename X>
DAG_DEVICE X chosen(bool lane, X a, X b) { return lane ? a : b; }
DAG_DEVICE double magnitudeOf(double x) { return __builtin_fabs(x); }
DAG_DEVICE double flipped(double x, double signs) { return bitsOf(wordOf(x) ^ (wordOf(signs) & uint64_t{1} << 63)); }
DAG_DEVICE double xorOf(double a, double b) { return bitsOf(wordOf(a) ^ wordOf(b)); }
template <typename F>
DAG_DEVICE double eachLane(bool, double a, double b, const F& f) { return f(a, b); }

// For any lane type.

template <typename L>
using SetOf = decltype(equal(L{}, L{}));

template <typename L>
DAG_DEVICE SetOf<L> atMost(L a, L b) { return atLeast(b, a); }

/** `a` in a set of lanes, 0 in the other lanes. */
template <typename L>
DAG_DEVICE L only(SetOf<L> lanes, L a) { return chosen(lanes, a, L{}); }

/** Combines a with b in a set of lanes; a in the other lanes. */
#define DAG_WHERE(name, combined) \
  template <typename L>           \
  DAG_DEVICE L name(L a, SetOf<L> lanes, L b) { return chosen(lanes, combined, a); }
DAG_WHERE(plusWhere, a + b)
DAG_WHERE(minusWhere, a - b)
DAG_WHERE(timesWhere, a * b)
DAG_WHERE(dividedWhere, a / b)
DAG_WHERE(xorWhere, xorOf(a, b))
#undef DAG_WHERE

/** x in all lanes, also −0. */
template <typename L>
DAG_DEVICE L all(double x) { return x - L{}; }

template <typename L>
DAG_DEVICE SetOf<L> isFinite(L x) { return atMost(magnitudeOf(x), all<L>(LARGEST)); }
/** The sign of an intermediate node; −0 counts as negative, NaN as positive. */
template <typename L>
DAG_DEVICE L signOf(L value) { return chosen(equal(value, value), flipped(all<L>(1), value), all<L>(1)); }

/** Tests by adding 2^52, which leaves no bits for a fraction; conversion to integers and back is slow on a GPU. */
template <typename L>
DAG_DEVICE SetOf<L> isWhole(L x) {
  const L size = magnitudeOf(x), most = all<L>(0x1p52);
  // From 2^52 all numbers are whole, except for infinity.
  return equal(chosen(atLeast(size, most), (x - x) + size, (size + most) - most), size);
}

template <typename L>
DAG_CALLED L limited(L x, double limit) {
  return chosen(above(x, all<L>(limit)), all<L>(limit), chosen(above(all<L>(-limit), x), all<L>(-limit), x));
}
/** `x` clamped to ±`limit`; NaN stays NaN. Without clamping, an infinite gradient times 0, or plus its opposite, would be NaN. */
template <bool CAREFUL, typename L>
DAG_DEVICE L held(L x, double limit = LARGEST) {
  return CAREFUL && anyOf(above(magnitudeOf(x), all<L>(limit))) ? limited(x, limit) : x;
}

template <typename L>
DAG_CALLED L chained(L upstream, L product) {
  return limited(chosen(equal(product, product), product, only(differ(upstream, upstream), upstream)), LARGEST);
}
/** upstream · local, clamped to finite numbers; 0 where `local` is undefined. NaN where `upstream` is NaN. */
template <bool CAREFUL, typename L>
DAG_DEVICE L chain(L upstream, L local) {
  const L product = upstream * local;
  return CAREFUL && anyOf(inverse(isFinite(product))) ? chained(upstream, product) : product;
}

// Powers

/** x·2^exponent, where x is in [½, 4). */
DAG_DEVICE double scaled(double x, double exponent) {
  if (exponent > 1024) return x * LARGEST * 2;
  if (exponent < -1100) return 0;
  const int64_t half = static_cast<int64_t>(exponent) / 2;
  const int64_t rest = static_cast<int64_t>(exponent) - half;
  return x * bitsOf(static_cast<uint64_t>(half + 1023) << 52) * bitsOf(static_cast<uint64_t>(rest + 1023) << 52);
}

/** (high + low)·2^exponent: a number near 1 as the sum of two doubles, scaled. */
struct Scaled {
  double high, low, exponent;
};

/** A finite number above 0 as `Scaled`, with `high` in [1, 2). */
DAG_DEVICE Scaled normalized(double size) {
  const double normal = size < MIN_NORMAL ? size * 0x1p54 : size;
  const double exponent = static_cast<double>(static_cast<int64_t>(wordOf(normal) >> 52)) - (size < MIN_NORMAL ? 1077 : 1023);
  return {bitsOf((wordOf(normal) & 0x000fffffffffffff) | 0x3ff0000000000000), 0, exponent};
}

/** The product, by Dekker (Numerische Mathematik 18, 1971), with `high` in [1, 2]. */
DAG_DEVICE Scaled times(const Scaled& a, const Scaled& b) {
  constexpr double SPLIT = 0x1p27 + 1;
  const double a1 = a.high * SPLIT - (a.high * SPLIT - a.high), a2 = a.high - a1;
  const double b1 = b.high * SPLIT - (b.high * SPLIT - b.high), b2 = b.high - b1;
  const double product = a.high * b.high;
  const double error = ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2 + (a.high * b.low + a.low * b.high);
  const double high = product + error;
  const double low = error - (high - product);
  return high < 2 ? Scaled{high, low, a.exponent + b.exponent}
                  : Scaled{high / 2, low / 2, a.exponent + b.exponent + 1};
}

/** m^n for m ≥ 0 and a whole n ≥ 0, by repeated squaring in twice the precision. */
DAG_CALLED double powWhole(double m, double n) {
  if (n == 0) return 1;
  if (!(m > 0 && m <= LARGEST)) return m;
  if (n >= 0x1p63) return m > 1 ? LARGEST * 2 : m < 1 ? 0 : 1;
  Scaled base = normalized(m), power{1, 0, 0};
  for (uint64_t rest = static_cast<uint64_t>(n);;) {
    if (rest & 1) power = times(power, base);
    if (!(rest >>= 1)) return scaled(power.high, power.exponent);
    base = times(base, base);
  }
}

DAG_DEVICE double upperHalf(double x) { return bitsOf(wordOf(x) & 0xffffffff00000000); }

/** m^x for m ≥ 0 within 0.7 ulp. The method and the coefficients are those of FDLIBM's e_pow.c (Sun Microsystems, 1993). */
DAG_CALLED double powFraction(double m, double x) {
  if (!(m > 0 && m <= LARGEST && magnitudeOf(x) <= LARGEST)) return exp64(x * log64(m));
  // m = 2^n · a, a near 1 or 3/2; log2 a = 2/(3 ln 2) · (3·s + s³·…) with s = (a − base)/(a + base), in two doubles.
  const Scaled normal = normalized(m);
  const bool doubled = normal.high >= 0x1.bb67ap0, above1 = !doubled && normal.high > 0x1.3988ep0;
  const double a = doubled ? normal.high / 2 : normal.high, n = normal.exponent + (doubled ? 1 : 0);
  const double base = above1 ? 1.5 : 1;
  const double u = a - base, v = 1 / (a + base), s = u * v, sHigh = upperHalf(s);
  const double sumHigh = upperHalf(a + base), sumLow = a - (sumHigh - base);
  const double sLow = v * ((u - sHigh * sumHigh) - sHigh * sumLow);
  const double s2 = s * s, sHigh2 = sHigh * sHigh;
  double r = s2 * s2 * (5.99999999999994648725e-01 + s2 * (4.28571428578550184252e-01 + s2 * (3.33333329818377432918e-01 +
             s2 * (2.72728123808534006489e-01 + s2 * (2.30660745775561754067e-01 + s2 * 2.06975017800338417784e-01)))));
  r += sLow * (sHigh + s);
  const double tHigh = upperHalf(3 + sHigh2 + r), tLow = r - ((tHigh - 3) - sHigh2);
  const double w = sHigh * tHigh, wLow = sLow * tHigh + tLow * s;
  const double pHigh = upperHalf(w + wLow), pLow = wLow - (pHigh - w);
  const double zHigh = 9.61796700954437255859e-01 * pHigh;
  const double zLow = -7.02846165095275826516e-09 * pHigh + pLow * 9.61796693925975554329e-01 + (above1 ? 1.35003920212974897128e-08 : 0);
  const double ofBase = above1 ? 5.84962487220764160156e-01 : 0;
  const double log2High = upperHalf(((zHigh + zLow) + ofBase) + n), log2Low = zLow - (((log2High - n) - ofBase) - zHigh);
  const double xHigh = upperHalf(x), yLow = (x - xHigh) * log2High + x * log2Low, yHigh = xHigh * log2High;
  const double y = yLow + yHigh;
  if (!(magnitudeOf(y) < 1100)) return y > 0 ? LARGEST * 2 : 0;
  // 2^y = 2^k · e^(z + zRest)
  const double k = (y + 0x1.8p52) - 0x1.8p52, rest = yHigh - k, t = upperHalf(yLow + rest);
  const double e = t * 6.93147182464599609375e-01;
  const double eLow = (yLow - (t - rest)) * 6.93147180559945286227e-01 + t * -1.90465429995776804525e-09;
  const double z = e + eLow, zRest = eLow - (z - e), z2 = z * z;
  const double q = z - z2 * (1.66666666666666019037e-01 + z2 * (-2.77777777770155933842e-03 + z2 * (6.61375632143793436117e-05 +
                   z2 * (-1.65339022054652515390e-06 + z2 * 4.13813679705723846039e-08))));
  return scaled(1 - (((z * q) / (q - 2) - (zRest + z * zRest)) - z), k);
}

/** m^x for m ≥ 0. */
DAG_CALLED double power(double m, double x) {
  return x >= 0 && isWhole(x) ? powWhole(m, x) : x == 0.5 ? __builtin_sqrt(m) : powFraction(m, x);
}

/** Coefficients of hard plans: whole numbers and square roots. */
template <typename L>
DAG_DEVICE SetOf<L> isHardCoefficient(L c) { return isWhole(c) | equal(magnitudeOf(c), all<L>(0.5)); }

/** product · m^c in the lanes `where`, factor by factor; divides by m^|c| if c is a negative hard coefficient. */
template <typename L, typename S>
DAG_DEVICE L timesPower(L product, S where, L m, L c) {
  const L count = magnitudeOf(c);
  const S up = above(c, L{}), repeated = where & isWhole(c) & atMost(count, all<L>(MAX_REPEATED));
  for (double t = 1;; t++) {
    const S now = repeated & atLeast(count, all<L>(t)), divides = without(now, up);
    if (!anyOf(now)) break;
    product = timesWhere(product, now & up, m);
    if (anyOf(divides)) product = dividedWhere(product, divides, m);
  }
  const S once = without(where, repeated);
  if (!anyOf(once)) return product;
  const S divides = without(once & isHardCoefficient(c), up);
  const L factor = eachLane(once, m, chosen(divides, count, c), power);
  return dividedWhere(timesWhere(product, without(once, divides), factor), divides, factor);
}

/** sin(πx) and cos(πx) of any x. */
DAG_CALLED auto sinCosPiOfAny(double x) {
  if (!isFinite(x)) return sinCosPi64(x - x);
  // From 2^53 all doubles are even.
  return sinCosPi64(magnitudeOf(x) < 0x1p53 ? x - 2 * static_cast<double>(static_cast<int64_t>(x / 2)) : 0.0);
}
DAG_DEVICE auto sinCosPi(double x) { return sinCosPiOfAny(x); }
template <typename L>
DAG_DEVICE auto sinCosPi(L x) {
  auto turn = sinCosPi64(x);
  const SetOf<L> large = inverse(atMost(magnitudeOf(x), all<L>(0x1p40)));
  if (anyOf(large)) {
    turn.sin = chosen(large, eachLane(large, x, x, [](double c, double) { return sinCosPiOfAny(c).sin; }), turn.sin);
    turn.cos = chosen(large, eachLane(large, x, x, [](double c, double) { return sinCosPiOfAny(c).cos; }), turn.cos);
  }
  return turn;
}

// Steps. `nodes` has value(j), magnitude(j), sign(j), reciprocal(j) = 1/m and, after takeLogs(count) with count > j, log(j).
// `O` has coefficient [j], and next(j, count) and previous(j): the next and previous node whose coefficient may be nonzero.

/** Settings of all steps of a kernel; `limit` is e^maxLog. */
struct StepRules {
  double limit;
  /** Inference: steps with gate 0 use IEEE powers: also fractional powers are exact, and NaN for negative bases. */
  bool inference;
};

/** For each term of a step: q, sine and cosine of π·O, and for backward the product of q over earlier terms. */
template <typename A>
struct Turns {
  A q, sin, cos, before;
};

/** The parts of a step: `linear` Σ O·v, `size` E, `sign` Q, and the lanes whose E was computed factor by factor. */
template <typename L>
struct Parts {
  L linear, size, sign;
  SetOf<L> exact;
};

template <typename L, typename N, typename C>
DAG_DEVICE L linearPart(const N& nodes, const C& O, int count) {
  // −0 + x is x, also for −0.
  L sum = all<L>(-0.0);
  SetOf<L> some{};
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const L c = O[j];
    const SetOf<L> takesPart = differ(c, L{});
    sum = plusWhere(sum, takesPart, c * nodes.value(j));
    some = some | takesPart;
  }
  return only(some, sum);
}

/** E over all terms except `except`, factor by factor. */
template <typename L, typename N, typename C>
DAG_DEVICE L exactPart(const N& nodes, const C& O, int count, int except, SetOf<L> where) {
  L numerators = all<L>(1), sum = L{};
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const SetOf<L> up = where & above(O[j], L{});
    if (j == except || !anyOf(up)) continue;
    sum = plusWhere(sum, up, O[j]);
    numerators = timesPower(numerators, up, nodes.magnitude(j), O[j]);
  }
  // Otherwise (a / b) · c may be in range where a · c is not.
  const SetOf<L> out = where & atLeast(sum, all<L>(2)) &
                       inverse(atLeast(numerators, all<L>(MIN_NORMAL)) & atMost(numerators, all<L>(LARGEST)));
  L product = chosen(out, all<L>(1), numerators);
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const SetOf<L> rest = where & differ(O[j], L{}) & (out | inverse(above(O[j], L{})));
    if (j != except && anyOf(rest)) product = timesPower(product, rest, nodes.magnitude(j), O[j]);
  }
  return product;
}

/** E over all terms except `except`, from the logarithms of takeLogs. */
template <typename L, typename N, typename C>
DAG_DEVICE L logPart(const N& nodes, const C& O, int count, int except) {
  L sum = L{};
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count))
    if (j != except) sum = plusWhere(sum, differ(O[j], L{}), O[j] * nodes.log(j));
  return exp64(sum);
}

/** Q, and with BACKWARD the turns of each term. */
template <bool BACKWARD, typename L, typename N, typename C, typename A>
DAG_DEVICE L signPart(const N& nodes, const C& O, int count, SetOf<L> ofIeee, const Turns<A>& turns) {
  const L one = all<L>(1);
  L product = one;
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const L c = O[j], s = nodes.sign(j);
    const SetOf<L> takesPart = differ(c, L{}), turned = takesPart & differ(s, one);
    decltype(sinCosPi64(c)) turn{L{}, chosen(takesPart, -one, one)};
    if (anyOf((BACKWARD ? takesPart : turned) & differ(magnitudeOf(c), one))) turn = sinCosPi(c);
    L q = chosen(turned, (1 + s) / 2 + (1 - s) / 2 * turn.cos, one);
    if (anyOf(ofIeee)) {
      // The square root of −0 is −0; any other power of −0 is that of 0.
      const L ofZero = chosen(equal(magnitudeOf(c), all<L>(0.5)), -one, one);
      const L ofNegative = chosen(equal(nodes.magnitude(j), L{}), ofZero, all<L>(__builtin_nan("")));
      q = chosen(without(ofIeee & equal(s, -one) & takesPart, isWhole(c)), ofNegative, q);
    }
    if constexpr (BACKWARD) turns.q[j] = q, turns.sin[j] = turn.sin, turns.cos[j] = turn.cos, turns.before[j] = product;
    product = product * q;
  }
  return product;
}

/** The parts of a step with gate `g`; without BACKWARD only the parts that its value needs. */
template <bool BACKWARD, typename L, typename N, typename C, typename A>
DAG_DEVICE Parts<L> partsOf(N& nodes, const C& O, int count, L g, const StepRules& rules, const Turns<A>& turns) {
  Parts<L> parts{linearPart<L>(nodes, O, count), all<L>(1), all<L>(1), SetOf<L>{}};
  if (!BACKWARD && !anyOf(differ(g, all<L>(1)))) return parts;
  SetOf<L> hard = equal(g, g) | differ(g, g), ofIeee{};
  for (int j = O.next(NONE, count); j < count && anyOf(hard); j = O.next(j, count)) hard = hard & isHardCoefficient(O[j]);
  if (rules.inference) ofIeee = equal(g, L{});
  parts.exact = hard | ofIeee;
  const SetOf<L> byLogs = inverse(parts.exact);
  if (anyOf(parts.exact)) parts.size = exactPart<L>(nodes, O, count, NONE, parts.exact);
  if (anyOf(byLogs)) {
    nodes.takeLogs(count);
    parts.size = chosen(byLogs, logPart<L>(nodes, O, count, NONE), parts.size);
  }
  parts.sign = signPart<BACKWARD, L>(nodes, O, count, ofIeee, turns);
  return parts;
}

template <typename L>
DAG_DEVICE L productOf(const Parts<L>& parts, double limit) {
  return chosen(above(parts.size, all<L>(limit)), all<L>(limit), parts.size) * parts.sign;
}

/** The value of a step. */
template <typename L>
DAG_DEVICE L valueOf(const Parts<L>& parts, L g, double limit) {
  const L product = productOf(parts, limit), one = all<L>(1);
  const L mixed = g * parts.linear + (1 - g) * product;
  return chosen(equal(g, one), parts.linear, chosen(equal(g, L{}), product, mixed));
}

/** The upstream gradient of a value: NaN if the value is NaN, unless `upstream` is 0. */
template <typename L>
DAG_DEVICE L upstreamOf(L upstream, L value) {
  return chosen(equal(upstream, L{}) | equal(value, value), upstream, value);
}

/** Gradients with respect to the value and magnitude of each node, and to the sign of initial nodes. */
template <typename A>
struct NodeGradients {
  A value, magnitude, sign;
};

/**
 * Backward pass of one step. `total` is the gradient with respect to its value. Adds the gradients with respect to nodes to `out`,
 * writes those of its coefficients to `outO`, and returns that of its gate. Adds the absolute values of `outO` to `probe`: without
 * CAREFUL the results are valid only if `probe` is finite at the end.
 */
template <bool CAREFUL, typename L, typename N, typename C, typename A, typename B>
DAG_DEVICE L stepBackward(N& nodes, const C& O, int count, int initial, L g, const StepRules& rules, L total,
                          const Parts<L>& parts, const Turns<A>& turns, const NodeGradients<B>& out, B outO, L& probe) {
  using S = SetOf<L>;
  const L one = all<L>(1), limit = all<L>(rules.limit);
  const S clamped = above(parts.size, limit);
  const L E = chosen(clamped, limit, parts.size), product = E * parts.sign;
  // A part closed by the gate receives no gradient, not even NaN.
  const L toLinear = only(differ(g, L{}), chain<CAREFUL>(total, g));
  const L toLog = only(differ(g, one), chain<CAREFUL>(total, 1 - g));
  const S active = differ(toLog, L{}), free = without(active, clamped);
  const L toSum = only(free, chain<CAREFUL>(toLog, product));
  const bool anyToSum = anyOf(differ(toSum, L{}));
  if (anyToSum) nodes.takeLogs(count);
  for (int j = 0; j < count; j++) {
    L gradient = 0 + chain<CAREFUL>(toLinear, nodes.value(j));
    if (anyToSum) {
      const S hasLog = differ(nodes.magnitude(j), L{}) | differ(toSum, toSum);
      gradient = held<CAREFUL>(plusWhere(gradient, hasLog, chain<CAREFUL>(toSum, nodes.log(j))));
    }
    outO[j] = gradient;
    probe += magnitudeOf(gradient);
  }
  // E/m replaces the product of the other terms and m^(c−1) where both are well within range.
  const S tame = atLeast(E, all<L>(1e-130)) & atMost(E, all<L>(1e130));
  L after = one;
  for (int j = O.previous(count); j >= 0; j = O.previous(j)) {
    const L c = O[j];
    const S takesPart = differ(c, L{});
    out.value[j] = held<CAREFUL>(plusWhere(out.value[j], takesPart, chain<CAREFUL>(toLinear, c)));
    if (!anyOf(takesPart & active)) continue;
    const L m = nodes.magnitude(j);
    const S wanted = takesPart & free, up = above(c, L{});
    // A denominator may be so small that m^(c−1) overflows where the derivative c·E/m does not; a numerator may be 0.
    L toMagnitude = chain<CAREFUL>(toSum, c * nodes.reciprocal(j));
    S byOthers = wanted & up;
    if (anyOf(without(byOthers, parts.exact)))
      byOthers = byOthers & (parts.exact | inverse(tame & atMost(magnitudeOf(nodes.log(j)), all<L>(18))));
    if (anyOf(byOthers)) {
      L others = all<L>(1);
      const S exact = byOthers & parts.exact, byLogs = without(byOthers, parts.exact);
      if (anyOf(exact)) others = exactPart<L>(nodes, O, count, j, exact);
      if (anyOf(byLogs)) others = chosen(byLogs, logPart<L>(nodes, O, count, j), others);
      const L x = c - 1, single = chosen(equal(x, one), m, one);
      const S hasPower = byOthers & differ(x, L{}) & differ(x, one);
      const L rest = anyOf(hasPower) ? chosen(hasPower, eachLane(hasPower, m, x, power), single) : single;
      toMagnitude = chosen(byOthers, chain<CAREFUL>(chain<CAREFUL>(toLog, others * parts.sign), c * rest), toMagnitude);
    }
    out.magnitude[j] = held<CAREFUL>(plusWhere(out.magnitude[j], wanted, toMagnitude));
    const L toSign = only(takesPart & active, chain<CAREFUL>(toLog, E * (turns.before[j] * after)));
    after = after * turns.q[j];
    if (j < initial) out.sign[j] = held<CAREFUL>(out.sign[j] + chain<CAREFUL>(toSign, (1 - turns.cos[j]) / 2));
    const L bend = (1 - nodes.sign(j)) / 2 * PI * turns.sin[j];
    const S bends = differ(bend, L{});
    if (!anyOf(bends)) continue;
    outO[j] = held<CAREFUL>(minusWhere(outO[j], bends, chain<CAREFUL>(toSign, bend)));
    probe += magnitudeOf(outO[j]);
  }
  return chain<CAREFUL>(total, parts.linear - product);
}

/** The gradient of node k: |v| has the derivative sign(v); the sign itself is constant on both sides of zero. */
template <bool CAREFUL, typename L, typename N, typename B>
DAG_DEVICE L gradientOf(const N& nodes, int k, const NodeGradients<B>& out) {
  return held<CAREFUL>(out.value[k] + out.magnitude[k] * nodes.sign(k));
}

/** The gradients of initial node j, whose magnitude was given as `given`, in the lanes `some`, and 0 in others. */
template <bool CAREFUL, typename L, typename N, typename B>
DAG_DEVICE void finishInitial(const N& nodes, int j, L given, SetOf<L> some, const NodeGradients<B>& out, L& probe) {
  const L value = out.value[j];
  const L byMagnitude = held<CAREFUL>(out.magnitude[j] + chain<CAREFUL>(value, nodes.sign(j)));
  const L bySign = held<CAREFUL>(out.sign[j] + chain<CAREFUL>(value, nodes.magnitude(j)));
  probe += magnitudeOf(byMagnitude) + magnitudeOf(bySign);
  // 0 + x: a gradient that is zero is never −0.
  out.magnitude[j] = only(some, 0 + flipped(byMagnitude, given));
  out.sign[j] = only(some, 0 + flipped(bySign, given));
}

}  // namespace
