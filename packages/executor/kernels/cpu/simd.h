// Vectors of the widest registers of the variant being compiled, by the vector extensions of GCC and Clang.
//
// Every kernel source is compiled once for each variant (see scripts/build-native.js). What headers define for kernels
// is in an anonymous namespace, so that the linker never takes a function of the same name from another variant.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define DAG_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define DAG_VECTOR_BYTES 32
#else
#define DAG_VECTOR_BYTES 16
#endif

/** For loop bodies: inlined even if they are used twice, for whole vectors and for the remainder. */
#define DAG_INLINE __attribute__((always_inline))
/** For lane functions, see kernels/elementwise.h. */
#define DAG_LANES inline DAG_INLINE

// A kernel's symbol is dag_<name>_<variant>; the loader binds those of one variant.
#define DAG_JOIN_(a, b) a##b
#define DAG_JOIN(a, b) DAG_JOIN_(a, b)
#define DAG_KERNEL_RETURNING(result, name) \
  extern "C" __attribute__((visibility("default"))) result DAG_JOIN(dag_##name##_, DAG_VARIANT)
#define DAG_KERNEL(name) DAG_KERNEL_RETURNING(void, name)
/** A kernel that takes scratch memory: it returns lacksMemory() (runtime/pool.h). */
#define DAG_SCRATCH_KERNEL(name) DAG_KERNEL_RETURNING(int32_t, name)

namespace {

using f32 = float;
using f64 = double;
using i32 = int32_t;
using i64 = int64_t;
using u32 = uint32_t;
using u64 = uint64_t;

template <typename T>
struct VectorOf;
#define DAG_VECTOR(T)                                                 \
  template <>                                                         \
  struct VectorOf<T> {                                                \
    typedef T type __attribute__((vector_size(DAG_VECTOR_BYTES)));    \
  };
DAG_VECTOR(f32)
DAG_VECTOR(f64)
DAG_VECTOR(i32)
DAG_VECTOR(i64)
DAG_VECTOR(u32)
DAG_VECTOR(u64)
#undef DAG_VECTOR

template <typename T>
using Vec = typename VectorOf<T>::type;

/** Elements of a vector of T. */
template <typename T>
constexpr i64 LANES = DAG_VECTOR_BYTES / sizeof(T);

template <typename T>
inline __attribute__((always_inline)) Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <typename T>
inline __attribute__((always_inline)) void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

template <typename T>
inline __attribute__((always_inline)) Vec<T> splat(T x) {
  return x - Vec<T>{};
}

/** The same bits as another type. */
template <typename To, typename From>
inline __attribute__((always_inline)) To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits: sizes differ");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <int BYTES>
struct IntOfSize {
  using type = i32;
};
template <>
struct IntOfSize<8> {
  using type = i64;
};

/** Signed integers with as many bits as T. */
template <typename T>
using IntOf = typename IntOfSize<sizeof(T)>::type;

/** All bits set in the first `n` lanes, none in the others. */
template <typename T>
inline __attribute__((always_inline)) Vec<IntOf<T>> firstLanes(i64 n) {
  Vec<IntOf<T>> lane;
  for (i64 i = 0; i < LANES<T>; i++) lane[i] = static_cast<IntOf<T>>(i);
  return lane < static_cast<IntOf<T>>(n);
}

/** First `n` elements of memory, the rest zero. */
template <typename T>
inline __attribute__((always_inline)) Vec<T> loadPart(const T* p, i64 n) {
#if DAG_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) return bits<Vec<T>>(_mm512_maskz_loadu_epi32((1u << n) - 1, p));
  if constexpr (sizeof(T) == 8) return bits<Vec<T>>(_mm512_maskz_loadu_epi64((1u << n) - 1, p));
#elif DAG_VECTOR_BYTES == 32
  const __m256i mask = bits<__m256i>(firstLanes<T>(n));
  if constexpr (sizeof(T) == 4) return bits<Vec<T>>(_mm256_maskload_epi32(reinterpret_cast<const int*>(p), mask));
  if constexpr (sizeof(T) == 8) return bits<Vec<T>>(_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), mask));
#else
  Vec<T> v{};
  for (i64 i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}

template <typename T>
inline __attribute__((always_inline)) void storePart(T* p, Vec<T> v, i64 n) {
#if DAG_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_epi32(p, (1u << n) - 1, bits<__m512i>(v));
  if constexpr (sizeof(T) == 8) _mm512_mask_storeu_epi64(p, (1u << n) - 1, bits<__m512i>(v));
#elif DAG_VECTOR_BYTES == 32
  const __m256i mask = bits<__m256i>(firstLanes<T>(n));
  if constexpr (sizeof(T) == 4) _mm256_maskstore_epi32(reinterpret_cast<int*>(p), mask, bits<__m256i>(v));
  if constexpr (sizeof(T) == 8) _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), mask, bits<__m256i>(v));
#else
  for (i64 i = 0; i < n; i++) p[i] = v[i];
#endif
}

/** At most a whole vector. */
template <typename T>
inline __attribute__((always_inline)) Vec<T> loadUpTo(const T* p, i64 n) {
  return n >= LANES<T> ? load(p) : loadPart(p, n);
}

template <typename T>
inline __attribute__((always_inline)) void storeUpTo(T* p, Vec<T> v, i64 n) {
  if (n >= LANES<T>)
    store(p, v);
  else
    storePart(p, v, n);
}

template <typename V>
inline __attribute__((always_inline)) V larger(V a, V b) {
  return a > b ? a : b;
}

template <typename V>
inline __attribute__((always_inline)) V smaller(V a, V b) {
  return a < b ? a : b;
}

}  // namespace
