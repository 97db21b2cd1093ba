// The functions of math32.h and math64.h under one name for kernels of both precisions, and functions composed from them.
#pragma once
#include <cmath>

#include "math32.h"
#include "math64.h"

namespace {

inline __attribute__((always_inline)) Vec<f32> expOf(Vec<f32> x) { return exp32(x); }
inline __attribute__((always_inline)) Vec<f64> expOf(Vec<f64> x) { return exp64(x); }
inline __attribute__((always_inline)) Vec<f32> logOf(Vec<f32> x) { return log32(x); }
inline __attribute__((always_inline)) Vec<f64> logOf(Vec<f64> x) { return log64(x); }

inline __attribute__((always_inline)) Vec<f32> absOf(Vec<f32> x) { return magnitude32(x); }
inline __attribute__((always_inline)) Vec<f64> absOf(Vec<f64> x) {
  return bits<Vec<f64>>(bits<Vec<u64>>(x) & 0x7fffffffffffffffu);
}

/** Compiles to an instruction, not a call of libm, because of -fno-math-errno. */
inline __attribute__((always_inline)) f32 sqrtOf(f32 x) { return __builtin_sqrtf(x); }
inline __attribute__((always_inline)) f64 sqrtOf(f64 x) { return __builtin_sqrt(x); }

/** f of each lane, with a call of the C library for each: for rare functions. */
template <typename V, typename F>
inline __attribute__((always_inline)) V eachLane(V x, const F& f) {
  for (i64 i = 0; i < static_cast<i64>(sizeof(V) / sizeof(x[0])); i++) x[i] = f(x[i]);
  return x;
}

template <typename V, typename F>
inline __attribute__((always_inline)) V eachLane(V a, V b, const F& f) {
  for (i64 i = 0; i < static_cast<i64>(sizeof(V) / sizeof(a[0])); i++) a[i] = f(a[i], b[i]);
  return a;
}

/** The square root; the compiler makes one instruction of it. */
inline __attribute__((always_inline)) Vec<f32> sqrtOf(Vec<f32> x) { return eachLane(x, [](f32 v) { return sqrtOf(v); }); }
inline __attribute__((always_inline)) Vec<f64> sqrtOf(Vec<f64> x) { return eachLane(x, [](f64 v) { return sqrtOf(v); }); }

/** 1/(1 + e^-x), by e^-|x| so that small results keep their digits. */
template <typename V>
inline __attribute__((always_inline)) V sigmoidOf(V x) {
  const V e = expOf(-absOf(x));
  return (x < 0 ? e : V{} + 1) / (1 + e);
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). */
template <typename V>
inline __attribute__((always_inline)) V softplusOf(V x) {
  const V e = expOf(-absOf(x));
  // ln(1 + e) = ln u + (what the sum u lost)/u, to the first order.
  const V u = 1 + e;
  return (x < 0 ? V{} : x) + (logOf(u) + (e - (u - 1)) / u);
}

inline __attribute__((always_inline)) Vec<f32> tanhOf(Vec<f32> x) { return tanh32(x); }
inline __attribute__((always_inline)) Vec<f64> tanhOf(Vec<f64> x) { return eachLane(x, [](f64 v) { return std::tanh(v); }); }

// Not inlined into every loop: the C library is called for each lane anyway.
template <typename V>
__attribute__((noinline)) V sinOf(V x) { return eachLane(x, [](auto v) { return std::sin(v); }); }
template <typename V>
__attribute__((noinline)) V cosOf(V x) { return eachLane(x, [](auto v) { return std::cos(v); }); }
// Also for single numbers, needed at the ends of rows of a sum.
inline f32 powOf(f32 x, f32 y) { return std::pow(x, y); }
inline f64 powOf(f64 x, f64 y) { return std::pow(x, y); }
inline f32 powTimesLogOf(f32 x, f32 y) { return std::pow(x, y) * std::log(x); }
inline f64 powTimesLogOf(f64 x, f64 y) { return std::pow(x, y) * std::log(x); }
template <typename V>
__attribute__((noinline)) V powOf(V x, V y) { return eachLane(x, y, [](auto a, auto b) { return powOf(a, b); }); }
template <typename V>
__attribute__((noinline)) V powTimesLogOf(V x, V y) {
  return eachLane(x, y, [](auto a, auto b) { return powTimesLogOf(a, b); });
}

inline __attribute__((always_inline)) Vec<f32> geluOf(Vec<f32> x) { return gelu32(x); }
inline __attribute__((always_inline)) Vec<f32> geluDerivativeOf(Vec<f32> x) { return geluDerivative32(x); }
inline __attribute__((always_inline)) Vec<f32> geluTanhOf(Vec<f32> x) { return geluTanh32(x); }
inline __attribute__((always_inline)) Vec<f32> geluTanhDerivativeOf(Vec<f32> x) { return geluTanhDerivative32(x); }

/** Φ(x) and, for its derivative, its density. For doubles the formulas are those of src/elementwise.ts. */
inline __attribute__((always_inline)) Vec<f64> normal64(Vec<f64> x) {
  return eachLane(x, [](f64 v) { return 0.5 * std::erfc(v * -0x1.6a09e667f3bcdp-1); });
}
inline __attribute__((always_inline)) Vec<f64> geluOf(Vec<f64> x) { return x * normal64(x); }
inline __attribute__((always_inline)) Vec<f64> geluDerivativeOf(Vec<f64> x) {
  return normal64(x) + x * exp64(x * x * -0.5) * 0x1.9884533d43651p-2;
}
inline __attribute__((always_inline)) Vec<f64> logit64(Vec<f64> x) {
  Vec<f64> z = x < -25 ? splat(-25.0) : x;
  z = z > 25 ? splat(25.0) : z;
  return z * (z * z * 0x1.2444f2a4d8b4bp-4 + 0x1.9884533d43651p0);
}
inline __attribute__((always_inline)) Vec<f64> geluTanhOf(Vec<f64> x) { return x * sigmoidOf(logit64(x)); }
inline __attribute__((always_inline)) Vec<f64> geluTanhDerivativeOf(Vec<f64> x) {
  const Vec<f64> u = logit64(x), slope = sigmoidOf(u) * sigmoidOf(-u);
  // The slope is 0 where x² might overflow.
  const Vec<f64> change = slope > 0 ? x * (x * x * (3 * 0x1.2444f2a4d8b4bp-4) + 0x1.9884533d43651p0) * slope : slope;
  return sigmoidOf(u) + change;
}

}  // namespace
