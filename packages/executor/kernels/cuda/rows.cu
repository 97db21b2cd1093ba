// Softmax, log-softmax, cross-entropy and layer normalisation: one warp per row, or one block if rows are long.
#include "sums.h"

namespace {

/** The threads that share a row. Only blocks use `shared`. */
template <typename T>
struct Team {
  /** Whether a team is a block; else it is a warp. */
  bool block;
  T* shared;

  __device__ int index() const { return block ? threadIdx.x : laneOf(); }
  __device__ int size() const { return block ? blockDim.x : WARP; }
  /** First row of this team, and the distance to its next row. */
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

/** The parts of log-sum-exp: max + ln Σ exp(x − max). */
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

/** softmax: dx = y·(dy − Σ y·dy); log-softmax: dx = dy − exp(y)·Σ dy. */
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
    // The host refuses targets out of range if it can see them; otherwise their loss is NaN.
    losses[row] = target == -1 ? T(0) : 0 <= target && target < n ? logSum - x[row * n + target] : T(NAN);
  }
}

/** dx = (softmax(x) − onehot(target))·dloss; 0 for a target out of range. */
template <typename T>
__device__ void crossEntropyBackward(const T* x, const int32_t* targets, const T* logSums, const T* gradLosses, T* gradX,
                                     int64_t rows, int64_t n, int64_t accumulate, int64_t wide) {
  DAG_TEAM(T, team);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    const int64_t first = row * n, target = targets[row];
    const bool isClass = 0 <= target && target < n;
    const T upstream = gradLosses[row], logSum = logSums[row];
    for (int64_t i = team.index(); i < n; i += team.size()) {
      const T g = isClass ? upstream * (expOf(x[first + i] - logSum) - (i == target ? T(1) : T(0))) : T(0);
      put(gradX, first + i, g, accumulate);
    }
  }
}

/** Fours of a row that each thread of a team keeps in registers; consecutive threads have consecutive fours. */
constexpr int HELD = 2, HELD_BY_WARP = 4 * HELD * WARP;

/** Loads the fours of `x` that thread `index` of a team of `size` keeps; 0 beyond n. */
template <bool ALIGNED, typename S>
__device__ void hold(const S* x, int n, int index, int size, Four<Computed<S>> (&held)[HELD]) {
#pragma unroll
  for (int f = 0; f < HELD; f++) held[f] = fourOf(x, 4 * (index + f * size), n, ALIGNED);
}

/** Ba, Kiros & Hinton, "Layer Normalization" (2016); the variance is the biased one, as in PyTorch. Storage of y is S. */
template <bool ALIGNED, typename T, typename S>
__device__ void layerNormOf(const Team<T>& team, const T* x, const T* weight, const T* bias, S* y, T* stats, int64_t rows,
                            int n, T eps) {
  const int index = team.index(), size = team.size();
  Four<T> gain[HELD], shift[HELD] = {};
  hold<ALIGNED>(weight, n, index, size, gain);
  if (bias) hold<ALIGNED>(bias, n, index, size, shift);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    Four<T> own[HELD];
    hold<ALIGNED>(x + row * n, n, index, size, own);
    T sum = 0;
#pragma unroll
    for (int f = 0; f < HELD; f++)
      for (int j = 0; j < 4; j++) sum += own[f].at[j];
    const T mean = team.template combine<Sum>(sum) / n;
    T squares = 0;
#pragma unroll
    for (int f = 0; f < HELD; f++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        T& normal = own[f].at[j];
        normal = 4 * (index + f * size) + (ALIGNED ? 0 : j) < n ? normal - mean : T(0);
        squares += normal * normal;
      }
    const T rstd = 1 / sqrtOf(team.template combine<Sum>(squares) / n + eps);
#pragma unroll
    for (int f = 0; f < HELD; f++) {
#pragma unroll
      for (int j = 0; j < 4; j++) own[f].at[j] = own[f].at[j] * rstd * gain[f].at[j] + shift[f].at[j];
      putFour(y + row * n, 4 * (index + f * size), n, ALIGNED, own[f]);
    }
    if (index == 0) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = rstd;
    }
  }
}

/** Rows that fit into HELD fours per thread of a team. */
template <typename T, typename S>
__device__ void layerNorm(const T* x, const T* weight, const T* bias, S* y, T* stats, int64_t rows, int64_t n, double eps,
                          int64_t wide) {
  DAG_TEAM(T, team);
  const int width = static_cast<int>(n);
  if (n % 4 == 0) layerNormOf<true>(team, x, weight, bias, y, stats, rows, width, static_cast<T>(eps));
  else layerNormOf<false>(team, x, weight, bias, y, stats, rows, width, static_cast<T>(eps));
}

/** Longer rows, by a block each. */
template <typename T, typename S>
__device__ void layerNormLong(const T* x, const T* weight, const T* bias, S* y, T* stats, int64_t rows, int64_t n,
                              double eps) {
  __shared__ T shared[WARP];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const int64_t first = row * n;
    T sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += x[first + i];
    const T mean = combineBlock<Sum>(sum, shared) / n;
    T squares = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T difference = x[first + i] - mean;
      squares += difference * difference;
    }
    const T rstd = 1 / sqrtOf(combineBlock<Sum>(squares, shared) / n + static_cast<T>(eps));
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
      y[first + i] = S((x[first + i] - mean) * rstd * weight[i] + (bias ? bias[i] : T(0)));
    if (threadIdx.x == 0) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = rstd;
    }
  }
}

template <bool ALIGNED, typename T, typename S>
__device__ void layerNormBackwardOf(const Team<T>& team, const T* x, const T* weight, const T* stats, const S* gradY,
                                    T* gradX, double* partial, double* shared, int64_t rows, int n, bool accumulate) {
  const int index = team.index(), size = team.size();
  Four<T> gain[HELD], gradGain[HELD] = {}, gradShift[HELD] = {};
  hold<ALIGNED>(weight, n, index, size, gain);
  for (int64_t row = team.first(); row < rows; row += team.step()) {
    Four<T> g[HELD], normal[HELD], before[HELD] = {};
    hold<ALIGNED>(gradY + row * n, n, index, size, g);
    hold<ALIGNED>(x + row * n, n, index, size, normal);
    // Issue all loads before the first result is needed.
    if (accumulate) hold<ALIGNED>(gradX + row * n, n, index, size, before);
    const T mean = stats[2 * row], rstd = stats[2 * row + 1];
    T sum = 0, sumNormal = 0;
#pragma unroll
    for (int f = 0; f < HELD; f++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        // Beyond n g is 0.
        T& of = normal[f].at[j];
        of = (of - mean) * rstd;
        gradGain[f].at[j] += g[f].at[j] * of;
        gradShift[f].at[j] += g[f].at[j];
        g[f].at[j] *= gain[f].at[j];
        sum += g[f].at[j];
        sumNormal += g[f].at[j] * of;
      }
    if (!gradX) continue;
    sum = team.template combine<Sum>(sum) / n;
    sumNormal = team.template combine<Sum>(sumNormal) / n;
#pragma unroll
    for (int f = 0; f < HELD; f++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const T of = rstd * (g[f].at[j] - sum - normal[f].at[j] * sumNormal);
        g[f].at[j] = accumulate ? before[f].at[j] + of : of;
      }
      putFour(gradX + row * n, 4 * (index + f * size), n, ALIGNED, g[f]);
    }
  }
  if (!partial) return;
#pragma unroll
  for (int which = 0; which < 2; which++) {
    double* const to = partial + static_cast<int64_t>(which * gridDim.x + blockIdx.x) * n;
#pragma unroll
    for (int f = 0; f < HELD; f++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int column = 4 * (index + f * size) + j;
        const double sum = which == 0 ? gradGain[f].at[j] : gradShift[f].at[j];
        if (!team.block) shared[warpOf() * HELD_BY_WARP + column] = sum;
        else if (column < n) to[column] = sum;
      }
    if (team.block) continue;
    __syncthreads();
    for (int64_t column = threadIdx.x; column < n; column += blockDim.x) {
      double sum = 0;
      for (int line = 0; line < THREADS / WARP; line++) sum += shared[line * HELD_BY_WARP + column];
      to[column] = sum;
    }
    __syncthreads();
  }
}

/**
 * For rows as in layerNorm. gradX may be null; partial[0][block] and partial[1][block], if wanted, receive the sums of the
 * gradients of weight and bias over the rows of a block. These have few terms, so they are summed in T.
 */
template <typename T, typename S>
__device__ void layerNormBackward(const T* x, const T* weight, const T* stats, const S* gradY, T* gradX, double* partial,
                                  int64_t rows, int64_t n, int64_t accumulate, int64_t wide) {
  DAG_TEAM(T, team);
  __shared__ double shared[THREADS / WARP * HELD_BY_WARP];
  const int width = static_cast<int>(n);
  if (n % 4 == 0)
    layerNormBackwardOf<true>(team, x, weight, stats, gradY, gradX, partial, shared, rows, width, accumulate);
  else layerNormBackwardOf<false>(team, x, weight, stats, gradY, gradX, partial, shared, rows, width, accumulate);
}

/** The gradient of longer rows, by a block each. */
template <typename T, typename S>
__device__ void layerNormLongBackward(const T* x, const T* weight, const T* stats, const S* gradY, T* gradX, int64_t rows,
                                      int64_t n, int64_t accumulate) {
  __shared__ T shared[WARP];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const int64_t first = row * n;
    const T mean = stats[2 * row], rstd = stats[2 * row + 1];
    T sum = 0, sumNormal = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T g = gradY[first + i] * weight[i];
      sum += g;
      sumNormal += g * ((x[first + i] - mean) * rstd);
    }
    sum = combineBlock<Sum>(sum, shared) / n;
    sumNormal = combineBlock<Sum>(sumNormal, shared) / n;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const T normal = (x[first + i] - mean) * rstd;
      put(gradX, first + i, rstd * (gradY[first + i] * weight[i] - sum - normal * sumNormal), accumulate);
    }
  }
}

/**
 * partial[slice][column] = Σ over the rows of a slice of g, or with `stats` of g·(x − mean)·rstd: the gradients of a bias
 * and of the weight of a layer norm.
 */
template <typename T, typename S>
__device__ void sumRows(const S* g, const T* x, const T* stats, double* partial, int64_t rows, int64_t n) {
  __shared__ ColumnSums shared;
  const bool aligned = n % 4 == 0;
  sumColumns(rows, n, partial, shared, [=](int64_t row, int64_t column) {
    Four<T> four = fourOf(g + row * n, column, n, aligned);
    if (stats) {
      const Four<T> at = fourOf(x + row * n, column, n, aligned);
      const T mean = stats[2 * row], rstd = stats[2 * row + 1];
#pragma unroll
      for (int j = 0; j < 4; j++) four.at[j] *= (at.at[j] - mean) * rstd;
    }
    return four;
  });
}

/** y (+)= the sums over the slices. */
template <typename T>
__device__ void addSlices(const double* partial, int64_t slices, T* y, int64_t n, int64_t accumulate) {
  sumSlices(partial, slices, n, [=](int64_t i, double sum) { put(y, i, static_cast<T>(sum), accumulate); });
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

// S is the storage of y and of its gradient.
#define DAG_LAYER_NORM(dtype, T, S)                                                                                       \
  DAG_EXPORT(layerNorm_##dtype, THREADS,                                                                                  \
             (const T* x, const T* weight, const T* bias, S* y, T* stats, int64_t rows, int64_t n, double eps,             \
              int64_t wide),                                                                                              \
             (layerNorm(x, weight, bias, y, stats, rows, n, eps, wide)))                                                  \
  DAG_EXPORT(layerNormLong_##dtype, THREADS,                                                                              \
             (const T* x, const T* weight, const T* bias, S* y, T* stats, int64_t rows, int64_t n, double eps),            \
             (layerNormLong(x, weight, bias, y, stats, rows, n, eps)))                                                    \
  DAG_EXPORT(layerNormBackward_##dtype, THREADS,                                                                          \
             (const T* x, const T* weight, const T* stats, const S* gradY, T* gradX, double* partial, int64_t rows,        \
              int64_t n, int64_t accumulate, int64_t wide),                                                               \
             (layerNormBackward(x, weight, stats, gradY, gradX, partial, rows, n, accumulate, wide)))                     \
  DAG_EXPORT(layerNormLongBackward_##dtype, THREADS,                                                                      \
             (const T* x, const T* weight, const T* stats, const S* gradY, T* gradX, int64_t rows, int64_t n,              \
              int64_t accumulate),                                                                                        \
             (layerNormLongBackward(x, weight, stats, gradY, gradX, rows, n, accumulate)))                                \
  DAG_EXPORT(sumRows_##dtype, THREADS,                                                                                    \
             (const S* g, const T* x, const T* stats, double* partial, int64_t rows, int64_t n),                           \
             (sumRows(g, x, stats, partial, rows, n)))
DAG_LAYER_NORM(f32, float, float)
DAG_LAYER_NORM(f64, double, double)
DAG_LAYER_NORM(bf16, float, bf16)
DAG_KERNELS(addSlices, SLICE_THREADS, (const double* partial, int64_t slices, T* y, int64_t n, int64_t accumulate),
            (partial, slices, y, n, accumulate))
