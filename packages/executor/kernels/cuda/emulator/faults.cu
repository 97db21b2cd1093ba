// Faulty kernels: test/cuda.test.ts checks that the emulator reports their faults.
#include "../warpgroup.h"

namespace {

/** y[i] = x[n − 1 − i] through shared memory, without a barrier between writing and reading. */
__device__ inline void missingBarrier(const int32_t* x, int32_t* y) {
  __shared__ int32_t shared[THREADS];
  shared[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

/** A barrier that half of the threads never reach. */
__device__ inline void unevenBarrier(int32_t* y) {
  if (threadIdx.x % 2 == 0) __syncthreads();
  y[threadIdx.x] = 1;
}

/** A shuffle that half of a warp takes no part in. */
__device__ inline void unevenShuffle(int32_t* y) {
  if (laneOf() < WARP / 2) y[threadIdx.x] = __shfl_xor_sync(ALL_LANES, y[threadIdx.x], 1);
}

/** y = x through shared memory, without waiting for the copy before reading. */
__device__ inline void earlyRead(const int32_t* x, int32_t* y) {
  alignas(16) __shared__ int32_t shared[2 * WARP];
  __shared__ Barrier there;
  if (threadIdx.x == 0) {
    initBarrier(&there, 1);
    showBarriers();
    arriveExpecting(&there, sizeof shared);
    copyBulk(shared, x, sizeof shared, &there);
  }
  __syncthreads();
  y[threadIdx.x] = shared[threadIdx.x];
  waitFor(&there, 0);
}

/** An asynchronous copy that nothing waits for. */
__device__ inline void lostCopy(const int32_t* x) {
  alignas(16) __shared__ int32_t shared[2 * WARP];
  __shared__ Barrier there;
  if (threadIdx.x > 0) return;
  initBarrier(&there, 1);
  showBarriers();
  copyBulk(shared, x, sizeof shared, &there);
}

/** Waits for a phase in which nothing arrives. */
__device__ inline void endlessPhase() {
  __shared__ Barrier never;
  if (threadIdx.x == 0) initBarrier(&never, 1);
  __syncthreads();
  waitFor(&never, 0);
}

/** Writes one element too many. */
__device__ inline void beyondEnd(int32_t* y, int64_t n) { y[n] = 1; }

/** Writes beyond an array in shared memory. */
__device__ inline void beyondShared(int32_t* y, int64_t n) {
  __shared__ int32_t shared[2 * WARP];
  shared[n] = 1;
  y[0] = shared[0];
}

}  // namespace

DAG_EXPORT(missingBarrier_i32, THREADS, (const int32_t* x, int32_t* y), (missingBarrier(x, y)))
DAG_EXPORT(unevenBarrier_i32, THREADS, (int32_t* y), (unevenBarrier(y)))
DAG_EXPORT(unevenShuffle_i32, THREADS, (int32_t* y), (unevenShuffle(y)))
DAG_EXPORT(earlyRead_i32, THREADS, (const int32_t* x, int32_t* y), (earlyRead(x, y)))
DAG_EXPORT(lostCopy_i32, THREADS, (const int32_t* x), (lostCopy(x)))
DAG_EXPORT(endlessPhase_i32, THREADS, (const int32_t*), (endlessPhase()))
DAG_EXPORT(beyondEnd_i32, THREADS, (int32_t* y, int64_t n), (beyondEnd(y, n)))
DAG_EXPORT(beyondShared_i32, THREADS, (int32_t* y, int64_t n), (beyondShared(y, n)))
