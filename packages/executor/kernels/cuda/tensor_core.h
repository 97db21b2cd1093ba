// Tensor core instructions for a warp. Matrices are measured in 32-bit words: a word is one number in TF32 or two neighbours in
// bf16; in words, the fragment layouts of both are the same (PTX ISA, "Matrix Fragments for mma.m16n8k16" with .bf16 and
// "mma.m16n8k8" with .tf32). The emulator has functions of the same names.
#pragma once
#include "bf16.h"

#ifndef DAG_EMULATED
namespace {

/** ldmatrix: loads four 8 × 4 matrices of words. Lanes 0 … 7, 8 … 15, … pass the addresses of their rows; each lane gets one word of each. */
__device__ inline void loadMatrices(uint32_t (&out)[4], const uint32_t* row) {
#if __CUDA_ARCH__ >= 800
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address));
#endif
}

/** sums (16 × 8) += a (16 × 8 words) · b (8 words × 8). */
__device__ inline void multiplyBf16(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

__device__ inline void multiplyTf32(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

/** x rounded to TF32 (10 fraction bits), to nearest. */
__device__ inline uint32_t roundTf32(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
  return word;
#else
  return __float_as_uint(x);
#endif
}

}  // namespace
#endif
