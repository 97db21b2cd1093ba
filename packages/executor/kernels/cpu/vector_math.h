// The functions of math32.h and math64.h under one name for kernels of both precisions.
#pragma once
#include "math32.h"
#include "math64.h"

namespace {

inline __attribute__((always_inline)) Vec<f32> expOf(Vec<f32> x) { return exp32(x); }
inline __attribute__((always_inline)) Vec<f64> expOf(Vec<f64> x) { return exp64(x); }
inline __attribute__((always_inline)) Vec<f32> logOf(Vec<f32> x) { return log32(x); }
inline __attribute__((always_inline)) Vec<f64> logOf(Vec<f64> x) { return log64(x); }

inline __attribute__((always_inline)) Vec<f32> magnitude(Vec<f32> x) { return magnitude32(x); }
inline __attribute__((always_inline)) Vec<f64> magnitude(Vec<f64> x) {
  return bits<Vec<f64>>(bits<Vec<u64>>(x) & 0x7fffffffffffffffu);
}

/** Without a call to libm, as the library is compiled with -fno-math-errno. */
inline __attribute__((always_inline)) f32 sqrtOf(f32 x) { return __builtin_sqrtf(x); }
inline __attribute__((always_inline)) f64 sqrtOf(f64 x) { return __builtin_sqrt(x); }

template <typename T>
inline __attribute__((always_inline)) Vec<T> rootOf(Vec<T> x) {
  for (i64 i = 0; i < LANES<T>; i++) x[i] = sqrtOf(x[i]);
  return x;
}

/** 1/(1 + e^-x), by e^-|x| so that small results keep their digits. */
template <typename T>
inline __attribute__((always_inline)) Vec<T> sigmoidOf(Vec<T> x) {
  const Vec<T> e = expOf(-magnitude(x));
  return (x < 0 ? e : splat<T>(1)) / (1 + e);
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). */
template <typename T>
inline __attribute__((always_inline)) Vec<T> softplusOf(Vec<T> x) {
  const Vec<T> e = expOf(-magnitude(x));
  // ln(1 + e) = ln u + (what the sum u lost)/u, to the first order.
  const Vec<T> u = 1 + e;
  return (x < 0 ? Vec<T>{} : x) + (logOf(u) + (e - (u - 1)) / u);
}

}  // namespace
