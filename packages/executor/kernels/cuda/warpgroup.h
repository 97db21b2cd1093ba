// The instructions of compute capability 9.0 for products by warpgroups (PTX ISA, "Parallel Synchronization and Communication
// Instructions: mbarrier", "cp.async.bulk", "Asynchronous Warpgroup Level Matrix Instructions"). The emulator has functions of the
// same names.
#pragma once
#include "fours.h"

namespace {

/** Threads of a warpgroup, its result tile of ROWS × COLUMNS, and the SUMS of it that each thread holds. */
constexpr int WARPGROUP = 4 * WARP, WARPGROUP_ROWS = 64, WARPGROUP_COLUMNS = 256;
constexpr int WARPGROUP_SUMS = WARPGROUP_ROWS * WARPGROUP_COLUMNS / WARPGROUP;

}  // namespace

#ifndef DAG_EMULATED
// Other architectures lack these instructions; the host never launches kernels with them there.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define DAG_WARPGROUP_ASM(...) asm volatile(__VA_ARGS__)
#else
#define DAG_WARPGROUP_ASM(...)
#endif

namespace {

/** An mbarrier in shared memory. Its phase completes when all threads have arrived and all expected bytes have been copied. */
struct alignas(8) Barrier {
  uint64_t word;
};

__device__ inline uint32_t sharedAddress(const void* at) { return static_cast<uint32_t>(__cvta_generic_to_shared(at)); }
/** Whether memory is aligned to `bytes` in fact: where its declaration says so, the compiler would leave out the check. */
__device__ inline bool isAligned(const void* at, uint32_t bytes) {
  uint32_t address = sharedAddress(at);
  asm volatile("" : "+r"(address));
  return address % bytes == 0;
}

__device__ inline void initBarrier(Barrier* barrier, int arrivals) {
  DAG_WARPGROUP_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(arrivals) : "memory");
}
/** Fence: makes barriers that this thread initialised visible to bulk copies; other threads see them after the next __syncthreads. */
__device__ inline void showBarriers() {
  DAG_WARPGROUP_ASM("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::: "memory");
}
__device__ inline void arrive(Barrier* barrier) {
  DAG_WARPGROUP_ASM("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(barrier)) : "memory");
}
/** Arrives, and adds `bytes` to the bytes that must be copied before the phase completes. */
__device__ inline void arriveExpecting(Barrier* barrier, uint32_t bytes) {
  DAG_WARPGROUP_ASM("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(bytes)
                    : "memory");
}
/** Waits until the phase of the given parity has completed; the first phase has parity 0. */
__device__ inline void waitFor(Barrier* barrier, uint32_t parity) {
  uint32_t done = 1;
  do {
    DAG_WARPGROUP_ASM(
        "{\n\t.reg .pred p;\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(done)
        : "r"(sharedAddress(barrier)), "r"(parity)
        : "memory");
  } while (!done);
}

/** Proxy fence: makes this thread's writes to shared memory visible to tensor cores. Call it before arriving at the barrier. */
__device__ inline void showWrites() { DAG_WARPGROUP_ASM("fence.proxy.async.shared::cta;" ::: "memory"); }

/** setmaxnreg: from here on each thread of this warpgroup has REGISTERS registers, fewer, or more once other warpgroups have released theirs. */
template <int REGISTERS>
__device__ inline void takeRegisters() {
  DAG_WARPGROUP_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}
template <int REGISTERS>
__device__ inline void giveRegisters() {
  DAG_WARPGROUP_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

/** CUtensorMap of the driver API: a matrix in global memory and how its tiles lie in shared memory. */
struct alignas(128) TensorMap {
  uint64_t words[16];
};

/** x rounded to TF32 as a tensor map of TFLOAT32 does it: to nearest, ties to even. */
__device__ inline uint32_t roundTf32Even(float x) {
  uint32_t word = 0;
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
#endif
  return word;
}

/**
 * Starts a copy of the tile of `map` (three dimensions, the innermost first) from the given position on to shared memory, where it is aligned
 * to 1024 bytes; its completion is signalled to the barrier.
 */
__device__ inline void copyTensor(void* to, const TensorMap& map, int64_t x, int64_t y, int64_t z, Barrier* barrier) {
  DAG_WARPGROUP_ASM("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                    "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(sharedAddress(to)),
                    "l"(&map), "r"(static_cast<int32_t>(x)), "r"(static_cast<int32_t>(y)), "r"(static_cast<int32_t>(z)),
                    "r"(sharedAddress(barrier))
                    : "memory");
}

/** Keeps the compiler from moving reads and writes of the sums across: of an asynchronous product it knows only where it starts. */
__device__ inline void pin(float (&sums)[WARPGROUP_SUMS]) {
#pragma unroll
  for (float& sum : sums) DAG_WARPGROUP_ASM("" : "+f"(sum)::"memory");
}
/** wgmma.fence: needed before the first product, and after anything else has written the registers of sums. */
__device__ inline void beginProducts(float (&sums)[WARPGROUP_SUMS]) {
  pin(sums);
  DAG_WARPGROUP_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
/** Commits the products since the last commit as a group. */
__device__ inline void commitProducts() { DAG_WARPGROUP_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/** Waits until at most the last `LEFT` groups are still running. */
template <int LEFT>
__device__ inline void waitProducts(float (&sums)[WARPGROUP_SUMS]) {
  DAG_WARPGROUP_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
  pin(sums);
}

/**
 * The matrix descriptor of a tile in shared memory: contiguous rows of 128 bytes, aligned to 1024 bytes, whose pieces of 16 bytes are
 * swizzled: piece p of row r is at p ^ r % 8 (PTX ISA, "Matrix Descriptor Format": K-major, 128-byte swizzle, groups of eight rows 1024
 * bytes apart).
 */
__device__ inline uint64_t descriptorOf(const uint32_t* tile) {
  constexpr uint64_t UNUSED = 1, GROUP = 1024 >> 4, SWIZZLE_128 = 1;
  return ((sharedAddress(tile) & 0x3ffff) >> 4) | UNUSED << 16 | GROUP << 32 | SWIZZLE_128 << 62;
}

#define DAG_EIGHT(i)                                                                                              \
  "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), "+f"(sums[i + 4]), "+f"(sums[i + 5]), \
      "+f"(sums[i + 6]), "+f"(sums[i + 7])
#define DAG_THIRTY_TWO(i) DAG_EIGHT(i), DAG_EIGHT(i + 8), DAG_EIGHT(i + 16), DAG_EIGHT(i + 24)

#define DAG_MULTIPLY(shape, last)                                                                                    \
  DAG_WARPGROUP_ASM(                                                                                                \
      "wgmma.mma_async.sync.aligned." shape " {"                                                                    \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                      \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                            \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                            \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                            \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                            \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                            \
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "                \
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"              \
      "}, %128, %129, " last ";"                                                                                    \
      : DAG_THIRTY_TWO(0), DAG_THIRTY_TWO(32), DAG_THIRTY_TWO(64), DAG_THIRTY_TWO(96)                               \
      : "l"(descriptorOf(a)), "l"(descriptorOf(b)))

/**
 * Starts sums (64 × 256) += a (64 × 8 words) · b (256 × 8 words)ᵀ, asynchronously. The tiles are laid out as for `descriptorOf`; a and b
 * point to one of their first four pairs of pieces. In thread t of the warpgroup, sum 4j + 2h + e is that of row
 * t / 32 · 16 + t % 32 / 4 + 8h and column 8j + t % 4 · 2 + e.
 */
__device__ inline void multiplyTilesBf16(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
  DAG_MULTIPLY("m64n256k16.f32.bf16.bf16", "1, 1, 1, 0, 0");
}
__device__ inline void multiplyTilesTf32(float (&sums)[WARPGROUP_SUMS], const uint32_t* a, const uint32_t* b) {
  DAG_MULTIPLY("m64n256k8.f32.tf32.tf32", "1, 1, 1");
}

#undef DAG_MULTIPLY
#undef DAG_EIGHT
#undef DAG_THIRTY_TWO

}  // namespace
#endif
