// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11):
// word i of a stream is a pure function of (seed, i), the same as in src/random.ts.
#pragma once
#include "common.h"

namespace {

struct Words {
  uint32_t word[4];
};

__device__ inline Words philox(uint32_t k0, uint32_t k1, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t{0xd2511f53u} * c0, b = uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

/** Word i of a stream. Called, not inlined: epilogues have it for each of up to 64 results of a thread. */
[[maybe_unused]] __device__ __noinline__ uint32_t wordOf(uint32_t k0, uint32_t k1, int64_t i) {
  return philox(k0, k1, static_cast<uint64_t>(i) / 4).word[i % 4];
}

/**
 * Elements of a stream that are kept: those whose word is at least p·2³² (Srivastava et al. 2014, scaled in training).
 */
template <typename T>
struct Dropout {
  uint32_t k0, k1, threshold;
  T scale;

  /** The low word of the seed is `*lowAt` where that is given: a number that a recorded step changes. */
  __device__ Dropout(double p, double low, double high, const double* lowAt)
      : k0(static_cast<uint32_t>(lowAt ? *lowAt : low)),
        k1(static_cast<uint32_t>(high)),
        threshold(static_cast<uint32_t>(p * 4294967296.0 + 0.5)),
        scale(static_cast<T>(1 / (1 - p))) {}

  /** What element i is multiplied by. */
  __device__ T factor(int64_t i) const {
    return threshold == 0 ? T(1) : wordOf(k0, k1, i) >= threshold ? scale : T(0);
  }
};

}  // namespace
