// Gather, embedding, cumulative sums and products, and argmax. An index outside of a table gives NaN, and no gradient. The ops refuse
// such indices if they can check them without waiting for the device.
#include "random.h"

namespace {

__device__ inline bool isWithin(int64_t index, int64_t below) { return 0 <= index && index < below; }

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

template <typename T>
__device__ void operator+=(Four<T>& sum, const Four<T>& more) {
#pragma unroll
  for (int j = 0; j < 4; j++) sum.at[j] += more.at[j];
}

/** y[i] = dropout(table[index[i]] + positions[i % time]) for rows of n, one warp per row; positions may be null. */
template <typename T>
__device__ void embedding(const T* table, const int32_t* index, const T* positions, T* y, int64_t rows, int64_t n,
                          int64_t tableRows, int64_t time, double p, double low, double high, const double* lowAt) {
  const Dropout<T> mask(p, low, high, lowAt);
  const int64_t warps = indexStep() / WARP;
  const bool aligned = n % 4 == 0;
  for (int64_t row = firstIndex() / WARP; row < rows; row += warps) {
    const bool isKnown = isWithin(index[row], tableRows);
    const T* const from = table + (isKnown ? index[row] * n : 0);
    const T* const position = positions ? positions + row % time * n : nullptr;
#pragma unroll 2
    for (int64_t i = 4 * laneOf(); i < n; i += 4 * WARP) {
      Four<T> own = isKnown ? fourOf(from, i, n, aligned) : Four<T>{{T(NAN), T(NAN), T(NAN), T(NAN)}};
      if (position) own += fourOf(position, i, n, aligned);
      const Four<T> factors = factorsOf(mask, row * n + i, aligned);
#pragma unroll
      for (int j = 0; j < 4; j++) own.at[j] = keptOf(own.at[j], factors.at[j]);
      putFour(y + row * n, i, n, aligned, own);
    }
  }
}

// The gradient of a table adds up those of the positions of each row, always in the same order:
//   1. Positions are sorted by row, stably: a radix sort, of one digit of the rows after the other. Blocks count their positions of each
//      digit (countDigits), the counts of each digit are added up (scanDigits), and positions go to their places (placeDigits).
//   2. Sorted positions are cut into slices, whose gradients a warp adds up from where they are (embeddingSlices). The sum of a row that
//      a slice has alone is complete; of one that several slices share it is a part.
//   3. Those parts are added up in the order of the slices (embeddingParts).

/** Values of a digit of the sort; a block has a thread, and sorts a position, for each. */
constexpr int DIGITS = THREADS;

/** The row of a position; tableRows, so the last one of the sort, where its index is outside of the table. */
__device__ inline int64_t rowAt(const int32_t* index, int64_t position, int64_t tableRows) {
  return isWithin(index[position], tableRows) ? index[position] : tableRows;
}

/** A pass of the sort: positions in the order of those before (null: the first pass), and the lowest bit of its digit. */
struct Pass {
  const int32_t *index, *order;
  int64_t positions, tableRows, shift;

  __device__ int32_t position(int64_t i) const { return order ? order[i] : static_cast<int32_t>(i); }

  /** Reads the digits of the block's positions; DIGITS beyond the last one. */
  __device__ void read(int (&digits)[DIGITS]) const {
    const int64_t i = firstIndex();
    digits[threadIdx.x] =
        i < positions ? static_cast<int>(rowAt(index, position(i), tableRows) >> shift) % DIGITS : DIGITS;
    __syncthreads();
  }
};

/** counts (DIGITS, blocks): the positions of each digit in each block. */
__device__ inline void countDigits(const Pass& pass, int32_t* counts) {
  __shared__ int digits[DIGITS];
  pass.read(digits);
  int32_t count = 0;
  for (int i = 0; i < DIGITS; i++) count += digits[i] == static_cast<int>(threadIdx.x);
  counts[static_cast<int64_t>(threadIdx.x) * gridDim.x + blockIdx.x] = count;
}

/** Counts become those of all earlier blocks, by a warp for each digit; totals (DIGITS): of all blocks. */
__device__ inline void scanDigits(int32_t* counts, int32_t* totals, int64_t blocks) {
  const int64_t digit = firstIndex() / WARP;
  int32_t* const own = counts + digit * blocks;
  int32_t before = 0;
  for (int64_t first = 0; first < blocks; first += WARP) {
    const int64_t block = first + laneOf();
    const int32_t count = block < blocks ? own[block] : 0;
    int32_t sum = count;
    for (int step = 1; step < WARP; step *= 2) {
      const int32_t below = __shfl_up_sync(ALL_LANES, sum, step);
      if (laneOf() >= step) sum += below;
    }
    if (block < blocks) own[block] = before + sum - count;
    before += __shfl_sync(ALL_LANES, sum, WARP - 1);
  }
  if (laneOf() == 0) totals[digit] = before;
}

/** sorted: the positions, sorted by the digit and otherwise in the order of the pass. */
__device__ inline void placeDigits(const Pass& pass, const int32_t* counts, const int32_t* totals, int32_t* sorted) {
  __shared__ int digits[DIGITS];
  __shared__ int32_t begins[DIGITS];
  const int me = threadIdx.x;
  pass.read(digits);
  int32_t begin = counts[static_cast<int64_t>(me) * gridDim.x + blockIdx.x];
  for (int digit = 0; digit < me; digit++) begin += totals[digit];
  begins[me] = begin;
  __syncthreads();
  const int64_t i = firstIndex();
  if (i >= pass.positions) return;
  int32_t place = begins[digits[me]];
  for (int other = 0; other < me; other++) place += digits[other] == digits[me];
  sorted[place] = pass.position(i);
}

/** Sorted positions of a slice, and how many gradients a thread reads at a time. */
constexpr int SLICE = 64, READ = 4;

struct Sorted {
  const int32_t *index, *order;
  int64_t positions, tableRows;

  /** −1 beyond the last place. */
  __device__ int64_t row(int64_t i) const { return i < positions ? rowAt(index, order[i], tableRows) : -1; }
  /** Whether places i − 1 and i are of the same row. */
  __device__ bool joins(int64_t i) const { return 0 < i && i < positions && row(i - 1) == row(i); }
};

/** y (n) += sum, from column c on. */
template <typename T>
__device__ void addFour(T* y, int64_t c, int64_t n, const Four<T>& sum) {
  Four<T> total = fourOf(y, c, n, n % 4 == 0);
  total += sum;
  putFour(y, c, n, n % 4 == 0, total);
}

/**
 * gradTable += the sums of rows that are in one slice alone. parts (slices, 2, n): the sums of the slice's first row if an earlier slice has
 * it, too, and otherwise of its last row if a later slice has it. A warp adds up 4·WARP columns.
 */
template <typename T>
__device__ void embeddingSlices(const Sorted& sorted, const T* gradY, T* gradTable, T* parts, int64_t n) {
  const int64_t slices = (sorted.positions + SLICE - 1) / SLICE, groups = (n + 4 * WARP - 1) / (4 * WARP);
  for (int64_t work = firstIndex() / WARP; work < slices * groups; work += indexStep() / WARP) {
    const int64_t slice = work / groups, c = (work % groups * WARP + laneOf()) * 4, begin = slice * SLICE;
    if (c >= n) continue;
    const int64_t end = begin + SLICE < sorted.positions ? begin + SLICE : sorted.positions;
    bool isShared = sorted.joins(begin);
    int64_t row = sorted.row(begin);
    Four<T> sum = {};
    for (int64_t first = begin; first < end; first += READ) {
      Four<T> read[READ];
      int64_t next[READ];
#pragma unroll
      for (int i = 0; i < READ; i++) {
        if (first + i >= end) break;
        read[i] = fourOf(gradY + sorted.order[first + i] * n, c, n, n % 4 == 0);
        next[i] = sorted.row(first + i + 1);
      }
#pragma unroll
      for (int i = 0; i < READ; i++) {
        if (first + i >= end || row == sorted.tableRows) break;
        sum += read[i];
        const bool goesOn = next[i] == row;
        if (!goesOn || first + i + 1 == end) {
          if (isShared || goesOn) putFour(parts + (2 * slice + !isShared) * n, c, n, n % 4 == 0, sum);
          else addFour(gradTable + row * n, c, n, sum);
          isShared = false;
          sum = {};
        }
        row = next[i];
      }
    }
  }
}

/** gradTable += the sums of rows that several slices share, by one block for each slice, if such a row begins in it. */
template <typename T>
__device__ void embeddingParts(const Sorted& sorted, const T* parts, T* gradTable, int64_t n) {
  __shared__ Four<T> sums[THREADS / WARP][WARP];
  const int64_t slice = blockIdx.x, end = (slice + 1) * SLICE;
  if (!sorted.joins(end)) return;
  const int64_t row = sorted.row(end - 1);
  if (row == sorted.tableRows || (sorted.joins(slice * SLICE) && sorted.row(slice * SLICE) == row)) return;
  // The last slice of the row, by bisection.
  int64_t last = slice + 1, beyond = (sorted.positions + SLICE - 1) / SLICE;
  while (last + 1 < beyond) {
    const int64_t middle = (last + beyond) / 2;
    (sorted.row(middle * SLICE) == row ? last : beyond) = middle;
  }
  for (int64_t first = 0; first < n; first += 4 * WARP) {
    const int64_t c = first + 4 * laneOf();
    Four<T> sum = {};
    if (c < n) {
      if (warpOf() == 0) sum = fourOf(parts + (2 * slice + 1) * n, c, n, n % 4 == 0);
#pragma unroll 4
      for (int64_t s = slice + 1 + warpOf(); s <= last; s += THREADS / WARP)
        sum += fourOf(parts + 2 * s * n, c, n, n % 4 == 0);
    }
    sums[warpOf()][laneOf()] = sum;
    __syncthreads();
    if (warpOf() == 0 && c < n) {
      for (int w = 1; w < THREADS / WARP; w++) sum += sums[w][laneOf()];
      addFour(gradTable + row * n, c, n, sum);
    }
    __syncthreads();
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
            (const T* table, const int32_t* index, const T* positions, T* y, int64_t rows, int64_t n, int64_t tableRows,
             int64_t time, double p, double low, double high, const double* lowAt),
            (table, index, positions, y, rows, n, tableRows, time, p, low, high, lowAt))
DAG_EXPORT(countDigits_i32, THREADS, (Pass pass, int32_t* counts), (countDigits(pass, counts)))
DAG_EXPORT(scanDigits_i32, THREADS, (int32_t* counts, int32_t* totals, int64_t blocks), (scanDigits(counts, totals, blocks)))
DAG_EXPORT(placeDigits_i32, THREADS, (Pass pass, const int32_t* counts, const int32_t* totals, int32_t* sorted),
           (placeDigits(pass, counts, totals, sorted)))
DAG_KERNELS(embeddingSlices, THREADS, (Sorted sorted, const T* gradY, T* gradTable, T* parts, int64_t n),
            (sorted, gradY, gradTable, parts, n))
DAG_KERNELS(embeddingParts, THREADS, (Sorted sorted, const T* parts, T* gradTable, int64_t n), (sorted, parts, gradTable, n))
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
