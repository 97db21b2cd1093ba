// Gather, embedding, cumulative sums and products, and argmax. An index outside of a table gives NaN, and no gradient. The ops refuse
// such indices if they can check them without waiting for the device.
#include "fours.h"

namespace {

__device__ inline bool isWithin(int64_t index, int64_t below) { return 0 <= index && index < below; }

/** Marks positions whose index is outside of the table. */
constexpr int64_t NO_ROW = -1;

/** y[i] = x[i, index[i]] for rows of n; an index of −1 gives 0. */
template <typename T>
__device__ void gather(const T* x, const int32_t* index, T* y, int64_t rows, int64_t n) {
  for (int64_t i = firstIndex(); i < rows; i += indexStep())
    y[i] = index[i] == -1 ? T(0) : isWithin(index[i], n) ? x[i * n + index[i]] : T(NAN);
}

/** One thread per element of gradX if it is overwritten; one thread per row if gradients are accumulated. */
template <typename T>
__device__ void gatherBackward(const int32_t* index, const T* gradY, T* gradX, int64_t rows, int64_t n,
                               int64_t accumulate) {
  if (accumulate) {
    for (int64_t i = firstIndex(); i < rows; i += indexStep())
      if (isWithin(index[i], n)) gradX[i * n + index[i]] += gradY[i];
    return;
  }
  for (int64_t i = firstIndex(); i < rows * n; i += indexStep()) {
    const int64_t row = i / n;
    gradX[i] = index[row] == i % n ? gradY[row] : T(0);
  }
}

/** y[i] = table[index[i]] for rows of n; one warp per row. */
template <typename T>
__device__ void embedding(const T* table, const int32_t* index, T* y, int64_t rows, int64_t n, int64_t tableRows) {
  const int64_t warps = indexStep() / WARP;
  const bool aligned = n % 4 == 0;
  for (int64_t row = firstIndex() / WARP; row < rows; row += warps) {
    if (!isWithin(index[row], tableRows)) {
      for (int64_t i = laneOf(); i < n; i += WARP) y[row * n + i] = T(NAN);
      continue;
    }
    const T* const from = table + index[row] * n;
#pragma unroll 2
    for (int64_t i = 4 * laneOf(); i < n; i += 4 * WARP) putFour(y + row * n, i, n, aligned, fourOf(from, i, n, aligned));
  }
}

// The gradient of a table is a sum over the positions of each of its rows, always in the order of the positions:
//   1. In every chunk of positions, those of the same row are summed, at the first of them, its leader (embeddingChunks).
//   2. Leaders are counted for each row (also by embeddingChunks), and each row is assigned room for its list (placeLists).
//   3. Leaders are written to the list of their row (placeLeaders), in any order.
//   4. One warp per row, or one block if its list is long, sorts the list and adds up the sums of its leaders (embeddingRows).
// Atomic additions are only of integers, so that nothing depends on their order.

/** Positions per chunk. */
constexpr int CHUNK = 64;

/**
 * sums (positions, n): at each leader the sum over its row's positions in the chunk. leaders (positions): the leader of each position.
 */
template <typename T>
__device__ void embeddingChunks(const int32_t* index, const T* gradY, T* sums, int32_t* leaders, int32_t* counts,
                                int64_t positions, int64_t n, int64_t tableRows) {
  __shared__ int64_t row[CHUNK];
  __shared__ int leader[CHUNK];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * CHUNK;
  const int count = static_cast<int>(positions - first < CHUNK ? positions - first : CHUNK);
  const int me = threadIdx.x;
  if (me < count) row[me] = isWithin(index[first + me], tableRows) ? index[first + me] : NO_ROW;
  __syncthreads();
  if (me < count) {
    int found = 0;
    while (row[found] != row[me]) found++;
    leader[me] = found;
    leaders[first + me] = static_cast<int32_t>(first + found);
    if (found == me && row[me] != NO_ROW) atomicAdd(counts + row[me], 1);
  }
  __syncthreads();
  for (int64_t c = threadIdx.x; c < n; c += blockDim.x)
    for (int p = 0; p < count; p++) {
      const T g = gradY[(first + p) * n + c];
      T& sum = sums[(first + leader[p]) * n + c];
      sum = leader[p] == p ? g : sum + g;
    }
}

/**
 * begins[row] … ends[row] − 1 is the range of a row's list, which has counts[row] entries. taken[0], initially 0, is the room assigned so
 * far. The order of the blocks does not matter, because only the contents of a list are used, not its position.
 */
__device__ inline void placeLists(const int32_t* counts, int32_t* begins, int32_t* ends, int32_t* taken, int64_t tableRows) {
  __shared__ int32_t totals[WARP];
  const int64_t row = firstIndex();
  const int32_t own = row < tableRows ? counts[row] : 0;
  int32_t sum = own;
  for (int step = 1; step < WARP; step *= 2) {
    const int32_t below = __shfl_up_sync(ALL_LANES, sum, step);
    if (laneOf() >= step) sum += below;
  }
  if (laneOf() == WARP - 1) totals[warpOf()] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t all = 0;
    for (int w = 0; w < THREADS / WARP; w++) {
      const int32_t of = totals[w];
      totals[w] = all;
      all += of;
    }
    const int32_t base = atomicAdd(taken, all);
    for (int w = 0; w < THREADS / WARP; w++) totals[w] += base;
  }
  __syncthreads();
  if (row >= tableRows) return;
  begins[row] = totals[warpOf()] + sum - own;
  ends[row] = totals[warpOf()] + sum;
}

/** lists: the leaders of each row from begins[row] on. Resets counts to 0. */
__device__ inline void placeLeaders(const int32_t* index, const int32_t* leaders, int32_t* counts, const int32_t* begins,
                                    int32_t* lists, int64_t positions, int64_t tableRows) {
  for (int64_t i = firstIndex(); i < positions; i += indexStep()) {
    if (leaders[i] != i || !isWithin(index[i], tableRows)) continue;
    const int64_t row = index[i];
    lists[begins[row] + atomicAdd(counts + row, -1) - 1] = static_cast<int32_t>(i);
  }
}

/** From this number of leaders on, a row is processed by a whole block. */
constexpr int32_t LONG = 64;

/** Teams of threads that compute the gradient of a row together: `me` is this thread's index, `size` the number of threads. */
struct Warp {
  __device__ static int me() { return laneOf(); }
  __device__ static int size() { return WARP; }
  __device__ static void sync() { __syncwarp(); }
};
struct Block {
  __device__ static int me() { return threadIdx.x; }
  __device__ static int size() { return blockDim.x; }
  __device__ static void sync() { __syncthreads(); }
};

template <typename Team, typename T>
__device__ void embeddingRow(const T* sums, int32_t begin, int32_t end, const int32_t* lists, int32_t* sorted, T* to,
                             int64_t n, int64_t accumulate) {
  // The sorted index of a leader is the number of smaller ones.
  for (int32_t i = begin + Team::me(); i < end; i += Team::size()) {
    const int32_t leader = lists[i];
    int32_t place = begin;
    for (int32_t j = begin; j < end; j++) place += lists[j] < leader;
    sorted[place] = leader;
  }
  Team::sync();
  const bool aligned = n % 4 == 0;
  for (int64_t c = 4 * Team::me(); c < n; c += 4 * Team::size()) {
    Four<T> total = {};
    if (accumulate) total = fourOf(to, c, n, aligned);
    Four<T> sum = {};
    for (int32_t i = begin; i < end; i++) {
      const Four<T> own = fourOf(sums + sorted[i] * n, c, n, aligned);
#pragma unroll
      for (int j = 0; j < 4; j++) sum.at[j] += own.at[j];
    }
#pragma unroll
    for (int j = 0; j < 4; j++) total.at[j] += sum.at[j];
    putFour(to, c, n, aligned, total);
  }
}

/** `sorted` is as large as `lists`. */
template <typename T>
__device__ void embeddingRows(const T* sums, const int32_t* begins, const int32_t* ends, const int32_t* lists,
                              int32_t* sorted, T* gradTable, int64_t tableRows, int64_t n, int64_t accumulate) {
  const int warps = blockDim.x / WARP;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * warps; first < tableRows;
       first += static_cast<int64_t>(gridDim.x) * warps) {
    const int64_t own = first + warpOf();
    if (own < tableRows) {
      const int32_t begin = begins[own], end = ends[own];
      if (end - begin < LONG && (begin < end || !accumulate))
        embeddingRow<Warp>(sums, begin, end, lists, sorted, gradTable + own * n, n, accumulate);
    }
    for (int64_t row = first; row < first + warps && row < tableRows; row++) {
      const int32_t begin = begins[row], end = ends[row];
      if (end - begin >= LONG)
        embeddingRow<Block>(sums, begin, end, lists, sorted, gradTable + row * n, n, accumulate);
    }
  }
}

/** Cumulative sums over the middle dimension of (outer, n, inner): one thread for each of outer × inner. */
template <typename T>
__device__ void cumsum(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, int64_t reverse, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < outer * inner; i += indexStep()) {
    const int64_t begin = i / inner * n * inner + i % inner;
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
      const int64_t at = begin + (reverse ? n - 1 - t : t) * inner;
      sum += x[at];
      put(y, at, static_cast<T>(sum), accumulate);
    }
  }
}

/** The same for inner = 1, contiguous rows: one warp for each of outer. */
template <typename T>
__device__ void cumsumRows(const T* x, T* y, int64_t outer, int64_t n, int64_t reverse, int64_t accumulate) {
  const int64_t warps = indexStep() / WARP;
  for (int64_t row = firstIndex() / WARP; row < outer; row += warps) {
    double carry = 0;
    for (int64_t first = 0; first < n; first += WARP) {
      const int64_t t = first + laneOf();
      const int64_t at = row * n + (reverse ? n - 1 - t : t);
      double sum = t < n ? static_cast<double>(x[at]) : 0;
      for (int step = 1; step < WARP; step *= 2) {
        const double below = __shfl_up_sync(ALL_LANES, sum, step);
        if (laneOf() >= step) sum += below;
      }
      sum += carry;
      if (t < n) put(y, at, static_cast<T>(sum), accumulate);
      carry = __shfl_sync(ALL_LANES, sum, WARP - 1);
    }
  }
}

/** Cumulative products over the middle dimension of (outer, n, inner). */
template <typename T>
__device__ void cumprod(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  for (int64_t i = firstIndex(); i < outer * inner; i += indexStep()) {
    const int64_t first = i / inner * n * inner + i % inner;
    double product = 1;
    for (int64_t at = first; at < first + n * inner; at += inner) {
      product *= static_cast<double>(x[at]);
      y[at] = static_cast<T>(product);
    }
  }
}

/** See src/backends/reference/scans.ts. */
template <typename T>
__device__ void cumprodBackward(const T* x, const T* y, const T* gradY, T* gradX, int64_t outer, int64_t n, int64_t inner,
                                int64_t accumulate) {
  for (int64_t i = firstIndex(); i < outer * inner; i += indexStep()) {
    const int64_t first = i / inner * n * inner + i % inner;
    double after = 0;
    for (int64_t t = n - 1; t >= 0; t--) {
      const int64_t at = first + t * inner;
      after = static_cast<double>(gradY[at]) + (t + 1 < n ? static_cast<double>(x[at + inner]) * after : 0.0);
      const double before = t > 0 ? static_cast<double>(y[at - inner]) : 1.0;
      put(gradX, at, static_cast<T>(before * after), accumulate);
    }
  }
}

/** Whether `x` replaces the largest number so far; NaN is larger than all numbers. */
template <typename T>
__device__ bool isLarger(T x, T largest) {
  return x > largest || (x != x && largest == largest);
}

/** index (outer, inner): index of the largest element along the middle dimension of (outer, n, inner), the first of equals. */
template <typename T>
__device__ void argmax(const T* x, int32_t* index, int64_t outer, int64_t n, int64_t inner) {
  for (int64_t i = firstIndex(); i < outer * inner; i += indexStep()) {
    const T* const from = x + i / inner * n * inner + i % inner;
    int64_t place = 0;
    for (int64_t t = 1; t < n; t++)
      if (isLarger(from[t * inner], from[place * inner])) place = t;
    index[i] = static_cast<int32_t>(place);
  }
}

struct First {
  __device__ static int64_t of(int64_t a, int64_t b) { return a < b ? a : b; }
};

/** The same for contiguous rows, one block each. */
template <typename T>
__device__ void argmaxRows(const T* x, int32_t* index, int64_t rows, int64_t n) {
  __shared__ T values[WARP];
  __shared__ int64_t places[WARP];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* const from = x + row * n;
    int64_t place = threadIdx.x < n ? threadIdx.x : 0;
    for (int64_t i = place + blockDim.x; i < n; i += blockDim.x)
      if (isLarger(from[i], from[place])) place = i;
    const T largest = combineBlock<Max>(from[place], values);
    const int64_t first = combineBlock<First>(isLarger(largest, from[place]) ? n : place, places);
    if (threadIdx.x == 0) index[row] = static_cast<int32_t>(first);
  }
}

}  // namespace

DAG_KERNELS(gather, THREADS, (const T* x, const int32_t* index, T* y, int64_t rows, int64_t n), (x, index, y, rows, n))
DAG_KERNELS(gatherBackward, THREADS,
            (const int32_t* index, const T* gradY, T* gradX, int64_t rows, int64_t n, int64_t accumulate),
            (index, gradY, gradX, rows, n, accumulate))
DAG_KERNELS(embedding, THREADS,
            (const T* table, const int32_t* index, T* y, int64_t rows, int64_t n, int64_t tableRows),
            (table, index, y, rows, n, tableRows))
DAG_KERNELS(embeddingChunks, THREADS,
            (const int32_t* index, const T* gradY, T* sums, int32_t* leaders, int32_t* counts, int64_t positions,
             int64_t n, int64_t tableRows),
            (index, gradY, sums, leaders, counts, positions, n, tableRows))
DAG_EXPORT(placeLists_i32, THREADS,
           (const int32_t* counts, int32_t* begins, int32_t* ends, int32_t* taken, int64_t tableRows),
           (placeLists(counts, begins, ends, taken, tableRows)))
DAG_EXPORT(placeLeaders_i32, THREADS,
           (const int32_t* index, const int32_t* leaders, int32_t* counts, const int32_t* begins, int32_t* lists,
            int64_t positions, int64_t tableRows),
           (placeLeaders(index, leaders, counts, begins, lists, positions, tableRows)))
DAG_KERNELS(embeddingRows, THREADS,
            (const T* sums, const int32_t* begins, const int32_t* ends, const int32_t* lists, int32_t* sorted, T* gradTable,
             int64_t tableRows, int64_t n, int64_t accumulate),
            (sums, begins, ends, lists, sorted, gradTable, tableRows, n, accumulate))
DAG_KERNELS(cumsum, THREADS,
            (const T* x, T* y, int64_t outer, int64_t n, int64_t inner, int64_t reverse, int64_t accumulate),
            (x, y, outer, n, inner, reverse, accumulate))
DAG_KERNELS(cumsumRows, THREADS,
            (const T* x, T* y, int64_t outer, int64_t n, int64_t reverse, int64_t accumulate),
            (x, y, outer, n, reverse, accumulate))
DAG_KERNELS(cumprod, THREADS, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner), (x, y, outer, n, inner))
DAG_KERNELS(cumprodBackward, THREADS,
            (const T* x, const T* y, const T* gradY, T* gradX, int64_t outer, int64_t n, int64_t inner, int64_t accumulate),
            (x, y, gradY, gradX, outer, n, inner, accumulate))
DAG_KERNELS(argmax, THREADS, (const T* x, int32_t* index, int64_t outer, int64_t n, int64_t inner),
            (x, index, outer, n, inner))
DAG_KERNELS(argmaxRows, THREADS, (const T* x, int32_t* index, int64_t rows, int64_t n), (x, index, rows, n))
