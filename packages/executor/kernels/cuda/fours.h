// Reads and writes of four numbers at once: 16 bytes of f32, 32 bytes of f64.
#pragma once
#include "common.h"

namespace {

/** N contiguous numbers, aligned so that up to 16 bytes are read at once. */
template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Neighbours {
  T at[N];
};
template <typename T>
using Four = Neighbours<T, 4>;

/** to[0] … to[3] = four, by stores of 16 bytes, which a compiler might otherwise split. The kernel must not read them afterwards. */
#ifdef DAG_EMULATED
template <typename T>
void storeFour(T* to, const Four<T>& four) {
  *reinterpret_cast<Four<T>*>(to) = four;
}
#else
__device__ inline void storeFour(float* to, const Four<float>& four) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "f"(four.at[0]),
               "f"(four.at[1]), "f"(four.at[2]), "f"(four.at[3]));
}
__device__ inline void storeFour(uint32_t* to, const Four<uint32_t>& four) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(four.at[0]),
               "r"(four.at[1]), "r"(four.at[2]), "r"(four.at[3]));
}
__device__ inline void storeFour(double* to, const Four<double>& four) {
  asm volatile("st.global.v2.f64 [%0], {%1, %2};\n\tst.global.v2.f64 [%0 + 16], {%3, %4};" ::"l"(
                   __cvta_generic_to_global(to)),
               "d"(four.at[0]), "d"(four.at[1]), "d"(four.at[2]), "d"(four.at[3]));
}
#endif

/** x[i] … x[i + 3], with 0 from x[n] on. `aligned`: x is aligned to four numbers and i is a multiple of four. */
template <typename T>
__device__ Four<T> fourOf(const T* x, int64_t i, int64_t n, bool aligned) {
  if (aligned && i + 4 <= n) return *reinterpret_cast<const Four<T>*>(x + i);
  Four<T> four;
#pragma unroll
  for (int j = 0; j < 4; j++) four.at[j] = i + j < n ? x[i + j] : T(0);
  return four;
}

/** y[i] … y[i + 3] = four, except from y[n] on. */
template <typename T>
__device__ void putFour(T* y, int64_t i, int64_t n, bool aligned, const Four<T>& four) {
  if (aligned && i + 4 <= n) {
    storeFour(y + i, four);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (i + j < n) y[i + j] = four.at[j];
}

}  // namespace
