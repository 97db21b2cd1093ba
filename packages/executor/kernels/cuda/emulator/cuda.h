// Emulates CUDA on the CPU, for tests: the parts of the language that the kernels use, so that a C++ compiler accepts the same sources.
//
// The threads of a block are fibers of one system thread, and blocks run one after another (see fibers.cpp). A fiber runs until it
// waits: for its block in __syncthreads, for its warp in shuffles, __syncwarp and tensor core instructions. The order in which fibers
// run is an option, to reveal results that depend on it. A barrier that some threads of a block or warp never reach ends the launch
// with an error, as does anything that AddressSanitizer finds. Asynchronous copies and products are executed at the latest moment that a
// device may do so, copies also at the earliest, to reveal memory that is read or overwritten too early.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
/** Shared variables of the current block. Their section is filled with NaN before every block, so that no data of the previous one remains. */
#define __shared__ static __attribute__((section("dag_shared")))

namespace emulator {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

/** The dynamic shared memory of a launch. */
void* dynamicShared();

/** Waits for all threads of the block. */
void syncBlock();
/** Waits for all threads of the warp. */
void syncWarp();

/** The memory through which the lanes of a warp exchange data: EXCHANGE_BYTES per lane. */
void* exchange(int lane);
constexpr int EXCHANGE_BYTES = 64;

int lane();

/** Copies `bytes`, or zeros from null, when this thread waits for its copies. */
void copyLater(void* to, const void* from, size_t bytes);
void waitCopies();

/** A kernel bound to its parameters; called by every thread. */
using Call = std::function<void()>;
/** Reads the parameters from the addresses given to the driver. */
using Kernel = Call (*)(void** parameters);

struct Registered {
  Registered(const char* name, unsigned maxThreads, Kernel kernel);
};

template <typename... A>
struct Binder {
  template <void (*kernel)(A...)>
  static Call bind(void** parameters) {
    return [arguments = read(parameters, std::index_sequence_for<A...>{})] { std::apply(kernel, arguments); };
  }
  template <size_t... i>
  static std::tuple<A...> read([[maybe_unused]] void** parameters, std::index_sequence<i...>) {
    return {*static_cast<A*>(parameters[i])...};
  }
};
template <typename... A>
Binder<A...> binderOf(void (*)(A...));

/** Publishes `own` to the other lanes; returns the value of lane `source`. */
template <typename T>
T shuffle(T own, int source) {
  static_assert(sizeof(T) <= EXCHANGE_BYTES);
  std::memcpy(exchange(lane()), &own, sizeof own);
  syncWarp();
  T other;
  std::memcpy(&other, exchange(source), sizeof other);
  // Do not continue before all lanes have read.
  syncWarp();
  return other;
}

}  // namespace emulator

using dim3 = emulator::Dim;
extern emulator::Dim threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { emulator::syncBlock(); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulator::syncWarp(); }

template <typename T>
T __shfl_sync(unsigned, T x, int source) {
  return emulator::shuffle(x, source);
}
template <typename T>
T __shfl_xor_sync(unsigned, T x, int mask) {
  return emulator::shuffle(x, emulator::lane() ^ mask);
}
/** Lanes below `by` get their own value. */
template <typename T>
T __shfl_up_sync(unsigned, T x, int by) {
  return emulator::shuffle(x, emulator::lane() < by ? emulator::lane() : emulator::lane() - by);
}

/** Whether the predicate holds in all lanes. */
inline bool __all_sync(unsigned, bool holds) {
  std::memcpy(emulator::exchange(emulator::lane()), &holds, sizeof holds);
  emulator::syncWarp();
  bool all = true;
  for (int lane = 0; lane < 32; lane++) {
    bool other;
    std::memcpy(&other, emulator::exchange(lane), sizeof other);
    all &= other;
  }
  emulator::syncWarp();
  return all;
}

inline int32_t atomicAdd(int32_t* at, int32_t x) {
  const int32_t before = *at;
  *at += x;
  return before;
}

inline uint32_t __float_as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/** Ends the process: on a device the context would be lost. */
inline void __trap() {
  std::fflush(stdout);
  std::fprintf(stderr, "a kernel called __trap\n");
  std::abort();
}

inline void sincospi(double x, double* sine, double* cosine) {
  // Reduce to −1/4 … 1/4 around the nearest multiple of a half, which is exact.
  const double halves = std::nearbyint(2 * x);
  const double rest = (x - halves / 2) * 3.14159265358979323846;
  const double s = std::sin(rest), c = std::cos(rest);
  const int quarter = static_cast<int>(std::fmod(halves, 4.0) + 4) % 4;
  *sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
  *cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
}

#define DAG_DEVICE inline
#define DAG_EXPORT(name, threads, parameters, call)                                                       \
  static void name parameters { call; }                                                                   \
  static const emulator::Registered name##_registered(                                                    \
      #name, threads, &decltype(emulator::binderOf(&name))::template bind<&name>);
#define DAG_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(emulator::dynamicShared())

// Tensor cores; see tensor_core.h.

/** ldmatrix: of four 8 × 4 matrices of words, lane l gets row l / 4 and column l % 4 of each. */
inline void loadMatrices(uint32_t (&out)[4], const uint32_t* row) {
  for (int i = 0; i < 4; i++) {
    // Lanes 8·i … 8·i + 7 have the addresses of the rows of matrix i.
    const uint32_t* const from = emulator::shuffle(row, i * 8 + emulator::lane() / 4);
    out[i] = from[emulator::lane() % 4];
  }
}

namespace emulator {

struct Fragments {
  uint32_t a[4], b[2];
};

/** sums += a·b in the fragment layouts of mma.sync m16n8; `number(word, i)` is the i-th number of a word. */
template <int PER_WORD, typename Number>
void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Number number) {
  const Fragments own{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  std::memcpy(exchange(lane()), &own, sizeof own);
  syncWarp();
  // Each lane has the sums of two rows and two columns.
  float left[2][8 * PER_WORD], right[2][8 * PER_WORD];
  for (int half = 0; half < 2; half++)
    for (int word = 0; word < 8; word++) {
      Fragments a, b;
      std::memcpy(&a, exchange(lane() / 4 * 4 + word % 4), sizeof a);
      std::memcpy(&b, exchange((lane() % 4 * 2 + half) * 4 + word % 4), sizeof b);
      for (int i = 0; i < PER_WORD; i++) {
        left[half][word * PER_WORD + i] = number(a.a[half + word / 4 * 2], i);
        right[half][word * PER_WORD + i] = number(b.b[word / 4], i);
      }
    }
  for (int e = 0; e < 4; e++)
    for (int k = 0; k < 8 * PER_WORD; k++) sums[e] += left[e / 2][k] * right[e % 2][k];
  syncWarp();
}

}  // namespace emulator

inline void multiplyBf16(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulator::multiply<2>(sums, a, b0, b1, [](uint32_t word, int i) {
    return __uint_as_float(i == 0 ? word << 16 : word & 0xffff0000u);
  });
}
inline void multiplyTf32(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulator::multiply<1>(sums, a, b0, b1, [](uint32_t word, int) { return __uint_as_float(word & 0xffffe000u); });
}
/** To nearest, ties to even. */
inline uint32_t roundTf32Even(float x) {
  const uint32_t bits = __float_as_uint(x);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000u;
}
/** To nearest, ties away from zero. */
inline uint32_t roundTf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000) & 0xffffe000u;
}

// Copies by threads; see matmul.cu.
template <int BYTES>
void beginCopy(void* to, const void* from, bool within) {
  emulator::copyLater(to, within ? from : nullptr, BYTES);
}
inline void waitCopies() { emulator::waitCopies(); }

// Copies, barriers and products of warpgroups; see warpgroup.h.

struct alignas(8) Barrier {
  uint16_t arrivals, missing;
  uint32_t phase : 1;
  int32_t bytes : 31;
};

namespace emulator {

void initBarrier(Barrier* barrier, int arrivals);
void arrive(Barrier* barrier, uint32_t bytes);
void waitFor(const Barrier* barrier, uint32_t parity);
/** Copies what `read` reads to `to`, later, and says so to the barrier. */
void copyLater(void* to, uint32_t bytes, Barrier* barrier, std::function<void(char* to)> read);
/** Shows what threads wrote to shared memory until now to products, which read it through a view of their own. */
void showWrites();
/** Where products see what is at an address of dynamic shared memory. */
const char* seenByProducts(const void* address);
/** Queues `product`, which is executed when this thread waits for it. */
void beginProduct(std::function<void()> product);
void commitProducts();
void waitProducts(size_t left);

/** The address of byte `byte` of row `row` of a tile with 128-byte swizzle. */
inline uintptr_t swizzled(const void* tile, int row, int byte) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(tile) + row / 8 * 1024 + row % 8 * 128 + byte;
  return at ^ (at >> 3 & 0x70);
}

/** Number `column` of row `row` of a tile of TF32 or bf16. */
template <int PER_WORD>
float numberOf(const uint32_t* tile, int row, int column) {
  const char* const at = seenByProducts(reinterpret_cast<const void*>(swizzled(tile, row, column * (4 / PER_WORD))));
  if constexpr (PER_WORD == 1) return __uint_as_float(*reinterpret_cast<const uint32_t*>(at) & 0xffffe000u);
  return __uint_as_float(static_cast<uint32_t>(*reinterpret_cast<const uint16_t*>(at)) << 16);
}

}  // namespace emulator

inline void initBarrier(Barrier* barrier, int arrivals) { emulator::initBarrier(barrier, arrivals); }
inline void showBarriers() {}
inline void showWrites() { emulator::showWrites(); }
inline bool isAligned(const void* at, uint32_t bytes) { return reinterpret_cast<uintptr_t>(at) % bytes == 0; }
template <int REGISTERS>
void takeRegisters() {}
template <int REGISTERS>
void giveRegisters() {}
inline void arrive(Barrier* barrier) { emulator::arrive(barrier, 0); }
inline void arriveExpecting(Barrier* barrier, uint32_t bytes) { emulator::arrive(barrier, bytes); }
inline void waitFor(Barrier* barrier, uint32_t parity) { emulator::waitFor(barrier, parity); }

/** What the emulated driver makes of a matrix: sizes in numbers, strides in bytes, of a box the numbers along k and the rows. */
struct alignas(128) TensorMap {
  const char* from;
  int64_t sizes[3], strides[2];
  uint32_t box[2], bytes, isTf32;
};

inline void copyTensor(void* to, const TensorMap& map, int64_t x, int64_t y, int64_t z, Barrier* barrier) {
  emulator::copyLater(to, map.box[0] * map.box[1] * map.bytes, barrier, [map, x, y, z](char* to) {
    for (uint32_t r = 0; r < map.box[1]; r++)
      for (uint32_t c = 0; c < map.box[0]; c++) {
        uint32_t number = 0;
        if (x + c < map.sizes[0] && y + r < map.sizes[1] && z < map.sizes[2])
          std::memcpy(&number, map.from + z * map.strides[1] + (y + r) * map.strides[0] + (x + c) * map.bytes, map.bytes);
        if (map.isTf32) number = roundTf32Even(__uint_as_float(number));
        std::memcpy(reinterpret_cast<void*>(emulator::swizzled(to, r, c * map.bytes)), &number, map.bytes);
      }
  });
}
template <int SUMS>
void beginProducts(float (&)[SUMS]) {
  emulator::syncWarp();
}
inline void commitProducts() { emulator::commitProducts(); }
template <int LEFT, int SUMS>
void waitProducts(float (&)[SUMS]) {
  // Let the other warps continue before the products are executed.
  emulator::syncWarp();
  emulator::waitProducts(LEFT);
}

template <int PER_WORD, int SUMS>
void multiplyTiles(float (&sums)[SUMS], const uint32_t* a, const uint32_t* b) {
  constexpr int DEPTH = 8 * PER_WORD;
  emulator::syncWarp();
  const int row = static_cast<int>(threadIdx.x) / 32 % 4 * 16 + emulator::lane() / 4;
  const int column = emulator::lane() % 4 * 2;
  emulator::beginProduct([&sums, a, b, row, column] {
    float left[2][DEPTH];
    for (int h = 0; h < 2; h++)
      for (int k = 0; k < DEPTH; k++) left[h][k] = emulator::numberOf<PER_WORD>(a, row + 8 * h, k);
    for (int s = 0; s < SUMS; s++)
      for (int k = 0; k < DEPTH; k++)
        sums[s] += left[s / 2 % 2][k] * emulator::numberOf<PER_WORD>(b, s / 4 * 8 + column + s % 2, k);
  });
}
template <int SUMS>
void multiplyTilesBf16(float (&sums)[SUMS], const uint32_t* a, const uint32_t* b) {
  multiplyTiles<2>(sums, a, b);
}
template <int SUMS>
void multiplyTilesTf32(float (&sums)[SUMS], const uint32_t* a, const uint32_t* b) {
  multiplyTiles<1>(sums, a, b);
}
