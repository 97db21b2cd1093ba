// The arithmetic of one graph, forward and backward, in IEEE double, one number at a time: for CPU kernels (what their
// vectors leave out) and CUDA kernels (one thread a graph). It does what src/dag/step.ts does, with all
// parts of a step in one pass over its terms; the mathematics are described there.
//
// Whoever includes it defines exp64(double), log64(double) and sinCosPi64(double) → { sin, cos } before, and on CUDA
// DAG_DEVICE as `inline __device__` and DAG_CALLED as `__noinline__ __device__`. Compile without contraction: a product
// and a sum must round twice.
#pragma once
#include <cstdint>
#include <cstring>

#ifndef DAG_DEVICE
#define DAG_DEVICE inline
#endif
/** Of what is long, rare and needed in many places: a compiler of CUDA puts all else where it is called. */
#ifndef DAG_CALLED
#define DAG_CALLED DAG_DEVICE
#endif

namespace {

/** Numbers `step` apart, as those of one graph lie among those of others. */
struct Numbers {
  double* first;
  int64_t step;
  DAG_DEVICE double& operator[](int64_t i) const { return first[i * step]; }
  DAG_DEVICE Numbers from(int64_t i) const { return {first + i * step, step}; }
};

/** The nodes of one graph, 2·depth of them. Functions of a step take any such type. */
struct Nodes {
  Numbers values, magnitudes, signs;
  DAG_DEVICE double value(int j) const { return values[j]; }
  DAG_DEVICE double magnitude(int j) const { return magnitudes[j]; }
  DAG_DEVICE double sign(int j) const { return signs[j]; }
  /** Comes before `log` of the first `count` nodes: a type may keep their logarithms. */
  DAG_DEVICE void takeLogs(int) const {}
  DAG_DEVICE double log(int j) const;
};

/** The coefficients of one step. Functions of a step take any such type. */
struct Coefficients {
  const double* first;
  int64_t step;
  DAG_DEVICE double operator[](int64_t j) const { return first[j * step]; }
  DAG_DEVICE Coefficients from(int64_t j) const { return {first + j * step, step}; }
  /** The first term, of a coefficient that is not 0, after node `j`; `count` where there is none. */
  DAG_DEVICE int next(int j, int count) const {
    do j++;
    while (j < count && (*this)[j] == 0);
    return j;
  }
  /** cos(π·O_j) of a term. */
  DAG_DEVICE double cosPi(int j) const;
};

/** Where the gradients of one graph go, by value, magnitude and sign of each node. */
struct NodeGradients {
  Numbers value, magnitude, sign;
};

constexpr double LARGEST = 0x1.fffffffffffffp1023;
/** Smallest normal double: below it a product has lost digits. */
constexpr double MIN_NORMAL = 0x1p-1022;
/** Coefficients up to this are that many factors; larger ones (never written by an expression) are one power. */
constexpr double MAX_REPEATED = 16;
constexpr double PI = 0x1.921fb54442d18p1;
constexpr int NONE = -1;

DAG_DEVICE double absolute(double x) { return x < 0 ? -x : x; }

DAG_DEVICE bool isFinite(double x) { return __builtin_fabs(x) <= LARGEST; }

/** By a sum that has no room for a fraction: a GPU is slow to convert to whole numbers and back. */
DAG_DEVICE bool isWhole(double x) {
  const double size = absolute(x);
  return size < 0x1p52 ? (size + 0x1p52) - 0x1p52 == size : isFinite(x);
}

/** What `held` and `chain` hardly ever come to; to choose it after every operation would be half of a step on a GPU. */
DAG_CALLED double limited(double x, double limit) { return x < -limit ? -limit : x > limit ? limit : x; }
DAG_CALLED double chained(double upstream, double product) {
  return product == product ? limited(product, LARGEST) : upstream == upstream ? 0 : upstream;
}

/** `x` within ±`limit`: an infinite gradient would be NaN as soon as it meets a 0 or its opposite. */
DAG_DEVICE double held(double x, double limit = LARGEST) {
  return __builtin_fabs(x) <= limit ? x : limited(x, limit);
}

/** upstream · local within the finite numbers: 0 where the local derivative is undefined. An upstream of NaN stays one. */
DAG_DEVICE double chain(double upstream, double local) {
  const double product = upstream * local;
  return isFinite(product) ? product : chained(upstream, product);
}

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

/** The magnitude and the sign of a node that a step made; −0 counts as negative. */
DAG_DEVICE double magnitudeOf(double value) { return bitsOf(wordOf(value) & ~(uint64_t{1} << 63)); }
DAG_DEVICE double signOf(double value) { return value == value && wordOf(value) >> 63 ? -1 : 1; }

/** x·2^exponent, where x is in [1, 4). */
DAG_DEVICE double scaled(double x, double exponent) {
  if (exponent > 1024) return x * LARGEST * 2;
  if (exponent < -1100) return 0;
  const int64_t half = static_cast<int64_t>(exponent) / 2;
  const int64_t rest = static_cast<int64_t>(exponent) - half;
  return x * bitsOf(static_cast<uint64_t>(half + 1023) << 52) * bitsOf(static_cast<uint64_t>(rest + 1023) << 52);
}

/** A number near 1 in two doubles, times 2^exponent. */
struct Scaled {
  double high, low, exponent;
};

/** The product, by Dekker (Numerische Mathematik 18, 1971), with its high part in [1, 2]. */
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

/** m^n for a whole n ≥ 0, by repeated squaring in twice the precision. */
DAG_CALLED double powWhole(double m, double n) {
  if (n == 0) return 1;
  const bool odd = n < 0x1p53 && (static_cast<int64_t>(n) & 1);
  const double size = absolute(m);
  const double sign = m < 0 && odd ? -1 : 1;
  if (!(size > 0 && size <= LARGEST)) return odd ? m : size;
  if (n >= 0x1p63) return size > 1 ? LARGEST * 2 : size < 1 ? 0 : 1;
  const double normal = size < MIN_NORMAL ? size * 0x1p54 : size;
  const double exponent = static_cast<double>(static_cast<int64_t>(wordOf(normal) >> 52)) - (size < MIN_NORMAL ? 1077 : 1023);
  Scaled base{bitsOf((wordOf(normal) & 0x000fffffffffffff) | 0x3ff0000000000000), 0, exponent};
  Scaled power{1, 0, 0};
  for (uint64_t rest = static_cast<uint64_t>(n);;) {
    if (rest & 1) power = times(power, base);
    if (!(rest >>= 1)) return sign * scaled(power.high, power.exponent);
    base = times(base, base);
  }
}

/** m^x of node `j`, whose logarithm is taken (as partsOf does) where x + 1, its coefficient, is not a whole number ≥ 1. */
template <typename N>
DAG_DEVICE double power(const N& nodes, int j, double x) {
  const double m = nodes.magnitude(j);
  // What single and squared terms ask for, as powWhole gives it.
  if (x == 0) return 1;
  if (x == 1) return m;
  if (x >= 0 && isWhole(x)) return powWhole(m, x);
  return exp64(x * nodes.log(j));
}

/** sin(πx) and cos(πx) of any x. */
DAG_CALLED auto sinCosPi(double x) {
  if (!isFinite(x)) return sinCosPi64(x - x);
  // From 2^53 on all doubles are even.
  return sinCosPi64(absolute(x) < 0x1p53 ? x - 2 * static_cast<double>(static_cast<int64_t>(x / 2)) : 0.0);
}

DAG_DEVICE double Nodes::log(int j) const { return log64(magnitudes[j]); }
DAG_DEVICE double Coefficients::cosPi(int j) const { return sinCosPi((*this)[j]).cos; }

template <typename O>
DAG_DEVICE double expectedSign(double s, O coefficients, int j) {
  return s == 1 ? 1 : (1 + s) / 2 + (1 - s) / 2 * coefficients.cosPi(j);
}

/** product · m^c for a whole c, factor by factor. */
DAG_DEVICE double timesPower(double product, double m, double c) {
  const double repeated = absolute(c);
  const double factor = repeated > MAX_REPEATED ? powWhole(m, repeated) : m;
  double rest = repeated > MAX_REPEATED ? 1 : repeated;
  do product = c > 0 ? product * factor : product / factor;
  while (--rest > 0);
  return product;
}

/** Of the terms of a step: a, E and Q; whether all coefficients are whole. */
struct Parts {
  double linear, magnitude, sign;
  bool whole;
};

/**
 * The parts over all terms but `except`. Of `all` the terms it finds out whether they are whole; else `whole` says so.
 * Without `product`: the linear one alone.
 */
template <typename N, typename C>
DAG_DEVICE Parts partsOf(N& nodes, C O, int count, int except, bool whole, bool product) {
  const bool all = except == NONE;
  // −0 + x is x, also for −0.
  double linear = -0.0, sign = 1, numerators = 1, above = 0;
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    if (j == except) continue;
    const double c = O[j];
    if (all) linear += c * nodes.value(j);
    if (!product) continue;
    sign *= expectedSign(nodes.sign(j), O, j);
    if (all) whole = whole && isWhole(c);
    if (!whole || !(c > 0)) continue;
    above += c;
    numerators = timesPower(numerators, nodes.magnitude(j), c);
  }
  Parts parts{O.next(NONE, count) < count ? linear : 0, 1, sign, whole};
  if (!product) return parts;
  if (!whole) {
    nodes.takeLogs(count);
    double sum = 0;
    for (int j = O.next(NONE, count); j < count; j = O.next(j, count))
      if (j != except) sum += O[j] * nodes.log(j);
    parts.magnitude = exp64(sum);
    return parts;
  }
  // (a / b) · c may be in range where a · c is not. A single numerator is what it is.
  const bool inRange = above < 2 || (numerators >= MIN_NORMAL && numerators <= LARGEST);
  if (inRange) parts.magnitude = numerators;
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const double c = O[j];
    if (j != except && !(inRange && c > 0)) parts.magnitude = timesPower(parts.magnitude, nodes.magnitude(j), c);
  }
  return parts;
}

/** The gradient of a value that is NaN is NaN, unless nobody asks for it. */
DAG_DEVICE double upstreamOf(double upstream, double value) {
  return upstream == 0 || value == value ? upstream : value;
}

DAG_DEVICE double atMost(double x, double limit) { return x > limit ? limit : x; }

/** The value of a step with gate `g` that reads nodes 0 … count−1; `limit` is e^maxLog. */
template <typename N, typename C>
DAG_DEVICE double stepValue(N& nodes, C O, int count, double g, double limit) {
  const Parts parts = partsOf(nodes, O, count, NONE, true, g != 1);
  if (g == 1) return parts.linear;
  const double product = atMost(parts.magnitude, limit) * parts.sign;
  return g == 0 ? product : g * parts.linear + (1 - g) * product;
}

/**
 * Adds the gradient of one step to `out`, those of signs for the first `initial` nodes alone: no other is read. Sets that
 * of its coefficients in `outO`; returns that of its gate.
 */
template <typename N, typename C>
DAG_DEVICE double stepBackward(N& nodes, C O, int count, int initial, double g, double limit, double upstream,
                               const NodeGradients& out, Numbers outO) {
  const Parts all = partsOf(nodes, O, count, NONE, true, true);
  const double product = atMost(all.magnitude, limit) * all.sign;
  const bool clamped = all.magnitude > limit;
  // A part that the gate has closed receives nothing, not even a NaN.
  const double toLinear = g == 0 ? 0 : chain(upstream, g);
  const double toLog = g == 1 ? 0 : chain(upstream, 1 - g);
  const double toSum = clamped ? 0 : chain(toLog, product);
  if (toSum != 0) nodes.takeLogs(count);
  for (int j = 0; j < count; j++) {
    const double sum = 0 + chain(toLinear, nodes.value(j));
    const bool hasLog = nodes.magnitude(j) != 0 || toSum != toSum;
    outO[j] = toSum != 0 && hasLog ? held(sum + chain(toSum, nodes.log(j))) : sum;
  }
  for (int j = O.next(NONE, count); j < count; j = O.next(j, count)) {
    const double c = O[j];
    out.value[j] = held(out.value[j] + chain(toLinear, c));
    if (toLog == 0) continue;
    const double m = nodes.magnitude(j);
    const double s = nodes.sign(j);
    const Parts others = partsOf(nodes, O, count, j, all.whole, true);
    if (!clamped) {
      // A denominator may be so small that m^(c−1) overflows where the derivative c·E/m does not; a numerator may be 0.
      const double toMagnitude = c < 0 ? chain(toSum, c / m)
                                       : chain(chain(toLog, others.magnitude * all.sign), c * power(nodes, j, c - 1));
      out.magnitude[j] = held(out.magnitude[j] + toMagnitude);
    }
    const double toSign = chain(toLog, atMost(all.magnitude, limit) * others.sign);
    if (j < initial) out.sign[j] = held(out.sign[j] + chain(toSign, (1 - O.cosPi(j)) / 2));
    if (s != 1 && !isWhole(c)) outO[j] = held(outO[j] - chain(toSign, (1 - s) / 2 * PI * sinCosPi(c).sin));
  }
  return chain(upstream, all.linear - product);
}

/** Makes the intermediate nodes of a graph from its initial ones. */
DAG_DEVICE void runGraph(const Nodes& nodes, int depth, Coefficients O, Coefficients G, double limit) {
  for (int i = 0; i < depth; i++) {
    const int k = depth + i;
    const double value = stepValue(nodes, O.from(int64_t{i} * 2 * depth), k, G[i], limit);
    nodes.values[k] = value;
    nodes.magnitudes[k] = magnitudeOf(value);
    nodes.signs[k] = signOf(value);
  }
}

/**
 * Sets the gradients of upstream · value: `out.magnitude` and `out.sign` of the initial nodes, `outO` of the coefficients
 * that are read, `outG`. The rest of `out` is used on the way.
 */
DAG_DEVICE void differentiateGraph(const Nodes& nodes, int depth, Coefficients O, Coefficients G, double limit,
                                   double upstream, const NodeGradients& out, Numbers outO, Numbers outG) {
  const int width = 2 * depth;
  upstream = upstreamOf(upstream, nodes.value(width - 1));
  for (int j = 0; j < width; j++) out.value[j] = out.magnitude[j] = out.sign[j] = 0;
  if (width > 0) out.value[width - 1] = upstream;
  for (int i = depth - 1; i >= 0; i--) {
    const int k = depth + i;
    // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
    const double total = held(out.value[k] + out.magnitude[k] * nodes.sign(k));
    if (total == 0) {
      for (int j = 0; j < k; j++) outO[int64_t{i} * width + j] = 0;
      outG[i] = 0;
      continue;
    }
    // 0 + x: a gradient that is zero is never −0.
    const int64_t row = int64_t{i} * width;
    outG[i] = 0 + stepBackward(nodes, O.from(row), k, depth, G[i], limit, total, out, outO.from(row));
  }
  const bool none = upstream == 0;
  for (int j = 0; j < depth; j++) {
    const double value = out.value[j];
    out.magnitude[j] = none ? 0 : 0 + held(out.magnitude[j] + chain(value, nodes.sign(j)));
    out.sign[j] = none ? 0 : 0 + held(out.sign[j] + chain(value, nodes.magnitude(j)));
  }
}

}  // namespace
