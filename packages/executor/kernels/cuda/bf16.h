// Storage of bf16: the upper 16 bits of an f32. Kernels read and write it; they compute in f32.
#pragma once
#include "common.h"

namespace {

/** Two numbers rounded to bf16 (to nearest, ties to even; NaN stays NaN), the first in the low half of the word. */
__device__ inline uint32_t roundBf16(float low, float high) {
#if !defined(DAG_EMULATED) && __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  const auto round = [](float x) -> uint32_t {
    const uint32_t bits = __float_as_uint(x);
    return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  };
  return round(low) | round(high) << 16;
#endif
}

struct bf16 {
  uint16_t bits;

  bf16() = default;
  __device__ explicit bf16(float x) : bits(static_cast<uint16_t>(roundBf16(x, 0))) {}
  __device__ operator float() const { return __uint_as_float(uint32_t{bits} << 16); }
};

template <typename T>
struct ComputedOf {
  using Type = T;
};
template <>
struct ComputedOf<bf16> {
  using Type = float;
};
/** The type in which kernels compute with numbers stored as T. */
template <typename T>
using Computed = typename ComputedOf<T>::Type;

/** y[i] = value, or y[i] += value. */
__device__ inline void put(bf16* y, int64_t i, float value, bool accumulate) {
  y[i] = bf16(accumulate ? y[i] + value : value);
}

}  // namespace
