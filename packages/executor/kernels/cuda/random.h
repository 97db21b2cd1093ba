// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11):
// word i of a stream is a pure function of (seed, i), the same as in src/random.ts.
#pragma once
#include "fours.h"

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

/** Words 4·block … 4·block + 3 of a stream. Not inlined, because it is long. */
[[maybe_unused]] __device__ __noinline__ Words wordsOf(uint32_t k0, uint32_t k1, int64_t block) {
  return philox(k0, k1, static_cast<uint64_t>(block));
}

/** Word i of four. By selection: an array with a variable index would be placed in local memory. */
__device__ inline uint32_t wordOf(const Words& words, int64_t i) {
  const uint32_t even = i & 2 ? words.word[2] : words.word[0], odd = i & 2 ? words.word[3] : words.word[1];
  return i & 1 ? odd : even;
}

/** Same as seedOf in src/backends/host.ts: the whole part modulo 2³²; 0 for NaN and for |x| ≥ 2⁶³. */
__device__ inline uint32_t seedWord(double x) {
  return x > -0x1p63 && x < 0x1p63 ? static_cast<uint32_t>(static_cast<int64_t>(x)) : 0;
}

/** p·2³² rounded to a 32-bit number; an element with the largest word is kept at any p. */
__device__ inline uint32_t dropoutThreshold(double p) {
  const double threshold = p * 4294967296.0 + 0.5;
  return threshold < 4294967295.0 ? static_cast<uint32_t>(threshold) : 4294967295u;
}

/**
 * Dropout by a random stream: keeps the elements whose word is at least p·2³² (Srivastava et al. 2014, scaled in training).
 */
template <typename T>
struct Dropout {
  uint32_t k0, k1, threshold;
  T scale;

  /** If `lowAt` is given, the low word of the seed is read from it: a recorded step changes it from run to run. */
  __device__ Dropout(double p, double low, double high, const double* lowAt)
      : k0(seedWord(lowAt ? *lowAt : low)),
        k1(seedWord(high)),
        threshold(dropoutThreshold(p)),
        scale(static_cast<T>(1 / (1 - p))) {}

  /** The factor of element i. */
  __device__ T factor(int64_t i) const {
    return threshold == 0 ? scale : factor(wordsOf(k0, k1, i / 4), i);
  }
  /** The same, given the four words that contain that of element i. */
  __device__ T factor(const Words& words, int64_t i) const { return wordOf(words, i) >= threshold ? scale : T(0); }
};

/** Dropout for elements visited in order: four consecutive elements share one call of the generator. */
template <typename T>
struct DropoutInOrder {
  const Dropout<T> mask;
  int64_t block = -1;
  Words words = {};

  __device__ explicit DropoutInOrder(const Dropout<T>& mask) : mask(mask) {}

  __device__ T factor(int64_t i) {
    if (mask.threshold == 0) return mask.scale;
    if (i / 4 != block) {
      block = i / 4;
      words = wordsOf(mask.k0, mask.k1, block);
    }
    return mask.factor(words, i);
  }
};

/** x times its factor; what is dropped is 0 whatever it was. */
template <typename T>
__device__ T keptOf(T x, T factor) {
  return factor != 0 ? x * factor : T(0);
}

/** Dropout factors of elements i … i + 3; `aligned`: i is a multiple of 4. */
template <typename T>
__device__ Four<T> factorsOf(const Dropout<T>& mask, int64_t i, bool aligned) {
  Four<T> four = {{mask.scale, mask.scale, mask.scale, mask.scale}};
  if (mask.threshold == 0) return four;
  const Words words = aligned ? philox(mask.k0, mask.k1, static_cast<uint64_t>(i) / 4) : Words{};
#pragma unroll
  for (int j = 0; j < 4; j++) four.at[j] = aligned ? mask.factor(words, j) : mask.factor(i + j);
  return four;
}

}  // namespace
