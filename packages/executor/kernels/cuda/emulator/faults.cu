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

/** A tile of one row of 32 numbers. */
struct Tile {
  uint32_t words[32];
  Barrier there;
};
TensorMap rowOf(const void* from) { return {static_cast<const char*>(from), {32, 1, 1}, {128, 128}, {32, 1}, 4, false}; }

/** y = x through shared memory, without waiting for the copy before reading. */
__device__ inline void earlyRead(const int32_t* x, int32_t* y) {
  DAG_DYNAMIC_SHARED(Tile, tile);
  if (threadIdx.x == 0) {
    initBarrier(&tile->there, 1);
    showBarriers();
    arriveExpecting(&tile->there, sizeof tile->words);
    copyTensor(tile->words, rowOf(x), 0, 0, 0, &tile->there);
  }
  __syncthreads();
  y[threadIdx.x] = tile->words[threadIdx.x % 32];
  waitFor(&tile->there, 0);
}

/** The same with a copy by each thread. */
__device__ inline void earlyReadOfOwn(const int32_t* x, int32_t* y) {
  __shared__ int32_t shared[2 * WARP];
  beginCopy<4>(shared + threadIdx.x, x + threadIdx.x, true);
  y[threadIdx.x] = shared[threadIdx.x];
  waitCopies();
}

/** A copy by each thread that none waits for. */
__device__ inline void lostCopyOfOwn(const int32_t* x) {
  __shared__ int32_t shared[2 * WARP];
  beginCopy<4>(shared + threadIdx.x, x + threadIdx.x, true);
}

/** An asynchronous copy that nothing waits for. */
__device__ inline void lostCopy(const int32_t* x) {
  DAG_DYNAMIC_SHARED(Tile, tile);
  if (threadIdx.x > 0) return;
  initBarrier(&tile->there, 1);
  showBarriers();
  copyTensor(tile->words, rowOf(x), 0, 0, 0, &tile->there);
}

/** A product of ones by ones that threads wrote; `shows`: with the proxy fence that lets it see them. y: the first sum. */
__device__ inline void unseenWrites(float* y, int64_t shows) {
  struct alignas(1024) Tiles {
    uint32_t a[WARPGROUP_ROWS * 32], b[WARPGROUP_COLUMNS * 32];
  };
  DAG_DYNAMIC_SHARED(Tiles, tiles);
  for (int i = threadIdx.x; i < WARPGROUP_ROWS * 32; i += WARPGROUP) tiles->a[i] = __float_as_uint(1);
  for (int i = threadIdx.x; i < WARPGROUP_COLUMNS * 32; i += WARPGROUP) tiles->b[i] = __float_as_uint(1);
  if (shows) showWrites();
  __syncthreads();
  float sums[WARPGROUP_SUMS] = {};
  beginProducts(sums);
  multiplyTilesTf32(sums, tiles->a, tiles->b);
  commitProducts();
  waitProducts<0>(sums);
  if (threadIdx.x == 0) y[0] = sums[0];
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
DAG_EXPORT(earlyReadOfOwn_i32, THREADS, (const int32_t* x, int32_t* y), (earlyReadOfOwn(x, y)))
DAG_EXPORT(lostCopyOfOwn_i32, THREADS, (const int32_t* x), (lostCopyOfOwn(x)))
DAG_EXPORT(lostCopy_i32, THREADS, (const int32_t* x), (lostCopy(x)))
DAG_EXPORT(unseenWrites_i32, THREADS, (float* y, int64_t shows), (unseenWrites(y, shows)))
DAG_EXPORT(endlessPhase_i32, THREADS, (const int32_t*), (endlessPhase()))
DAG_EXPORT(beyondEnd_i32, THREADS, (int32_t* y, int64_t n), (beyondEnd(y, n)))
DAG_EXPORT(beyondShared_i32, THREADS, (int32_t* y, int64_t n), (beyondShared(y, n)))
