// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11):
// word i of a stream is a pure function of (seed, i), the same as in src/random.ts.
#pragma once
#include "shuffle.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

struct Seed {
  u32 low, high;
};

using Words = Vec<u32>;

/** 64-bit products of the 32-bit numbers in even lanes; for odd lanes, shift them to even lanes first. */
inline __attribute__((always_inline)) Vec<u64> multiplyEven(Vec<u64> a, u32 by) {
#if DAG_VECTOR_BYTES == 64
  // Not _mm512_mul_epu32: GCC 12 warns about undefined lanes in its own header.
  return bits<Vec<u64>>(_mm512_maskz_mul_epu32(0xff, bits<__m512i>(a), _mm512_set1_epi64(by)));
#elif DAG_VECTOR_BYTES == 32
  return bits<Vec<u64>>(_mm256_mul_epu32(bits<__m256i>(a), _mm256_set1_epi64x(by)));
#elif defined(__x86_64__)
  return bits<Vec<u64>>(_mm_mul_epu32(bits<__m128i>(a), _mm_set1_epi64x(by)));
#else
  return (a & u64{0xffffffff}) * u64{by};
#endif
}

/** Upper and lower halves of the products of each lane. */
inline __attribute__((always_inline)) void multiplyWide(Words a, u32 by, Words& high, Words& low) {
  const Vec<u64> even = multiplyEven(bits<Vec<u64>>(a), by);
  const Vec<u64> odd = multiplyEven(bits<Vec<u64>>(a) >> 32, by);
  high = bits<Words>((even >> 32) | (odd & ~u64{0xffffffff}));
  low = bits<Words>((even & u64{0xffffffff}) | (odd << 32));
}

/** The four words of each of LANES counters, from `counter` on. */
inline void philox(Seed seed, u64 counter, Words (&out)[4]) {
  Words lane;
  for (i64 i = 0; i < LANES<u32>; i++) lane[i] = static_cast<u32>(i);
  const u32 low = static_cast<u32>(counter);
  Words c0 = lane + low;
  // Carry: the upper half is one more where the lower half has wrapped around.
  Words c1 = static_cast<u32>(counter >> 32) - bits<Words>(c0 < low);
  Words c2 = {}, c3 = {};
  u32 k0 = seed.low, k1 = seed.high;
  for (int round = 0; round < 10; round++) {
    Words high0, low0, high1, low1;
    multiplyWide(c0, 0xd2511f53u, high0, low0);
    multiplyWide(c2, 0xcd9e8d57u, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Words that `randomBlock` makes at a time. */
constexpr i64 RANDOM_BLOCK = 4 * LANES<u32>;

/** Words first … first + RANDOM_BLOCK − 1 of the stream; `first` is a multiple of 4. */
inline void randomBlock(Seed seed, u64 first, u32* out) {
  Words w[4];
  philox(seed, first / 4, w);
  const Words even0 = zipLow(w[0], w[2]), even1 = zipHigh(w[0], w[2]);
  const Words odd0 = zipLow(w[1], w[3]), odd1 = zipHigh(w[1], w[3]);
  store(out, zipLow(even0, odd0));
  store(out + LANES<u32>, zipHigh(even0, odd0));
  store(out + 2 * LANES<u32>, zipLow(even1, odd1));
  store(out + 3 * LANES<u32>, zipHigh(even1, odd1));
}

/** p·2³² rounded to a 32-bit number; an element with the largest word is kept at any p. */
inline u32 dropoutThreshold(f64 p) {
  const f64 threshold = p * 4294967296.0 + 0.5;
  return threshold < 4294967295.0 ? static_cast<u32>(threshold) : 4294967295u;
}

/** Dropout by a random stream: keeps the elements whose word is at least p·2³². */
struct Dropout {
  Seed seed;
  u32 threshold;
  f32 scale;

  Dropout(f64 p, f64 low, f64 high)
      : seed{static_cast<u32>(low), static_cast<u32>(high)},
        threshold(dropoutThreshold(p)),
        scale(static_cast<f32>(1 / (1 - p))) {}

  bool active() const { return threshold > 0; }

  /** factors[i] = scale where element first + i is kept, else 0; room for RANDOM_BLOCK + 3 more than n is needed. */
  void factors(u64 first, i64 n, f32* factors) const {
    u32* words = reinterpret_cast<u32*>(factors);
    const u64 aligned = first & ~u64{3};
    const i64 skip = static_cast<i64>(first - aligned);
    for (i64 i = 0; i < n + skip; i += RANDOM_BLOCK) {
      u32 block[RANDOM_BLOCK];
      randomBlock(seed, aligned + i, block);
      for (i64 j = 0; j < RANDOM_BLOCK; j += LANES<f32>) {
        const Words w = load(block + j);
        const Vec<f32> kept = w >= threshold ? splat(scale) : Vec<f32>{};
        std::memcpy(words + i + j, &kept, sizeof kept);
      }
    }
    if (skip > 0) std::memmove(words, words + skip, n * sizeof(u32));
  }
};

}  // namespace
