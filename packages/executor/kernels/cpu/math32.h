// exp, log, tanh and GELU in single precision, for vectors. Range reductions and polynomials are those
// of Cephes (S. L. Moshier, 1992: expf, logf, tanhf) unless noted otherwise; errors are a few ulp.
#pragma once
#include "simd.h"

namespace {

/** 2^n for -126 ≤ n ≤ 127. */
inline __attribute__((always_inline)) Vec<f32> powerOfTwo32(Vec<i32> n) {
  return bits<Vec<f32>>((bits<Vec<u32>>(n) + 127) << 23);
}

inline __attribute__((always_inline)) Vec<f32> magnitude32(Vec<f32> x) {
  return bits<Vec<f32>>(bits<Vec<u32>>(x) & 0x7fffffffu);
}

/** `x` ≥ 0 with the sign of `sign`. */
inline __attribute__((always_inline)) Vec<f32> withSign32(Vec<f32> x, Vec<f32> sign) {
  return bits<Vec<f32>>(bits<Vec<u32>>(x) | (bits<Vec<u32>>(sign) & 0x80000000u));
}

/** e^x, to 1 ulp; subnormal results too. */
inline __attribute__((always_inline)) Vec<f32> exp32(Vec<f32> x) {
  // Beyond these limits the result is ∞ or 0 anyway. NaN stays NaN.
  x = x > 89.f ? splat(89.f) : x;
  // A product that underflows takes a hundred cycles; −∞, which is frequent in masks, avoids it.
  const auto vanishes = x < -104.f;
  x = vanishes ? Vec<f32>{} : x;
  // Adding this rounds |x| < 2^22 to a whole number, which is then in the lowest bits.
  constexpr f32 ROUND = 0x1.8p23f;
  const Vec<f32> rounded = x * 1.44269504f + ROUND;
  const Vec<f32> n = rounded - ROUND;
  const Vec<f32> r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec<f32> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Vec<f32> e = (r * r * p + r) + 1.f;
  // 2^n in two factors: n reaches from -150 to 128.
  const Vec<i32> whole = bits<Vec<i32>>(rounded) - 0x4b400000;
  const Vec<i32> half = whole >> 1;
  return vanishes ? Vec<f32>{} : e * powerOfTwo32(half) * powerOfTwo32(whole - half);
}

/** ln x: -∞ at 0, NaN below. */
inline __attribute__((always_inline)) Vec<f32> log32(Vec<f32> x) {
  constexpr u32 ONE = 0x3f800000, ROOT_HALF = 0x3f3504f3;
  const Vec<f32> normal = x < 0x1p-126f ? x * 0x1p24f : x;
  const Vec<i32> shift = x < 0x1p-126f ? Vec<i32>{} + (127 + 24) : Vec<i32>{} + 127;
  // x = 2^k·(1 + f) with √½ ≤ 1 + f < √2.
  const Vec<u32> u = bits<Vec<u32>>(normal) + (ONE - ROOT_HALF);
  const Vec<f32> k = __builtin_convertvector(bits<Vec<i32>>(u >> 23) - shift, Vec<f32>);
  const Vec<f32> f = bits<Vec<f32>>((u & 0x007fffff) + ROOT_HALF) - 1.f;
  const Vec<f32> z = f * f;
  Vec<f32> p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const Vec<f32> y = (f + ((p * f * z + k * -2.12194440e-4f) - 0.5f * z)) + k * 0.693359375f;
  constexpr f32 INFINITE = __builtin_huge_valf();
  const Vec<f32> special = x == 0.f ? splat(-INFINITE) : x < 0.f ? splat(__builtin_nanf("")) : x;
  // Also where x is NaN.
  return (x > 0.f ? x : splat(INFINITE)) < INFINITE ? y : special;
}

inline __attribute__((always_inline)) Vec<f32> tanh32(Vec<f32> x) {
  const Vec<f32> a = magnitude32(x);
  const Vec<f32> z = x * x;
  Vec<f32> p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const Vec<f32> far = withSign32(1.f - 2.f / (exp32(a + a) + 1.f), x);
  return a < 0.625f ? p * z * x + x : far;
}

struct Gelu32 {
  /** Φ(x), the standard normal distribution. */
  Vec<f32> cumulative;
  /** e^(-x²/2). */
  Vec<f32> density;
};

/** Φ by Abramowitz & Stegun 7.1.26, within 3e-7 in single precision; its exponential is also the derivative's. */
inline __attribute__((always_inline)) Gelu32 normal32(Vec<f32> x) {
  // From |x| = 12.6 on it is 0: products with a subnormal number take a hundred cycles, and their sum has none of it.
  const Vec<f32> exponent = x * x * -0.5f;
  const Vec<f32> density = exp32(exponent < -80.f ? splat(-__builtin_huge_valf()) : exponent);
  // Their p over √2, as erfc is taken at |x|/√2; and half of each coefficient: Φ(-|x|) = ½·erfc(|x|/√2).
  const Vec<f32> t = 1.f / (magnitude32(x) * 0.231641888f + 1.f);
  Vec<f32> p = t * 0.5307027145f - 0.7265760135f;
  p = p * t + 0.7107068705f;
  p = p * t - 0.142248368f;
  p = p * t + 0.127414796f;
  const Vec<f32> tail = p * t * density;
  return {x < 0.f ? tail : 1.f - tail, density};
}

/** x·Φ(x), within 3e-7·max(1, |x|). */
inline __attribute__((always_inline)) Vec<f32> gelu32(Vec<f32> x) { return x * normal32(x).cumulative; }

/** Φ(x) + x·e^(-x²/2)/√(2π), within 4e-7. */
inline __attribute__((always_inline)) Vec<f32> geluDerivative32(Vec<f32> x) {
  const Gelu32 g = normal32(x);
  return g.cumulative + x * g.density * 0.398942280f;
}

/** u where Φ(x) ≈ ½(1 + tanh(u/2)) = σ(u): 2√(2/π)·(x + 0.044715·x³). Beyond ±25 σ is 0 or 1; cubes may overflow. */
inline __attribute__((always_inline)) Vec<f32> logit32(Vec<f32> x) {
  Vec<f32> z = x < -25.f ? splat(-25.f) : x;
  z = z > 25.f ? splat(25.f) : z;
  return z * (z * z * 0.0713548163f + 1.59576912f);
}
inline __attribute__((always_inline)) Vec<f32> logistic32(Vec<f32> u) { return 1.f / (exp32(-u) + 1.f); }

/** GELU with the tanh approximation of Φ. */
inline __attribute__((always_inline)) Vec<f32> geluTanh32(Vec<f32> x) { return x * logistic32(logit32(x)); }

/** σ(u) + x·u'·σ(u)·σ(-u). */
inline __attribute__((always_inline)) Vec<f32> geluTanhDerivative32(Vec<f32> x) {
  const Vec<f32> u = logit32(x), slope = logistic32(u) * logistic32(-u);
  // The slope is 0 where x² might overflow.
  const Vec<f32> change = slope > 0.f ? x * (x * x * 0.214064449f + 1.59576912f) * slope : slope;
  return logistic32(u) + change;
}

}  // namespace
