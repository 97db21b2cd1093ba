// exp, log, sin(πx) and cos(πx) in f64, for numbers and vectors. The C library's functions would have to be called for each
// element of a vector. Results are within about 1 ulp, with or without fused multiply-add.
#pragma once
#include "simd.h"

namespace {

/** Integers with as many bits as the elements of V. */
template <typename V>
struct IntegersOf {
  using type = Vec<u64>;
};
template <>
struct IntegersOf<f64> {
  using type = u64;
};

/** a·b + c, fused where the processor has the instruction, even in sources that are compiled without contraction. */
template <typename V, typename B, typename C>
inline __attribute__((always_inline)) V fused(V a, B factor, C summand) {
  const V b = factor - V{}, c = summand - V{};
#if defined(__FMA__)
  if constexpr (sizeof(V) == sizeof(f64)) return __builtin_fma(a, b, c);
#if DAG_VECTOR_BYTES == 64
  else return bits<V>(_mm512_fmadd_pd(bits<__m512d>(a), bits<__m512d>(b), bits<__m512d>(c)));
#else
  else return bits<V>(_mm256_fmadd_pd(bits<__m256d>(a), bits<__m256d>(b), bits<__m256d>(c)));
#endif
#else
  return a * b + c;
#endif
}

/** Adding it rounds |x| < 2^51 to a whole number, which is then in the lowest bits. */
constexpr f64 ROUND = 0x1.8p52;

/** 2^n for the whole number n in the lowest bits of `rounded`, -1022 ≤ n ≤ 1023. */
template <typename V>
inline __attribute__((always_inline)) V powerOfTwo(V rounded) {
  using U = typename IntegersOf<V>::type;
  return bits<V>((bits<U>(rounded) + 1023) << 52);
}

/**
 * e^x. x = n·ln 2 + r with the two-part ln 2 of Cody and Waite (Software Manual for the Elementary Functions, 1980), then
 * the series of e^r to r^13: its rest is below 2^-57 for |r| ≤ ½ ln 2.
 */
template <typename V>
inline __attribute__((always_inline)) V exp64(V x) {
  // Beyond these limits the result is ∞ or 0 anyway. NaN stays NaN.
  x = x > 710 ? V{} + 710 : x;
  x = x < -746 ? V{} - 746 : x;
  const V rounded = fused(x, 0x1.71547652b82fep0, ROUND);
  const V n = rounded - ROUND;
  // The upper part has 32 bits, so its product with n is exact.
  const V r = fused(n, -0x1.a39ef35793c76p-33, fused(n, -0x1.62e42feep-1, x));
  // In pairs (Estrin's scheme), since later operations wait for the exponential.
  const V r2 = r * r, r4 = r2 * r2;
  const V low = fused(r2, fused(r, 1.0 / 120, 1.0 / 24), fused(r, 1.0 / 6, 0.5));
  const V middle = fused(r2, fused(r, 1.0 / 362880, 1.0 / 40320), fused(r, 1.0 / 5040, 1.0 / 720));
  const V high = fused(r2, fused(r, 1.0 / 6227020800, 1.0 / 479001600), fused(r, 1.0 / 39916800, 1.0 / 3628800));
  const V p = fused(r4, fused(r4, high, middle), low);
  const V e = fused(r2, p, r) + 1;
  // 2^n in two factors: n reaches from -1076 to 1024.
  const V half = fused(n, 0.5, ROUND);
  const V rest = (n - (half - ROUND)) + ROUND;
  return e * powerOfTwo(half) * powerOfTwo(rest);
}

/**
 * k·ln 2 + ln x, where x is a normal positive number. The method and the coefficients are those of FDLIBM's e_log.c (Sun
 * Microsystems, 1993): x = 2^n·(1+f) with √½ < 1+f < √2, and ln(1+f) by a polynomial in s = f/(2+f).
 */
template <typename V>
inline __attribute__((always_inline)) V logOfNormal64(V x, V k = V{}) {
  using U = typename IntegersOf<V>::type;
  constexpr u64 ONE = 0x3ff0000000000000, ROOT_HALF = 0x3fe6a09e00000000;
  const U u = bits<U>(x) + (ONE - ROOT_HALF);
  // The exponent as a double: in the lowest bits of 2^52.
  const V n = (bits<V>((u >> 52) | 0x4330000000000000) - (0x1p52 + 1023)) + k;
  const V f = bits<V>((u & 0x000fffffffffffff) + ROOT_HALF) - 1;
  const V s = f / (f + 2);
  const V z = s * s;
  const V w = z * z;
  const V even = w * fused(w, fused(w, 0x1.39a09d078c69fp-3, 0x1.c71c51d8e78afp-3), 0x1.999999997fa04p-2);
  const V odd = z * fused(w, fused(w, fused(w, 0x1.2f112df3e5244p-3, 0x1.7466496cb03dep-3), 0x1.2492494229359p-2),
                          0x1.5555555555593p-1);
  const V halfSquare = 0.5 * f * f;
  const V rest = fused(s, halfSquare + (even + odd), n * 0x1.a39ef35793c76p-33);
  return fused(n, 0x1.62e42feep-1, -((halfSquare - rest) - f));
}

/** ln x: -∞ at 0, NaN below. */
template <typename V>
inline __attribute__((always_inline)) V log64(V x) {
  const V y = logOfNormal64(x < 0x1p-1022 ? x * 0x1p54 : x, x < 0x1p-1022 ? V{} - 54 : V{});
  const V special = x == 0 ? V{} - __builtin_inf() : x < 0 ? V{} + __builtin_nan("") : x;
  // Also where x is NaN.
  return (x > 0 ? x : V{} + __builtin_inf()) < __builtin_inf() ? y : special;
}

template <typename V>
struct SinCos {
  V sin, cos;
};

/**
 * sin(π·x) and cos(π·x) for |x| < 2^49, exact at multiples of ½. r = x − n/2 is exact, and π·r within ±π/4 goes
 * through FDLIBM's kernels k_sin.c and k_cos.c (Sun Microsystems, 1993).
 */
template <typename V>
inline __attribute__((always_inline)) SinCos<V> sinCosPi64(V x) {
  using U = typename IntegersOf<V>::type;
  const V rounded = fused(x, 2.0, ROUND);
  const U quadrant = bits<U>(rounded);
  const V t = fused(rounded - ROUND, -0.5, x) * 0x1.921fb54442d18p1;
  const V z = t * t;
  V p = fused(z, 0x1.5d93a5acfd57cp-33, -0x1.ae5e68a2b9cebp-26);
  p = fused(p, z, 0x1.71de357b1fe7dp-19);
  p = fused(p, z, -0x1.a01a019c161d5p-13);
  p = fused(p, z, 0x1.111111110f8a6p-7);
  p = fused(p, z, -0x1.5555555555549p-3);
  const V sine = fused(t * z, p, t);
  V q = fused(z, -0x1.8fae9be8838d4p-37, 0x1.1ee9ebdb4b1c4p-29);
  q = fused(q, z, -0x1.27e4f809c52adp-22);
  q = fused(q, z, 0x1.a01a019cb1590p-16);
  q = fused(q, z, -0x1.6c16c16c15177p-10);
  q = fused(q, z, 0x1.555555555554cp-5);
  const V cosine = fused(z, fused(z, q, -0.5), 1.0);
  const auto swapped = (quadrant & 1) != 0;
  const V sin = swapped ? cosine : sine;
  const V cos = swapped ? sine : cosine;
  // Bit 1 of the quadrant, and of the next one, is the sign.
  return {bits<V>(bits<U>(sin) ^ ((quadrant & 2) << 62)), bits<V>(bits<U>(cos) ^ (((quadrant + 1) & 2) << 62))};
}

}  // namespace
