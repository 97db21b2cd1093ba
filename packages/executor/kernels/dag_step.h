// The arithmetic of one graph, forward and backward, in IEEE double, one number at a time: for CPU kernels (what their
// vectors leave out) and CUDA kernels (one thread a graph). It does what src/dag/step.ts does, function by function; the
// mathematics are described there.
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
template <typename T>
struct Strided {
  T* first;
  int64_t step;
  DAG_DEVICE T& operator[](int64_t i) const { return first[i * step]; }
  DAG_DEVICE Strided from(int64_t i) const { return {first + i * step, step}; }
};
using Numbers = Strided<double>;
/** Of a step, as they lie in memory: each is a double where it is read. */
template <typename T>
using CoefficientsOf = Strided<const T>;
using Coefficients = CoefficientsOf<double>;

/** The nodes of one graph: value, magnitude and sign of each, 2·depth long. */
struct Nodes {
  Numbers value, magnitude, sign;
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
constexpr int64_t NONE = -1;

DAG_DEVICE double absolute(double x) { return x < 0 ? -x : x; }

DAG_DEVICE bool isFinite(double x) { return absolute(x) <= LARGEST; }

DAG_DEVICE bool isWhole(double x) {
  return absolute(x) < 0x1p52 ? static_cast<double>(static_cast<int64_t>(x)) == x : isFinite(x);
}

/** `x` within ±`limit`: an infinite gradient would be NaN as soon as it meets a 0 or its opposite. */
DAG_DEVICE double held(double x, double limit = LARGEST) { return x < -limit ? -limit : x > limit ? limit : x; }

/** upstream · local, where an absent side wins over an undefined one and the result is finite. */
DAG_DEVICE double chain(double upstream, double local) {
  const double product = upstream * local;
  return product == product ? held(product) : 0;
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

/** Sets node `k` to `value`; −0 counts as negative. */
DAG_DEVICE void setNode(const Nodes& nodes, int64_t k, double value) {
  nodes.value[k] = value;
  nodes.magnitude[k] = bitsOf(wordOf(value) & ~(uint64_t{1} << 63));
  nodes.sign[k] = value == value && wordOf(value) >> 63 ? -1 : 1;
}

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

/** m^x for m ≥ 0. */
DAG_DEVICE double power(double m, double x) {
  if (x >= 0 && isWhole(x)) return powWhole(m, x);
  return exp64(x * log64(m));
}

/** sin(πx) and cos(πx) of any x. */
DAG_DEVICE auto sinCosPi(double x) {
  if (!isFinite(x)) return sinCosPi64(x - x);
  // From 2^53 on all doubles are even.
  return sinCosPi64(absolute(x) < 0x1p53 ? x - 2 * static_cast<double>(static_cast<int64_t>(x / 2)) : 0.0);
}

DAG_DEVICE double expectedSign(double s, double c) {
  return s == 1 ? 1 : (1 + s) / 2 + (1 - s) / 2 * sinCosPi(c).cos;
}

template <typename T>
DAG_DEVICE double linearPart(const Nodes& nodes, CoefficientsOf<T> O, int64_t count) {
  double sum = 0;
  bool first = true;
  for (int64_t j = 0; j < count; j++) {
    const double c = O[j];
    if (c == 0) continue;
    const double term = c * nodes.value[j];
    // Starting at the first term keeps −0: 0 + (−0) would be +0.
    sum = first ? term : sum + term;
    first = false;
  }
  return sum;
}

enum class Terms { numerators, denominators, all };

template <typename T>
DAG_DEVICE double productOf(const Nodes& nodes, CoefficientsOf<T> O, int64_t count, int64_t except, Terms terms, double start) {
  double product = start;
  for (int64_t j = 0; j < count; j++) {
    const double c = O[j];
    if (c == 0 || j == except || terms == (c > 0 ? Terms::denominators : Terms::numerators)) continue;
    const double m = nodes.magnitude[j];
    const double repeated = absolute(c);
    const double factor = repeated > MAX_REPEATED ? powWhole(m, repeated) : m;
    for (double n = repeated > MAX_REPEATED ? 1 : repeated; n > 0; n--)
      product = c > 0 ? product * factor : product / factor;
  }
  return product;
}

/** E over all terms but `except`. */
template <typename T>
DAG_DEVICE double magnitudePart(const Nodes& nodes, CoefficientsOf<T> O, int64_t count, int64_t except) {
  bool whole = true;
  double above = 0;
  for (int64_t j = 0; j < count; j++) {
    const double c = O[j];
    if (!isWhole(c)) whole = false;
    if (c > 0 && j != except) above += c;
  }
  if (!whole) {
    double sum = 0;
    for (int64_t j = 0; j < count; j++)
      if (O[j] != 0 && j != except) sum += static_cast<double>(O[j]) * log64(nodes.magnitude[j]);
    return exp64(sum);
  }
  const double numerators = productOf(nodes, O, count, except, Terms::numerators, 1);
  // (a / b) · c may be in range where a · c is not. A single numerator is what it is.
  const bool inRange = above < 2 || (numerators >= MIN_NORMAL && numerators <= LARGEST);
  return inRange ? productOf(nodes, O, count, except, Terms::denominators, numerators)
                 : productOf(nodes, O, count, except, Terms::all, 1);
}

/** Q over all terms but `except`. */
template <typename T>
DAG_DEVICE double signPart(const Nodes& nodes, CoefficientsOf<T> O, int64_t count, int64_t except) {
  double product = 1;
  for (int64_t j = 0; j < count; j++)
    if (O[j] != 0 && j != except) product *= expectedSign(nodes.sign[j], O[j]);
  return product;
}

DAG_DEVICE double atMost(double x, double limit) { return x > limit ? limit : x; }

/** The value of a step with gate `g` that reads nodes 0 … count−1; `limit` is e^maxLog. */
template <typename T>
DAG_DEVICE double stepValue(const Nodes& nodes, CoefficientsOf<T> O, int64_t count, double g, double limit) {
  if (g == 1) return linearPart(nodes, O, count);
  const double product = atMost(magnitudePart(nodes, O, count, NONE), limit) * signPart(nodes, O, count, NONE);
  return g == 0 ? product : g * linearPart(nodes, O, count) + (1 - g) * product;
}

/** Adds the gradient of one step to `out`, sets that of its coefficients in `outO`; returns that of its gate. */
template <typename T>
DAG_DEVICE double stepBackward(const Nodes& nodes, CoefficientsOf<T> O, int64_t count, double g, double limit,
                               double upstream, const NodeGradients& out, Numbers outO) {
  const double toLinear = chain(upstream, g);
  for (int64_t j = 0; j < count; j++) {
    outO[j] = held(0 + chain(toLinear, nodes.value[j]));
    out.value[j] = held(out.value[j] + chain(toLinear, O[j]));
  }
  const double magnitude = magnitudePart(nodes, O, count, NONE);
  const double E = atMost(magnitude, limit);
  const double Q = signPart(nodes, O, count, NONE);
  const double toLog = chain(upstream, 1 - g);
  const bool clamped = magnitude > limit;
  for (int64_t j = 0; toLog != 0 && j < count; j++) {
    const double c = O[j];
    const double m = nodes.magnitude[j];
    const double s = nodes.sign[j];
    if (!clamped && m != 0) outO[j] = held(outO[j] + chain(chain(toLog, E * Q), log64(m)));
    if (c == 0) continue;
    if (!clamped) {
      // A denominator may be so small that m^(c−1) overflows where the derivative c·E/m does not; a numerator may be 0.
      const double toMagnitude = c < 0 ? chain(chain(toLog, E * Q), c / m)
                                       : chain(chain(toLog, magnitudePart(nodes, O, count, j) * Q), c * power(m, c - 1));
      out.magnitude[j] = held(out.magnitude[j] + toMagnitude);
    }
    const double others = chain(toLog, E * signPart(nodes, O, count, j));
    const auto turned = sinCosPi(c);
    out.sign[j] = held(out.sign[j] + chain(others, (1 - turned.cos) / 2));
    if (s != 1 && !isWhole(c)) outO[j] = held(outO[j] - chain(others, (1 - s) / 2 * PI * turned.sin));
  }
  return chain(upstream, linearPart(nodes, O, count) - E * Q);
}

/** Makes the intermediate nodes of a graph from its initial ones. */
DAG_DEVICE void runGraph(const Nodes& nodes, int64_t depth, Coefficients O, Coefficients G, double limit) {
  for (int64_t i = 0; i < depth; i++)
    setNode(nodes, depth + i, stepValue(nodes, O.from(i * 2 * depth), depth + i, G[i], limit));
}

/**
 * Sets the gradients of upstream · value: `out.magnitude` and `out.sign` of the initial nodes, `outO` of the coefficients
 * that are read, `outG`. The rest of `out` is used on the way.
 */
DAG_DEVICE void differentiateGraph(const Nodes& nodes, int64_t depth, Coefficients O, Coefficients G, double limit,
                                   double upstream, const NodeGradients& out, Numbers outO, Numbers outG) {
  const int64_t width = 2 * depth;
  for (int64_t j = 0; j < width; j++) out.value[j] = out.magnitude[j] = out.sign[j] = 0;
  if (width > 0) out.value[width - 1] = upstream;
  for (int64_t i = depth - 1; i >= 0; i--) {
    const int64_t k = depth + i;
    // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
    const double total = held(out.value[k] + out.magnitude[k] * nodes.sign[k]);
    if (total == 0) {
      for (int64_t j = 0; j < k; j++) outO[i * width + j] = 0;
      outG[i] = 0;
      continue;
    }
    // 0 + x: a gradient that is zero is never −0.
    outG[i] = 0 + stepBackward(nodes, O.from(i * width), k, G[i], limit, total, out, outO.from(i * width));
  }
  const bool none = upstream == 0;
  for (int64_t j = 0; j < depth; j++) {
    const double value = out.value[j];
    out.magnitude[j] = none ? 0 : 0 + held(out.magnitude[j] + value * nodes.sign[j]);
    out.sign[j] = none ? 0 : 0 + held(out.sign[j] + value * nodes.magnitude[j]);
  }
}

}  // namespace
