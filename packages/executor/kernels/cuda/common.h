// Shared by all CUDA kernels. They are compiled by nvcc to machine code or, for tests, by a C++ compiler to run on the CPU (see
// emulator/cuda.h).
//
// Kernel arguments are pointers, int64_t, double, and structures of only these, each a multiple of 8 bytes: so the host can pack them
// without knowing each kernel's signature. Names end in the dtype of the storage, `_f32` or `_f64`.
#pragma once
#ifdef DAG_EMULATED
#include "emulator/cuda.h"
#else
#define DAG_EXPORT(name, threads, parameters, call) \
  extern "C" __global__ void __launch_bounds__(threads) name parameters { call; }
/** Dynamic shared memory, aligned to 1024 bytes; the host sets its size. */
#define DAG_DYNAMIC_SHARED(type, name)                          \
  extern __shared__ __align__(1024) double dag_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(dag_dynamic_shared)
#endif

#include <cstdint>
#include <cstdio>

/** Instantiates the kernel template `name` in both precisions; `T` in the parameters is the storage type. */
#define DAG_KERNELS(name, threads, parameters, arguments) \
  DAG_KERNEL(name, f32, float, threads, parameters, arguments) \
  DAG_KERNEL(name, f64, double, threads, parameters, arguments)
#define DAG_KERNEL(name, dtype, type, threads, parameters, arguments) \
  namespace name##_in_##dtype {                                       \
  using T = type;                                                     \
  DAG_EXPORT(name##_##dtype, threads, parameters, name<T> arguments)  \
  }

/** For lane functions, see kernels/elementwise.h. */
#define DAG_LANES __device__ inline

namespace {

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
/** Default number of threads per block. */
constexpr int THREADS = 256;

/** For grid-stride loops: the index of this thread in the grid, and the number of threads. */
__device__ inline int64_t firstIndex() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t indexStep() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

__device__ inline int laneOf() { return threadIdx.x % WARP; }
__device__ inline int warpOf() { return threadIdx.x / WARP; }

/**
 * Ends the launch and says why: a kind that src/elementwise.ts does not have, as of kernels from another build; src/backends/kinds.ts refuses
 * other unknown kinds before a launch. Each thread says so: the first that traps ends the others.
 */
[[noreturn, maybe_unused]] __device__ __noinline__ void unknownKind(const char* kernel, int64_t kind) {
  printf("@dag/executor: the kernel %s knows no kind %lld\n", kernel, static_cast<long long>(kind));
  __trap();
  __builtin_unreachable();
}

struct Sum {
  template <typename T>
  __device__ static T of(T a, T b) { return a + b; }
};
struct Max {
  /** NaN if either is NaN. */
  template <typename T>
  __device__ static T of(T a, T b) { return a > b || a != a ? a : b; }
};

/** Combines the values of all lanes of a warp, in the same order for every lane; returns the result in every lane. */
template <typename Op, typename T>
__device__ T combineWarp(T x) {
  for (int step = WARP / 2; step > 0; step /= 2) x = Op::of(x, __shfl_xor_sync(ALL_LANES, x, step));
  return x;
}

/** Combines the values of all threads of a block; returns the result in every thread. `shared`: WARP values, reusable after the call. */
template <typename Op, typename T>
__device__ T combineBlock(T x, T* shared) {
  x = combineWarp<Op>(x);
  if (laneOf() == 0) shared[warpOf()] = x;
  __syncthreads();
  const int warps = blockDim.x / WARP;
  T all = shared[0];
  for (int w = 1; w < warps; w++) all = Op::of(all, shared[w]);
  __syncthreads();
  return all;
}

/** Prefetches a line of 128 bytes of global memory into L2. */
#ifdef DAG_EMULATED
inline void prefetch(const void*) {}
#else
__device__ inline void prefetch(const void* line) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(line)));
}
#endif

/** Has the compiler compute what follows from a and b after this, not keep it in registers from before. */
#ifdef DAG_EMULATED
inline void hide(int&, int&) {}
#else
__device__ inline void hide(int& a, int& b) { asm volatile("" : "+r"(a), "+r"(b)); }
#endif

/** y[i] = value, or y[i] += value. */
template <typename T>
__device__ void put(T* y, int64_t i, T value, bool accumulate) {
  y[i] = accumulate ? y[i] + value : value;
}

// The functions of doubles are long, so they are not inlined; only f32 has to be fast.
__device__ inline float expOf(float x) { return expf(x); }
[[maybe_unused]] __device__ __noinline__ double expOf(double x) { return exp(x); }
__device__ inline float logOf(float x) { return logf(x); }
[[maybe_unused]] __device__ __noinline__ double logOf(double x) { return log(x); }
__device__ inline float sqrtOf(float x) { return sqrtf(x); }
__device__ inline double sqrtOf(double x) { return sqrt(x); }
__device__ inline float sinOf(float x) { return sinf(x); }
[[maybe_unused]] __device__ __noinline__ double sinOf(double x) { return sin(x); }
__device__ inline float cosOf(float x) { return cosf(x); }
[[maybe_unused]] __device__ __noinline__ double cosOf(double x) { return cos(x); }
__device__ inline float powOf(float x, float y) { return powf(x, y); }
[[maybe_unused]] __device__ __noinline__ double powOf(double x, double y) { return pow(x, y); }
template <typename T>
__device__ T powTimesLogOf(T x, T y) {
  return powOf(x, y) * logOf(x);
}
__device__ inline float erfOf(float x) { return erff(x); }
[[maybe_unused]] __device__ __noinline__ double erfOf(double x) { return erf(x); }

/** Exact GELU, x·Φ(x): Hendrycks & Gimpel, "Gaussian Error Linear Units" (2016). */
template <typename T>
__device__ T geluOf(T x) {
  return T(0.5) * x * (1 + erfOf(x * T(0.7071067811865475244)));
}
template <typename T>
__device__ T geluDerivativeOf(T x) {
  return T(0.5) * (1 + erfOf(x * T(0.7071067811865475244))) +
         x * expOf(T(-0.5) * x * x) * T(0.3989422804014326779);
}

/**
 * u where Φ(x) ≈ ½(1 + tanh(u/2)) = σ(u), in the same paper: 2√(2/π)·(x + 0.044715·x³). Beyond ±25 σ is
 * 0 or 1, and cubes may overflow.
 */
template <typename T>
__device__ T logit(T x) {
  const T z = x < T(-25) ? T(-25) : x > T(25) ? T(25) : x;
  return z * (T(1.5957691216057307117) + T(0.071354816272600248777) * z * z);
}
template <typename T>
__device__ T logistic(T u) {
  return 1 / (1 + expOf(-u));
}

/** GELU with the tanh approximation of Φ. */
template <typename T>
__device__ T geluTanhOf(T x) {
  return x * logistic(logit(x));
}
/** σ(u) + x·u'·σ(u)·σ(-u). */
template <typename T>
__device__ T geluTanhDerivativeOf(T x) {
  const T u = logit(x), slope = logistic(u) * logistic(-u);
  // The slope is 0 where x² might overflow.
  const T change = slope > 0 ? x * (T(1.5957691216057307117) + T(0.21406444881780074633) * x * x) * slope : slope;
  return logistic(u) + change;
}

__device__ inline float tanhOf(float x) { return tanhf(x); }
__device__ inline double tanhOf(double x) { return tanh(x); }
__device__ inline float log1pOf(float x) { return log1pf(x); }
__device__ inline double log1pOf(double x) { return log1p(x); }

template <typename T>
__device__ T absOf(T x) {
  return x < 0 ? -x : x + T(0);
}

template <typename T>
__device__ T sigmoidOf(T x) {
  // exp of a large number would be infinite.
  const T e = expOf(x < 0 ? x : -x);
  return (x < 0 ? e : T(1)) / (1 + e);
}

template <typename T>
__device__ T softplusOf(T x) {
  return (x > 0 ? x : x != x ? x : T(0)) + log1pOf(expOf(-absOf(x)));
}

}  // namespace
