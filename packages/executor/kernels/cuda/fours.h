// Reads and writes of four numbers at once: 16 bytes of f32, 32 bytes of f64, 8 bytes of bf16.
#pragma once
#include "bf16.h"

namespace {

/** N contiguous numbers, aligned so that up to 16 bytes are read at once. */
template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Neighbours {
  T at[N];
};
template <typename T>
using Four = Neighbours<T, 4>;

/** to[0] … to[3] = four, by stores of 16 bytes, which a compiler might otherwise split. */
#ifdef DAG_EMULATED
template <typename T>
void storeFour(T* to, const Four<T>& four) {
  *reinterpret_cast<Four<T>*>(to) = four;
}
#else
__device__ inline void storeFour(float* to, const Four<float>& four) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "f"(four.at[0]),
               "f"(four.at[1]), "f"(four.at[2]), "f"(four.at[3])
               : "memory");
}
__device__ inline void storeFour(uint32_t* to, const Four<uint32_t>& four) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(four.at[0]),
               "r"(four.at[1]), "r"(four.at[2]), "r"(four.at[3])
               : "memory");
}
__device__ inline void storeFour(double* to, const Four<double>& four) {
  asm volatile("st.global.v2.f64 [%0], {%1, %2};\n\tst.global.v2.f64 [%0 + 16], {%3, %4};" ::"l"(
                   __cvta_generic_to_global(to)),
               "d"(four.at[0]), "d"(four.at[1]), "d"(four.at[2]), "d"(four.at[3])
               : "memory");
}
#endif
__device__ inline void storeFour(bf16* to, const Four<float>& four) {
  *reinterpret_cast<Neighbours<uint32_t, 2>*>(to) = {
      {roundBf16(four.at[0], four.at[1]), roundBf16(four.at[2], four.at[3])}};
}

/** from[0] … from[3], aligned to four numbers. */
template <typename T>
__device__ Four<T> loadFour(const T* from) {
  return *reinterpret_cast<const Four<T>*>(from);
}
__device__ inline Four<float> loadFour(const bf16* from) {
  const auto words = *reinterpret_cast<const Neighbours<uint32_t, 2>*>(from);
  Four<float> four;
#pragma unroll
  for (int j = 0; j < 4; j++) four.at[j] = __uint_as_float(j % 2 ? words.at[j / 2] & 0xffff0000u : words.at[j / 2] << 16);
  return four;
}

/** x[i] … x[i + 3], with 0 from x[n] on. `aligned`: x is aligned to four numbers and i is a multiple of four. */
template <typename T>
__device__ Four<Computed<T>> fourOf(const T* x, int64_t i, int64_t n, bool aligned) {
  if (aligned && i + 4 <= n) return loadFour(x + i);
  Four<Computed<T>> four;
#pragma unroll
  for (int j = 0; j < 4; j++) four.at[j] = i + j < n ? Computed<T>(x[i + j]) : Computed<T>(0);
  return four;
}

/** y[i] … y[i + 3] = four, except from y[n] on. */
template <typename T>
__device__ void putFour(T* y, int64_t i, int64_t n, bool aligned, const Four<Computed<T>>& four) {
  if (aligned && i + 4 <= n) {
    storeFour(y + i, four);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (i + j < n) y[i + j] = T(four.at[j]);
}

}  // namespace
