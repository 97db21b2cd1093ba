// Softmax and what is made of it, and layer normalisation: one warp a row, or one block where rows are long.
#include "common.h"

namespace {

/** The threads that share a row. `shared` is used by blocks alone. */
template <typename T>
struct Team {
  /** Whether a team is a block; otherwise a warp. */
  bool block;
  T* shared;

  __device__ int index() const { return block ? threadIdx.x : laneOf(); }
  __device__ int size() const { return block ? blockDim.x : WARP; }
  /** First row, and how far the next one is. */
  __device__ int64_t first() const {
    return block ? blockIdx.x : static_cast<int64_t>(blockIdx.x) * (blockDim.x / WARP) + warpOf();
  }
  __device__ int64_t step() const {
    return block ? gridDim.x : static_cast<int64_t>(gridDim.x) * (blockDim.x / WARP);
  }
  template <typename Op>
  __device__ T combine(T x) const {
    return block ? combineBlock<Op>(x, shared) : combineWarp<Op>(x);
  }
};

#define DAG_TEAM(T, team)                \
  __shared__ T teamShared[WARP];         \
  const Team<T> team{wide != 0, teamShared}

/** max + ln Σ exp(x − max) is made of these. */
template <typename T>
struct LogSum {
  T max, sum;
  __device__ T value() const { return max + logOf(sum); }
};

template <typename T>
__device__ LogSum<T> logSumOf(const Team<T>& team, const T* x, int64_t n) {
  T max = T(-INFINITY);
  for (int64_t i = team.index(); i < n; i += team.size()) max = Max::of(max, x[i]);
  max = team.template combine<Max>(max);
  T sum = 0;
  for (int64_t i = team.index(); i < n; i += team.size()) sum += expOf(x[i] - max);
  return {max, team.template combine<Sum>(sum)};
}

/** exp(x − max) / Σ, or its logarithm. */
template <typename T>
__device__ void softmax(const T* x, T* y, int64_t rows, int64_t n, int64_t log, int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const T* const from = x + row * n;
    T* const to = y + row * n;
    const LogSum<T> total = logSumOf(team, from, n);
    const T logSum = total.value();
    for (int64_t i = team.index(); i < n; i += team.size())
      to[i] = log ? from[i] - logSum : expOf(from[i] - total.max) / total.sum;
  }
}

/** softmax: dx = y·(dy − Σ y·dy); its logarithm: dx = dy − exp(y)·Σ dy. */
template <typename T>
__device__ void softmaxBackward(const T* y, const T* gradY, T* gradX, int64_t rows, int64_t n, int64_t log,
                                int64_t accumulate, int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const int64_t first = row * n;
    T sum = 0;
    for (int64_t i = team.index(); i < n; i += team.size())
      sum += log ? gradY[first + i] : gradY[first + i] * y[first + i];
    sum = team.template combine<Sum>(sum);
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T g = gradY[first + i], value = y[first + i];
      put(gradX, first + i, log ? g - expOf(value) * sum : value * (g - sum), accumulate);
    }
  }
}

/** losses[row] = ln Σ exp(x) − x[target]; a target of −1 gives 0. */
template <typename T>
__device__ void crossEntropy(const T* x, const int32_t* targets, T* losses, T* logSums, int64_t rows, int64_t n,
                             int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const T logSum = logSumOf(team, x + row * n, n).value();
    if (team.index() != 0) continue;
    const int64_t target = targets[row];
    logSums[row] = logSum;
    losses[row] = target < 0 ? T(0) : logSum - x[row * n + (target < n ? target : n - 1)];
  }
}

/** dx = (softmax(x) − onehot(target))·dloss. */
template <typename T>
__device__ void crossEntropyBackward(const T* x, const int32_t* targets, const T* logSums, const T* gradLosses, T* gradX,
                                     int64_t rows, int64_t n, int64_t accumulate, int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const int64_t first = row * n, target = targets[row];
    const T upstream = gradLosses[row], logSum = logSums[row];
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T g = target < 0 ? T(0) : upstream * (expOf(x[first + i] - logSum) - (i == target ? T(1) : T(0)));
      put(gradX, first + i, g, accumulate);
    }
  }
}

/** Ba, Kiros & Hinton, "Layer Normalization" (2016); the variance is the biased one, as in PyTorch. */
template <typename T>
__device__ void layerNorm(const T* x, const T* weight, const T* bias, T* y, T* stats, int64_t rows, int64_t n, double eps,
                          int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const int64_t first = row * n;
    T sum = 0;
    for (int64_t i = team.index(); i < n; i += team.size()) sum += x[first + i];
    const T mean = team.template combine<Sum>(sum) / n;
    T squares = 0;
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T difference = x[first + i] - mean;
      squares += difference * difference;
    }
    const T rstd = 1 / sqrtOf(team.template combine<Sum>(squares) / n + static_cast<T>(eps));
    for (int64_t i = team.index(); i < n; i += team.size())
      y[first + i] = (x[first + i] - mean) * rstd * weight[i] + (bias ? bias[i] : T(0));
    if (team.index() == 0) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = rstd;
    }
  }
}

template <typename T>
__device__ void layerNormBackward(const T* x, const T* weight, const T* stats, const T* gradY, T* gradX, int64_t rows,
                                  int64_t n, int64_t accumulate, int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const int64_t first = row * n;
    const T mean = stats[2 * row], rstd = stats[2 * row + 1];
    T sum = 0, sumNormal = 0;
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T g = gradY[first + i] * weight[i];
      sum += g;
      sumNormal += g * ((x[first + i] - mean) * rstd);
    }
    sum = team.template combine<Sum>(sum) / n;
    sumNormal = team.template combine<Sum>(sumNormal) / n;
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T normal = (x[first + i] - mean) * rstd;
      put(gradX, first + i, rstd * (gradY[first + i] * weight[i] - sum - normal * sumNormal), accumulate);
    }
  }
}

/** Columns and rows of a block of the two kernels below. */
constexpr int COLUMNS = 32, LINES = 8;

/**
 * partial[slice][column] = Σ over the rows of a slice (grid y) of g, or with `stats` of g·(x − mean)·rstd: the
 * gradients of a bias and of the weight of a layer norm.
 */
template <typename T>
__device__ void sumRows(const T* g, const T* x, const T* stats, double* partial, int64_t rows, int64_t n) {
  __shared__ double shared[LINES][COLUMNS + 1];
  const int column = threadIdx.x % COLUMNS, line = threadIdx.x / COLUMNS;
  const int64_t slice = (rows + gridDim.y - 1) / gridDim.y;
  const int64_t begin = slice * blockIdx.y, end = begin + slice < rows ? begin + slice : rows;
  const int64_t first0 = static_cast<int64_t>(blockIdx.x) * COLUMNS, columns = static_cast<int64_t>(gridDim.x) * COLUMNS;
  for (int64_t first = first0; first < n; first += columns) {
    const int64_t j = first + column;
    double sum = 0;
    for (int64_t row = begin + line; j < n && row < end; row += LINES) {
      const double value = g[row * n + j];
      sum += stats ? value * ((x[row * n + j] - stats[2 * row]) * stats[2 * row + 1]) : value;
    }
    shared[line][column] = sum;
    __syncthreads();
    if (line == 0 && j < n) {
      for (int l = 1; l < LINES; l++) sum += shared[l][column];
      partial[blockIdx.y * n + j] = sum;
    }
    __syncthreads();
  }
}

/** y (+)= the sums of the slices, in their order. */
template <typename T>
__device__ void addSlices(const double* partial, int64_t slices, T* y, int64_t n, int64_t accumulate) {
  for (int64_t i = firstIndex(); i < n; i += indexStep()) {
    double sum = 0;
    for (int64_t s = 0; s < slices; s++) sum += partial[s * n + i];
    put(y, i, static_cast<T>(sum), accumulate);
  }
}

}  // namespace

DAG_KERNELS(softmax, THREADS, (const T* x, T* y, int64_t rows, int64_t n, int64_t log, int64_t wide),
            (x, y, rows, n, log, wide))
DAG_KERNELS(softmaxBackward, THREADS,
            (const T* y, const T* gradY, T* gradX, int64_t rows, int64_t n, int64_t log, int64_t accumulate, int64_t wide),
            (y, gradY, gradX, rows, n, log, accumulate, wide))
DAG_KERNELS(crossEntropy, THREADS,
            (const T* x, const int32_t* targets, T* losses, T* logSums, int64_t rows, int64_t n, int64_t wide),
            (x, targets, losses, logSums, rows, n, wide))
DAG_KERNELS(crossEntropyBackward, THREADS,
            (const T* x, const int32_t* targets, const T* logSums, const T* gradLosses, T* gradX, int64_t rows, int64_t n,
             int64_t accumulate, int64_t wide),
            (x, targets, logSums, gradLosses, gradX, rows, n, accumulate, wide))
DAG_KERNELS(layerNorm, THREADS,
            (const T* x, const T* weight, const T* bias, T* y, T* stats, int64_t rows, int64_t n, double eps,
             int64_t wide),
            (x, weight, bias, y, stats, rows, n, eps, wide))
DAG_KERNELS(layerNormBackward, THREADS,
            (const T* x, const T* weight, const T* stats, const T* gradY, T* gradX, int64_t rows, int64_t n,
             int64_t accumulate, int64_t wide),
            (x, weight, stats, gradY, gradX, rows, n, accumulate, wide))
DAG_KERNELS(sumRows, COLUMNS* LINES,
            (const T* g, const T* x, const T* stats, double* partial, int64_t rows, int64_t n),
            (g, x, stats, partial, rows, n))
DAG_KERNELS(addSlices, THREADS, (const double* partial, int64_t slices, T* y, int64_t n, int64_t accumulate),
            (partial, slices, y, n, accumulate))
